"""Two arms compared over the same seeds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from dreamlab.stats.intervals import Interval, standard_error


@dataclasses.dataclass(frozen=True)
class Paired:
    """Treatment minus control over n seeds: mean, its standard error, and the two-sided p value of no difference."""

    mean: float
    error: float
    n: int
    p: float

    def interval(self, level: float = 0.95) -> Interval:
        """The t interval that excludes 0 exactly where p < 1 - level."""
        half = float(special.stdtrit(self.n - 1, 0.5 + level / 2)) * self.error
        return Interval(self.mean, self.mean - half, self.mean + half, level)

    @property
    def deviation(self) -> float:
        """Standard deviation of the differences."""
        return self.error * math.sqrt(self.n)


def paired_t(treatment: Sequence[float], control: Sequence[float], resolution: float = 0.0) -> Paired:
    """Paired t test (Student 1908) of values that share their seeds, in order.

    Simulated without an effect at three seeds its intervals cover 94 to 96 %, a bootstrap's 76 to 79 %. `resolution` is
    the step in which one value moves (see `intervals.standard_error`); the difference of two rounded values has twice
    the variance of one. Where nothing varies at all and the step is unknown, the spread is taken to be as large as the
    difference itself, so that no certainty comes from a coincidence; arms that are equal have p = 1.
    Raises ValueError for fewer than two pairs or unequal lengths.
    """
    if len(treatment) != len(control):
        raise ValueError(f"{len(treatment)} values cannot be paired with {len(control)}")
    d = np.asarray(treatment, dtype=np.float64) - np.asarray(control, dtype=np.float64)
    error = standard_error([float(x) for x in d], resolution * math.sqrt(2))
    mean = float(d.mean())
    scale = max(float(np.abs(treatment).max()), float(np.abs(control).max()), 1e-300)
    if abs(mean) <= 1e-12 * scale:
        mean = 0.0
    if error <= 1e-12 * scale:
        error = abs(mean) / math.sqrt(len(d))
    p = 1.0 if error == 0.0 else float(2 * special.stdtr(len(d) - 1, -abs(mean) / error))
    return Paired(mean, error, len(d), p)
