"""Classification accuracy score: the accuracy on real test images of classifiers that were trained
on synthetic images alone (Ravuri & Vinyals 2019, Classification Accuracy Score for Conditional
Generative Models). Without torch."""

from __future__ import annotations

import math

import numpy as np

from dreamlab.stats import components
from dreamlab.stats.intervals import Interval


def measure(
    predicted: np.ndarray, top5: np.ndarray | None, labels: np.ndarray
) -> dict[str, Interval]:
    """The metrics cas and cas_top5 in percent, with the interval for new seeds and new test images
    of `components.mean_interval`. predicted (seeds, n) are the classes that the classifiers gave to
    test images with these labels (n,), and top5 (seeds, n, 5) their five most probable ones, if
    they are known. The ends are NaN for one seed or one image. Raises ValueError for no images."""
    found = {"cas": _share(components.correct(predicted, labels))}
    if top5 is not None:
        found["cas_top5"] = _share((top5 == labels[None, :, None]).any(2).astype(np.float64))
    return found


def _share(right: np.ndarray) -> Interval:
    """The share of ones among (seeds, n), in percent."""
    if not right.size:
        raise ValueError("no test images have no accuracy")
    if min(right.shape) < 2:
        return Interval(100 * float(right.mean()), math.nan, math.nan)
    found = components.mean_interval(right)
    return Interval(100 * found.mean, 100 * found.low, 100 * found.high, found.level)
