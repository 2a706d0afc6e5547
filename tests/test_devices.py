"""What is chosen while a training runs: the arithmetic, the threads; and what is understood as too
little memory."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from dreamlab.store import ArtefactCache
from dreamlab.tasks.arithmetic import PrecisionProbe, autocast
from dreamlab.tasks.threads import ThreadChoice
from dreamlab.tasks.torch_memory import is_out_of_memory

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def fast_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dreamlab.tasks.arithmetic.has_fast_bf16", lambda device: True)


def probed(
    probe: PrecisionProbe, fp32: float, bf16: float, noise: float = 0.0, slower_from: int = 1000
) -> int:
    """Steps until the probe has chosen; the machine is three times slower from a step on, noise is
    a share."""
    chance = random.Random(0)
    for step in range(1, 100):
        if probe.choice:
            return step - 1
        kernels = 5.0 if step <= 2 else 1.0  # the first of each also load kernels
        busy = 3.0 if step >= slower_from else 1.0
        seconds = {"fp32": fp32, "bf16": bf16}[probe.precision(step)]
        probe.record(seconds * kernels * busy * chance.uniform(1 - noise, 1 + noise))
    raise AssertionError("no choice in 100 steps")


@pytest.mark.parametrize(
    ("fp32", "bf16", "choice"),
    [(0.10, 0.05, "bf16"), (0.05, 0.25, "fp32"), (0.10, 0.099, "fp32"), (0.071, 0.052, "bf16")],
)
def test_the_probe_takes_bf16_only_where_it_pays(
    tmp_path: Path, fp32: float, bf16: float, choice: str
) -> None:
    cache = ArtefactCache(tmp_path)
    probe = PrecisionProbe("auto", CPU, cache, "network")
    assert probed(probe, fp32, bf16) <= 20 and probe.choice == choice
    assert PrecisionProbe("auto", CPU, cache, "network").choice == choice  # remembered
    assert PrecisionProbe("fp16", CPU, cache, "network").choice == "fp16"


def test_a_clear_difference_is_seen_early(tmp_path: Path) -> None:
    assert probed(PrecisionProbe("auto", CPU, ArtefactCache(tmp_path), "a"), 0.1, 0.05) == 12
    assert probed(PrecisionProbe("auto", CPU, ArtefactCache(tmp_path), "b"), 0.1, 0.088) == 20


@pytest.mark.parametrize("slower_from", range(3, 14))
def test_a_machine_that_grows_busy_or_is_noisy_does_not_mislead(
    tmp_path: Path, slower_from: int
) -> None:
    for fp32, bf16, choice in ((0.071, 0.052, "bf16"), (0.052, 0.055, "fp32")):
        probe = PrecisionProbe("auto", CPU, ArtefactCache(tmp_path), f"{choice}{slower_from}")
        probed(probe, fp32, bf16, noise=0.05, slower_from=slower_from)
        assert probe.choice == choice


def test_slow_steps_are_decided_by_what_was_seen(tmp_path: Path) -> None:
    probe = PrecisionProbe("auto", CPU, ArtefactCache(tmp_path), "slow")
    for step, seconds in enumerate((9.0, 5.0, 2.0), 1):
        probe.record(seconds)
        probe.settle()
        assert not probe.choice and probe.precision(step) in ("fp32", "bf16")
    probe.record(1.0)  # the second pair: fp32 took 2 s, bf16 1 s
    probe.settle()
    assert probe.choice == "bf16"
    assert PrecisionProbe("auto", CPU, ArtefactCache(tmp_path), "slow").choice == ""


def test_bf16_is_not_tried_where_it_is_emulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dreamlab.tasks.arithmetic.has_fast_bf16", lambda device: False)
    assert PrecisionProbe("auto", CPU, ArtefactCache(tmp_path), "other").choice == "fp32"


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
