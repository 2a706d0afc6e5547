"""The Frechet distance extrapolated to infinitely many images (Chong & Forsyth 2020, Effectively
Unbiased FID and Inception Score and Where to Find Them). Without torch.

The bias of a Frechet distance of n images is close to a constant times 1 / n. The distance is
computed for all images and for halves of them; the straight line through these values over 1 / n
gives the value at infinite n. Unlike in the paper, the reference is halved together with the set,
so that the bias of a small reference is removed as well.
"""

from __future__ import annotations

import math

import numpy as np

from dreamlab.fidelity import jackknife
from dreamlab.fidelity.frechet import SMALL, Statistics, distance, root_of
from dreamlab.fidelity.metrics import Kept, fewest_for_infinite
from dreamlab.fidelity.strata import UNKNOWN, Labels
from dreamlab.stats.intervals import Interval

GROUPS, GROUPS_OF_MANY = 20, 10
"""Groups of each set, and fewer above `frechet.SMALL` features, where each takes longer."""
SPLITS = 2
"""Times that the sets are halved, each time in another way."""


class _Parts:
    """Sums of a set by groups, from which the statistics of any groups follow: count (G,), sums (G,
    d), and sums of outer products (G, d, d)."""

    def __init__(self, x: np.ndarray, group: np.ndarray, count: int, centre: np.ndarray):
        parts = [np.asarray(x[group == g], np.float64) - centre for g in range(count)]
        self.count = np.array([len(part) for part in parts])
        self.sums = np.stack([part.sum(0) for part in parts])
        self.squares = np.stack([part.T @ part for part in parts])

    def of(self, groups: np.ndarray) -> Statistics:
        """Statistics of these groups, a mask (G,)."""
        n = int(self.count[groups].sum())
        mean = self.sums[groups].sum(0) / n
        covariance = (self.squares[groups].sum(0) - n * np.outer(mean, mean)) / (n - 1)
        return Statistics(mean, float(np.trace(covariance)), root_of(covariance))


class _Line:
    """The points of the line: all groups of both sets, and the halves of each split."""

    def __init__(self, x: _Parts, y: _Parts):
        count = len(x.count)
        self.sets = (x, y)
        self.masks = [np.ones(count, bool)]
        for split in range(SPLITS):
            half = np.zeros(count, bool)
            half[np.random.default_rng(split).permutation(count)[: count // 2]] = True
            self.masks += [half, ~half]
        self.known = [(x.of(mask), y.of(mask)) for mask in self.masks]
        self.points = [distance(*pair) for pair in self.known]

    def end(self, side: int | None = None, group: int = 0) -> float:
        """The value at infinite n, without a group of the set (side 0) or the reference (1)."""
        total = [part.count.sum() for part in self.sets]
        places, values = [], []
        for mask, pair, value in zip(self.masks, self.known, self.points, strict=True):
            kept = [mask, mask]
            if side is not None and mask[group]:
                kept[side] = mask & (np.arange(len(mask)) != group)
                new = self.sets[side].of(kept[side])
                value = distance(*((new, pair[1]) if side == 0 else (pair[0], new)))
            sizes = [part.count[k].sum() for part, k in zip(self.sets, kept, strict=True)]
            places.append(sum(n / size for n, size in zip(total, sizes, strict=True)) / 2)
            values.append(value)
        # through the mean of the halves: their scatter must not tilt the line
        z, v = float(np.mean(places[1:])), float(np.mean(values[1:]))
        return float((z * values[0] - places[0] * v) / (z - places[0]))


def extrapolated(
    x: np.ndarray, y: np.ndarray, labels: Labels = UNKNOWN, level: float = 0.95
) -> Interval:
    """The Frechet distance of features (n, d) and (m, d) at infinitely many images of both, with an
    interval for the choice of the images: every group is left out of the whole extrapolation
    (`jackknife`). It can be slightly below 0. NaN below `fewest_for_infinite` images of a set."""
    wanted = GROUPS if x.shape[1] <= SMALL else GROUPS_OF_MANY
    if min(len(x), len(y)) < fewest_for_infinite(x.shape[1]):
        return Interval(math.nan, math.nan, math.nan, level)
    in_x, in_y, count = jackknife.groups((len(x), len(y)), wanted, labels)
    centre = np.asarray(y, np.float64).mean(0)
    line = _Line(_Parts(x, in_x, count, centre), _Parts(y, in_y, count, centre))
    left_x, left_y = (np.array([line.end(side, g) for g in range(count)]) for side in (0, 1))
    return jackknife.interval(line.end(), left_x, left_y, level, least=-math.inf)


def measure(x: np.ndarray, y: np.ndarray, kept: Kept, labels: Labels) -> Interval:
    """The metrics fid_infinite and fd_..._infinite; see `extrapolated`."""
    return extrapolated(x, y, labels)
