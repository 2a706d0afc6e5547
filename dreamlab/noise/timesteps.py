"""The samplers: where each is found, and which of the T steps it visits. Without torch, so that a
page can count what an image will cost."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from dreamlab.noise.schedules import half_log_snr
from dreamlab.settings.names import SamplerName

LAMBDA_MIN = -5.0
"""Lowest half log SNR of the grids that are even in lambda or sigma. Below it, nothing of the image
is decided."""
SIGMA_MAX = 200.0
"""Noise level above which Heun's method does not correct a step; Karras et al. 2022 begin at 80."""
RHO = 7.0
"""Exponent of the sigma grid (Karras et al. 2022, Table 1)."""


def even_timesteps(alpha_bar: np.ndarray, num_steps: int) -> np.ndarray:
    """`num_steps` integers from T - 1 down, T / num_steps apart ("trailing", Lin et al. 2023).
    Raises ValueError unless num_steps is 1 to T."""
    _check(alpha_bar, num_steps)
    steps = np.arange(num_steps, 0, -1, dtype=np.float64) * (len(alpha_bar) / num_steps)
    return np.round(steps).astype(np.int64) - 1


def log_snr_timesteps(alpha_bar: np.ndarray, num_steps: int) -> np.ndarray:
    """`num_steps` integers from T - 1 down, evenly spaced in lambda, half the log SNR (Lu et al.
    2022, section 3.3). The grid starts at lambda = -5, or at the schedule's own start if that is
    later. All are different: where two would fall on the same t, the next free t is used. Raises
    ValueError unless num_steps is 1 to T."""
    _check(alpha_bar, num_steps)
    lambdas = half_log_snr(alpha_bar)
    return _snapped(lambdas, np.linspace(max(lambdas[-1], LAMBDA_MIN), lambdas[0], num_steps))


def sigma_timesteps(alpha_bar: np.ndarray, num_steps: int) -> np.ndarray:
    """`num_steps` integers from T - 1 down on the sigma grid of Karras et al. 2022 (Eq. 5, rho =
    7). The grid starts at lambda = -5, or at the schedule's own start if that is later, and ends at
    t = 0. All are different. Raises ValueError unless num_steps is 1 to T."""
    _check(alpha_bar, num_steps)
    lambdas = half_log_snr(alpha_bar)
    first, last = math.exp(-max(lambdas[-1], LAMBDA_MIN)), math.exp(-lambdas[0])
    sigmas = np.linspace(first ** (1 / RHO), last ** (1 / RHO), num_steps) ** RHO
    return _snapped(lambdas, -np.log(sigmas))


def corrected(alpha_bar: np.ndarray, ts: np.ndarray) -> list[bool]:
    """For each step of Heun's method, whether it evaluates a second slope. `ts` are the falling
    steps of its grid."""
    return [bool((1 - alpha_bar[t]) <= SIGMA_MAX**2 * alpha_bar[t]) for t in ts[:-1]] + [False]


def _corrections(alpha_bar: np.ndarray, ts: np.ndarray) -> list[int]:
    """The t at which Heun's method asks a second time."""
    return [int(ts[i + 1]) for i, twice in enumerate(corrected(alpha_bar, ts)) if twice]


def _nowhere(alpha_bar: np.ndarray, ts: np.ndarray) -> list[int]:
    return []


@dataclasses.dataclass(frozen=True)
class SamplerEntry:
    """`function` is "module:name" of a `dreamlab.diffusion.samplers.Sampler`. `timesteps`
    (alpha_bar, num_steps) are the falling t of its steps; at each it asks its denoiser once, and
    once more at those of `again` (alpha_bar, timesteps)."""

    function: str
    timesteps: Callable[[np.ndarray, int], np.ndarray]
    again: Callable[[np.ndarray, np.ndarray], list[int]] = _nowhere


SAMPLERS: dict[SamplerName, SamplerEntry] = {
    "dpmpp_2m": SamplerEntry("dreamlab.diffusion.samplers:dpmpp_2m", log_snr_timesteps),
    "ddim": SamplerEntry("dreamlab.diffusion.samplers:ddim", even_timesteps),
    "ddpm": SamplerEntry("dreamlab.diffusion.samplers:ddpm", even_timesteps),
    "heun": SamplerEntry("dreamlab.diffusion.samplers:heun", sigma_timesteps, _corrections),
}


def evaluations(sampler: SamplerName, alpha_bar: np.ndarray, num_steps: int) -> list[int]:
    """The steps t at which a sampler asks its denoiser, one entry a call. Raises ValueError outside
    1..T steps, KeyError for a sampler that is not in SAMPLERS."""
    entry = SAMPLERS[sampler]
    ts = entry.timesteps(alpha_bar, num_steps)
    return [*(int(t) for t in ts), *entry.again(alpha_bar, ts)]


def within(t: int, num_train_timesteps: int, t_min: float, t_max: float) -> bool:
    """Whether step t lies in an interval of t / T, both ends included."""
    return t_min <= t / num_train_timesteps <= t_max


def _snapped(lambdas: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Strictly falling integers t that start at T - 1, each nearest to one of the `wanted` lambdas
    (rising)."""
    n = len(wanted)
    right = np.searchsorted(-lambdas, -wanted).clip(1, len(lambdas) - 1)  # -lambda rises with t
    nearest = np.where(wanted - lambdas[right] < lambdas[right - 1] - wanted, right, right - 1)
    nearest[0] = len(lambdas) - 1
    offset = np.arange(n)
    falling = np.minimum.accumulate(nearest + offset) - offset  # at least 1 apart
    return np.maximum(falling, n - 1 - offset).astype(np.int64)


def _check(alpha_bar: np.ndarray, num_steps: int) -> None:
    if not 1 <= num_steps <= len(alpha_bar):
        raise ValueError(f"num_steps {num_steps} must be 1 to {len(alpha_bar)}, the T of the model")
