"""Noise schedules as float64 numpy arrays over t = 0..T-1, without torch, so that the dashboard
can draw them.

A schedule may be rescaled to zero terminal SNR. alpha_bar is then exactly 0 at t = T - 1. All
functions here and all samplers accept that.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

BETA_FIRST, BETA_LAST, BETA_MAX = 1e-4, 0.02, 0.999
REFERENCE_T = 1000
KEPT_SHARE_MAX = 1 / 32
"""Largest acceptable sqrt(alpha_bar_T), the factor of x0 that is left in x_T.

The mean of 32x32 pixels of unit noise has a standard deviation of 1/32. If more of the image is
left, x_T shows whether the image was bright or dark. The network learns to use this, but pure
noise, where sampling starts, does not have it. Linear leaves 0.006 at T = 1000 and 0.60 at T = 100.
Stable Diffusion leaves 0.068, a known flaw (Lin et al. 2023, Table 1).
"""


def linear_betas(num_train_timesteps: int) -> np.ndarray:
    """beta from 1e-4 to 0.02 for every T (Ho et al. 2020). Below T = 700 or so, x_T is not pure
    noise. Returns (T,) float64."""
    return np.linspace(BETA_FIRST, BETA_LAST, num_train_timesteps, dtype=np.float64)


def linear_scaled_betas(num_train_timesteps: int) -> np.ndarray:
    """The betas of `linear_betas` times one factor, clipped at 0.999. The factor is chosen so that
    alpha_bar_T is that of linear at T = 1000. (The usual factor 1000 / T does not achieve this
    below T = 50 or so.) Returns (T,) float64."""
    return np.minimum(_factor(num_train_timesteps) * linear_betas(num_train_timesteps), BETA_MAX)


@functools.lru_cache(maxsize=64)
def _factor(num_train_timesteps: int) -> float:
    from scipy.optimize import brentq  # takes 0.2 s to import and is rarely needed

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
    """Squares of an even grid from sqrt(1e-4) to sqrt(0.02) ('scaled linear' in Rombach et al.
    2022). Returns (T,) float64."""
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
"""Schedule -> function of T that returns beta, (T,) float64 in (0, 1)."""


def alpha_bar(
    schedule: str, num_train_timesteps: int, zero_terminal_snr: bool = False
) -> np.ndarray:
    """Cumulative product of 1 - beta for the named schedule: (T,) float64, decreasing, between 0
    and 1. With `zero_terminal_snr` the last value is exactly 0. Raises KeyError for an unknown
    name."""
    plain = np.cumprod(1 - SCHEDULES[schedule](num_train_timesteps))
    return rescale_zero_terminal_snr(plain) if zero_terminal_snr else plain


def rescale_zero_terminal_snr(alpha_bar: np.ndarray) -> np.ndarray:
    """Shifts and scales sqrt(alpha_bar) so that its first value stays and its last value is 0 (Lin
    et al. 2023, Algorithm 1)."""
    root = np.sqrt(alpha_bar)
    rescaled: np.ndarray = ((root - root[-1]) * (root[0] / (root[0] - root[-1]))) ** 2
    return rescaled


def snr(alpha_bar: np.ndarray) -> np.ndarray:
    """Signal-to-noise ratio alpha_bar / (1 - alpha_bar) (Kingma et al. 2021, Eq. 4)."""
    ratio: np.ndarray = alpha_bar / (1 - alpha_bar)
    return ratio


def half_log_snr(alpha_bar: np.ndarray) -> np.ndarray:
    """lambda = log(sqrt(alpha_bar) / sqrt(1 - alpha_bar)) = -log sigma (Lu et al. 2022, section 2);
    -inf at alpha_bar 0."""
    with np.errstate(divide="ignore"):
        half: np.ndarray = 0.5 * np.log(snr(alpha_bar))
    return half


def terminal_snr(alpha_bar: np.ndarray) -> float:
    """SNR at t = T - 1. It should be close to 0, because sampling starts from pure noise (Lin et
    al. 2023)."""
    return float(snr(alpha_bar)[-1])


def kept_share(alpha_bar: np.ndarray) -> float:
    """sqrt(alpha_bar_T), 0 to 1: the factor of x0 that is left in x_T."""
    return float(np.sqrt(alpha_bar[-1]))


def off_distribution(alpha_bar: np.ndarray) -> bool:
    """Whether x_T still shows the image (see `KEPT_SHARE_MAX`). Sampling, which starts from pure
    noise, then starts from inputs that the network was not trained on."""
    return kept_share(alpha_bar) > KEPT_SHARE_MAX
