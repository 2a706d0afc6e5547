"""The work of each kind of run, one folder per kind. A task is a Python generator that yields
events. Its module is imported only when it is needed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

from dreamlab.tasks.context import Stopped, TaskContext, TaskError

TASKS: dict[str, str] = {
    "import": "dreamlab.tasks.importing.task:import_task",
    "train": "dreamlab.tasks.train.task:train",
    "synthesize": "dreamlab.tasks.synthesize.task:synthesize",
    "fidelity": "dreamlab.tasks.fidelity.task:fidelity",
    "classify": "dreamlab.tasks.classify.task:classify",
    "mix": "dreamlab.tasks.experiment:mix",
    "sweep": "dreamlab.tasks.experiment:sweep",
    "study": "dreamlab.tasks.experiment:study",
}
"""Kind of run -> "module:function"."""

Task = Callable[[TaskContext], Iterator[dict[str, Any]]]
"""A function that does the work of a run and yields its events."""


def find_task(kind: str) -> Task:
    """The task for a kind of run. Raises TaskError if there is none."""
    if kind not in TASKS:
        raise TaskError(
            f"There is no task for runs of kind {kind!r}; there are {', '.join(TASKS)}."
        )
    module, function = TASKS[kind].split(":")
    task: Task = getattr(importlib.import_module(module), function)
    return task


__all__ = ["TASKS", "Stopped", "Task", "TaskContext", "TaskError", "find_task"]
