"""Whether a set lies closer to the images that its generator was trained on than to held-out ones:
the first sign of memory. Without torch.

The gap is KID(set, held-out) - KID(set, training images). It is 0 for a generator that has learned
the distribution, and above 0 for one that repeats its training images (compare Meehan et al. 2020,
A Non-Parametric Test to Detect Data-Copying).
"""

from __future__ import annotations

import math

import numpy as np

from dreamlab.fidelity import jackknife
from dreamlab.fidelity.kid import without_groups
from dreamlab.fidelity.strata import Labels, designs
from dreamlab.stats import left_out
from dreamlab.stats.intervals import Interval


def gap(
    x: np.ndarray,
    held_out: np.ndarray,
    training: np.ndarray,
    labels: tuple[np.ndarray | None, np.ndarray, np.ndarray],
    level: float = 0.95,
) -> Interval:
    """The gap of features x (n, d), with an interval for the choice of the images of all three sets
    (`jackknife`); what x has in common with itself cancels.

    labels: their classes; None for x where they are not known. NaN at both ends where there are too
    few images for groups. Raises ValueError for fewer than 2 images of a set.
    """
    one = np.zeros(len(x), np.intp)  # the same in both distances, so that it cancels
    (far, left_far), (near, left_near) = (
        without_groups(x, z, one, designs(len(x), len(z), Labels(labels[0], own))[1].strata)
        for z, own in ((held_out, labels[1]), (training, labels[2]))
    )
    found, count = far - near, len(left_far[0])
    if count < 2 or count != len(left_near[0]):
        return Interval(found, math.nan, math.nan, level)
    error = left_out.error(left_far[0] - left_near[0], left_far[1], left_near[1])
    half = jackknife.quantile(count, level) * error
    return Interval(found, found - half, found + half, level)
