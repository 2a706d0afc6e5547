"""What the tests of training share: tiny specs, run directories, runs that are stopped and go on."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dreamlab.data import catalog
from dreamlab.spec import KINDS, TrainSpec, make
from dreamlab.store import ArtefactCache, Record, RunStore
from dreamlab.tasks.context import Stopped, TaskContext
from dreamlab.tasks.trainer import Trainer

TINY: dict[str, Any] = {"dataset": "digits", "base_width": 8, "batch_size": 16, "steps": 12, "precision": "fp32"}
CPU = torch.device("cpu")


def context(store: RunStore, kind: str, **values: Any) -> TaskContext:
    """A run directory with a spec, as a worker would be given it."""
    spec = make(KINDS[kind], values)
    record = Record(
        id=store.new_id(kind, "tiny"), kind=kind, name="tiny", created="2026-11-21T10:00:00", hash=spec.content_hash(),
        spec=spec.model_dump(),
    )  # fmt: skip
    return TaskContext(store.create(record), store, ArtefactCache(store.folders.cache))


def again(ctx: TaskContext) -> TaskContext:
    """The next attempt of the same run."""
    (ctx.run.path / "stop").unlink(missing_ok=True)
    return TaskContext(ctx.run, ctx.store, ctx.cache, attempt=ctx.attempt + 1)


def stop_after(ctx: TaskContext, task: Any, stop: Any) -> list[dict[str, Any]]:
    """Runs a task, asks it to stop at the first event for which `stop` is true, and expects Stopped."""
    events = []
    with pytest.raises(Stopped):
        for event in task(ctx):
            events.append(event)
            if stop(event):
                (ctx.run.path / "stop").write_text("")
                ctx._looked = 0.0
    return events


def trainer(*, ranks: Any = None, source: Any = None, resident: bool | None = None, **values: Any) -> Trainer:
    """A trainer of a tiny spec on the 8x8 digits."""
    spec = make(TrainSpec, {**TINY, **values})
    return Trainer(spec, catalog.load(spec.dataset), CPU, source=source, ranks=ranks, resident=resident)


def steps(t: Trainer, n: int, precision: str = "fp32") -> list[float]:
    """Takes n steps of a run of 12; returns the losses."""
    return [float(t.step(t.step_count / 12, precision)) for _ in range(n)]
