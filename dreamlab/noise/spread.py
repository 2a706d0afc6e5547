"""How much of the spread of the data a sampler keeps, exact for Gaussian data.

The exact denoiser of Gaussian data is linear, and so is a step of every sampler. The variance
follows from step to step, without a network and without samples. The two samplers that draw no
noise are followed as numbers: what they make of x_T = 1 is what they multiply every x_T by.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dreamlab.noise.schedules import half_log_snr
from dreamlab.noise.timesteps import SAMPLERS, corrected
from dreamlab.settings.names import SamplerName

DEVIATION = 0.5
"""Standard deviation of the data, whose range is -1 to 1."""
Slope = Callable[[float], float]
"""alpha_bar at t to x0 / x_t of the exact denoiser."""
Step = Callable[[float, float], tuple[float, float, float]]
"""(alpha_bar at t, alpha_bar at the next timestep) to the factors of x0 and of x_t, and the
variance of the added noise."""


def spread_kept(
    sampler: SamplerName,
    alpha_bar: np.ndarray,
    num_steps: int,
    *,
    eta: float = 0.0,
    variance: str = "posterior",
    logvar_coefficient: float = 0.5,
    deviation: float = DEVIATION,
) -> float | None:
    """Standard deviation of the samples as a share of that of the data, which is Gaussian with this
    deviation. None for a learned variance, which depends on the network.

    `alpha_bar` is (T,) float64; the other arguments are those of the sampler. Raises ValueError
    unless num_steps is 1 to T.
    """
    ts, data = SAMPLERS[sampler].timesteps(alpha_bar, num_steps), deviation**2

    def slope(ab: float) -> float:
        return math.sqrt(ab) * data / (ab * data + 1 - ab)

    if sampler == "dpmpp_2m":
        return abs(_dpmpp_2m(alpha_bar, ts, slope)) / deviation
    if sampler == "heun":
        return abs(_heun(alpha_bar, ts, slope)) / deviation
    if sampler == "ddim":
        return _with_noise(alpha_bar, ts, slope, _ddim(eta)) / deviation
    if variance == "learned":
        return None
    share = {"posterior": 0.0, "beta": 1.0}.get(variance, logvar_coefficient)
    return _with_noise(alpha_bar, ts, slope, _ddpm(share)) / deviation


def _levels(alpha_bar: np.ndarray, ts: np.ndarray) -> list[tuple[float, float]]:
    """(alpha_bar at t, alpha_bar at the next timestep); the last entry has 1 for the next."""
    levels = [float(alpha_bar[t]) for t in ts]
    return list(zip(levels, [*levels[1:], 1.0], strict=True))


def _with_noise(alpha_bar: np.ndarray, ts: np.ndarray, slope: Slope, step: Step) -> float:
    """Standard deviation of the samples."""
    spread = 1.0
    for ab, after in _levels(alpha_bar, ts):
        on_x0, on_x, noise = step(ab, after) if after < 1 else (1.0, 0.0, 0.0)
        spread = (on_x0 * slope(ab) + on_x) ** 2 * spread + noise
    return math.sqrt(spread)


def _dpmpp_2m(alpha_bar: np.ndarray, ts: np.ndarray, slope: Slope) -> float:
    """x0 from x_T = 1 (Lu et al. 2022b, Algorithm 2), with the exceptions of
    `dreamlab.diffusion.samplers.dpmpp_2m`."""
    lambdas = [float(v) for v in half_log_snr(alpha_bar)[ts]]
    x, last_x0, last_h = 1.0, math.nan, math.inf
    for i, (ab, after) in enumerate(_levels(alpha_bar, ts)):
        x0 = slope(ab) * x
        if after == 1:
            return x0
        h = lambdas[i + 1] - lambdas[i]
        d = x0 + 0.5 * h / last_h * (x0 - last_x0) if math.isfinite(last_h) else x0
        x = math.sqrt((1 - after) / (1 - ab)) * x - math.sqrt(after) * math.expm1(-h) * d
        last_x0, last_h = x0, h
    return x


def _heun(alpha_bar: np.ndarray, ts: np.ndarray, slope: Slope) -> float:
    """x0 from x_T = 1 (Karras et al. 2022, Algorithm 1), with the exceptions of
    `dreamlab.diffusion.samplers.heun`."""

    def eps(x: float, ab: float) -> float:
        return (x - math.sqrt(ab) * slope(ab) * x) / math.sqrt(1 - ab)

    x = 1.0
    for (ab, after), twice in zip(_levels(alpha_bar, ts), corrected(alpha_bar, ts), strict=True):
        first = eps(x, ab)
        x = math.sqrt(after) * slope(ab) * x + math.sqrt(1 - after) * first
        if twice:
            change = math.sqrt((1 - after) / after) - math.sqrt((1 - ab) / ab)
            x += math.sqrt(after) * change * 0.5 * (eps(x, after) - first)
    return x


def _ddim(eta: float) -> Step:
    """Song et al. 2021, Eqs. 12 and 16."""

    def step(ab: float, after: float) -> tuple[float, float, float]:
        noise = eta**2 * (1 - after) / (1 - ab) * (1 - ab / after)
        on_x = math.sqrt(max(1 - after - noise, 0.0) / (1 - ab))
        return math.sqrt(after) - on_x * math.sqrt(ab), on_x, noise

    return step


def _ddpm(share: float) -> Step:
    """Ho et al. 2020, Eqs. 6 and 7; the logarithm of the variance lies at `share` between that of
    the posterior (0) and that of beta (1)."""

    def step(ab: float, after: float) -> tuple[float, float, float]:
        alpha = ab / after
        beta, on_x = 1 - alpha, math.sqrt(alpha) * (1 - after) / (1 - ab)
        posterior = beta * (1 - after) / (1 - ab)
        return math.sqrt(after) * beta / (1 - ab), on_x, beta**share * posterior ** (1 - share)

    return step
