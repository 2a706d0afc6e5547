"""How large an effect a number of seeds can show, and how many seeds an effect needs."""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy import special


@functools.lru_cache(maxsize=64)
def _deviations(n: int) -> np.ndarray:
    # s / sigma of n values at 4,000 equally likely points: s^2 (n-1) / sigma^2 is chi-squared with n-1 degrees
    squares: np.ndarray = 2 * special.gammaincinv((n - 1) / 2, (np.arange(4000) + 0.5) / 4000)  # chi-squared quantiles
    return np.sqrt(squares / (n - 1))


def power(effect: float, deviation: float, n: int, alpha: float = 0.05) -> float:
    """Chance that a two-sided paired t test with n seeds rejects: the noncentral t (Cohen 1988, chapter 2).

    effect and deviation (of the differences) share a unit. Integrated over the distribution of s, good to 1e-3;
    scipy's noncentral t gives NaN for the strict levels and few seeds that are met here.
    """
    if deviation <= 0:
        return 1.0 if effect != 0 else alpha
    limit = float(special.stdtrit(n - 1, 1 - alpha / 2)) * _deviations(n)
    shift = abs(effect) * math.sqrt(n) / deviation
    return float(np.mean(special.ndtr(shift - limit) + special.ndtr(-limit - shift)))


def detectable(deviation: float, n: int, alpha: float = 0.05, wanted: float = 0.8) -> float:
    """The smallest effect that n seeds show with the chance `wanted`, in the unit of the deviation."""
    if deviation <= 0:
        return 0.0
    high = 1.0
    while power(high, 1.0, n, alpha) < wanted:
        high *= 2
    from scipy import optimize  # half a second that every command line would pay

    return float(optimize.brentq(lambda e: power(e, 1.0, n, alpha) - wanted, 0.0, high, xtol=1e-4)) * deviation


def seeds_needed(
    effect: float, deviation: float, alpha: float = 0.05, wanted: float = 0.8, most: int = 1000
) -> int | None:
    """The fewest seeds (at least 2) that show `effect` with the chance `wanted`; None where `most` are not enough."""
    if effect == 0 or power(effect, deviation, most, alpha) < wanted:
        return None
    low, high = 1, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(effect, deviation, middle, alpha) >= wanted else (middle, high)
    return high
