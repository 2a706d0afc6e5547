"""Noise schedules as float64 numpy arrays over t = 0..T-1: torch-free, so that pages can draw them
too.

A schedule may be rescaled to end in pure noise: alpha_bar is then exactly 0 at t = T - 1, and
everything here and in the samplers holds for it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

BETA_FIRST, BETA_LAST, BETA_MAX = 1e-4, 0.02, 0.999
REFERENCE_T = 1000
KEPT_SHARE_MAX = 1 / 32
"""Most of an image that x_T may hold. The mean brightness of 32x32 pixels of unit noise has a
deviation of 1/32: where more of the image is left, x_T shows whether it was bright or dark, the
network has learnt to read that, and sampling from pure noise starts off-distribution. Linear at T =
1000 leaves 0.006; Stable Diffusion's 0.068 is a known flaw (Lin et al. 2023, Table 1); linear at T
= 100 leaves 0.60."""


def linear_betas(num_train_timesteps: int) -> np.ndarray:
    """1e-4 to 0.02 (Ho et al. 2020), whatever T is: below T of about 700 x_T is not noise. Returns
    (T,) float64."""
    return np.linspace(BETA_FIRST, BETA_LAST, num_train_timesteps, dtype=np.float64)


def linear_scaled_betas(num_train_timesteps: int) -> np.ndarray:
    """The linear ramp times one factor, clipped at 0.999, so that alpha_bar_T is that of linear at
    T = 1000. The usual factor 1000 / T misses it below T of about 50. Returns (T,) float64."""
    return np.minimum(_factor(num_train_timesteps) * linear_betas(num_train_timesteps), BETA_MAX)


@functools.lru_cache(maxsize=64)
def _factor(num_train_timesteps: int) -> float:
    from scipy.optimize import brentq  # a fifth of a second, and few need it

    ramp, wanted = linear_betas(num_train_timesteps), np.log1p(-linear_betas(REFERENCE_T)).sum()

    def excess(log_factor: float) -> float:
        return float(np.log1p(-np.minimum(math.exp(log_factor) * ramp, BETA_MAX)).sum() - wanted)

    return math.exp(brentq(excess, math.log(1e-3), math.log(BETA_MAX / BETA_FIRST), xtol=1e-13))


def cosine_betas(num_train_timesteps: int, s: float = 0.008) -> np.ndarray:
    """Nichol & Dhariwal 2021, Eq. 17: alpha_bar from a squared cosine, betas clipped at 0.999.
    Returns (T,) float64."""
    t = np.arange(num_train_timesteps + 1, dtype=np.float64) / num_train_timesteps
    f = np.cos((t + s) / (1 + s) * np.pi / 2) ** 2
    betas: np.ndarray = np.minimum(1 - f[1:] / f[:-1], BETA_MAX)
    return betas


def quadratic_betas(num_train_timesteps: int) -> np.ndarray:
    """Squares of an even grid from sqrt(1e-4) to sqrt(0.02) (Rombach et al. 2022, 'scaled linear').
    (T,) float64."""
    return np.linspace(BETA_FIRST**0.5, BETA_LAST**0.5, num_train_timesteps, dtype=np.float64) ** 2


def sigmoid_betas(num_train_timesteps: int) -> np.ndarray:
    """A sigmoid over -6..6 between 1e-4 and 0.02 (Xu et al. 2022, GeoDiff). Returns (T,)
    float64."""
    rise = 1 / (1 + np.exp(-np.linspace(-6, 6, num_train_timesteps, dtype=np.float64)))
    return BETA_FIRST + (BETA_LAST - BETA_FIRST) * rise


SCHEDULES: dict[str, Callable[[int], np.ndarray]] = {
    "cosine": cosine_betas,
    "linear": linear_betas,
    "linear_scaled": linear_scaled_betas,
    "quadratic": quadratic_betas,
    "sigmoid": sigmoid_betas,
}


def alpha_bar(
    schedule: str, num_train_timesteps: int, zero_terminal_snr: bool = False
) -> np.ndarray:
    """Cumulative product of 1 - beta of a schedule by name: (T,) float64, falling, inside (0, 1);
    with `zero_terminal_snr` its last value is 0."""
    plain = np.cumprod(1 - SCHEDULES[schedule](num_train_timesteps))
    return rescale_zero_terminal_snr(plain) if zero_terminal_snr else plain


def rescale_zero_terminal_snr(alpha_bar: np.ndarray) -> np.ndarray:
    """sqrt(alpha_bar) moved and stretched so that it begins as before and ends at 0 (Lin et al.
    2023, Algorithm 1)."""
    root = np.sqrt(alpha_bar)
    rescaled: np.ndarray = ((root - root[-1]) * (root[0] / (root[0] - root[-1]))) ** 2
    return rescaled


def snr(alpha_bar: np.ndarray) -> np.ndarray:
    """Signal-to-noise ratio alpha_bar / (1 - alpha_bar) of variances (Kingma et al. 2021, Eq.
    4)."""
    ratio: np.ndarray = alpha_bar / (1 - alpha_bar)
    return ratio


def half_log_snr(alpha_bar: np.ndarray) -> np.ndarray:
    """lambda = log(sqrt(alpha_bar) / sqrt(1 - alpha_bar)) = -log sigma (Lu et al. 2022, section 2);
    -inf at alpha_bar 0."""
    with np.errstate(divide="ignore"):
        half: np.ndarray = 0.5 * np.log(snr(alpha_bar))
    return half


def terminal_snr(alpha_bar: np.ndarray) -> float:
    """SNR at t = T - 1: where it is not tiny, sampling from pure noise starts off-distribution (Lin
    et al. 2023)."""
    return float(snr(alpha_bar)[-1])


def kept_share(alpha_bar: np.ndarray) -> float:
    """sqrt(alpha_bar_T), 0 to 1: the share of the image that is left in x_T."""
    return float(np.sqrt(alpha_bar[-1]))


def off_distribution(alpha_bar: np.ndarray) -> bool:
    """Whether x_T holds so much of the image that sampling, which begins with none of it, starts
    where the network was never trained."""
    return kept_share(alpha_bar) > KEPT_SHARE_MAX
