"""Trainings that several processes share; real ones, two on this CPU."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file

from dreamlab.store import ArtefactCache, RunStore, checkpoints
from dreamlab.tasks.context import TaskContext, TaskError
from dreamlab.tasks.train import task as train_module
from dreamlab.tasks.train.data_parallel import Ranks, together
from dreamlab.tasks.train.task import make_trainer, train
from dreamlab.tasks.train.trainer import STATE
from tests.engine_helpers import TINY, submit, until

SPEC = {
    **TINY,
    "steps": 12,
    "batch_size": 21,
    "accumulate": 3,
    "flip": True,
    "precision": "fp32",
    "grad_clip": 1.0,
    "device": "cpu",
}


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    store = RunStore(tmp_path / "runs")
    store.prepare()
    return store


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def context(store: RunStore, **values: Any) -> TaskContext:
    run = submit(store, "train", values={**SPEC, **values})
    return TaskContext(run, store, ArtefactCache(store.folders.cache), threads=2)


def others() -> list[psutil.Process]:
    living = [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]
    return [p for p in living if "dreamlab.tasks.train.parallel_process" in p.cmdline()]


@pytest.mark.parametrize("images", [2, 7, 64])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_image_belongs_to_one_process(images: int, count: int) -> None:
    shares = [list(range(images))[Ranks(i, count).share(images)] for i in range(count)]
    assert sum(shares, []) == list(range(images))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_two_processes_have_the_gradient_of_one(store: RunStore) -> None:
    found = {}
    for devices in (1, 2):
        ctx = context(store, devices=devices)
        with together(ctx, devices) as ranks:
            trainer = make_trainer(ctx, ranks)
            ranks.connect(trainer.device)
            reduce = ranks.reduce

            def keep(flat: torch.Tensor, devices: int = devices, reduce: Any = reduce) -> None:
                reduce(flat)
                found[devices] = flat.clone()

            ranks.reduce = keep  # type: ignore[method-assign]
            loss = float(trainer.step(0.0, "fp32"))
            assert loss == pytest.approx(
                float(found[devices][-9])
            )  # the loss of the whole batch lies behind the gradient
    assert found[1].abs().max() > 1e-3
    torch.testing.assert_close(found[2], found[1], rtol=1e-5, atol=1e-5)
    assert not others() and not torch.distributed.is_initialized()


def test_a_run_on_two_devices_ends_with_the_weights_of_one(store: RunStore) -> None:
    weights = []
    for devices in (1, 2):
        ctx = context(store, devices=devices)
        *_, last = train(ctx)
        assert (
            last["type"] == "result"
            and last["values"]["devices"] == devices
            and last["values"]["steps"] == 12
        )
        weights.append(load_file(ctx.run.path / checkpoints.LAST))
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-3, atol=2e-5)


def test_a_killed_process_ends_the_run_with_one_sentence_and_it_can_be_resumed(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_module, "FIRST_CHECKPOINT", 0.0)
    ctx = context(store, devices=2, steps=100_000, checkpoint_every=1)
    began = 0.0
    with pytest.raises(
        TaskError,
        match=(
            r"^Process 2 of 2 of this training was ended by signal 9; if it is resumed, it"
            r" continues from step"
            r" [\d,]+\.$"
        ),
    ) as error:
        for event in train(ctx):
            if event["type"] == "metric" and (ctx.run.path / STATE).exists() and not began:
                (other,) = others()
                other.kill()
                began = time.monotonic()
    assert time.monotonic() - began < 10 and not others()
    step = int(str(error.value).split()[-1].rstrip(".").replace(",", ""))
    again = TaskContext(ctx.run, store, ctx.cache, attempt=2, threads=2)
    events = train(again)
    assert next(events)["text"] == f"Continues from step {step:,}."
    assert next(events)["step"] == step + 1
    events.close()
    assert not others()


def test_what_a_process_dies_of_is_told(store: RunStore) -> None:
    ctx = context(store, devices=2)
    (ctx.run.path / "spec.json").rename(ctx.run.path / "spec.txt")
    with pytest.raises(
        TaskError,
        match=r"^Process 2 of 2 of this training failed: .*spec\.json.*nothing was saved yet",
    ):
        with together(ctx, 2) as ranks:
            ranks.connect(torch.device("cpu"))
    assert not others()


def test_the_others_go_with_a_killed_worker(store: RunStore) -> None:
    run = submit(store, "train", values={**SPEC, "devices": 2, "steps": 100_000})
    command = [sys.executable, "-m", "dreamlab.processes.worker", str(run.path), "--threads", "2"]
    worker = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    until(lambda: run.status().step > 0, seconds=60)
    children = psutil.Process(worker.pid).children()
    assert len(children) == 1
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    assert not psutil.wait_procs(children, timeout=10)[1]


def test_more_devices_than_the_worker_sees_are_refused(store: RunStore) -> None:
    ctx = context(store, devices=2)
    ctx.device = "cuda:0"
    with (
        pytest.raises(TaskError, match=r"Devices \(--devices\): 2 cannot be used"),
        together(ctx, 2),
    ):
        pass
