"""What a task gets, and the two exceptions that end it early."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from dreamlab.data import catalog
from dreamlab.settings import Spec
from dreamlab.store import ArtefactCache, Run, RunStore

STAT_EVERY = 0.05
"""Seconds between two looks for request files on disk."""


class Stopped(Exception):
    """Raised by a task after saving, because a stop was requested."""


class TaskError(ValueError):
    """Ends a run as failed. The message is one sentence for the user."""


@dataclasses.dataclass
class TaskContext:
    """A run and the resources that it may use.

    `device` is "cpu" or "cuda:0"; only the CUDA devices of the run are visible to its worker.
    `threads` is the number of CPU threads for torch. `attempt` is 1 at the first start and
    increases every time the run is resumed.
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
        """The settings of the run."""
        return self.run.spec

    def check_unchanged(self) -> None:
        """Raises SpecError if the images or weights that the run reads from files have changed
        since it was submitted. A resumed run would otherwise go on with other images."""
        if self.run.record.contents:
            from dreamlab.experiments.identity import check_unchanged  # large; not always needed

            check_unchanged(self.run, self.store)

    def stopping(self) -> bool:
        """Whether a stop was requested. It looks at the disk at most every 50 ms, so that it can be
        called in every step."""
        now = time.monotonic()
        if not self._stopping and now - self._looked >= STAT_EVERY:
            self._looked = now
            self._stopping = (self.run.path / "stop").exists()
        return self._stopping


def resize_message(made_at: int, size: int) -> dict[str, Any]:
    """The event that reports that synthetic images were resized from side `made_at` to side `size`,
    in pixels."""
    text = (
        f"The synthetic images were made at {made_at}x{made_at} pixels and resized to"
        f" {size}x{size}, the size of the real ones."
    )
    return {"type": "message", "level": "info", "text": text}
