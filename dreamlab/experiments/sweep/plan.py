"""The runs of a curve of fidelity against a setting, or of a heat map against two."""

from __future__ import annotations

import itertools
from typing import Any

from dreamlab.data.selection import selected
from dreamlab.experiments.children import Child, Runs, train_run
from dreamlab.settings import DEFAULT_VALUES, SpecError, SweepSpec, TrainSpec, exact
from dreamlab.settings.fidelity import FEWEST
from dreamlab.settings.names import AxisName
from dreamlab.settings.sampling import LEAST_STEPS
from dreamlab.settings.sweep import WHOLE, Value
from dreamlab.settings.train import can_be_guided
from dreamlab.store import Run, checkpoints

MOST = 200
"""Most points of a heat map."""
Point = tuple[Value, ...]
"""A value of each axis."""


def plan(spec: SweepSpec, runs: Runs) -> list[Child]:
    """The children of a sweep. For each point their roles are `generator:<T>` (only against T),
    `set:<point>` and `fidelity:<point>`, with the point as in `place`. Raises SpecError."""
    run, trained = train_run(runs, spec.source, "source")
    children: dict[str, Child] = {}
    for point in points(spec, run, trained):
        at: dict[str, Any] = {
            "source": run.id,
            "per_class": spec.per_class,
            "sampler": spec.sampler,
            "guidance_weight": spec.guidance_weight,
            "num_steps": spec.num_steps,
            "seed": spec.seed,
            "device": spec.device,
        }
        for axis, x in zip(spec.axes, point, strict=True):
            if axis == "num_train_timesteps":
                role = f"generator:{exact(x)}"
                values = {**trained.model_dump(), "num_train_timesteps": int(x)}
                children[role] = Child(role, "train", values)
                at["source"] = f"@{role}"
            else:
                at |= _at(axis, x, run)
        role = f"set:{place(point)}"
        children[role] = Child(role, "synthesize", at)
        children[f"fidelity:{place(point)}"] = _measured(spec, trained, point)
    return list(children.values())


def _at(axis: AxisName, x: Value, run: Run) -> dict[str, Any]:
    """The settings of a synthetic set at this value of an axis."""
    if axis == "checkpoint":
        name = checkpoints.name_at(int(x))
        return {"checkpoint": "" if name not in checkpoints.kept(run.path) else name}
    value = int(x) if axis in WHOLE else x
    if axis == "logvar_coefficient":
        return {axis: value, "sampler": "ddpm", "variance": "interpolated"}
    return {axis: value, **({"sampler": "ddim"} if axis == "eta" else {})}


def _measured(spec: SweepSpec, trained: TrainSpec, point: Point) -> Child:
    return Child(
        f"fidelity:{place(point)}",
        "fidelity",
        {
            "images": f"@set:{place(point)}",
            "extractor": spec.extractor,
            "metrics": spec.metrics,
            "inception_weights": spec.inception_weights,
            "extractor_dir": spec.extractor_dir,
            "classifier": spec.classifier,
            "reference": reference_of(spec, trained),
            "device": spec.device,
        },
    )


def place(point: Point) -> str:
    """The text of a point in the roles of its runs."""
    return ":".join(exact(x) for x in point)


def point_of(place: str) -> Point:
    """The inverse of `place`."""

    def value(text: str) -> Any:
        try:
            return float(text)
        except ValueError:
            return text

    return tuple(value(text) for text in place.split(":"))


def reference_of(spec: SweepSpec, trained: TrainSpec) -> str:
    """The `reference` of every point: "validation" only if the generator set enough images aside,
    otherwise "train" in its place. Raises SpecError if its data cannot be read."""
    if spec.reference != "validation":
        return spec.reference
    aside = len(selected(trained).validation) if trained.validation else 0
    return "validation" if aside >= FEWEST else "train"


def points(spec: SweepSpec, run: Run, trained: TrainSpec) -> list[Point]:
    """The points of the curve, sorted: those that were given, or the default ones that are possible
    with this generator and sampler. Raises SpecError if there is none, or if there are too many."""
    fields = {spec.axis: "values", spec.second_axis: "second_values"}
    found = [
        _values(axis, given, spec, run, trained, fields[axis]) for axis, given in spec.axes.items()
    ]
    together = list(itertools.product(*found))
    if len(together) > MOST:
        raise SpecError(
            f"Values (--values): {' x '.join(str(len(v)) for v in found)} values are"
            f" {len(together):,} points; a heat map has at most {MOST}.",
            "values",
        )
    return together


def _values(
    axis: AxisName,
    given: tuple[Value, ...],
    spec: SweepSpec,
    run: Run,
    trained: TrainSpec,
    field: str,
) -> list[Value]:
    usual: tuple[Any, ...] = DEFAULT_VALUES[axis]
    if axis == "guidance_weight" and not given and not can_be_guided(trained):
        raise SpecError(
            "Curve against (--axis): guidance_weight cannot be varied, because this generator was"
            " trained without classes or without label dropout; use num_steps or"
            " num_train_timesteps.",
            "axis",
        )
    if axis == "num_steps":
        least = LEAST_STEPS.get(spec.sampler, 1)
        usual = tuple(x for x in usual if least <= x <= trained.num_train_timesteps)
    if axis == "num_train_timesteps":
        usual = tuple(x for x in usual if x >= spec.num_steps)
    if axis == "sampler":
        usual = tuple(x for x in usual if spec.num_steps >= LEAST_STEPS.get(x, 1))
    if axis == "checkpoint":
        usual = tuple(float(step) for step in _steps(run))
        unknown = [x for x in given if x not in usual]
        if unknown:
            raise SpecError(
                f"Values (--{field.replace('_', '-')}): the generator keeps no checkpoint of step"
                f" {unknown[0]:g}; it has {', '.join(f'{x:g}' for x in usual) or 'none'}.",
                field,
            )
    values = sorted(set(given or usual), key=lambda x: (isinstance(x, str), x))
    if not values:
        what = (
            "it kept no checkpoints (--snapshots)"
            if axis == "checkpoint"
            else (f"none of the default values of {axis} can be used; give some")
        )
        raise SpecError(f"Values (--{field.replace('_', '-')}): {what}.", field)
    return values


def _steps(run: Run) -> list[int]:
    """The training steps of the kept checkpoints and, if it is done, of the last weights."""
    kept = {int(name[5:]) for name in checkpoints.kept(run.path)}
    done = (run.result() or {}).get("steps")
    return sorted(kept | ({int(done)} if done and kept else set()))
