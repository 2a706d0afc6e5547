"""Samplers as Python generators: they start from noise and yield one `Step` per sampling step.

They accept alpha_bar with and without a last value of 0 (zero terminal SNR). x_T is pure noise in
both cases.
"""

from __future__ import annotations

import abc
import dataclasses
import importlib
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from dreamlab.diffusion.forward_process import eps_from_x0, posterior
from dreamlab.diffusion.guidance import Denoiser, Prediction
from dreamlab.diffusion.philox import gaussian
from dreamlab.noise.schedules import half_log_snr
from dreamlab.noise.timesteps import SAMPLERS, corrected
from dreamlab.settings.names import NoiseName, SamplerName

CPU = torch.device("cpu")


@dataclasses.dataclass(frozen=True)
class Step:
    """The state after step `index` of `total`. The step started at timestep t. `x` is the current
    x_t and `x0` the predicted x0, both (N, C, H, W). Index 0 is the initial noise. `stage` is the
    number of the model in a cascade, from 0."""

    index: int
    total: int
    t: int
    x: torch.Tensor
    x0: torch.Tensor
    stage: int = 0


@dataclasses.dataclass(frozen=True)
class Reverse:
    """Randomness of the reverse process: `eta` of DDIM, 0 to 1; `variance` of DDPM (posterior,
    beta, interpolated or learned); the coefficient v of log beta if it is interpolated."""

    eta: float = 0.0
    variance: str = "posterior"
    logvar_coefficient: float = 0.5


PLAIN = Reverse()
"""Deterministic DDIM; posterior variance for DDPM."""


Noise = Callable[[], torch.Tensor]
"""Returns the next unit Gaussian noise of a batch, (N, C, H, W) float32."""


class ImageNoise(abc.ABC):
    """Unit Gaussian noise for a batch of images, a `Noise`. That of an image depends on (seed,
    class, index) of this image, the stage of a cascade and the number of calls before, not on its
    batch. `shape` is that of one image."""

    def __init__(
        self,
        seed: int,
        labels: Sequence[int],
        indices: Sequence[int],
        shape: tuple[int, ...],
        stage: int = 0,
        device: torch.device = CPU,
    ):
        self.shape, self.device = shape, device
        self._start(seed, [int(c) for c in labels], [int(i) for i in indices], stage)

    @abc.abstractmethod
    def _start(self, seed: int, labels: list[int], indices: list[int], stage: int) -> None:
        """Prepares the first call."""

    @abc.abstractmethod
    def __call__(self) -> torch.Tensor:
        """The next noise, (N, *shape) float32 on `device`."""


class PhiloxNoise(ImageNoise):
    """Computed on the device; but for rounding the same on every device."""

    def _start(self, seed: int, labels: list[int], indices: list[int], stage: int) -> None:
        self._seed, self._calls = seed, stage << 24
        self._labels = torch.tensor(labels, device=self.device)
        self._indices = torch.tensor(indices, device=self.device)

    def __call__(self) -> torch.Tensor:
        """The next noise."""
        count = math.prod(self.shape)
        numbers = gaussian(self._seed, self._indices, count, self._labels, self._calls)
        self._calls += 1
        return numbers.reshape(-1, *self.shape)


class Pcg64Noise(ImageNoise):
    """The noise of version 0.1: one random stream per image, drawn on the CPU and copied."""

    def _start(self, seed: int, labels: list[int], indices: list[int], stage: int) -> None:
        more = [stage] if stage else []
        self._streams = [
            np.random.Generator(np.random.PCG64([seed, c, i, *more]))
            for c, i in zip(labels, indices, strict=True)
        ]

    def __call__(self) -> torch.Tensor:
        """The next noise."""
        pinned = self.device.type == "cuda"
        out = torch.empty((len(self._streams), *self.shape), pin_memory=pinned)
        for row, stream in zip(out.numpy(), self._streams, strict=True):
            stream.standard_normal(out=row, dtype=np.float32)
        return out.to(self.device, non_blocking=True)


NOISE_GENERATORS: dict[NoiseName, type[ImageNoise]] = {"philox": PhiloxNoise, "pcg64": Pcg64Noise}

Sampler = Callable[[Denoiser, torch.Tensor, np.ndarray, int, Noise, Reverse], Iterator[Step]]
"""(denoise, x_T, alpha_bar (T,) float64, num_steps, noise, reverse) to one Step per sampling step.
In the last one, x is x0. `noise` returns unit noise of the shape of x_T."""


def _levels(alpha_bar: np.ndarray, ts: np.ndarray) -> list[tuple[int, float, float]]:
    """(t, alpha_bar at t, alpha_bar at the next timestep) for decreasing timesteps; the last entry
    has 1 for the next."""
    after = [*(float(alpha_bar[t]) for t in ts[1:]), 1.0]
    return [(int(t), float(alpha_bar[t]), a) for t, a in zip(ts, after, strict=True)]


def _fresh(noise: Noise, like: torch.Tensor) -> torch.Tensor:
    return noise().to(like, non_blocking=True)


def ddpm(
    denoise: Denoiser,
    x: torch.Tensor,
    alpha_bar: np.ndarray,
    num_steps: int,
    noise: Noise,
    reverse: Reverse = PLAIN,
) -> Iterator[Step]:
    """Ancestral sampling (Ho et al. 2020, Algorithm 2), with respaced timesteps if num_steps < T
    (Nichol & Dhariwal 2021, section 4)."""
    for i, (t, ab, ab_prev) in enumerate(
        _levels(alpha_bar, SAMPLERS["ddpm"].timesteps(alpha_bar, num_steps)), 1
    ):
        found = denoise(x, t)
        if ab_prev < 1:
            x = posterior(x, found.x0, ab, ab_prev).mean + _deviation(
                found, ab, ab_prev, reverse
            ) * _fresh(noise, x)
        else:
            x = found.x0
        yield Step(i, num_steps, t, x, found.x0)


def _deviation(
    found: Prediction, ab: float, ab_prev: float, reverse: Reverse
) -> float | torch.Tensor:
    """Standard deviation of a reverse step. Its variance lies between the posterior variance beta
    (1 - alpha_bar_prev) / (1 - alpha_bar) and beta (Nichol & Dhariwal 2021, Eq. 15), which are the
    right values for data without spread and for data that is itself unit noise."""
    beta = 1 - ab / ab_prev
    log_beta, log_posterior = math.log(beta), math.log(beta * (1 - ab_prev) / (1 - ab))
    if reverse.variance == "learned":
        assert found.variance_fraction is not None, "this network has learnt no variance"
        return torch.exp(
            0.5 * (log_posterior + found.variance_fraction * (log_beta - log_posterior))
        )
    v = {"posterior": 0.0, "beta": 1.0, "interpolated": reverse.logvar_coefficient}[
        reverse.variance
    ]
    return math.exp(0.5 * (v * log_beta + (1 - v) * log_posterior))


def ddim(
    denoise: Denoiser,
    x: torch.Tensor,
    alpha_bar: np.ndarray,
    num_steps: int,
    noise: Noise,
    reverse: Reverse = PLAIN,
) -> Iterator[Step]:
    """DDIM (Song et al. 2021, Eqs. 12 and 16). eta = 0 is deterministic and draws no `noise`; eta =
    1 is DDPM."""
    for i, (t, ab, ab_prev) in enumerate(
        _levels(alpha_bar, SAMPLERS["ddim"].timesteps(alpha_bar, num_steps)), 1
    ):
        x0 = denoise(x, t).x0
        variance = reverse.eta**2 * (1 - ab_prev) / (1 - ab) * (1 - ab / ab_prev)
        x = ab_prev**0.5 * x0 + max(1 - ab_prev - variance, 0.0) ** 0.5 * eps_from_x0(x, x0, ab)
        if variance > 0:
            x = x + variance**0.5 * _fresh(noise, x)
        yield Step(i, num_steps, t, x, x0)


def dpmpp_2m(
    denoise: Denoiser,
    x: torch.Tensor,
    alpha_bar: np.ndarray,
    num_steps: int,
    noise: Noise,
    reverse: Reverse = PLAIN,
) -> Iterator[Step]:
    """DPM-Solver++(2M) (Lu et al. 2022b, Algorithm 2): second order, multistep, with data
    prediction, on timesteps that are evenly spaced in lambda (half the log SNR). The first step and
    the last one are of first order, and so is the second if alpha_bar_T is 0. `noise` is not
    used."""
    lambdas = half_log_snr(alpha_bar)
    ts = SAMPLERS["dpmpp_2m"].timesteps(alpha_bar, num_steps)
    last_x0, last_h = None, 0.0
    for i, (t, ab, ab_prev) in enumerate(_levels(alpha_bar, ts), 1):
        x0 = denoise(x, t).x0
        if ab_prev == 1.0:
            x = x0
        else:
            h = float(
                lambdas[ts[i]] - lambdas[t]
            )  # infinite if alpha_bar_T is 0; then exp(-h) and the next 1/2r are 0
            d = x0
            if last_x0 is not None:
                d = torch.lerp(
                    last_x0, x0, 1 + 0.5 * h / last_h
                )  # D = (1 + 1/2r) x0 - 1/2r x0_last, r = h_last / h
            x = ((1 - ab_prev) / (1 - ab)) ** 0.5 * x - ab_prev**0.5 * math.expm1(-h) * d
            last_x0, last_h = x0, h
        yield Step(i, num_steps, t, x, x0)


def heun(
    denoise: Denoiser,
    x: torch.Tensor,
    alpha_bar: np.ndarray,
    num_steps: int,
    noise: Noise,
    reverse: Reverse = PLAIN,
) -> Iterator[Step]:
    """Heun's method on the sigma grid (Karras et al. 2022, Algorithm 1 without churn). `noise` is
    not used.

    Their x is x_t / sqrt(alpha_bar). The last step, and every step from a sigma above SIGMA_MAX, is
    a plain Euler step. At such sigmas, also the infinite one of pure noise, a step is too long for
    the trapezoidal rule, and x_t shows almost nothing of the image.
    """
    ts = SAMPLERS["heun"].timesteps(alpha_bar, num_steps)
    twice = corrected(alpha_bar, ts)
    for i, (t, ab, ab_prev) in enumerate(_levels(alpha_bar, ts), 1):
        x0 = denoise(x, t).x0
        eps = eps_from_x0(x, x0, ab)
        x = ab_prev**0.5 * x0 + (1 - ab_prev) ** 0.5 * eps  # Euler step, the same as DDIM
        if twice[i - 1]:
            after = int(ts[i])
            slope = eps_from_x0(x, denoise(x, after).x0, ab_prev)
            sigma, sigma_after = ((1 - ab) / ab) ** 0.5, ((1 - ab_prev) / ab_prev) ** 0.5
            x = x + ab_prev**0.5 * (sigma_after - sigma) * 0.5 * (slope - eps)
        yield Step(i, num_steps, t, x, x0)


def find_sampler(name: SamplerName) -> Sampler:
    """The sampler of this name in `dreamlab.noise.timesteps.SAMPLERS`. Raises KeyError for another
    name."""
    module, function = SAMPLERS[name].function.split(":")
    sampler: Sampler = getattr(importlib.import_module(module), function)
    return sampler
