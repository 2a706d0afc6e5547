"""Whether a network fits its images, and whether a model can start from the weights of another."""

from __future__ import annotations

from dreamlab.architecture.network import Network
from dreamlab.settings.base import SpecError
from dreamlab.settings.train import INHERITED, TrainSpec


def check_network(network: Network) -> None:
    """Raises SpecError if stem and levels do not divide the image size, or if attention, heads or
    the input size of a super-resolution model do not fit."""
    n, size = network, network.image_size
    if size % n.stem_patch:
        raise SpecError(
            f"Stem patch (--stem-patch): {n.stem_patch} does not divide images of {size}x{size}"
            f" pixels; use {' or '.join(str(p) for p in (1, 2, 4) if size % p == 0)}.",
            "stem_patch",
        )
    side, levels, most = size // n.stem_patch, len(n.multipliers), 1
    while side % 2**most == 0:
        most += 1
    if levels > most:
        raise SpecError(
            f"Multipliers (--multipliers): {','.join(map(str, n.multipliers))} are {levels} levels,"
            f" but images of {size}x{size} pixels with stem patch {n.stem_patch} allow only {most};"
            f" give at most {most} multipliers.",
            "multipliers",
        )
    absent = [a for a in n.attention if a not in n.sides]
    if absent:
        raise SpecError(
            f"Attention resolutions (--attention): {absent[0]} is not the side of a feature map of"
            f" this network; they are {', '.join(map(str, n.sides))}.",
            "attention",
        )
    for side, width in zip(n.sides, n.widths, strict=True):
        middle = side == n.sides[-1] and n.wiring == "ddpm"
        if (side in n.attention or middle) and width % n.heads:
            raise SpecError(
                f"Attention heads (--heads): {n.heads} do not divide the {width} channels at"
                f" {side}x{side}; use a divisor of {width}.",
                "heads",
            )
    if n.low_size and (n.low_size >= size or size % n.low_size):
        raise SpecError(
            f"Super-resolution from (--low-size): {n.low_size} cannot become {size} pixels; it must"
            f" be a divisor of {size} below it.",
            "low_size",
        )


def check_fine_tuning(spec: TrainSpec, source: TrainSpec, own: Network, theirs: Network) -> None:
    """Raises SpecError if a model cannot start from the weights of another one. `own` and `theirs`
    are the networks of the new model and of the source."""
    for name in INHERITED:
        wanted, there = getattr(spec, name), getattr(source, name)
        if wanted != there:
            shown = ",".join(map(str, there)) if isinstance(there, tuple) else there
            raise SpecError(
                f"{name.replace('_', ' ').capitalize()} (--{name.replace('_', '-')}): {wanted}"
                f" cannot be used with --init-from, because the model to start from has {shown};"
                " leave it out or give the same value.",
                name,
            )
    if own.channels != theirs.channels:
        raise SpecError(
            f"Data (--dataset): {spec.dataset} has {own.channels} colour channels, but the model to"
            f" start from has {theirs.channels}; they must be the same.",
            "dataset",
        )
    if own.classes and spec.dataset != source.dataset and "condition" in spec.freeze:
        raise SpecError(
            "Frozen parts (--freeze): condition contains the class embedding, which has to be"
            f" trained for {spec.dataset}; leave it out.",
            "freeze",
        )
