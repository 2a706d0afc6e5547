"""What can be said of a generator's spec without torch: its parameter count, and whether its network fits the images."""

from __future__ import annotations

from dreamlab.spec.base import SpecError
from dreamlab.spec.generator import TrainSpec


def parameter_count(spec: TrainSpec, image_size: int, channels: int, classes: int) -> int:
    """Numbers that the U-Net of this spec learns; `dreamlab.diffusion.unet.UNet` has as many (a test compares)."""
    check_network(spec, image_size)
    widths = [spec.base_width * m for m in spec.multipliers]
    dim, pixels = 4 * spec.base_width, channels * spec.stem_patch**2
    total = 2 * _linear(dim, dim) + (classes + 1) * dim  # time and class
    total += _conv(pixels, widths[0]) + 2 * widths[0] + _conv(widths[0], pixels)  # stem, last norm, head
    width, skips = widths[0], []
    for i, w in enumerate(widths):
        for _ in range(spec.blocks_per_level):
            total += _block(width, w, dim)
            width = w
            skips.append(w)
        if i + 1 < len(widths):
            total += _conv(w, w)  # shrink
    total += 2 * _block(width, width, dim)
    for i, w in reversed(list(enumerate(widths))):
        for _ in range(spec.blocks_per_level):
            total += _block(width + skips.pop(), w, dim)
            width = w
        if i > 0:
            total += _conv(w, widths[i - 1], 2)  # grow
            width = widths[i - 1]
    return total


def check_network(spec: TrainSpec, image_size: int) -> None:
    """Raises SpecError where stem and levels do not divide the image size (in pixels, square)."""
    if image_size % spec.stem_patch:
        raise SpecError(
            f"Stem patch (--stem-patch): {spec.stem_patch} does not divide images of {image_size}x{image_size} pixels;"
            f" use {_listed([p for p in (1, 2, 4) if image_size % p == 0])}.",
            "stem_patch",
        )
    side, levels = image_size // spec.stem_patch, len(spec.multipliers)
    most = 1
    while side % 2**most == 0:
        most += 1
    if levels > most:
        raise SpecError(
            f"Multipliers (--multipliers): {','.join(map(str, spec.multipliers))} are {levels} levels, but {image_size}x{image_size}"
            f" pixels with stem patch {spec.stem_patch} can be halved for at most {most}; give at most {most} multipliers.",
            "multipliers",
        )


def check_sampling(num_steps: int, chosen: tuple[int, ...], num_train_timesteps: int, classes: int) -> None:
    """Raises SpecError where a generator of this T and this many classes cannot be sampled so."""
    if num_steps > num_train_timesteps:
        raise SpecError(
            f"Sampler steps (--num-steps): {num_steps} is more than the generator's T; it must be 1 to {num_train_timesteps}.",
            "num_steps",
        )
    wrong = [c for c in chosen if c >= classes]
    if wrong:
        raise SpecError(
            f"Classes (--classes): {wrong[0]} is not a class of this generator; they are 0 to {classes - 1}.", "classes"
        )
    if len(set(chosen)) != len(chosen):
        raise SpecError(
            f"Classes (--classes): {','.join(map(str, chosen))} names a class twice; name each once.", "classes"
        )


def _linear(rows: int, columns: int) -> int:
    return rows * columns + columns


def _conv(rows: int, columns: int, side: int = 3) -> int:
    return rows * columns * side * side + columns


def _block(width: int, out: int, dim: int) -> int:
    skip = _conv(width, out, 1) if width != out else 0
    return 2 * width + _conv(width, out) + _linear(dim, 2 * out) + _conv(out, out) + skip


def _listed(values: list[int]) -> str:
    return " or ".join(map(str, values))
