"""Spread within a class: the variance of the features of a set around their class means, as a
share of that of real images. Without torch.

It is below 1 where the images of a class resemble each other more than real ones do, as with a
large guidance weight or a sampler that loses detail, also where their mean is right. The classes of
the real images count with the shares of the set.
"""

from __future__ import annotations

import math

import numpy as np

from dreamlab.fidelity import jackknife
from dreamlab.fidelity.metrics import Kept
from dreamlab.fidelity.strata import UNKNOWN, Labels
from dreamlab.stats.intervals import Interval

GROUPS = 20


class _Sums:
    """Sums over the images of each class and group, from which the variances within the classes
    follow: count (C, G), sum of features (C, G, d), and of squared norms (C, G)."""

    def __init__(self, x: np.ndarray, classes: np.ndarray, group: np.ndarray, c: int, g: int):
        at = classes * g + group
        order = np.argsort(at, kind="stable")
        starts = np.searchsorted(at[order], np.arange(c * g))
        centre = x.mean(0)
        sums = np.zeros((c * g, x.shape[1]))
        squares, self.count = np.zeros(c * g), np.bincount(at, minlength=c * g).reshape(c, g)
        for i in np.flatnonzero(self.count.ravel()):
            part = x[order[starts[i] : starts[i] + self.count.ravel()[i]]] - centre
            sums[i], squares[i] = part.sum(0), np.einsum("ij,ij->", part, part)
        self.sums, self.squares = sums.reshape(c, g, -1), squares.reshape(c, g)

    def within(self, keep: np.ndarray) -> np.ndarray:
        """Variance within each class (C,), summed over the features, of these groups (G,) bool."""
        n, total = self.count[:, keep].sum(1), self.sums[:, keep].sum(1)
        squares = self.squares[:, keep].sum(1)
        around = squares - np.einsum("ij,ij->i", total, total) / np.maximum(n, 1)
        found: np.ndarray = around / np.maximum(n - 1, 1)
        return found


def spread(x: np.ndarray, y: np.ndarray, labels: Labels = UNKNOWN, level: float = 0.95) -> Interval:
    """The spread of features x (n, d) as a share of that of y (m, d), with an interval for the
    choice of the images (`jackknife`).

    Classes with fewer than two images of either set are left out; without classes, the sets are one
    class. NaN if nothing is left, or if the real images are all alike.
    """
    a, b = np.zeros(len(x), int), np.zeros(len(y), int)
    if labels.x is not None and labels.y is not None:
        a, b = labels.x, labels.y
    known = [c for c in np.intersect1d(a, b) if min((a == c).sum(), (b == c).sum()) >= 2]
    in_a, in_b = np.isin(a, known), np.isin(b, known)
    if not known:
        return Interval(math.nan, math.nan, math.nan, level)
    x, a = np.asarray(x[in_a], np.float64), np.searchsorted(known, a[in_a])
    y, b = np.asarray(y[in_b], np.float64), np.searchsorted(known, b[in_b])
    in_x, in_y, count = jackknife.divided(a, b, GROUPS)
    sums = [_Sums(z, c, g, len(known), max(count, 1)) for z, c, g in ((x, a, in_x), (y, b, in_y))]
    share, every = np.bincount(a) / len(a), np.ones(max(count, 1), bool)

    def log_ratio(keep_x: np.ndarray, keep_y: np.ndarray) -> float:
        over, under = share @ sums[0].within(keep_x), share @ sums[1].within(keep_y)
        return math.log(over / under) if over > 0 and under > 0 else -math.inf

    if share @ sums[1].within(every) <= 0:
        return Interval(math.nan, math.nan, math.nan, level)
    value = math.exp(log_ratio(every, every))
    without = [np.arange(len(every)) != g for g in range(count)]
    left = (
        np.array([log_ratio(keep, every) for keep in without]),
        np.array([log_ratio(every, keep) for keep in without]),
    )
    if value == 0 or not all(np.isfinite(part).all() for part in left):
        return Interval(value, math.nan, math.nan, level)
    found = jackknife.ratio_interval(value, *left, level=level)
    return jackknife.Resampled(
        value, found.low, found.high, level, (np.exp(left[0]), np.exp(left[1]))
    )


def measure(x: np.ndarray, y: np.ndarray, kept: Kept, labels: Labels) -> Interval:
    """The metric spread; see `spread`."""
    return spread(x, y, labels)
