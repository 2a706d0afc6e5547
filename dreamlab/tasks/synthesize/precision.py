"""Which arithmetic `auto` samples in: an image shall depend on its seed and settings, not on what
is computed beside it."""

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
"""Sizes whose outputs are compared with those of a larger batch."""
SAME = 1e-4
"""Difference, as a share of the largest output, that fp32 stays below too and that no sampler turns
into a grey level; one rounding of bf16 is 4e-3."""
WORK, FEWEST_IMAGES, MOST_IMAGES = 1e9, 4, 32
"""Multiply-adds and images of a probed pass: large networks are asked for fewer images."""
REPEATS, LONGEST = 5, 0.5
"""Timed passes in each arithmetic, and the seconds after which two will do."""


def choose(generator: TrainedGenerator, cache: ArtefactCache) -> str:
    """bf16 where this machine computes the network faster in it and its output does not depend on
    the batch; otherwise fp32. The size of a set does not decide, so that small sets, large ones and
    live images are the same.

    Probed once for a kind of machine and a shape of network, some ten passes; then the cache knows.
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
    networks: 1, 3 and 4), as a share of the largest output; over noise levels and labels."""
    inputs = _inputs(generator)
    large = generator.predict(*inputs)
    differences = [
        (generator.predict(*(None if v is None else v[:n] for v in inputs)) - large[:n]).abs().max()
        for n in BATCHES
        if n < len(large)
    ]
    return float(torch.stack(differences).max() / large.abs().max().clamp(min=1e-6))


def pays(fp32: TrainedGenerator, bf16: TrainedGenerator) -> bool:
    """Whether a forward pass is faster in bf16, by as much as training asks for."""
    times: tuple[list[float], list[float]] = ([], [])
    inputs, started = _inputs(fp32), time.perf_counter()
    while (
        len(times[1]) < REPEATS + 1
    ):  # the first ones load kernels; the two take turns on a machine that others use too
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
    """x, t, labels and the noise level of the low-resolution image for a few images; the same every
    time."""
    shape = generator.network.network
    n = int(min(MOST_IMAGES, max(FEWEST_IMAGES, WORK // multiply_adds(shape))))
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(n, shape.in_channels, shape.image_size, shape.image_size, generator=chance).to(
        generator.device
    )
    t = torch.arange(n, device=generator.device) * shape.num_train_timesteps // n
    labels = torch.arange(n, device=generator.device) % generator.classes
    return x, t, labels, t if shape.low_size else None
