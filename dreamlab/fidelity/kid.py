"""Kernel inception distance (KID): the unbiased squared MMD with a polynomial kernel (Binkowski et
al. 2018). Without torch."""

from __future__ import annotations

import numpy as np
from scipy import special

from dreamlab.fidelity.metrics import Kept
from dreamlab.stats.intervals import Interval

MOST = 5000
"""Most images per set for which whole kernel matrices are computed. Their memory grows with the
square of this number."""


def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(x'y / d + 1)^3 for all pairs of rows of x (n, d) and y (m, d): (n, m) float64 (section 4 of
    the paper)."""
    k: np.ndarray = x.astype(np.float64) @ y.astype(np.float64).T / x.shape[1] + 1.0
    cubed: np.ndarray = k * k * k
    return cubed


def mmd(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased estimate of the squared MMD (Gretton et al. 2012, Eq. 3), which leaves out the
    diagonals. It can be negative."""
    return float(_Kernels(x, y).estimates(np.ones((1, len(x))), np.ones((1, len(y))))[0])


class _Kernels:
    """The three kernel matrices of two sets, computed once for many subsets of their rows."""

    def __init__(self, x: np.ndarray, y: np.ndarray):
        self.xx, self.yy, self.xy = kernel(x, x), kernel(y, y), kernel(x, y)
        np.fill_diagonal(self.xx, 0.0)
        np.fill_diagonal(self.yy, 0.0)

    def estimates(self, in_x: np.ndarray, in_y: np.ndarray) -> np.ndarray:
        """The unbiased estimate for each of k subsets of the rows, given by 0/1 indicators in_x (k,
        n) and in_y (k, m). Returns (k,)."""
        n, m = in_x.sum(1), in_y.sum(1)
        within_x = (in_x @ self.xx * in_x).sum(1) / (n * (n - 1))
        within_y = (in_y @ self.yy * in_y).sum(1) / (m * (m - 1))
        value: np.ndarray = within_x + within_y - 2 * (in_x @ self.xy * in_y).sum(1) / (n * m)
        return value

    def jackknife_error(self, groups: int, rng: np.random.Generator) -> float:
        """Standard error of the estimate on all rows, by a jackknife that leaves out one group of
        each set at a time."""
        n, m = self.xy.shape
        left_x, left_y = (1.0 - np.eye(groups)[:, rng.permutation(k) % groups] for k in (n, m))
        by_x = self.estimates(left_x, np.ones((groups, m)))
        by_y = self.estimates(np.ones((groups, n)), left_y)
        return float(np.sqrt((groups - 1) * (np.var(by_x) + np.var(by_y))))


def subset_values(
    x: np.ndarray, y: np.ndarray, subsets: int = 100, size: int = 1000, seed: int = 0
) -> np.ndarray:
    """Estimates of the squared MMD on `subsets` random subsets of at most `size` rows of each set,
    drawn without replacement. Raises ValueError for fewer than 2 rows in a set."""
    whole = _Kernels(x, y) if max(len(x), len(y)) <= MOST else None
    return _subset_values(x, y, _picks(x, y, subsets, size, seed), whole)


Picks = list[tuple[np.ndarray, np.ndarray]]


def _picks(x: np.ndarray, y: np.ndarray, subsets: int, size: int, seed: int) -> Picks:
    size = min(size, len(x), len(y))
    if size < 2:
        raise ValueError("KID needs at least 2 images in each set")
    rng = np.random.default_rng(seed)
    return [
        (rng.permutation(len(x))[:size], rng.permutation(len(y))[:size]) for _ in range(subsets)
    ]


def _subset_values(
    x: np.ndarray, y: np.ndarray, picks: Picks, whole: _Kernels | None
) -> np.ndarray:
    if whole is None:
        return np.array([mmd(x[i], y[j]) for i, j in picks])
    in_x, in_y = np.zeros((len(picks), len(x))), np.zeros((len(picks), len(y)))
    for k, (i, j) in enumerate(picks):
        in_x[k, i] = 1.0
        in_y[k, j] = 1.0
    return whole.estimates(in_x, in_y)


def kid(
    x: np.ndarray,
    y: np.ndarray,
    subsets: int = 100,
    size: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """KID, the mean over random subsets as it is usually reported, with a two-sample grouped
    jackknife interval.

    The interval covers the choice of the images. The standard deviation over subsets, which is
    often reported, does not: it does not shrink with more images. Raises ValueError for fewer than
    4 images in a set.
    """
    groups = min(20, len(x) // 2, len(y) // 2)
    if groups < 2:
        raise ValueError(
            f"an interval needs at least 4 images in each set, there are {len(x)} and {len(y)}"
        )
    # above MOST images the error is computed from every k-th one; this overestimates it
    thinned = _Kernels(x[:: -(-len(x) // MOST)], y[:: -(-len(y) // MOST)])
    whole = thinned if thinned.xy.shape == (len(x), len(y)) else None
    value = float(_subset_values(x, y, _picks(x, y, subsets, size, seed), whole).mean())
    half = float(special.stdtrit(groups - 1, 0.5 + level / 2)) * thinned.jackknife_error(
        groups, np.random.default_rng(seed)
    )
    return Interval(value, value - half, value + half, level)


def measure(x: np.ndarray, y: np.ndarray, kept: Kept) -> Interval:
    """The metrics kid_classifier and kid; see `kid`. Nothing is cached."""
    return kid(x, y)
