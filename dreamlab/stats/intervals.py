"""Confidence interval for the mean of a few numbers that have no predictions behind them, such as
distances or times."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import special


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval, in the unit of the values."""

    mean: float
    low: float
    high: float
    level: float = 0.95


def t_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Student's t interval for the mean (Student 1908): mean +- t(n-1) s / sqrt(n).

    Use `components.mean_interval` for accuracies. Raises ValueError for fewer than two values or
    one that is not finite.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.size < 2:
        raise ValueError(f"an interval needs at least 2 values, there is {x.size}")
    if not np.isfinite(x).all():
        raise ValueError("an interval needs finite values")
    mean = float(x.mean())
    half = (
        float(special.stdtrit(x.size - 1, 0.5 + level / 2))
        * float(x.std(ddof=1))
        / math.sqrt(x.size)
    )
    return Interval(mean, mean - half, mean + half, level)


def geometric_mean(ratios: Sequence[Interval]) -> Interval:
    """The geometric mean of positive ratios that were measured on the same images, such as by
    several networks. Their errors are taken as fully correlated, which is the cautious choice.
    Raises ValueError for none."""
    if not ratios:
        raise ValueError("a mean needs a ratio")

    def of(values: Sequence[float]) -> float:
        return math.exp(sum(map(math.log, values)) / len(values))

    value, low, high = (of([getattr(r, end) for r in ratios]) for end in ("mean", "low", "high"))
    return Interval(value, low, high, ratios[0].level)
