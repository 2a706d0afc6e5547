"""Whether the points of a sweep can be used."""

from __future__ import annotations

from dreamlab.checks.fidelity import check_reference, trained_on_others
from dreamlab.checks.known import Known
from dreamlab.settings import SpecError, SweepSpec, exact
from dreamlab.settings.names import AxisName
from dreamlab.settings.sweep import WHOLE, Value


def check_sweep(spec: SweepSpec, known: Known) -> None:
    """Raises SpecError if a value is given twice, is not one of its axis, or is not a whole number
    where one is needed, and if the images of the generator have changed that the points are
    compared with. Raises DataError if they cannot be read."""
    for (axis, values), field in zip(spec.axes.items(), ("values", "second_values"), strict=False):
        _check_values(axis, values, f"Values (--{field.replace('_', '-')})", field)
    source = known.training(spec.source, "source")
    # against T, generators are trained anew on the images that are there now
    if "num_train_timesteps" not in spec.axes and trained_on_others(source):
        place = source.spec.data_dir or source.spec.dataset
        check_reference(spec.reference, place, f"the generator {source.name}")


def _check_values(axis: AxisName, values: tuple[Value, ...], words: str, field: str) -> None:
    if len(set(values)) != len(values):
        raise SpecError(f"{words}: a value is given twice; give each once.", field)
    for value in values:
        if isinstance(value, str) != (axis == "sampler"):
            takes = "the names of samplers" if axis == "sampler" else "numbers"
            raise SpecError(f"{words}: {axis} takes {takes}, not {exact(value)}.", field)
        if axis in WHOLE and not float(value).is_integer():
            raise SpecError(f"{words}: {axis} takes whole numbers.", field)
