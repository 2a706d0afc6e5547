"""The checks of each kind of run, and those of all runs that an experiment will create."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dreamlab.checks.classify import check_classify
from dreamlab.checks.fidelity import check_fidelity
from dreamlab.checks.importing import check_import
from dreamlab.checks.known import Known
from dreamlab.checks.machine import check_device
from dreamlab.checks.mix import check_mix
from dreamlab.checks.sweep import check_sweep
from dreamlab.checks.synthesize import check_synthesize
from dreamlab.checks.train import check_train
from dreamlab.experiments import plan
from dreamlab.settings import EXPERIMENT_KINDS, KINDS, Spec, SpecError, SweepSpec, make

CHECKS: dict[str, tuple[Callable[[Any, Known], None], ...]] = {
    "import": (check_import,),
    "train": (check_train,),
    "synthesize": (check_synthesize,),
    "fidelity": (check_fidelity,),
    "classify": (check_classify,),
    "mix": (check_mix,),
    "sweep": (check_sweep,),
    "study": (),  # its parts are checked one by one
}
"""Kind of run -> its checks. Those of the device and, for experiments, of their parts come in
addition."""


def check(spec: Spec, known: Known) -> None:
    """Raises SpecError, RunError or DataError if a run of this spec is not possible with the data,
    the machine and the runs that it names. An experiment is also refused if one of its parts is."""
    check_device(spec, known)
    for checked in CHECKS[spec.kind]:
        checked(spec, known)
    if spec.kind in EXPERIMENT_KINDS:
        _check_parts(spec, known)


def _check_parts(spec: Spec, known: Known) -> None:
    """Checks every run that an experiment will create."""
    for child in plan(spec, known):
        try:
            planned = make(KINDS[child.kind], child.values)
            check(planned, known)
        except SpecError as error:
            raise _about(spec, child.role, error) from None
        known.plan(child.role, planned)


def _about(spec: Spec, part: str, error: SpecError) -> SpecError:
    """Turns the refusal of a part into one of the experiment, about a setting that the experiment
    has."""
    if isinstance(spec, SweepSpec) and error.field in spec.axes:
        field = "values" if error.field == spec.axis else "second_values"
        if getattr(spec, field):
            option = field.replace("_", "-")
            return SpecError(f"Values (--{option}): a point cannot be used. {error}", field)
    if error.field in type(spec).model_fields:
        return error
    return SpecError(f"Its part {part}: {error}")
