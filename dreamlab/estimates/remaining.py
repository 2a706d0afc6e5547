"""How long an experiment will still take, corrected by what its finished parts took."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from dreamlab.data.catalog import DataError
from dreamlab.estimates.cost import Estimate
from dreamlab.estimates.machine import here
from dreamlab.estimates.schedule import Job, outcome
from dreamlab.settings import ClassifySpec, Spec, SpecError
from dreamlab.store import Run, RunError, RunStatus
from dreamlab.store.states import ACTIVE

KEPT = 20.0
"""Seconds for which the estimate of a part is kept."""
UNDER_WAY = ("running", "stopping")
LEAST_SECONDS = 0.5
"""Parts that took less say nothing: their results were there already."""


class Remaining:
    """Estimates the time left of experiments. `estimated` gives the cost of a run before it
    starts; it may raise SpecError, RunError and DataError."""

    def __init__(self, estimated: Callable[[Spec], Estimate]):
        self._estimated = estimated
        self._kept: dict[str, tuple[float, float]] = {}

    def seconds(self, parts: Sequence[tuple[Run, RunStatus]]) -> float:
        """Seconds until the last part ends, if they are started as the engine does. A part under
        way takes as long as it says itself; one that waits takes its estimate, times what the
        finished parts of its kind took relative to theirs."""
        guesses = [self._guess(run) for run, _ in parts]
        factors = _factors(parts, guesses)
        jobs: list[Job] = []
        places: dict[str, int] = {}
        for (run, status), guess in zip(parts, guesses, strict=True):
            if status.state not in ACTIVE:
                continue
            seconds = guess * factors.get(run.kind, 1.0)
            if status.state in UNDER_WAY:
                seconds = _left(run, status, seconds)
            needs = tuple(places[name] for name in run.record.needs if name in places)
            places[run.id] = len(jobs)
            spec = run.spec
            device, count = getattr(spec, "device", "auto"), getattr(spec, "devices", 1)
            jobs.append(Job(run.kind, seconds, 0, device, needs, count))
        return outcome(jobs, here().devices).seconds

    def _guess(self, run: Run) -> float:
        """Estimated seconds of a whole run; 0 where they are not known, as if a run or a data set
        that it names is gone. What waits for such a run fails on its own."""
        kept = self._kept.get(run.id)
        if kept is None or time.monotonic() - kept[0] > KEPT:
            try:
                seconds = self._estimated(run.spec).seconds or 0.0
            except (SpecError, RunError, DataError):
                seconds = 0.0
            kept = self._kept[run.id] = (time.monotonic(), seconds)
        return kept[1]


def _factors(parts: Sequence[tuple[Run, RunStatus]], guesses: Sequence[float]) -> dict[str, float]:
    """Kind of run -> what its finished parts took, relative to their estimates. Seeds of a
    classifier that is under way count as well."""
    took: dict[str, float] = {}
    expected: dict[str, float] = {}
    for (run, status), guess in zip(parts, guesses, strict=True):
        share, seconds = 1.0, (status.ended or 0.0) - (status.started or 0.0)
        if isinstance(spec := run.spec, ClassifySpec):
            each = [m["seconds"] for m in status.metrics if "seconds" in m]
            share, seconds = len(each) / spec.seeds, sum(each)
        elif status.state != "done":
            continue
        if guess > 0 and seconds >= LEAST_SECONDS:
            took[run.kind] = took.get(run.kind, 0.0) + seconds
            expected[run.kind] = expected.get(run.kind, 0.0) + share * guess
    return {kind: seconds / expected[kind] for kind, seconds in took.items() if expected[kind]}


def _left(run: Run, status: RunStatus, whole: float) -> float:
    """Seconds left of a part under way: what it says itself, else its share of the whole."""
    if status.eta_seconds is not None:
        return float(status.eta_seconds)
    share = status.step / status.total if status.total else 0.0
    if isinstance(spec := run.spec, ClassifySpec):
        share = max(share, len(status.metrics) / spec.seeds)
    return whole * max(0.0, 1.0 - share)
