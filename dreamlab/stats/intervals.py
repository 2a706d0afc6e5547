"""Intervals for a mean over a few seeds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import special


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean and its interval at a confidence level, in the unit of the values."""

    mean: float
    low: float
    high: float
    level: float = 0.95


def standard_error(values: Sequence[float], resolution: float = 0.0) -> float:
    """Standard error of the mean of n >= 2 values.

    Accuracies come in steps (`resolution`, 1/2000 with 2,000 test images): a few seeds may agree to the last digit by
    chance, which is no proof of a spread of zero. The deviation is therefore never taken below that of rounding to
    such steps, resolution / sqrt(12). Raises ValueError for fewer than two values or one that is not finite.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.size < 2:
        raise ValueError(f"an interval needs at least 2 values, there is {x.size}")
    if not np.isfinite(x).all():
        raise ValueError("an interval needs finite values")
    return max(float(x.std(ddof=1)), resolution / math.sqrt(12)) / math.sqrt(x.size)


def t_interval(values: Sequence[float], level: float = 0.95, resolution: float = 0.0) -> Interval:
    """Student's t interval for the mean (Student 1908): mean +- t(n-1) s / sqrt(n). Needs n >= 2."""
    error = standard_error(values, resolution)
    mean = float(np.mean(np.asarray(values, dtype=np.float64)))
    half = float(special.stdtrit(len(values) - 1, 0.5 + level / 2)) * error
    return Interval(mean, mean - half, mean + half, level)


def over_seeds(shares: Sequence[float], images: int) -> dict[str, float | None] | None:
    """mean, low and high of shares (accuracy, F1) measured on `images` images, one per seed; the 95 % interval stays
    within 0 to 1. low and high are None for one seed, all is None for none."""
    if not shares:
        return None
    if len(shares) == 1:
        return {"mean": shares[0], "low": None, "high": None}
    found = t_interval(shares, resolution=1 / images)
    return {"mean": found.mean, "low": max(found.low, 0.0), "high": min(found.high, 1.0)}
