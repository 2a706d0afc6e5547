"""Chooses the number format for precision `auto` in sampling. An image must depend only on its seed
and settings, not on the other images in its batch."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import torch

from dreamlab.architecture.cost import multiply_adds
from dreamlab.store import ArtefactCache
from dreamlab.tasks.arithmetic import faster, has_fast_bf16, ratios, turn
from dreamlab.tasks.generator import TrainedGenerator
from dreamlab.tasks.torch_device import synchronise

BATCHES = (1, 3, 8)
"""Batch sizes whose outputs are compared with those of a larger batch."""
SAME = 1e-4
"""Largest accepted difference as a share of the largest output. fp32 stays below it, and no sampler
turns such a difference into another grey level. One rounding of bf16 is 4e-3."""
WORK, FEWEST_IMAGES, MOST_IMAGES = 1e9, 4, 32
"""Multiply-adds of one timed network evaluation, and the fewest and most images in it. A large
network gets fewer images."""
REPEATS, LONGEST = 5, 0.5
"""Number of timed pairs that count, and seconds after which fewer are enough."""


def choose(generator: TrainedGenerator, cache: ArtefactCache) -> str:
    """Returns "bf16" if the network is faster in bf16 on this machine and its output does not
    depend on the batch, else "fp32". The choice does not depend on the number of images, so that
    small sets, large sets and live sampling give the same images.

    It is measured with about ten network evaluations per kind of machine and shape of network, and
    then cached.
    """
    device, shape = generator.device, generator.network.network
    if not has_fast_bf16(device):
        return "fp32"
    kind = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else torch.cpu.get_capabilities()
    )
    key = f"sampling-bf16/{torch.__version__}/{kind}/{shape}"
    known = cache.get(key)
    if known is None:
        bf16, fp32 = (dataclasses.replace(generator, precision=p) for p in ("bf16", "fp32"))
        known = {"bf16": np.asarray(pays(fp32, bf16) and batch_difference(bf16) <= SAME)}
        cache.put(key, **known)
    return "bf16" if bool(known["bf16"]) else "fp32"


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


def pays(fp32: TrainedGenerator, bf16: TrainedGenerator) -> bool:
    """Whether a network evaluation is faster in bf16 by at least `arithmetic.BF16_MUST_SAVE`."""
    generators, times = {"fp32": fp32, "bf16": bf16}, list[float]()
    inputs, started = _inputs(fp32), time.perf_counter()
    for number in range(1, 2 * (REPEATS + 1) + 1):
        generator = generators[turn(number)]
        synchronise(generator.device)
        began = time.perf_counter()
        generator.predict(*inputs)
        synchronise(generator.device)
        times.append(time.perf_counter() - began)
        if number >= 4 and number % 2 == 0 and time.perf_counter() - started > LONGEST:
            break
    return faster(ratios(times)[1:]) == "bf16"  # the first pair includes loading kernels


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
