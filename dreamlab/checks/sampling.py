"""Whether a generator can be sampled as a spec says: classes, guidance, steps, autoguidance,
cascades."""

from __future__ import annotations

from dreamlab.settings.base import SpecError
from dreamlab.settings.sampling import LEAST_STEPS
from dreamlab.settings.synthesize import SynthesizeSpec
from dreamlab.settings.train import TrainSpec, can_be_guided


def check_sampling(spec: SynthesizeSpec, trained: TrainSpec, classes: int) -> None:
    """Raises SpecError if a generator that was trained with `trained` and has `classes` classes
    cannot be sampled as `spec` says."""
    most = trained.num_train_timesteps
    if spec.num_steps > most:
        raise SpecError(
            f"Sampler steps (--num-steps): {spec.num_steps} is more than the generator's T; it must"
            f" be 1 to {most}.",
            "num_steps",
        )
    if spec.num_steps < (least := LEAST_STEPS.get(spec.sampler, 1)):
        raise SpecError(
            f"Sampler steps (--num-steps): {spec.num_steps} is too few for {spec.sampler}, whose"
            f" images are then noise; it must be at least {least}, or use dpmpp_2m.",
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
            f" this generator, because {why}; use 0, or name a guiding run (--guide).",
            "guidance_weight",
        )
    if spec.variance == "learned" and not trained.learn_variance:
        raise SpecError(
            "Reverse variance (--variance): learned cannot be used, because this generator was not"
            " trained to predict it; use posterior, beta or interpolated, or train with"
            " --learn-variance.",
            "variance",
        )
    if trained.low_size:
        raise SpecError(
            "Generator (--from): this is a super-resolution model, which enlarges images of"
            f" {trained.low_size}x{trained.low_size} pixels; name a base model here and this run"
            " under --upsample.",
            "source",
        )


def check_guide(trained: TrainSpec, size: int, guide: TrainSpec, guide_size: int) -> None:
    """Raises SpecError unless one model can guide another: both must have the same data, image
    size, labels and noise levels. `size` and `guide_size` are the image sizes of the two models; a
    spec may leave its own to the data set."""
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
    """Raises SpecError unless each stage of a cascade starts from the size of the images of the
    stage before. `stages` are (run id, its spec, its image size)."""
    size = base_size
    for run, stage, stage_size in stages:
        if stage.low_size != size:
            what = (
                f"starts from {stage.low_size} pixels"
                if stage.low_size
                else "is not a super-resolution model"
            )
            raise SpecError(
                f"Then upsample by (--upsample): {run} {what}, but the images before it have"
                f" {size}; name one trained with --low-size {size}.",
                "upsample",
            )
        if (stage.dataset, stage.conditional) != (base.dataset, base.conditional):
            raise SpecError(
                f"Then upsample by (--upsample): {run} was trained on other data than the"
                " generator, or only one of the two has classes; name one that fits.",
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
                f"Reverse variance (--variance): learned cannot be used, because {run} was not"
                " trained to predict it; use posterior, beta or interpolated.",
                "variance",
            )
        if spec.upsample_noise > stage.low_noise:
            raise SpecError(
                f"Conditioning noise (--upsample-noise): {spec.upsample_noise:g} is more than the"
                f" noise that {run} was trained with; it must be 0 to {stage.low_noise:g}.",
                "upsample_noise",
            )
        size = stage_size
