"""How much of the spread of the data a sampler keeps, exact for Gaussian data.

The exact denoiser of Gaussian data is linear, and so is a step of DDPM and DDIM. The variance
follows from step to step, without a network and without samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dreamlab.noise.timesteps import SAMPLERS
from dreamlab.settings.names import SamplerName

DEVIATION = 0.5
"""Standard deviation of the data, whose range is -1 to 1."""
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
    deviation. None for samplers other than ddpm and ddim, and for a learned variance.

    `alpha_bar` is (T,) float64; the other arguments are those of the sampler.
    """
    step: Step
    if sampler == "ddim":
        step = _ddim(eta)
    elif sampler == "ddpm" and variance != "learned":
        step = _ddpm({"posterior": 0.0, "beta": 1.0}.get(variance, logvar_coefficient))
    else:
        return None
    levels = [float(alpha_bar[t]) for t in SAMPLERS[sampler].timesteps(alpha_bar, num_steps)]
    spread, data = 1.0, deviation**2
    for ab, after in zip(levels, [*levels[1:], 1.0], strict=True):
        x0_of_x = math.sqrt(ab) * data / (ab * data + 1 - ab)  # slope of the exact denoiser
        on_x0, on_x, noise = step(ab, after) if after < 1 else (1.0, 0.0, 0.0)
        spread = (on_x0 * x0_of_x + on_x) ** 2 * spread + noise
    return math.sqrt(spread / data)


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
