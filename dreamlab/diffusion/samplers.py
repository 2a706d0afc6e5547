"""Samplers as plain generators: from noise to images, one record a step."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from dreamlab.diffusion.guidance import Denoiser
from dreamlab.diffusion.process import eps_from_x0, posterior
from dreamlab.diffusion.schedules import even_timesteps, log_snr_timesteps


@dataclasses.dataclass(frozen=True)
class Step:
    """After step `index` of `total` (1-based), which started at noise step t: x_t as it is now, and the x0 predicted."""

    index: int
    total: int
    t: int
    x: torch.Tensor
    x0: torch.Tensor


class Noise:
    """Unit noise for a batch, image by image: image k is drawn from (seed, class, index) of k alone, on the host, so
    that it depends neither on the batch nor on the device."""

    def __init__(self, seed: int, labels: Sequence[int], indices: Sequence[int], shape: tuple[int, ...]):
        keys = zip(labels, indices, strict=True)
        self._streams = [np.random.Generator(np.random.PCG64([seed, int(c), int(i)])) for c, i in keys]
        self.shape = shape

    def __call__(self) -> torch.Tensor:
        """The next (N, *shape) float32 on the CPU."""
        out = np.empty((len(self._streams), *self.shape), np.float32)
        for row, stream in zip(out, self._streams, strict=True):
            stream.standard_normal(out=row, dtype=np.float32)
        return torch.from_numpy(out)


Sampler = Callable[[Denoiser, torch.Tensor, np.ndarray, int, Callable[[], torch.Tensor]], Iterator[Step]]
"""(denoise, x_T, alpha_bar (T,) float64, num_steps, noise) to one Step per step, the last with x = x0."""


def _levels(alpha_bar: np.ndarray, ts: np.ndarray) -> list[tuple[int, float, float]]:
    """(t, alpha_bar_t, alpha_bar of the next step, 1 after the last) for falling t."""
    after = [*(float(alpha_bar[t]) for t in ts[1:]), 1.0]
    return [(int(t), float(alpha_bar[t]), a) for t, a in zip(ts, after, strict=True)]


def ddpm(
    denoise: Denoiser, x: torch.Tensor, alpha_bar: np.ndarray, num_steps: int, noise: Callable[[], torch.Tensor]
) -> Iterator[Step]:
    """Ancestral sampling (Ho et al. 2020, Algorithm 2, posterior variance), respaced where num_steps < T."""
    for i, (t, ab, ab_prev) in enumerate(_levels(alpha_bar, even_timesteps(alpha_bar, num_steps)), 1):
        x0 = denoise(x, t)
        step = posterior(x, x0, ab, ab_prev)
        x = step.mean + step.variance**0.5 * noise().to(x) if ab_prev < 1 else x0
        yield Step(i, num_steps, t, x, x0)


def ddim(
    denoise: Denoiser, x: torch.Tensor, alpha_bar: np.ndarray, num_steps: int, noise: Callable[[], torch.Tensor]
) -> Iterator[Step]:
    """Deterministic DDIM (Song et al. 2021, Eq. 12 with eta = 0); `noise` is not drawn."""
    for i, (t, ab, ab_prev) in enumerate(_levels(alpha_bar, even_timesteps(alpha_bar, num_steps)), 1):
        x0 = denoise(x, t)
        x = ab_prev**0.5 * x0 + (1 - ab_prev) ** 0.5 * eps_from_x0(x, x0, ab)
        yield Step(i, num_steps, t, x, x0)


def dpmpp_2m(
    denoise: Denoiser, x: torch.Tensor, alpha_bar: np.ndarray, num_steps: int, noise: Callable[[], torch.Tensor]
) -> Iterator[Step]:
    """DPM-Solver++(2M) (Lu et al. 2022b, Algorithm 2): data prediction, multistep, evenly spaced in lambda (half
    the log SNR), the last step of first order; `noise` is not drawn."""
    last_x0, last_h = None, 0.0
    for i, (t, ab, ab_prev) in enumerate(_levels(alpha_bar, log_snr_timesteps(alpha_bar, num_steps)), 1):
        x0 = denoise(x, t)
        if ab_prev == 1.0:
            x = x0
        else:
            h = 0.5 * (math.log(ab_prev / (1 - ab_prev)) - math.log(ab / (1 - ab)))
            d = x0
            if last_x0 is not None:
                d = torch.lerp(last_x0, x0, 1 + 0.5 * h / last_h)  # D = (1 + 1/2r) x0 - 1/2r x0_last, r = h_last / h
            x = ((1 - ab_prev) / (1 - ab)) ** 0.5 * x - ab_prev**0.5 * math.expm1(-h) * d
            last_x0, last_h = x0, h
        yield Step(i, num_steps, t, x, x0)


SAMPLERS: dict[str, Sampler] = {"dpmpp_2m": dpmpp_2m, "ddim": ddim, "ddpm": ddpm}
