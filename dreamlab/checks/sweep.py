"""Whether the points of a sweep can be used."""

from __future__ import annotations

from dreamlab.checks.fidelity import check_reference, trained_on_others
from dreamlab.checks.known import Known
from dreamlab.settings import DEFAULT_VALUES, SpecError, SweepSpec


def check_sweep(spec: SweepSpec, known: Known) -> None:
    """Raises SpecError if a value is given twice, or is not a whole number where one is needed, and
    if the images of the generator have changed that the points are compared with. Raises DataError
    if they cannot be read."""
    values = spec.values or DEFAULT_VALUES[spec.axis]
    if len(set(values)) != len(values):
        raise SpecError("Values (--values): a value is given twice; give each once.", "values")
    if spec.axis != "guidance_weight" and any(not v.is_integer() for v in values):
        raise SpecError(f"Values (--values): {spec.axis} takes whole numbers.", "values")
    source = known.training(spec.source, "source")
    # against T, generators are trained anew on the images that are there now
    if spec.axis != "num_train_timesteps" and trained_on_others(source):
        place = source.spec.data_dir or source.spec.dataset
        check_reference(spec.reference, place, f"the generator {source.name}")
