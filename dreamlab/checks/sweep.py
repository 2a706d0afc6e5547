"""Whether the points of a sweep can be used."""

from __future__ import annotations

from dreamlab.checks.known import Known
from dreamlab.settings import DEFAULT_VALUES, SpecError, SweepSpec


def check_sweep(spec: SweepSpec, known: Known) -> None:
    """Raises SpecError if a value is given twice, or is not a whole number where one is needed."""
    values = spec.values or DEFAULT_VALUES[spec.axis]
    if len(set(values)) != len(values):
        raise SpecError("Values (--values): a value is given twice; give each once.", "values")
    if spec.axis != "guidance_weight" and any(not v.is_integer() for v in values):
        raise SpecError(f"Values (--values): {spec.axis} takes whole numbers.", "values")
