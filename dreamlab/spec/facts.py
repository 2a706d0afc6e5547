"""What can be said of a generator's spec without torch: the shape of its network, what it holds and costs, what fits."""

from __future__ import annotations

import dataclasses

from dreamlab.spec.base import ActivationName, SpecError, WiringName
from dreamlab.spec.sampling import SynthesizeSpec
from dreamlab.spec.training import INHERITED, TrainSpec


@dataclasses.dataclass(frozen=True)
class Network:
    """All that decides the layers of a U-Net. `classes` 0: unconditional, no class table; `low_size` above 0: the input
    also holds the upsampled low-resolution image, and its noise level is a second time."""

    channels: int
    classes: int
    image_size: int
    num_train_timesteps: int
    base_width: int
    multipliers: tuple[int, ...]
    blocks_per_level: int
    stem_patch: int
    attention: tuple[int, ...]
    heads: int
    dropout: float
    time_activation: ActivationName
    wiring: WiringName
    learn_variance: bool
    low_size: int

    @property
    def in_channels(self) -> int:
        return self.channels * (2 if self.low_size else 1)

    @property
    def out_channels(self) -> int:
        return self.channels * (2 if self.learn_variance else 1)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of every level."""
        return tuple(self.base_width * m for m in self.multipliers)

    @property
    def sides(self) -> tuple[int, ...]:
        """Side of the feature maps of every level."""
        return tuple(self.image_size // self.stem_patch // 2**i for i in range(len(self.multipliers)))


def network_of(spec: TrainSpec, native_size: int, channels: int, classes: int) -> Network:
    """The network of a spec on data of this size (pixels, square), channels and number of classes."""
    return Network(
        channels=channels, classes=classes if spec.conditional else 0, image_size=spec.image_size or native_size,
        num_train_timesteps=spec.num_train_timesteps, base_width=spec.base_width, multipliers=spec.multipliers,
        blocks_per_level=spec.blocks_per_level, stem_patch=spec.stem_patch, attention=spec.attention, heads=spec.heads,
        dropout=spec.dropout, time_activation=spec.time_activation, wiring=spec.wiring, learn_variance=spec.learn_variance,
        low_size=spec.low_size,
    )  # fmt: skip


def check_network(network: Network) -> None:
    """Raises SpecError where stem and levels do not divide the image size, or attention, heads or stages do not fit."""
    n, size = network, network.image_size
    if size % n.stem_patch:
        raise SpecError(
            f"Stem patch (--stem-patch): {n.stem_patch} does not divide images of {size}x{size} pixels;"
            f" use {' or '.join(str(p) for p in (1, 2, 4) if size % p == 0)}.", "stem_patch",
        )  # fmt: skip
    side, levels, most = size // n.stem_patch, len(n.multipliers), 1
    while side % 2**most == 0:
        most += 1
    if levels > most:
        raise SpecError(
            f"Multipliers (--multipliers): {','.join(map(str, n.multipliers))} are {levels} levels, but {size}x{size}"
            f" pixels with stem patch {n.stem_patch} can be halved for at most {most}; give at most {most} multipliers.", "multipliers",
        )  # fmt: skip
    absent = [a for a in n.attention if a not in n.sides]
    if absent:
        raise SpecError(
            f"Attention resolutions (--attention): {absent[0]} is not the side of a feature map of this network;"
            f" they are {', '.join(map(str, n.sides))}.", "attention",
        )  # fmt: skip
    for side, width in zip(n.sides, n.widths, strict=True):
        middle = side == n.sides[-1] and n.wiring == "ddpm"
        if (side in n.attention or middle) and width % n.heads:
            raise SpecError(
                f"Attention heads (--heads): {n.heads} do not divide the {width} channels at {side}x{side}; use a divisor of {width}.",
                "heads",
            )
    if n.low_size and (n.low_size >= size or size % n.low_size):
        raise SpecError(
            f"Super-resolution from (--low-size): {n.low_size} cannot become {size} pixels; it must be a divisor of {size} below it.",
            "low_size",
        )


def check_sampling(spec: SynthesizeSpec, trained: TrainSpec, classes: int) -> None:
    """Raises SpecError where a generator of this training, with this many classes to draw, cannot be sampled so."""
    most = trained.num_train_timesteps
    if spec.num_steps > most:
        raise SpecError(
            f"Sampler steps (--num-steps): {spec.num_steps} is more than the generator's T; it must be 1 to {most}.",
            "num_steps",
        )
    wrong = [c for c in spec.classes if c >= classes]
    if wrong:
        raise SpecError(
            f"Classes (--classes): {wrong[0]} is not a class of this generator; they are 0 to {classes - 1}.", "classes"
        )
    if len(set(spec.classes)) != len(spec.classes):
        raise SpecError(
            f"Classes (--classes): {','.join(map(str, spec.classes))} names a class twice; name each once.", "classes"
        )
    if spec.guidance_weight > 0 and not spec.guide and not can_be_guided(trained):
        why = "it has no classes" if not trained.conditional else "it was trained without label dropout"
        raise SpecError(
            f"Guidance weight w (--guidance-weight): {spec.guidance_weight:g} cannot be used with this generator, {why}, so that there"
            " is nothing to guide by: use 0, or name a guiding run (--guide).", "guidance_weight",
        )  # fmt: skip
    if spec.variance == "learned" and not trained.learn_variance:
        raise SpecError(
            "Reverse variance (--variance): learned cannot be used, this generator has not learned one; use posterior, beta or"
            " interpolated, or train with --learn-variance.", "variance",
        )  # fmt: skip
    if trained.low_size:
        raise SpecError(
            f"Generator (--from): it makes {trained.low_size}x{trained.low_size} pixels larger and has nothing to start from; name a base"
            " model here and this run under --upsample.", "source",
        )  # fmt: skip


def can_be_guided(trained: TrainSpec) -> bool:
    """Whether a generator has both models that classifier-free guidance needs: with and without the label."""
    return trained.conditional and trained.label_dropout > 0


def guidance_weight(spec: SynthesizeSpec, trained: TrainSpec, stage: int = 0) -> float:
    """The weight w with which stage k of a sampling is guided: 0 where it has nothing to be guided by. A guiding run is
    for stage 0, the base model, alone."""
    by_guide = stage == 0 and bool(spec.guide)
    return spec.guidance_weight if by_guide or can_be_guided(trained) else 0.0


def check_guide(trained: TrainSpec, size: int, guide: TrainSpec, guide_size: int) -> None:
    """Raises SpecError where one model cannot guide another: they must speak of the same images and noise levels. Sizes are
    those of the images that the models make: a spec may leave its own to the data."""
    names = ("dataset", "conditional", "num_train_timesteps", "schedule", "zero_terminal_snr", "low_size")
    both = [("image_size", size, guide_size), *((n, getattr(trained, n), getattr(guide, n)) for n in names)]
    for name, own, theirs in both:
        if own != theirs:
            raise SpecError(
                f"Autoguidance by (--guide): its {name} is {theirs}, the generator's {own}; they must be the same.",
                "guide",
            )


def check_cascade(
    spec: SynthesizeSpec, base: TrainSpec, base_size: int, stages: list[tuple[str, TrainSpec, int]]
) -> None:
    """Raises SpecError where a stage (run, its training, its image size) does not start from what the one before makes."""
    size = base_size
    for run, stage, stage_size in stages:
        if stage.low_size != size:
            what = f"starts from {stage.low_size} pixels" if stage.low_size else "is not a super-resolution model"
            raise SpecError(
                f"Then upsample by (--upsample): {run} {what}, but it is given {size}; name one trained with --low-size {size}.",
                "upsample",
            )
        if (stage.dataset, stage.conditional) != (base.dataset, base.conditional):
            raise SpecError(
                f"Then upsample by (--upsample): {run} was trained on other data or without the same labels as the generator.",
                "upsample",
            )
        if spec.num_steps > stage.num_train_timesteps:
            raise SpecError(
                f"Sampler steps (--num-steps): {spec.num_steps} is more than the T of {run}; it must be 1 to"
                f" {stage.num_train_timesteps}.", "num_steps",
            )  # fmt: skip
        if spec.guidance_weight > 0 and stage.conditional and stage.label_dropout == 0:
            raise SpecError(
                f"Guidance weight w (--guidance-weight): {run} was trained without label dropout and cannot be guided; use 0.",
                "guidance_weight",
            )
        if spec.variance == "learned" and not stage.learn_variance:
            raise SpecError(
                f"Reverse variance (--variance): learned cannot be used, {run} has not learned one; use posterior, beta or interpolated.",
                "variance",
            )
        if spec.upsample_noise > stage.low_noise:
            raise SpecError(
                f"Conditioning noise (--upsample-noise): {spec.upsample_noise:g} is more than {run} was trained with; it must be"
                f" 0 to {stage.low_noise:g}.", "upsample_noise",
            )  # fmt: skip
        size = stage_size


def check_fine_tuning(spec: TrainSpec, source: TrainSpec, own: Network, theirs: Network) -> None:
    """Raises SpecError where a model cannot start from the weights of another one; `own` and `theirs` are their networks."""
    for name in INHERITED:
        wanted, there = getattr(spec, name), getattr(source, name)
        if wanted != there:
            shown = ",".join(map(str, there)) if isinstance(there, tuple) else there
            raise SpecError(
                f"{name.replace('_', ' ').capitalize()} (--{name.replace('_', '-')}): {wanted} cannot be used with --init-from, the"
                f" model to start from has {shown}; leave it out or give the same.", name,
            )  # fmt: skip
    if own.channels != theirs.channels:
        raise SpecError(
            f"Data (--dataset): {spec.dataset} has {own.channels} colour channels, the model to start from has {theirs.channels};"
            " they must be the same.", "dataset",
        )  # fmt: skip
    if own.classes and spec.dataset != source.dataset and "condition" in spec.freeze:
        raise SpecError(
            f"Frozen parts (--freeze): condition holds the classes, which {spec.dataset} has to learn afresh; leave it out.",
            "freeze",
        )
