"""Precision `auto` of sampling. An image must depend only on its seed and settings, not on the
other images in its batch."""

from __future__ import annotations

import dataclasses

import torch

from dreamlab.architecture.cost import multiply_adds
from dreamlab.tasks.generator import TrainedGenerator
from dreamlab.tasks.precision import choose

BATCHES = (1, 3, 8)
"""Batch sizes whose outputs are compared with those of a larger batch."""
SAME = 1e-4
"""Largest accepted difference as a share of the largest output. fp32 stays below it, and no sampler
turns such a difference into another grey level. One rounding of bf16 is 4e-3."""
WORK, FEWEST_IMAGES, MOST_IMAGES = 1e9, 4, 32
"""Multiply-adds of one timed network evaluation, and the fewest and most images in it. A large
network gets fewer images."""


def fastest(generator: TrainedGenerator) -> str:
    """Returns "bf16" if the network is faster in bf16 on this machine and its output does not
    depend on the batch, else "fp32"; see `precision.choose`. The choice does not depend on the
    number of images, so that small sets, large sets and live sampling give the same images."""
    formats = {p: dataclasses.replace(generator, precision=p) for p in ("fp32", "bf16")}
    inputs = _inputs(generator)
    return choose(
        f"sampling/{generator.network.network}",
        generator.device,
        lambda p: formats[p].predict(*inputs),
        lambda: batch_difference(formats["bf16"]) <= SAME,
    )


def batch_difference(generator: TrainedGenerator) -> float:
    """Largest difference between the outputs for the same images in batches of different sizes, as
    a share of the largest output. The inputs cover many noise levels and labels."""
    x, t, labels, low_t = _inputs(generator)
    large, differences = generator.predict(x, t, labels, low_t), []
    for n in (n for n in BATCHES if n < len(x)):
        low = None if low_t is None else low_t[:n]
        found = generator.predict(x[:n], t[:n], labels[:n], low)
        differences.append((found - large[:n]).abs().max())
    return float(torch.stack(differences).max() / large.abs().max().clamp(min=1e-6))


def _inputs(
    generator: TrainedGenerator,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Fixed x, t, labels and, for super-resolution, noise levels of the low-resolution images, for
    a few images."""
    shape = generator.network.network
    n = int(min(MOST_IMAGES, max(FEWEST_IMAGES, WORK // multiply_adds(shape))))
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(n, shape.in_channels, shape.image_size, shape.image_size, generator=chance).to(
        generator.device
    )
    t = torch.arange(n, device=generator.device) * shape.num_train_timesteps // n
    labels = torch.arange(n, device=generator.device) % generator.classes
    return x, t, labels, t if shape.low_size else None
