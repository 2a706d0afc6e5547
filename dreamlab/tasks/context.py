"""What a task is given, and the two exceptions with which it ends early."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from dreamlab.data import catalog
from dreamlab.settings import Spec
from dreamlab.store import ArtefactCache, Run, RunStore

STAT_EVERY = 0.05


class Stopped(Exception):
    """Raised by a task after it has saved, because it was asked to stop."""


class TaskError(ValueError):
    """An error that ends a run. The message is one sentence for the user."""


@dataclasses.dataclass
class TaskContext:
    """A run and the resources for it.

    `device` is "cpu" or "cuda:0" (the worker sees only the CUDA devices of its run). `threads` is
    the number of CPU threads that torch uses. `attempt` is 1 for the first start and increases with
    every resumption.
    """

    run: Run
    store: RunStore
    cache: ArtefactCache
    attempt: int = 1
    threads: int = 1
    device: str = "cpu"
    _looked: float = dataclasses.field(default=0.0, init=False, repr=False)
    _stopping: bool = dataclasses.field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        catalog.add_runs_folder(self.store.folder)

    @property
    def spec(self) -> Spec:
        return self.run.spec

    def stopping(self) -> bool:
        """Whether a stop was asked for. Looks at the disk at most once in 50 ms, so that it can be
        called in every step."""
        now = time.monotonic()
        if not self._stopping and now - self._looked >= STAT_EVERY:
            self._looked = now
            self._stopping = (self.run.path / "stop").exists()
        return self._stopping


def resize_message(made_at: int, size: int) -> dict[str, Any]:
    """The event that says that synthetic images were resized; sides in pixels."""
    text = (
        f"The synthetic images were made at {made_at}x{made_at} pixels and resized to"
        f" {size}x{size}, the size of the real ones."
    )
    return {"type": "message", "level": "info", "text": text}
