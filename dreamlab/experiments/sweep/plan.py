"""Sweep: the runs of a curve against guidance weight, sampler steps, or T."""

from __future__ import annotations

from dreamlab.experiments.children import Child, train_run
from dreamlab.settings import DEFAULT_VALUES, SpecError, SweepSpec, TrainSpec, exact
from dreamlab.settings.guidance import can_be_guided
from dreamlab.store import RunStore


def plan(spec: SweepSpec, store: RunStore) -> list[Child]:
    """Children per point x: `generator:<x>` (only against T), `set:<x>`, `fidelity:<x>`."""
    run, trained = train_run(store, spec.source, "source")
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
                    "inception_weights": spec.inception_weights,
                    "device": spec.device,
                },
            )
        )
    return children


def points(spec: SweepSpec, trained: TrainSpec) -> list[float]:
    """The points of the curve, sorted. Raises SpecError where one is impossible with this
    generator."""
    # a usual point that this generator cannot do is left out; one that was asked for is refused
    usual = DEFAULT_VALUES[spec.axis]
    if not spec.values and spec.axis == "num_steps":
        usual = tuple(x for x in usual if x <= trained.num_train_timesteps)
    if not spec.values and spec.axis == "num_train_timesteps":
        usual = tuple(x for x in usual if x >= spec.num_steps)
    if not spec.values and spec.axis == "guidance_weight" and not can_be_guided(trained):
        raise _unguided()
    values = sorted(set(spec.values or usual))
    if not values:
        raise SpecError(
            f"Values (--values): none of the usual points of {spec.axis} can be used; give some.",
            "values",
        )
    for x in values:
        _check(spec, trained, x)
    if (
        spec.axis != "num_steps"
        and spec.axis != "num_train_timesteps"
        and spec.num_steps > trained.num_train_timesteps
    ):
        raise SpecError(
            f"Sampler steps (--num-steps): {spec.num_steps} cannot be used; the generator was"
            f" trained with T = {trained.num_train_timesteps}.",
            "num_steps",
        )
    if spec.axis != "guidance_weight" and spec.guidance_weight > 0 and not can_be_guided(trained):
        raise _unguided()
    return values


def _unguided() -> SpecError:
    return SpecError(
        "Guidance weight w (--guidance-weight): the generator was trained without labels or without"
        " label dropout and cannot be guided; use 0.",
        "guidance_weight",
    )


def _check(spec: SweepSpec, trained: TrainSpec, x: float) -> None:
    if spec.axis == "guidance_weight":
        if x > 20:
            raise SpecError(
                f"Values (--values): guidance weight {exact(x)} cannot be used; it must be 0 to 20.",
                "values",
            )
        if x > 0 and not can_be_guided(trained):
            raise _unguided()
        return
    if x != int(x):
        raise SpecError(
            f"Values (--values): {exact(x)} cannot be used; {spec.axis} takes whole numbers.",
            "values",
        )
    if spec.axis == "num_steps" and not 1 <= x <= trained.num_train_timesteps:
        raise SpecError(
            f"Values (--values): {exact(x)} sampler steps cannot be used; the generator was trained with"
            f" T = {trained.num_train_timesteps}, so it must be 1 to"
            f" {trained.num_train_timesteps}.",
            "values",
        )
    if spec.axis == "num_train_timesteps" and not max(10, spec.num_steps) <= x <= 4000:
        raise SpecError(
            f"Values (--values): T = {exact(x)} cannot be used with {spec.num_steps} sampler steps; it"
            f" must be {max(10, spec.num_steps)} to 4,000.",
            "values",
        )
