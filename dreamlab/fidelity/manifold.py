"""Precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020), with
intervals. Without torch.

Each image has a ball that reaches to its k-th nearest neighbour in its own set. With x the
synthetic set and y the real one:

- precision: share of x inside at least one ball of y: do samples look real?
- recall: share of y inside at least one ball of x: does the set reach all of the real images?
- density: number of balls of y that hold an image of x, divided by k, on average; it can exceed 1.
- coverage: share of y whose ball holds at least one image of x.

All four depend on the numbers of images, so that only values of equal numbers compare. Precision
and recall change places if the sets are swapped.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dreamlab.fidelity import jackknife
from dreamlab.fidelity.metrics import Kept
from dreamlab.fidelity.strata import UNKNOWN, Labels
from dreamlab.stats.intervals import Interval

K = 5
"""Neighbours that give the radius of a ball (both papers use 3 or 5; prdc's default is 5)."""
KEPT = 4
"""Times K neighbours of each image that are kept, to find its radius without some groups."""
GROUPS = 20
ROWS, COLUMNS = 512, 4096
"""Images of either side of a block of distances: its memory does not depend on the sets."""


def distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances (n, m) float64 of features (n, d) and (m, d)."""
    a, b = x.astype(np.float64), y.astype(np.float64)
    squares = np.einsum("ij,ij->i", a, a)[:, None] + np.einsum("ij,ij->i", b, b)
    squares -= 2 * (a @ b.T)
    found: np.ndarray = np.maximum(squares, 0.0, out=squares)
    return found


def _blocks(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def nearest(
    x: np.ndarray, count: int, of: np.ndarray | None = None, mirrored: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(squared distances (n, count) in ascending order, indices (n, count)) of the images of `of`
    (m, d) that are nearest to each of x (n, d); by default of the nearest other images of x itself.

    count is at most their number. With the features `mirrored` (n, d) of the mirrored images, the
    smaller of the two distances counts. Memory holds the result and one block.
    """
    y = x if of is None else of
    count = min(count, len(y) - (of is None))
    near = np.full((len(x), count), np.inf)
    index = np.zeros((len(x), count), np.intp)
    for rows in _blocks(len(x), ROWS):
        for columns in _blocks(len(y), COLUMNS):
            d = distances(x[rows], y[columns])
            if mirrored is not None:
                np.minimum(d, distances(mirrored[rows], y[columns]), out=d)
            if of is None:
                own = np.arange(rows.start, rows.stop)
                inside = (own >= columns.start) & (own < columns.stop)
                d[np.flatnonzero(inside), own[inside] - columns.start] = np.inf
            few = min(count, d.shape[1])
            best = np.argpartition(d, few - 1, axis=1)[:, :few] if few > 1 else _first(d)
            both = np.concatenate([near[rows], np.take_along_axis(d, best, 1)], axis=1)
            names = np.concatenate([index[rows], best + columns.start], axis=1)
            first = (
                np.argpartition(both, count - 1, axis=1)[:, :count] if count > 1 else _first(both)
            )
            near[rows] = np.take_along_axis(both, first, 1)
            index[rows] = np.take_along_axis(names, first, 1)
    order = np.argsort(near, axis=1, kind="stable")
    return np.take_along_axis(near, order, 1), np.take_along_axis(index, order, 1)


def _first(d: np.ndarray) -> np.ndarray:
    return np.asarray(d.argmin(1)[:, None])


def radii(x: np.ndarray, group: np.ndarray, count: int, k: int = K) -> np.ndarray:
    """Squared radii (n, 1 + count): of all images, then without each group. An image has k - 1
    other images in its ball; with fewer images, all."""
    near, index = nearest(x, KEPT * k)
    found = np.empty((len(x), 1 + count))
    found[:, 0] = near[:, min(k, near.shape[1]) - 1]
    for g in range(count):
        there = group[index] != g
        place = np.cumsum(there, 1)
        reached = there & (place == np.minimum(k, place[:, -1:]))
        found[:, 1 + g] = near[np.arange(len(x)), reached.argmax(1)]
    return found


class _Counts:
    """What the four measures need of the distances of two sets: of all images, and without each
    group of either."""

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        in_x: np.ndarray,
        in_y: np.ndarray,
        count: int,
        k: int = K,
    ):
        n, m = len(x), len(y)
        self.balls_y = radii(y, in_y, count, k)
        balls_x, balls_y = _without(radii(x, in_x, count, k), in_x), _without(self.balls_y, in_y)
        self.hits = np.zeros((1 + count, n))
        """Balls of y that hold an image of x: of all y, then without each group of y."""
        self.reached = np.zeros((1 + count, m), bool)
        """Whether a ball of x holds an image of y: of all x, then without each group of x."""
        self.closest = np.full((max(count, 1), m), np.inf)
        """Squared distance of an image of y to the nearest of each group of x."""
        order = np.argsort(in_x, kind="stable")  # the images of a group are one block of rows
        starts = np.searchsorted(in_x[order], np.arange(max(count, 1) + 1))
        for g in range(max(count, 1)):
            for part in _blocks(starts[g + 1] - starts[g], ROWS):
                rows = order[starts[g] + part.start : starts[g] + part.stop]
                for columns in _blocks(m, COLUMNS):
                    d = distances(x[rows], y[columns])
                    held = self.closest[g, columns]
                    np.minimum(held, d.min(0), out=held)
                    for i in range(1 + count):
                        self.hits[i, rows] += np.count_nonzero(d < balls_y[i, columns], axis=1)
                        if i != g + 1:
                            self.reached[i, columns] |= (d < balls_x[i, rows, None]).any(0)


def _without(balls: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Radii (1 + count, n) that no distance is below for the images of the group left out."""
    found = balls.T.copy()
    if len(found) > 1:
        found[1 + group, np.arange(len(group))] = -1.0
    return found


def prdc(
    x: np.ndarray, y: np.ndarray, labels: Labels = UNKNOWN, k: int = K, level: float = 0.95
) -> dict[str, Interval]:
    """Precision, recall, density and coverage of synthetic features x (n, d) against real ones
    y (m, d), with intervals for the choice of the images (`jackknife`). An interval is NaN below 4
    images of a set. Raises ValueError for fewer than 2 images."""
    if min(len(x), len(y)) < 2:
        raise ValueError(f"balls need 2 images in each set; there are {len(x)} and {len(y)}")
    in_x, in_y, count = jackknife.groups((len(x), len(y)), GROUPS, labels)
    c = _Counts(x, y, in_x, in_y, count, k)
    inside, covered = c.hits > 0, c.closest.min(0) < c.balls_y[:, 0]

    def without(values: np.ndarray, group: np.ndarray) -> np.ndarray:
        return np.array([values[group != g].mean() for g in range(count)])

    nearest_without = [np.delete(c.closest, g, 0).min(0) for g in range(count)]
    shares = {
        "precision": (inside[0].mean(), without(inside[0], in_x), inside[1:].mean(1), len(x)),
        "recall": (c.reached[0].mean(), c.reached[1:].mean(1), without(c.reached[0], in_y), len(y)),
        "coverage": (
            covered.mean(),
            np.array([(near < c.balls_y[:, 0]).mean() for near in nearest_without]),
            np.array(
                [(c.closest.min(0) < c.balls_y[:, 1 + g])[in_y != g].mean() for g in range(count)]
            ),
            len(y),
        ),
    }
    found: dict[str, Interval] = {
        name: jackknife.share_interval(float(value), of_x, of_y, images, level)
        for name, (value, of_x, of_y, images) in shares.items()
    }
    hits = c.hits / k
    found["density"] = jackknife.interval(
        float(hits[0].mean()), without(hits[0], in_x), hits[1:].mean(1), level
    )
    return found


def measure(x: np.ndarray, y: np.ndarray, kept: Kept, labels: Labels) -> dict[str, Interval]:
    """The metrics precision, recall, density and coverage; see `prdc`."""
    return prdc(x, y, labels)
