"""Experiments: which runs a mix, a sweep or a study consists of, and how their results are
combined. Without torch."""

from __future__ import annotations

from typing import Any

from dreamlab.experiments.children import Child, Runs, Status, finished_sets
from dreamlab.experiments.mix.plan import plan as plan_mix
from dreamlab.experiments.mix.report import report as report_mix
from dreamlab.experiments.study.by_class import by_class
from dreamlab.experiments.study.plan import plan as plan_study
from dreamlab.experiments.study.report import report as report_study
from dreamlab.experiments.sweep.plan import plan as plan_sweep
from dreamlab.experiments.sweep.report import report as report_sweep
from dreamlab.settings import MixSpec, Spec, StudySpec, SweepSpec
from dreamlab.store import Run, RunError, RunStore

__all__ = ["Child", "Runs", "Status", "by_class", "finished_sets", "plan", "report"]


def plan(spec: Spec, runs: Runs) -> list[Child]:
    """The runs that an experiment consists of, in an order in which each comes after those that it
    needs. Raises SpecError or RunError."""
    if isinstance(spec, MixSpec):
        return plan_mix(spec)
    if isinstance(spec, SweepSpec):
        return plan_sweep(spec, runs)
    if isinstance(spec, StudySpec):
        return plan_study(spec)
    raise RunError(f"A {spec.kind} run has no parts; mix, sweep and study have.")


REPORTS = {"mix": report_mix, "sweep": report_sweep, "study": report_study}


def report(run: Run, store: RunStore, status: Status | None = None) -> dict[str, Any]:
    """The results of an experiment so far, in the form of its final result. Values whose runs are
    not done are None or missing.

    `status` returns the status of a run by its id; the dashboard passes a cached reader. Raises
    RunError.
    """
    if run.kind not in REPORTS:
        raise RunError(f"{run.id} is a {run.kind} run; only a mix, a sweep or a study has parts.")
    return REPORTS[run.kind](run, store, status)
