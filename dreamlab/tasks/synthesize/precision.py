"""Which number format `auto` samples in. An image must depend only on its seed and settings, not on
the other images in its batch."""

from __future__ import annotations

import dataclasses
import statistics
import time

import numpy as np
import torch

from dreamlab.architecture.cost import multiply_adds
from dreamlab.store import ArtefactCache
from dreamlab.tasks.arithmetic import BF16_MUST_SAVE, has_fast_bf16
from dreamlab.tasks.generator import TrainedGenerator
from dreamlab.tasks.torch_device import synchronise

BATCHES = (1, 3, 8)
"""Batch sizes whose outputs are compared with those of a larger batch."""
SAME = 1e-4
"""Largest difference, as a share of the largest output. fp32 stays below it, and no sampler turns
it into another grey level; one rounding of bf16 is 4e-3."""
WORK, FEWEST_IMAGES, MOST_IMAGES = 1e9, 4, 32
"""Multiply-adds and numbers of images of a measured pass; fewer images for a large network."""
REPEATS, LONGEST = 5, 0.5
"""Timed passes per number format, and the seconds after which two are enough."""


def choose(generator: TrainedGenerator, cache: ArtefactCache) -> str:
    """bf16 if this machine computes the network faster in it and its output does not depend on the
    batch; otherwise fp32. The size of a set plays no role, so that small sets, large sets and live
    images are the same.

    Measured once per kind of machine and shape of network, in some ten passes, then cached.
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
    """Largest difference between outputs for the same images in batches of 1, 3, 8 and more (large
    networks: 1, 3 and 4), over noise levels and labels, as a share of the largest output."""
    inputs = _inputs(generator)
    large = generator.predict(*inputs)
    differences = [
        (generator.predict(*(None if v is None else v[:n] for v in inputs)) - large[:n]).abs().max()
        for n in BATCHES
        if n < len(large)
    ]
    return float(torch.stack(differences).max() / large.abs().max().clamp(min=1e-6))


def pays(fp32: TrainedGenerator, bf16: TrainedGenerator) -> bool:
    """Whether a forward pass is faster in bf16, by the margin that training uses."""
    times: tuple[list[float], list[float]] = ([], [])
    inputs, started = _inputs(fp32), time.perf_counter()
    while (
        len(times[1]) < REPEATS + 1
    ):  # the first passes load kernels; the formats take turns, as other programs may run
        for generator, seconds in zip((fp32, bf16), times, strict=True):
            synchronise(generator.device)
            began = time.perf_counter()
            generator.predict(*inputs)
            synchronise(generator.device)
            seconds.append(time.perf_counter() - began)
        if len(times[1]) > 1 and time.perf_counter() - started > LONGEST:
            break
    ratio = statistics.median(b / a for a, b in zip(times[0][1:], times[1][1:], strict=True))
    return ratio < 1 - BF16_MUST_SAVE


def _inputs(
    generator: TrainedGenerator,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Fixed x, t, labels and noise level of the low-resolution image, for a few images."""
    shape = generator.network.network
    n = int(min(MOST_IMAGES, max(FEWEST_IMAGES, WORK // multiply_adds(shape))))
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(n, shape.in_channels, shape.image_size, shape.image_size, generator=chance).to(
        generator.device
    )
    t = torch.arange(n, device=generator.device) * shape.num_train_timesteps // n
    labels = torch.arange(n, device=generator.device) % generator.classes
    return x, t, labels, t if shape.low_size else None
