"""Two-sample grouped jackknife: how much a measure of two sets of images varies with the choice of
the images (Efron & Stein 1981; delete-a-group: Kott 2001). Without torch.

Each set is divided into random groups. Leaving out one group at a time gives the variance that each
set contributes. A set that was drawn class by class is divided class by class, so that the class
shares hardly vary.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from scipy import special

from dreamlab.fidelity.strata import UNKNOWN, Labels, designs
from dreamlab.stats.intervals import Interval
from dreamlab.stats.left_out import NOTHING, LeftOut, error

FEWEST = 4
"""Fewest images of a set for two groups."""


@dataclasses.dataclass(frozen=True)
class Resampled(Interval):
    """A value with its interval, and its values without each group of the set and of the
    reference."""

    left: LeftOut = NOTHING


def groups(
    sizes: tuple[int, int], wanted: int, labels: Labels = UNKNOWN, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, int]:
    """(group 0 to count - 1 of each image of the first set, the same of the second, count). The
    count is `wanted`, or half of the smaller set if that is less; 0 below FEWEST images."""
    x, y = (design.strata for design in designs(sizes[0], sizes[1], labels))
    return divided(x, y, wanted, seed)


def divided(
    x: np.ndarray, y: np.ndarray, wanted: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, int]:
    """As `groups`, for sets with these strata (n,) and (m,)."""
    count = min(wanted, len(x) // 2, len(y) // 2)
    if min(len(x), len(y)) < FEWEST:
        return np.zeros(len(x), np.intp), np.zeros(len(y), np.intp), 0
    rng = np.random.default_rng(seed)
    return _divided(x, count, rng), _divided(y, count, rng), count


def _divided(stratum: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    group = np.empty(len(stratum), dtype=np.intp)
    # in random order, but stratum by stratum
    group[np.lexsort((rng.permutation(len(stratum)), stratum))] = np.arange(len(stratum)) % count
    return group


def interval(
    value: float, left_x: np.ndarray, left_y: np.ndarray, level: float = 0.95, least: float = 0.0
) -> Resampled:
    """Interval of a value that is at least `least`; NaN at both ends without groups."""
    if len(left_x) < 2:
        return Resampled(value, math.nan, math.nan, level)
    half = quantile(len(left_x), level) * error(left_x, left_y)
    ends = max(value - half, least), value + half
    return Resampled(value, *ends, level, (left_x, left_y))


def ratio_interval(value: float, *samples: np.ndarray, level: float = 0.95) -> Interval:
    """Interval of a positive ratio, from its logarithms without each group of each sample."""
    if not value > 0 or any(len(left) < 2 for left in samples):
        return Interval(value, math.nan, math.nan, level)
    times = math.exp(quantile(len(samples[0]), level) * error(*samples))
    return Interval(value, value / times, value * times, level)


def quantile(count: int, level: float) -> float:
    """Of Student's t distribution with count - 1 degrees of freedom, for a two-sided interval."""
    return float(special.stdtrit(count - 1, 0.5 + level / 2))


def share_interval(
    value: float, left_x: np.ndarray, left_y: np.ndarray, images: int, level: float = 0.95
) -> Resampled:
    """Interval of a share (0 to 1) of `images` images: Wilson's score interval (1927) at the
    effective number of images value (1 - value) / error^2, as for accuracies
    (`dreamlab.stats.components.mean_interval`). It has a width also at 0 and 1."""
    if len(left_x) < 2:
        return Resampled(value, math.nan, math.nan, level)
    spread, wrong = value * (1 - value), error(left_x, left_y)
    size = spread / wrong**2 if wrong > 0 and spread > 0 else float(images)
    size = min(size, float(images)) if spread == 0 else size
    t = quantile(len(left_x), level)
    scale = 1 + t * t / size
    centre = (value + t * t / (2 * size)) / scale
    half = t / scale * math.sqrt(spread / size + t * t / (4 * size * size))
    low, high = max(centre - half, 0.0), min(centre + half, 1.0)
    return Resampled(value, min(low, value), max(high, value), level, (left_x, left_y))
