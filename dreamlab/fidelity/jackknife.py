"""Two-sample grouped jackknife: how much a measure of two sets of images varies with the choice of
the images (Efron & Stein 1981; delete-a-group: Kott 2001). Without torch.

Each set is divided into random groups. Leaving out one group at a time gives the variance that each
set contributes. A set that was drawn class by class is divided class by class, so that the class
shares hardly vary.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from dreamlab.fidelity.strata import UNKNOWN, Labels, designs
from dreamlab.stats.intervals import Interval

FEWEST = 4
"""Fewest images of a set for two groups."""


def groups(
    sizes: tuple[int, int], wanted: int, labels: Labels = UNKNOWN, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, int]:
    """(group 0 to count - 1 of each image of the first set, the same of the second, count). The
    count is `wanted`, or half of the smaller set if that is less; 0 below FEWEST images."""
    count = min(wanted, *(size // 2 for size in sizes))
    if min(sizes) < FEWEST:
        return np.zeros(sizes[0], np.intp), np.zeros(sizes[1], np.intp), 0
    rng = np.random.default_rng(seed)
    x, y = (_divided(design.strata, count, rng) for design in designs(sizes[0], sizes[1], labels))
    return x, y, count


def _divided(stratum: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    group = np.empty(len(stratum), dtype=np.intp)
    # in random order, but stratum by stratum
    group[np.lexsort((rng.permutation(len(stratum)), stratum))] = np.arange(len(stratum)) % count
    return group


def error(left_x: np.ndarray, left_y: np.ndarray) -> float:
    """Standard error of a value, from its values without each group of either set (count,)."""
    count = len(left_x)
    return math.sqrt((count - 1) * (float(np.var(left_x)) + float(np.var(left_y))))


def interval(value: float, left_x: np.ndarray, left_y: np.ndarray, level: float = 0.95) -> Interval:
    """Interval of a value that is not negative; NaN at both ends without groups."""
    if len(left_x) < 2:
        return Interval(value, math.nan, math.nan, level)
    t = float(special.stdtrit(len(left_x) - 1, 0.5 + level / 2))
    half = t * error(left_x, left_y)
    return Interval(value, max(value - half, 0.0), value + half, level)


def share_interval(
    value: float, left_x: np.ndarray, left_y: np.ndarray, images: int, level: float = 0.95
) -> Interval:
    """Interval of a share (0 to 1) of `images` images: Wilson's score interval (1927) at the
    effective number of images value (1 - value) / error^2, as for accuracies
    (`dreamlab.stats.components.mean_interval`). It has a width also at 0 and 1."""
    if len(left_x) < 2:
        return Interval(value, math.nan, math.nan, level)
    spread, wrong = value * (1 - value), error(left_x, left_y)
    size = spread / wrong**2 if wrong > 0 and spread > 0 else float(images)
    size = min(size, float(images)) if spread == 0 else size
    t = float(special.stdtrit(len(left_x) - 1, 0.5 + level / 2))
    scale = 1 + t * t / size
    centre = (value + t * t / (2 * size)) / scale
    half = t / scale * math.sqrt(spread / size + t * t / (4 * size * size))
    low, high = max(centre - half, 0.0), min(centre + half, 1.0)
    return Interval(value, min(low, value), max(high, value), level)
