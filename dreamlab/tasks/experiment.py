"""The final task of an experiment: combines the results of its children. Without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from dreamlab.experiments import report
from dreamlab.settings import SpecError
from dreamlab.store import RunError
from dreamlab.tasks.context import TaskContext, TaskError


def mix(ctx: TaskContext) -> Iterator[dict[str, Any]]:
    """Yields the result of a mix. Raises TaskError if a child is missing or has no result."""
    yield _result(ctx, lambda values: values["verdict"] is not None)


def sweep(ctx: TaskContext) -> Iterator[dict[str, Any]]:
    """Yields the result of a sweep. Raises TaskError if a child is missing or has no result."""
    yield _result(ctx, lambda values: values["best"] is not None)


def study(ctx: TaskContext) -> Iterator[dict[str, Any]]:
    """Yields the result of a study. Raises TaskError if a child is missing or has no result."""
    yield _result(ctx, lambda values: values["complete"])


def _result(ctx: TaskContext, complete: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    try:
        values = report(ctx.run, ctx.store)
    except (RunError, SpecError) as error:
        raise TaskError(str(error)) from None
    if not complete(values):
        said = next((note for note in values.get("notes", []) if note.startswith("No verdict")), "")
        raise TaskError(
            said
            or "Not all parts of this run have a result: resume those that failed or were stopped,"
            " then this one."
        )
    return {"type": "result", "values": values}
