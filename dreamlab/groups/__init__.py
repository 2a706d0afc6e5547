"""Groups: which runs a mix, a sweep or a study is made of, and what their results say together. No torch."""

from __future__ import annotations

from typing import Any

from dreamlab.groups import mix, mixreport, study, sweep
from dreamlab.groups.plan import Child, Status
from dreamlab.spec import MixSpec, Spec, StudySpec, SweepSpec
from dreamlab.store import Run, RunError, RunStore

__all__ = ["Child", "Status", "plan", "report"]


def plan(spec: Spec, store: RunStore) -> list[Child]:
    """The runs that a group needs, siblings before those that need them. Raises SpecError or RunError."""
    if isinstance(spec, MixSpec):
        return mix.plan(spec, store)
    if isinstance(spec, SweepSpec):
        return sweep.plan(spec, store)
    if isinstance(spec, StudySpec):
        return study.plan(spec, store)
    raise RunError(f"A {spec.kind} run has no parts; mix, sweep and study have.")


def report(run: Run, store: RunStore, status: Status | None = None) -> dict[str, Any]:
    """What the children of a group say so far, in the form of its result; cells are missing while they run.

    `status` looks up a run's status by id: a page gives its cached readers. Raises RunError.
    """
    if run.kind == "mix":
        return mixreport.report(run, store, status)
    if run.kind == "sweep":
        return sweep.report(run, store, status)
    if run.kind == "study":
        return study.report(run, store, status)
    raise RunError(f"{run.id} is a {run.kind} run; only a mix, a sweep or a study has parts.")
