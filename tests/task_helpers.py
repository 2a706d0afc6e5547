"""What the tests share that run tasks inside their own process: run directories, and runs that are
stopped and go on."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dreamlab.settings import KINDS, make
from dreamlab.settings.base import Spec
from dreamlab.store import ArtefactCache, Record, Run, RunStore
from dreamlab.tasks.context import Stopped, TaskContext

CPU = torch.device("cpu")


def new_run(store: RunStore, spec: Spec) -> Run:
    record = Record(
        id=store.new_id(spec.kind, "tiny"),
        kind=spec.kind,
        name="tiny",
        created="2026-11-21T10:00:00",
        hash=spec.content_hash(),
        spec=spec.model_dump(),
    )
    return store.create(record)


def context(store: RunStore, kind: str, **values: Any) -> TaskContext:
    """A run directory with a spec, as a worker would be given it."""
    run = new_run(store, make(KINDS[kind], values))
    return TaskContext(run, store, ArtefactCache(store.folders.cache))


def again(ctx: TaskContext) -> TaskContext:
    """The next attempt of the same run."""
    (ctx.run.path / "stop").unlink(missing_ok=True)
    return TaskContext(ctx.run, ctx.store, ctx.cache, attempt=ctx.attempt + 1)


def stop_after(ctx: TaskContext, task: Any, stop: Any) -> list[dict[str, Any]]:
    """Runs a task, asks it to stop at the first event for which `stop` is true, and expects
    Stopped."""
    events = []
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
        patch.setattr("dreamlab.tasks.context.STAT_EVERY", 0.0)  # it is seen in the next step
        for event in task(ctx):
            events.append(event)
            if stop(event):
                (ctx.run.path / "stop").write_text("")
    return events
