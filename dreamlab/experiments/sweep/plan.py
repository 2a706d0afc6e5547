"""The runs of a curve against guidance weight, sampler steps or T."""

from __future__ import annotations

from dreamlab.data.selection import selected
from dreamlab.experiments.children import Child, Runs, train_run
from dreamlab.settings import DEFAULT_VALUES, SpecError, SweepSpec, TrainSpec, exact
from dreamlab.settings.fidelity import FEWEST
from dreamlab.settings.sampling import LEAST_STEPS
from dreamlab.settings.train import can_be_guided


def plan(spec: SweepSpec, runs: Runs) -> list[Child]:
    """The children of a sweep. For each point x their roles are `generator:<x>` (only against T),
    `set:<x>` and `fidelity:<x>`. Raises SpecError."""
    run, trained = train_run(runs, spec.source, "source")
    children: list[Child] = []
    for x in points(spec, trained):
        at = {"guidance_weight": spec.guidance_weight, "num_steps": spec.num_steps}
        source = run.id
        if spec.axis == "num_train_timesteps":
            children.append(
                Child(
                    f"generator:{exact(x)}",
                    "train",
                    {**trained.model_dump(), "num_train_timesteps": int(x)},
                )
            )
            source = f"@generator:{exact(x)}"
        else:
            at[spec.axis] = x if spec.axis == "guidance_weight" else int(x)
        children.append(
            Child(
                f"set:{exact(x)}",
                "synthesize",
                {
                    "source": source,
                    "per_class": spec.per_class,
                    "sampler": spec.sampler,
                    "seed": spec.seed,
                    "device": spec.device,
                    **at,
                },
            )
        )
        children.append(
            Child(
                f"fidelity:{exact(x)}",
                "fidelity",
                {
                    "images": f"@set:{exact(x)}",
                    "extractor": spec.extractor,
                    "metrics": spec.metrics,
                    "inception_weights": spec.inception_weights,
                    "extractor_dir": spec.extractor_dir,
                    "classifier": spec.classifier,
                    "reference": reference_of(spec, trained),
                    "device": spec.device,
                },
            )
        )
    return children


def reference_of(spec: SweepSpec, trained: TrainSpec) -> str:
    """The `reference` of every point: "validation" only if the generator set enough images aside,
    otherwise "train" in its place. Raises SpecError if its data cannot be read."""
    if spec.reference != "validation":
        return spec.reference
    aside = len(selected(trained).validation) if trained.validation else 0
    return "validation" if aside >= FEWEST else "train"


def points(spec: SweepSpec, trained: TrainSpec) -> list[float]:
    """The points of the curve, sorted: those that were given, or the default ones that are possible
    with this generator and sampler. Raises SpecError if there is none."""
    usual = DEFAULT_VALUES[spec.axis]
    if spec.axis == "guidance_weight" and not spec.values and not can_be_guided(trained):
        raise SpecError(
            "Curve against (--axis): guidance_weight cannot be varied, because this generator was"
            " trained without classes or without label dropout; use num_steps or"
            " num_train_timesteps.",
            "axis",
        )
    if spec.axis == "num_steps":
        least = LEAST_STEPS.get(spec.sampler, 1)
        usual = tuple(x for x in usual if least <= x <= trained.num_train_timesteps)
    if spec.axis == "num_train_timesteps":
        usual = tuple(x for x in usual if x >= spec.num_steps)
    values = sorted(set(spec.values or usual))
    if not values:
        raise SpecError(
            f"Values (--values): none of the default values of {spec.axis} can be used; give some.",
            "values",
        )
    return values
