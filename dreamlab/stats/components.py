"""Variance components of an accuracy: the training seed, and the choice of the test images.

`values` has shape (seeds, images) = (S, n): row s holds the outcome of seed s for each test image.
The model has crossed random effects: value[s, i] = mean + seed[s] + image[i] + rest[s, i] (Searle,
Casella & McCulloch 1992, chapter 4). Intervals and tests are about new seeds and new images. Shares
are 0 to 1.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dreamlab.stats.hypothesis import Evidence
from dreamlab.stats.intervals import Interval
from dreamlab.stats.student import degrees, limit


@dataclasses.dataclass(frozen=True)
class Paired:
    """Treatment minus control on the same seeds and the same images. `error` is the standard error
    of `mean`. Variances are in the squared unit of `mean`.

    error^2 = seed_variance / n + image_variance. More seeds reduce only the first term. More images
    reduce the second term, and `rest_variance`, the part of seed_variance that comes from single
    predictions.
    """

    mean: float
    error: float
    df: float
    """Degrees of freedom of `error`."""
    n: int
    """Number of seeds."""
    p: float
    """Two-sided p value of the hypothesis of no difference."""
    seed_variance: float
    """Variance between seeds of the mean over these test images."""
    image_variance: float
    """Variance from the choice of the test images, which more seeds do not reduce."""
    rest_variance: float
    images: int
    image_df: float
    """Degrees of freedom of `image_variance`."""
    changed: float
    """Images that change in a seed, on average: the sum of the squared differences."""

    @property
    def share(self) -> float:
        """Share of error^2 that comes from the seeds, 0 to 1."""
        return self.seed_variance / self.n / self.error**2

    def interval(self, level: float = 0.95) -> Interval:
        """Confidence interval, within -1 and 1; it excludes 0 exactly if p < 1 - level."""
        low, high = self._evidence().limits(level)
        return Interval(self.mean, low, high, level)

    def _evidence(self) -> Evidence:
        return Evidence(
            self.mean,
            self.seed_variance / self.n,
            self.n,
            self.image_variance,
            self.image_df,
            self.images,
            self.changed,
        )


@dataclasses.dataclass(frozen=True)
class Parts:
    """The components of the variance of the mean of (seeds, images) values, and its degrees of
    freedom."""

    mean: float
    seed: float
    image: float
    rest: float
    df: float
    seeds: int
    images: int
    image_df: float

    @property
    def variance(self) -> float:
        """Variance of the mean."""
        return self.seed / self.seeds + self.image

    @property
    def share(self) -> float:
        """Share of the variance that comes from the seeds, 0 to 1. It is 0 if the variance is 0."""
        return self.seed / self.seeds / self.variance if self.variance > 0 else 0.0


def parts(values: np.ndarray, step: float) -> Parts:
    """Analysis of variance of values (S, n). With the mean squares MS_seed, MS_image and MS_rest,

    Var(mean) = (MS_seed + MS_image - MS_rest) / (S n) = A + B, where A = MS_seed / (S n) comes from
    the seeds.

    The mean of a seed changes in steps of `step` / n, so its variance is set to at least that of
    rounding, (step / n)^2 / 12. Seeds that agree by chance then do not give a variance of 0. A has
    S - 1 degrees of freedom. B has 2 n / (kurtosis - 1), with the kurtosis of the means of the
    images; this is small if few images cause the variance. `student.degrees` combines the two.
    """
    s, n = values.shape
    rows, columns = values.sum(axis=1) / n, values.sum(axis=0) / s
    mean = float(rows.sum()) / s
    squares = (columns - mean) ** 2
    ms_seed = n * float(((rows - mean) ** 2).sum()) / max(s - 1, 1)
    square = float(squares.sum()) / n
    flat = values.ravel()
    ss_rest = float(flat @ flat) - s * n * (mean * mean + square) - ms_seed * (s - 1)
    ms_rest = max(ss_rest, 0.0) / ((s - 1) * (n - 1)) if s > 1 else 0.0
    seed = max(ms_seed / n, step * step / (12.0 * n * n)) if s > 1 else 0.0
    image = max(s * n * square / (n - 1) - ms_rest, 0.0) / (s * n)
    excess = float(squares @ squares) / n - square * square
    images_df = min(2 * n * square * square / excess, n - 1.0) if excess > 0 else n - 1.0
    total = seed / s + image
    share = seed / s / total if total > 0 else 0.0
    images_df = max(images_df, 1.0)
    df = float(degrees(share, s - 1, images_df))
    return Parts(mean, seed, image, ms_rest / n, df, s, n, images_df)


def paired(treatment: ArrayLike, control: ArrayLike) -> Paired:
    """Treatment minus control, both (S, n), with the same seeds in the rows and the same test
    images in the columns.

    The p value and the interval use the t of `student` with the error and degrees of freedom of
    `parts`, and the bounds of `hypothesis` where few images decide. If the two agree in every
    value, p = 1. Raises ValueError for different shapes, fewer than two seeds or two images, or
    values that are not finite.
    """
    a, b = _values(treatment), _values(control)
    if a.shape != b.shape:
        raise ValueError(f"values of shape {a.shape} cannot be paired with {b.shape}")
    if len(a) < 2:
        raise ValueError("a comparison needs at least 2 seeds, there is 1")
    return paired_difference(a - b)


def paired_difference(difference: np.ndarray) -> Paired:
    """Like `paired`, from the values of treatment - control, which must be finite and of shape (S
    >= 2, n >= 2)."""
    found = parts(difference, math.sqrt(2.0))
    flat = difference.ravel()
    pair = Paired(
        mean=0.0 if abs(found.mean) < 1e-14 else found.mean,
        error=math.sqrt(found.variance),
        df=found.df,
        n=found.seeds,
        p=1.0,
        seed_variance=found.seed,
        image_variance=found.image,
        rest_variance=found.rest,
        images=found.images,
        image_df=found.image_df,
        changed=float(flat @ flat) / found.seeds,
    )
    return dataclasses.replace(pair, p=pair._evidence().p(0.0))


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Confidence interval of a share (accuracy, macro-F1) for new seeds and new images. `values`
    are (S, n) with a mean in [0, 1].

    Wilson's score interval (1927) at the effective sample size mean (1 - mean) / Var(mean), as in
    survey statistics (Korn & Graubard 1998), with the t of `student` instead of z. It lies within
    [0, 1] and has a width above 0 even if every prediction is right. With one seed it covers new
    images only. Raises ValueError for fewer than two images, values that are not finite, or a mean
    outside [0, 1].
    """
    x = _values(values)
    found = parts(x, 1.0)
    if not -1e-9 <= found.mean <= 1 + 1e-9:
        raise ValueError(f"a share lies between 0 and 1, not at {found.mean:g}")
    mean = min(max(found.mean, 0.0), 1.0)
    spread = mean * (1 - mean)
    if spread > 1e-12 and found.variance > 0:
        size, t = spread / found.variance, limit(level, found.df, found.seeds - 1, found.share)
    else:  # no variance: each image counts once
        size, t = float(found.images), limit(level, found.images - 1.0, 0, 0.0)
    scale = 1 + t * t / size
    centre = (mean + t * t / (2 * size)) / scale
    half = t / scale * math.sqrt(spread / size + t * t / (4 * size * size))
    return Interval(
        mean, max(min(centre - half, mean), 0.0), min(max(centre + half, mean), 1.0), level
    )


def cell(values: ArrayLike) -> dict[str, Any] | None:
    """`mean_interval` at 95 % as {mean, low, high, level}, for result files. low and high are None
    for one seed. Returns None if there are no values."""
    x = np.asarray(values, dtype=np.float64)
    if x.size == 0:
        return None
    found = mean_interval(x)
    if len(x) == 1:
        return {"mean": found.mean, "low": None, "high": None, "level": found.level}
    return dataclasses.asdict(found)


def correct(predicted: ArrayLike, labels: ArrayLike) -> np.ndarray:
    """1.0 where the predicted class is the label, else 0.0: (S, n). `predicted` is (S, n) or (n,)
    and `labels` (n,), both integers. Raises ValueError if the lengths differ."""
    found, truth = _classes(predicted, labels)
    return np.asarray(found == truth, dtype=np.float64)


def macro_f1(predicted: ArrayLike, labels: ArrayLike, classes: int) -> np.ndarray:
    """(S, n) pseudo-values of the macro-F1 (mean of 2 TP / (2 TP + FP + FN) over the classes that
    occur as a label or a prediction).

    Value i of a row is F + n dF/dw_i at equal weights of the images, where F is the macro-F1: the
    infinitesimal jackknife (Jaeckel 1972; Efron 1982, chapter 6). F does not change if all weights
    are scaled by one factor, so the derivatives sum to zero and the mean of a row is its macro-F1.
    Raises ValueError if the lengths differ or a class is outside 0 to classes - 1.
    """
    found, truth = _classes(predicted, labels)
    if min(found.min(), truth.min()) < 0 or max(found.max(), truth.max()) >= classes:
        raise ValueError(f"classes are 0 to {classes - 1}; a prediction or label lies outside")
    n = truth.size
    actual = np.bincount(truth, minlength=classes).astype(np.float64)
    answer = np.empty(found.shape)
    for row, guess in zip(answer, found, strict=True):
        hit = np.bincount(truth[guess == truth], minlength=classes).astype(np.float64)
        total = np.bincount(guess, minlength=classes) + actual
        occur = int((total > 0).sum())
        total = np.maximum(total, 1.0)
        f1 = 2 * hit / total
        # d f1_c / d w_i = (2 [i is a hit of c] - f1_c ([truth is c] + [guess is c])) / total_c
        share = f1 / total
        row[:] = 2 * (guess == truth) / total[truth] - share[truth] - share[guess]
        row *= n / occur
        row += f1.sum() / occur
    return answer


def _values(values: ArrayLike) -> np.ndarray:
    x = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if x.ndim != 2 or x.shape[1] < 2:
        raise ValueError(
            f"values must be seeds x images with at least 2 images, not of shape {x.shape}"
        )
    if not np.isfinite(x).all():
        raise ValueError("an interval needs finite values")
    return x


def _classes(predicted: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    found, truth = np.atleast_2d(np.asarray(predicted)), np.asarray(labels)
    if found.shape[1:] != truth.shape:
        raise ValueError(
            f"{found.shape[-1]} predictions per seed cannot be held against {truth.size} labels"
        )
    return found, truth
