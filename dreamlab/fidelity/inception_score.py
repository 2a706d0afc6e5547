"""Inception Score (Salimans et al. 2016): how clearly a classifier recognises the images of a set,
and how many of its classes they are of. Without torch.

It is exp(mean over x of KL(p(y|x) || p(y))), with p(y) the mean over the images. It is 1 if all
images look alike to the classifier, and at most the number of its classes.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from dreamlab.fidelity import jackknife
from dreamlab.fidelity.metrics import Kept
from dreamlab.fidelity.strata import UNKNOWN, Labels
from dreamlab.stats.intervals import Interval

GROUPS = 20
"""Groups of the jackknife."""


def score(probabilities: np.ndarray) -> float:
    """The score of probabilities (n, classes), each row of which sums to 1, over all images at
    once; papers often give the mean over ten parts of a set, which is lower. Raises ValueError for
    no images."""
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 2 or not len(p):
        raise ValueError(f"probabilities of shape {p.shape} cannot be used; (n, classes) is needed")
    return math.exp(float(special.rel_entr(p, p.mean(0)).sum(1).mean()))


def score_interval(
    probabilities: np.ndarray, labels: Labels = UNKNOWN, level: float = 0.95
) -> Interval:
    """The score of probabilities (n, classes), with an interval for the choice of the images (a
    grouped jackknife). The score grows with n, so only sets of equal size compare. The interval is
    NaN below 4 images."""
    n = len(probabilities)
    group, _, count = jackknife.groups((n, n), GROUPS, Labels(labels.x))
    left = np.array([score(probabilities[group != g]) for g in range(count)])
    return jackknife.interval(score(probabilities), left, np.zeros(count), level, least=1.0)


def measure(x: np.ndarray, y: np.ndarray, kept: Kept, labels: Labels) -> Interval:
    """The metric inception_score: of the probabilities x alone; see `score_interval`."""
    return score_interval(x, labels)
