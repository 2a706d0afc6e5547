"""Noise schedules as float64 numpy arrays over t = 0..T-1: torch-free, so that pages can draw them too.

A schedule may be rescaled to end in pure noise: alpha_bar is then exactly 0 at t = T - 1, and everything here and in
the samplers holds for it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

BETA_FIRST, BETA_LAST, BETA_MAX = 1e-4, 0.02, 0.999
REFERENCE_T = 1000
KEPT_SHARE_MAX = 1 / 32
"""Most of an image that x_T may hold. The mean brightness of 32x32 pixels of unit noise has a deviation of 1/32: where
more of the image is left, x_T shows whether it was bright or dark, the network has learnt to read that, and sampling from
pure noise starts off-distribution. Linear at T = 1000 leaves 0.006; Stable Diffusion's 0.068 is a known flaw (Lin et al.
2023, Table 1); linear at T = 100 leaves 0.60."""


def linear_betas(num_train_timesteps: int) -> np.ndarray:
    """1e-4 to 0.02 (Ho et al. 2020), whatever T is: below T of about 700 x_T is not noise. Returns (T,) float64."""
    return np.linspace(BETA_FIRST, BETA_LAST, num_train_timesteps, dtype=np.float64)


def linear_scaled_betas(num_train_timesteps: int) -> np.ndarray:
    """The linear ramp times one factor, clipped at 0.999, so that alpha_bar_T is that of linear at T = 1000. The usual
    factor 1000 / T misses it below T of about 50. Returns (T,) float64."""
    return np.minimum(_factor(num_train_timesteps) * linear_betas(num_train_timesteps), BETA_MAX)


@functools.lru_cache(maxsize=64)
def _factor(num_train_timesteps: int) -> float:
    from scipy.optimize import brentq  # a fifth of a second, and few need it

    ramp, wanted = linear_betas(num_train_timesteps), np.log1p(-linear_betas(REFERENCE_T)).sum()

    def excess(log_factor: float) -> float:
        return float(np.log1p(-np.minimum(math.exp(log_factor) * ramp, BETA_MAX)).sum() - wanted)

    return math.exp(brentq(excess, math.log(1e-3), math.log(BETA_MAX / BETA_FIRST), xtol=1e-13))


def cosine_betas(num_train_timesteps: int, s: float = 0.008) -> np.ndarray:
    """Nichol & Dhariwal 2021, Eq. 17: alpha_bar from a squared cosine, betas clipped at 0.999. Returns (T,) float64."""
    t = np.arange(num_train_timesteps + 1, dtype=np.float64) / num_train_timesteps
    f = np.cos((t + s) / (1 + s) * np.pi / 2) ** 2
    return np.minimum(1 - f[1:] / f[:-1], BETA_MAX)


def quadratic_betas(num_train_timesteps: int) -> np.ndarray:
    """Squares of an even grid from sqrt(1e-4) to sqrt(0.02) (Rombach et al. 2022, 'scaled linear'). (T,) float64."""
    return np.linspace(BETA_FIRST**0.5, BETA_LAST**0.5, num_train_timesteps, dtype=np.float64) ** 2


def sigmoid_betas(num_train_timesteps: int) -> np.ndarray:
    """A sigmoid over -6..6 between 1e-4 and 0.02 (Xu et al. 2022, GeoDiff). Returns (T,) float64."""
    rise = 1 / (1 + np.exp(-np.linspace(-6, 6, num_train_timesteps, dtype=np.float64)))
    return BETA_FIRST + (BETA_LAST - BETA_FIRST) * rise


SCHEDULES: dict[str, Callable[[int], np.ndarray]] = {
    "cosine": cosine_betas, "linear": linear_betas, "linear_scaled": linear_scaled_betas, "quadratic": quadratic_betas,
    "sigmoid": sigmoid_betas,
}  # fmt: skip


def alpha_bar(schedule: str, num_train_timesteps: int, zero_terminal_snr: bool = False) -> np.ndarray:
    """Cumulative product of 1 - beta of a schedule by name: (T,) float64, falling, inside (0, 1); with
    `zero_terminal_snr` its last value is 0."""
    plain = np.cumprod(1 - SCHEDULES[schedule](num_train_timesteps))
    return rescale_zero_terminal_snr(plain) if zero_terminal_snr else plain


def rescale_zero_terminal_snr(alpha_bar: np.ndarray) -> np.ndarray:
    """sqrt(alpha_bar) moved and stretched so that it begins as before and ends at 0 (Lin et al. 2023, Algorithm 1)."""
    root = np.sqrt(alpha_bar)
    return ((root - root[-1]) * (root[0] / (root[0] - root[-1]))) ** 2


def snr(alpha_bar: np.ndarray) -> np.ndarray:
    """Signal-to-noise ratio alpha_bar / (1 - alpha_bar) of variances (Kingma et al. 2021, Eq. 4)."""
    return alpha_bar / (1 - alpha_bar)


def half_log_snr(alpha_bar: np.ndarray) -> np.ndarray:
    """lambda = log(sqrt(alpha_bar) / sqrt(1 - alpha_bar)) = -log sigma (Lu et al. 2022, section 2); -inf at alpha_bar 0."""
    with np.errstate(divide="ignore"):
        return 0.5 * np.log(snr(alpha_bar))


def terminal_snr(alpha_bar: np.ndarray) -> float:
    """SNR at t = T - 1: where it is not tiny, sampling from pure noise starts off-distribution (Lin et al. 2023)."""
    return float(snr(alpha_bar)[-1])


def kept_share(alpha_bar: np.ndarray) -> float:
    """sqrt(alpha_bar_T), 0 to 1: the share of the image that is left in x_T."""
    return float(np.sqrt(alpha_bar[-1]))


def off_distribution(alpha_bar: np.ndarray) -> bool:
    """Whether x_T holds so much of the image that sampling, which begins with none of it, starts where the network was
    never trained."""
    return kept_share(alpha_bar) > KEPT_SHARE_MAX


LAMBDA_MIN = -5.0
"""Half the log SNR below which nothing of an image is decided: samplers that follow lambda or sigma spend one step there."""
SIGMA_MAX = 200.0
"""Noise level above which Heun's method does not correct a step; Karras et al. 2022 begin at 80."""
RHO = 7.0
"""Exponent of the sigma grid (Karras et al. 2022, Table 1)."""


def even_timesteps(alpha_bar: np.ndarray, num_steps: int) -> np.ndarray:
    """`num_steps` integers from T-1 down, T / num_steps apart ('trailing', Lin et al. 2023); all T where num_steps = T.
    Raises ValueError outside 1..T."""
    _check(alpha_bar, num_steps)
    steps = np.arange(num_steps, 0, -1, dtype=np.float64) * (len(alpha_bar) / num_steps)
    return np.round(steps).astype(np.int64) - 1


def log_snr_timesteps(alpha_bar: np.ndarray, num_steps: int) -> np.ndarray:
    """`num_steps` integers from T-1 down, evenly spaced in lambda, half the log SNR (Lu et al. 2022, section 3.3), from
    -5 or the schedule's own start. Strictly falling: where lambda is coarser than t, the next free t is taken."""
    _check(alpha_bar, num_steps)
    lambdas = half_log_snr(alpha_bar)
    return _snapped(lambdas, np.linspace(max(lambdas[-1], LAMBDA_MIN), lambdas[0], num_steps))


def sigma_timesteps(alpha_bar: np.ndarray, num_steps: int) -> np.ndarray:
    """`num_steps` integers from T-1 down on the sigma grid of Karras et al. 2022 (Eq. 5, rho = 7), its start at lambda =
    -5 or the schedule's own, its end at t = 0; snapped as above."""
    _check(alpha_bar, num_steps)
    lambdas = half_log_snr(alpha_bar)
    first, last = math.exp(-max(lambdas[-1], LAMBDA_MIN)), math.exp(-lambdas[0])
    sigmas = np.linspace(first ** (1 / RHO), last ** (1 / RHO), num_steps) ** RHO
    return _snapped(lambdas, -np.log(sigmas))


def corrected(alpha_bar: np.ndarray, ts: np.ndarray) -> list[bool]:
    """Which steps of Heun's method, at the falling t of its grid, have a second slope."""
    return [bool((1 - alpha_bar[t]) <= SIGMA_MAX**2 * alpha_bar[t]) for t in ts[:-1]] + [False]


def evaluations(sampler: str, alpha_bar: np.ndarray, num_steps: int) -> list[int]:
    """The steps t at which a sampler by name asks its denoiser, one entry a call. Raises ValueError outside 1..T steps."""
    if sampler in ("ddpm", "ddim"):
        return [int(t) for t in even_timesteps(alpha_bar, num_steps)]
    if sampler == "dpmpp_2m":
        return [int(t) for t in log_snr_timesteps(alpha_bar, num_steps)]
    ts = sigma_timesteps(alpha_bar, num_steps)
    again = [int(ts[i + 1]) for i, twice in enumerate(corrected(alpha_bar, ts)) if twice]
    return [*(int(t) for t in ts), *again]


def within(t: int, num_train_timesteps: int, t_min: float, t_max: float) -> bool:
    """Whether step t lies in an interval of t / T, both ends included: where guidance acts."""
    return t_min <= t / num_train_timesteps <= t_max


def _snapped(lambdas: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Strictly falling t, the first T-1, whose lambda is nearest to the wanted ones (rising)."""
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
