"""Whether a generator can be sampled as a spec asks: classes, guidance, steps, autoguidance,
cascades."""

from __future__ import annotations

from dreamlab.settings.base import SpecError
from dreamlab.settings.synthesize import SynthesizeSpec
from dreamlab.settings.train import TrainSpec, can_be_guided


def check_sampling(spec: SynthesizeSpec, trained: TrainSpec, classes: int) -> None:
    """Raises SpecError where a generator of this training, with this many classes to draw, cannot
    be sampled so."""
    most = trained.num_train_timesteps
    if spec.num_steps > most:
        raise SpecError(
            f"Sampler steps (--num-steps): {spec.num_steps} is more than the generator's T; it must"
            f" be 1 to {most}.",
            "num_steps",
        )
    wrong = [c for c in spec.classes if c >= classes]
    if wrong:
        raise SpecError(
            f"Classes (--classes): {wrong[0]} is not a class of this generator; they are 0 to"
            f" {classes - 1}.",
            "classes",
        )
    if len(set(spec.classes)) != len(spec.classes):
        raise SpecError(
            f"Classes (--classes): {','.join(map(str, spec.classes))} names a class twice; name"
            " each once.",
            "classes",
        )
    if spec.guidance_weight > 0 and not spec.guide and not can_be_guided(trained):
        why = (
            "it has no classes"
            if not trained.conditional
            else "it was trained without label dropout"
        )
        raise SpecError(
            f"Guidance weight w (--guidance-weight): {spec.guidance_weight:g} cannot be used with"
            f" this generator, {why}, so that there is nothing to guide by: use 0, or name a"
            " guiding run (--guide).",
            "guidance_weight",
        )
    if spec.variance == "learned" and not trained.learn_variance:
        raise SpecError(
            "Reverse variance (--variance): learned cannot be used, this generator has not learned"
            " one; use posterior, beta or interpolated, or train with --learn-variance.",
            "variance",
        )
    if trained.low_size:
        raise SpecError(
            f"Generator (--from): it makes {trained.low_size}x{trained.low_size} pixels larger and"
            " has nothing to start from; name a base model here and this run under --upsample.",
            "source",
        )


def check_guide(trained: TrainSpec, size: int, guide: TrainSpec, guide_size: int) -> None:
    """Raises SpecError where one model cannot guide another: they must speak of the same images and
    noise levels. Sizes are those of the images that the models make: a spec may leave its own to
    the data."""
    names = (
        "dataset",
        "conditional",
        "num_train_timesteps",
        "schedule",
        "zero_terminal_snr",
        "low_size",
    )
    both = [
        ("image_size", size, guide_size),
        *((n, getattr(trained, n), getattr(guide, n)) for n in names),
    ]
    for name, own, theirs in both:
        if own != theirs:
            raise SpecError(
                f"Autoguidance by (--guide): its {name} is {theirs}, the generator's {own}; they"
                " must be the same.",
                "guide",
            )


def check_cascade(
    spec: SynthesizeSpec, base: TrainSpec, base_size: int, stages: list[tuple[str, TrainSpec, int]]
) -> None:
    """Raises SpecError where a stage (run, its training, its image size) does not start from what
    the one before makes."""
    size = base_size
    for run, stage, stage_size in stages:
        if stage.low_size != size:
            what = (
                f"starts from {stage.low_size} pixels"
                if stage.low_size
                else "is not a super-resolution model"
            )
            raise SpecError(
                f"Then upsample by (--upsample): {run} {what}, but it is given {size}; name one"
                f" trained with --low-size {size}.",
                "upsample",
            )
        if (stage.dataset, stage.conditional) != (base.dataset, base.conditional):
            raise SpecError(
                f"Then upsample by (--upsample): {run} was trained on other data or without the"
                " same labels as the generator.",
                "upsample",
            )
        if spec.num_steps > stage.num_train_timesteps:
            raise SpecError(
                f"Sampler steps (--num-steps): {spec.num_steps} is more than the T of {run}; it"
                f" must be 1 to {stage.num_train_timesteps}.",
                "num_steps",
            )
        if spec.guidance_weight > 0 and stage.conditional and stage.label_dropout == 0:
            raise SpecError(
                f"Guidance weight w (--guidance-weight): {run} was trained without label dropout"
                " and cannot be guided; use 0.",
                "guidance_weight",
            )
        if spec.variance == "learned" and not stage.learn_variance:
            raise SpecError(
                f"Reverse variance (--variance): learned cannot be used, {run} has not learned one;"
                " use posterior, beta or interpolated.",
                "variance",
            )
        if spec.upsample_noise > stage.low_noise:
            raise SpecError(
                f"Conditioning noise (--upsample-noise): {spec.upsample_noise:g} is more than {run}"
                f" was trained with; it must be 0 to {stage.low_noise:g}.",
                "upsample_noise",
            )
        size = stage_size
