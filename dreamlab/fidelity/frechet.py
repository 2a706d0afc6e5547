"""Frechet distance between two sets of features, in float64, with an interval. Without torch.

It is |m1 - m2|^2 + Tr(S1 + S2 - 2 (S1 S2)^(1/2)), where m are the means and S the covariances of
the sets (Dowson & Landau 1982; FID: Heusel et al. 2017, Eq. 6). It is called FID only for the pool
features of the standard Inception weights.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from dreamlab.fidelity import jackknife
from dreamlab.fidelity.metrics import Kept
from dreamlab.fidelity.strata import UNKNOWN, Labels
from dreamlab.stats.intervals import Interval

SMALL = 512
"""Largest number of dimensions, or side of a matrix, for which singular values are computed
directly. Above it, faster and less exact methods are used."""


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Statistics of one set of features: mean (d,), trace of the covariance, and a matrix R (k, d)
    with R'R = covariance."""

    mean: np.ndarray
    trace: float
    root: np.ndarray


def statistics(features: np.ndarray, keep: bool = True) -> Statistics:
    """Statistics of features (n, d), n >= 2. Raises ValueError for other shapes.

    If n < d, R is the matrix of centred and scaled features (n, d). Otherwise it is computed as
    (d, d) by one eigendecomposition. That is worth it if the result is stored and reused; with
    `keep=False` it is skipped for d above SMALL.
    """
    x = np.asarray(features, dtype=np.float64)
    if x.ndim != 2 or len(x) < 2:
        raise ValueError(
            f"features of shape {x.shape} cannot be used; (n, d) with n of at least 2 is needed"
        )
    mean = x.mean(0)
    centred = (x - mean) / np.sqrt(len(x) - 1)
    trace = float(np.square(centred).sum())
    d = x.shape[1]
    as_it_is = len(x) < d or (not keep and d > SMALL)
    return Statistics(mean, trace, centred if as_it_is else root_of(centred.T @ centred))


def distance(a: Statistics, b: Statistics) -> float:
    """The squared Frechet distance. It uses that Tr (S1 S2)^(1/2) is the sum of the singular values
    of R1 R2'."""
    difference = a.mean - b.mean
    return float(difference @ difference + a.trace + b.trace - 2 * _nuclear(a.root @ b.root.T))


def frechet(x: np.ndarray, y: np.ndarray) -> float:
    """The squared Frechet distance between features (n, d) and (m, d)."""
    return distance(statistics(x), statistics(y))


def frechet_interval(
    x: np.ndarray,
    y: np.ndarray,
    groups: int = 0,
    level: float = 0.95,
    seed: int = 0,
    of_y: Statistics | None = None,
    labels: Labels = UNKNOWN,
) -> Interval:
    """The squared Frechet distance between features (n, d) and (m, d), with an interval for the
    choice of the images (`jackknife`).

    The value is that of all images; like every such estimate it is biased upwards for few images,
    and the interval does not hold this bias. `groups` 0 chooses 10 or 20; `of_y` are the statistics
    of y, if they are known. Raises ValueError for fewer than 4 images in a set.
    """
    wanted = groups or (20 if x.shape[1] <= SMALL else 10)
    in_x, in_y, count = jackknife.groups((len(x), len(y)), wanted, labels, seed)
    sx, sy = statistics(x), of_y or statistics(y)
    value = distance(sx, sy)
    if count < 2:
        raise ValueError(
            f"an interval needs at least 4 images in each set, there are {len(x)} and {len(y)}"
        )
    left = range(count)
    left_x = [distance(statistics(x[in_x != g], keep=False), sy) for g in left]
    left_y = [distance(sx, statistics(y[in_y != g], keep=False)) for g in left]
    return jackknife.interval(value, np.array(left_x), np.array(left_y), level)


def measure(x: np.ndarray, y: np.ndarray, kept: Kept, labels: Labels) -> Interval:
    """The metrics fd_classifier and fid; see `frechet_interval`. The statistics of the reference y
    are cached with `kept`."""
    found = kept("statistics", lambda: dataclasses.asdict(statistics(y)))
    known = Statistics(found["mean"], float(found["trace"]), found["root"])
    return frechet_interval(x, y, of_y=known, labels=labels)


def root_of(covariance: np.ndarray) -> np.ndarray:
    """A matrix R (d, d) with R'R = covariance (d, d)."""
    values, vectors = np.linalg.eigh(covariance)
    root: np.ndarray = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
    return root


def _nuclear(matrix: np.ndarray) -> float:
    """Sum of the singular values. For a large matrix they are computed from the eigenvalues of the
    smaller Gram matrix."""
    if min(matrix.shape) <= SMALL:
        return float(np.linalg.svd(matrix, compute_uv=False).sum())
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    values = np.linalg.eigvalsh(gram)
    # eigenvalues below the rounding error of the largest are zeros; their square roots would add
    # noise
    return float(np.sqrt(values[values > values[-1] * 1e-15]).sum())
