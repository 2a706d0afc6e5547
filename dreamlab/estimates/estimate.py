"""Estimates time, memory and disk space of a run: from measured work of the machine, else from an
alike finished run, else from the number of operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dreamlab.estimates import machine
from dreamlab.estimates.cost import Estimate
from dreamlab.estimates.generators import importing, synthesize
from dreamlab.estimates.groups import fidelity_of_run, group
from dreamlab.estimates.judges import classify, fidelity
from dreamlab.estimates.knowledge import Knowledge
from dreamlab.estimates.machine import Machine
from dreamlab.estimates.probes import train
from dreamlab.estimates.work import C, FindCost, Work
from dreamlab.settings import (
    ClassifySpec,
    FidelitySpec,
    ImportSpec,
    MixSpec,
    Spec,
    StudySpec,
    SweepSpec,
    SynthesizeSpec,
    TrainSpec,
)
from dreamlab.store import Run, RunStore


def nothing(work: Work[C]) -> C | None:
    """Knows no measured cost."""
    return None


def estimate(
    spec: Spec,
    store: RunStore,
    history: Sequence[Run] = (),
    known: FindCost = nothing,
    on: Machine | None = None,
    done: Callable[[Spec], str | None] = lambda spec: None,
    proposal: Mapping[str, Any] | None = None,
) -> Estimate:
    """The estimate for a run of this spec on a machine, by default this one. `history` are finished
    runs, newest first; `known` returns measured costs, and `done` the id of a finished run of the
    same spec, which an experiment uses again. `proposal` is what was found in the source of an
    import. Raises SpecError, RunError and DataError."""
    about = Knowledge(store, known, history, on or machine.here(), done)
    if isinstance(spec, TrainSpec):
        return train(spec, about)
    if isinstance(spec, SynthesizeSpec):
        found = [store.get(name).spec for name in (spec.source, *spec.upsample)]
        return synthesize(spec, [s for s in found if isinstance(s, TrainSpec)], about)
    if isinstance(spec, FidelitySpec):
        real, images = fidelity_of_run(spec, about)
        return fidelity(spec, images, real, about)
    if isinstance(spec, ClassifySpec):
        return classify(spec, about)
    if isinstance(spec, ImportSpec):
        return importing(spec, proposal, about)
    if isinstance(spec, MixSpec | SweepSpec | StudySpec):
        return group(spec, about)
    return Estimate()
