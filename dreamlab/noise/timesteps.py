"""The table of samplers and the timesteps at which each calls the network. Without torch, so that
the cost of an image can be computed before anything runs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from dreamlab.noise.schedules import half_log_snr
from dreamlab.settings.names import SamplerName

LAMBDA_MIN = -5.0
"""Lower end of the grids that are even in lambda (half the log SNR) or in sigma. At lower lambda,
x_t shows almost nothing of the image."""
SIGMA_MAX = 200.0
"""From noise levels above this one, Heun's method takes a plain Euler step. Karras et al. 2022
begin at 80."""
RHO = 7.0
"""Exponent of the sigma grid (Karras et al. 2022, Table 1)."""


def even_timesteps(alpha_bar: np.ndarray, num_steps: int) -> np.ndarray:
    """`num_steps` decreasing integers from T - 1, T / num_steps apart ("trailing", Lin et al.
    2023). Returns (num_steps,) int64. Raises ValueError unless num_steps is 1 to T."""
    _check(alpha_bar, num_steps)
    steps = np.arange(num_steps, 0, -1, dtype=np.float64) * (len(alpha_bar) / num_steps)
    return np.round(steps).astype(np.int64) - 1


def log_snr_timesteps(alpha_bar: np.ndarray, num_steps: int) -> np.ndarray:
    """`num_steps` decreasing integers from T - 1, evenly spaced in lambda, half the log SNR (Lu et
    al. 2022, section 3.3). The grid begins at lambda = -5, or at the lowest lambda of the schedule
    if that is higher. All are different: if two would fall on the same t, one of them moves to a
    free t. Returns (num_steps,) int64. Raises ValueError unless num_steps is 1 to T."""
    _check(alpha_bar, num_steps)
    lambdas = half_log_snr(alpha_bar)
    return _snapped(lambdas, np.linspace(max(lambdas[-1], LAMBDA_MIN), lambdas[0], num_steps))


def sigma_timesteps(alpha_bar: np.ndarray, num_steps: int) -> np.ndarray:
    """`num_steps` decreasing integers from T - 1 on the sigma grid of Karras et al. 2022 (Eq. 5,
    rho = 7). The grid begins at lambda = -5, or at the lowest lambda of the schedule if that is
    higher, and ends at t = 0. All are different. Returns (num_steps,) int64. Raises ValueError
    unless num_steps is 1 to T."""
    _check(alpha_bar, num_steps)
    lambdas = half_log_snr(alpha_bar)
    first, last = math.exp(-max(lambdas[-1], LAMBDA_MIN)), math.exp(-lambdas[0])
    sigmas = np.linspace(first ** (1 / RHO), last ** (1 / RHO), num_steps) ** RHO
    return _snapped(lambdas, -np.log(sigmas))


def corrected(alpha_bar: np.ndarray, ts: np.ndarray) -> list[bool]:
    """For each step of Heun's method: whether it evaluates the network a second time. `ts` are the
    decreasing timesteps of its grid."""
    return [bool((1 - alpha_bar[t]) <= SIGMA_MAX**2 * alpha_bar[t]) for t in ts[:-1]] + [False]


def _corrections(alpha_bar: np.ndarray, ts: np.ndarray) -> list[int]:
    """The timesteps of the second evaluations of Heun's method."""
    return [int(ts[i + 1]) for i, twice in enumerate(corrected(alpha_bar, ts)) if twice]


def _nowhere(alpha_bar: np.ndarray, ts: np.ndarray) -> list[int]:
    return []


@dataclasses.dataclass(frozen=True)
class SamplerEntry:
    """A sampler of the table: its function, and the timesteps at which it calls the denoiser."""

    function: str
    """"module:name" of a `dreamlab.diffusion.samplers.Sampler`."""
    timesteps: Callable[[np.ndarray, int], np.ndarray]
    """(alpha_bar, num_steps) -> the decreasing t of its steps; one call at each."""
    again: Callable[[np.ndarray, np.ndarray], list[int]] = _nowhere
    """(alpha_bar, timesteps) -> the t of the calls beyond one per step."""


SAMPLERS: dict[SamplerName, SamplerEntry] = {
    "dpmpp_2m": SamplerEntry("dreamlab.diffusion.samplers:dpmpp_2m", log_snr_timesteps),
    "ddim": SamplerEntry("dreamlab.diffusion.samplers:ddim", even_timesteps),
    "ddpm": SamplerEntry("dreamlab.diffusion.samplers:ddpm", even_timesteps),
    "heun": SamplerEntry("dreamlab.diffusion.samplers:heun", sigma_timesteps, _corrections),
}


def evaluations(sampler: SamplerName, alpha_bar: np.ndarray, num_steps: int) -> list[int]:
    """The timesteps at which a sampler calls its denoiser, one entry per call. Raises ValueError
    unless num_steps is 1 to T, and KeyError for a sampler that is not in SAMPLERS."""
    entry = SAMPLERS[sampler]
    ts = entry.timesteps(alpha_bar, num_steps)
    return [*(int(t) for t in ts), *entry.again(alpha_bar, ts)]


def within(t: int, num_train_timesteps: int, t_min: float, t_max: float) -> bool:
    """Whether t / T lies in [t_min, t_max]."""
    return t_min <= t / num_train_timesteps <= t_max


def _snapped(lambdas: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Strictly decreasing timesteps that start at T - 1, each as near as possible to one of the
    `wanted` lambdas, which increase."""
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
