"""The CAS of a set in a fidelity run: what a classify run on the set alone has measured."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from dreamlab.checks import Known
from dreamlab.checks.cas import cas_lacking
from dreamlab.experiments import cas
from dreamlab.settings import FidelitySpec, SpecError
from dreamlab.tasks.context import TaskContext, TaskError
from dreamlab.tasks.fidelity.sets import Sets

Event = dict[str, Any]


def cas_rows(
    ctx: TaskContext, spec: FidelitySpec, sets: Sets
) -> Generator[Event, None, tuple[list[dict[str, Any]], dict[str, str]]]:
    """(rows of the metrics cas and cas_top5, {"cas_lacks": why there are none} for the result);
    both empty if they are not wanted. Raises TaskError if the predictions cannot be read."""
    if "cas" not in spec.metrics:
        return [], {}
    if not spec.cas_run:
        said = cas_lacking(spec, Known(ctx.store))
        yield {"type": "message", "level": "warning", "text": said}
        return [], {"cas_lacks": said}
    try:
        run = ctx.store.get(spec.cas_run)
        return cas.rows(run, sets.data.test_labels, sets.data.info.classes), {}
    except SpecError as error:
        raise TaskError(str(error)) from None
