"""The ratio of a Frechet distance to that of as many real images from the same reference (FDr,
arXiv 2604.28190). Without torch.

A ratio of 1 is that of real images. It compares across extractors and data sets, which distances do
not, and most of the bias of few images is in both and cancels.
"""

from __future__ import annotations

import math

import numpy as np

from dreamlab.fidelity import jackknife
from dreamlab.stats.intervals import Interval
from dreamlab.stats.left_out import LeftOut


def ratio(
    of_set: float, left_set: LeftOut, of_real: float, left_real: LeftOut, level: float = 0.95
) -> Interval:
    """of_set / of_real with an interval, from both distances without each group of images
    (`stats.left_out`), which share the groups of the reference. NaN at both ends without groups, or
    where a distance is not positive."""
    if not (of_set > 0 and of_real > 0):
        return Interval(math.nan, math.nan, math.nan, level)
    values = [*left_set, *left_real]
    if not len(left_set[1]) or any(
        len(part) != len(left_set[1]) or (part <= 0).any() for part in values
    ):
        return Interval(of_set / of_real, math.nan, math.nan, level)
    logs = [np.log(part) for part in values]
    shared = logs[1] - logs[3]
    return jackknife.ratio_interval(of_set / of_real, logs[0], logs[2], shared, level=level)
