"""The last task of a group: its children are done, their results become its own. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dreamlab.groups import report
from dreamlab.spec import SpecError
from dreamlab.store import RunError
from dreamlab.tasks.context import TaskContext, TaskError


def mix(ctx: TaskContext) -> Iterator[dict[str, Any]]:
    """Yields the mix's result. Raises TaskError where a child is missing or has no result."""
    yield _result(ctx, "verdict")


def sweep(ctx: TaskContext) -> Iterator[dict[str, Any]]:
    """Yields the sweep's result. Raises TaskError where a child is missing or has no result."""
    yield _result(ctx, "best")


def _result(ctx: TaskContext, wanted: str) -> dict[str, Any]:
    try:
        values = report(ctx.run, ctx.store)
    except (RunError, SpecError) as error:
        raise TaskError(str(error)) from None
    if values[wanted] is None:
        raise TaskError(
            "Not all parts of this run have a result: resume those that failed or were stopped, then this one."
        )
    return {"type": "result", "values": values}
