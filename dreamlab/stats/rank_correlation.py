"""Rank correlation of two numbers over a few objects, such as of a metric and of a gain over
synthetic sets, with its interval and the number of objects that would settle its sign.

Spearman's correlation with Fisher's z and the variance (1 + r^2 / 2) / (n - 3) of Bonett & Wright
(2000, Sample size requirements for estimating Pearson, Kendall and Spearman correlations,
Psychometrika 65, 23-28). For so few objects it is better than a bootstrap, in which the same object
is drawn several times and gives ties. docs/statistics.md has its simulated coverage.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from dreamlab.stats.intervals import Interval

LEAST = 5
"""Fewest objects. Of four, even equal orders have an exact p value of 2 / 4! = 0.083."""
MOST = 1000
"""Largest number of objects that is looked for."""


@dataclasses.dataclass(frozen=True)
class RankCorrelation:
    """Spearman's correlation of n objects, -1 to 1, with its interval and the two-sided p value of
    no correlation; the interval excludes 0 exactly if p < 1 - level."""

    interval: Interval
    n: int
    p: float

    @property
    def further(self) -> int | None:
        """How many more objects would make the interval exclude 0 if the correlation stays as it
        is; 0 if it does so already. None if more than MOST objects would be needed."""
        needed = objects_needed(self.interval.mean, self.interval.level)
        shown = self.p < 1 - self.interval.level
        return 0 if shown else None if needed is None else max(needed - self.n, 1)


def ranks(values: Sequence[float]) -> np.ndarray:
    """Ranks (n,) of values (n,), from 1; equal values share the mean of their ranks."""
    _, place, count = np.unique(np.asarray(values, float), return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    means: np.ndarray = last - (count - 1) / 2
    return means[place]


def spearman(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Spearman's rank correlation of x (n,) and y (n,), -1 to 1: Pearson's correlation of the ranks
    (Spearman 1904). None if all values of either are equal. Raises ValueError for different
    lengths, fewer than two values, or values that are not finite."""
    if len(x) != len(y) or len(x) < 2:
        raise ValueError(f"{len(x)} and {len(y)} values have no rank correlation")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("a rank correlation needs finite values")
    a, b = ranks(x) - (len(x) + 1) / 2, ranks(y) - (len(y) + 1) / 2
    size = math.sqrt(float(a @ a) * float(b @ b))
    return min(max(float(a @ b) / size, -1.0), 1.0) if size > 0 else None


def rank_correlation(
    x: Sequence[float], y: Sequence[float], level: float = 0.95
) -> RankCorrelation | None:
    """Spearman's correlation of x (n,) and y (n,) with its interval. None if all values of either
    are equal. Raises ValueError for fewer than LEAST values and as `spearman` does.

    The ends are tanh(atanh(r) -+ z sqrt((1 + r^2 / 2) / (n - 3))). Equal orders would give an
    interval without width; r is then moved from 1 by 6 / (n^3 - n), half of the smallest step that
    it can take. The interval still ends at 1.
    """
    n, r = len(x), spearman(x, y)
    if n < LEAST:
        raise ValueError(f"a rank correlation needs at least {LEAST} objects, there are {n}")
    if r is None:
        return None
    most = 1 - 6 / (n**3 - n)
    inner = min(max(r, -most), most)
    z, error = math.atanh(inner), _error(inner, n)
    half = float(special.ndtri(0.5 + level / 2)) * error
    low = -1.0 if r == -1 else math.tanh(z - half)
    high = 1.0 if r == 1 else math.tanh(z + half)
    p = 2 * float(special.ndtr(-abs(z) / error))
    return RankCorrelation(Interval(r, low, high, level), n, p)


def objects_needed(r: float, level: float = 0.95) -> int | None:
    """The smallest number of objects, at least LEAST, whose interval excludes 0 at the correlation
    r: 3 + z^2 (1 + r^2 / 2) / atanh(r)^2, rounded up. None if it is above MOST."""
    if abs(r) >= 1:
        return LEAST
    z = float(special.ndtri(0.5 + level / 2))
    if abs(r) < 1e-9 or (ratio := z * math.sqrt(1 + r * r / 2) / math.atanh(abs(r))) ** 2 > MOST:
        return None
    return max(math.floor(3 + ratio**2) + 1, LEAST)


def _error(r: float, n: int) -> float:
    return math.sqrt((1 + r * r / 2) / (n - 3))
