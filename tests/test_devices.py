"""The number of threads, chosen while a training runs; and what is understood as too little
memory."""

from __future__ import annotations

import pytest
import torch

from dreamlab.tasks.precision import autocast
from dreamlab.tasks.threads import ThreadChoice
from dreamlab.tasks.torch_memory import is_out_of_memory

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)],
)
def test_autocast_computes_in_what_is_asked_for(precision: str, dtype: torch.dtype) -> None:
    with autocast(CPU, precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_allocators_without_memory_are_understood() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory.")) and is_out_of_memory(
        MemoryError()
    )
    assert is_out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"))
    assert not is_out_of_memory(RuntimeError("shapes differ")) and not is_out_of_memory(
        ValueError("out of memory")
    )


class Cores:
    """A step's seconds where 2 threads take 1, or 6 while somebody else is busy, and 1 thread takes
    2 always."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.busy, self.clock = False, 0.0
        monkeypatch.setattr(torch, "set_num_threads", lambda n: None)

    def run(self, choice: ThreadChoice, steps: int) -> list[int]:
        used = []
        for _ in range(steps):
            used.append(choice.now)
            seconds = (6.0 if self.busy else 1.0) if choice.now == 2 else 2.0
            self.clock += seconds
            choice.record(seconds, self.clock)
        return used


def test_threads_give_way_to_others_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    cores, choice = Cores(monkeypatch), ThreadChoice(2)
    assert cores.run(choice, 100).count(1) == 1  # tried once, at rest: no more
    cores.busy = True
    assert cores.run(choice, 100).count(2) < 20
    cores.busy = False
    assert cores.run(choice, 100)[-50:] == [2] * 50


def test_a_machine_that_is_busy_from_the_start_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    cores, choice = Cores(monkeypatch), ThreadChoice(2)
    cores.busy = True
    assert cores.run(choice, 60)[20:].count(1) > 30
