"""Vendi score (Friedman & Dieng 2023): the effective number of different images in a set. Without
torch.

It is exp(-sum l log l), where l are the eigenvalues of K / n and K is the kernel of all pairs, with
ones in its diagonal. It is 1 if all images are equal and n if none resemble each other.
"""

from __future__ import annotations

import numpy as np

from dreamlab.fidelity import jackknife
from dreamlab.fidelity.metrics import Kept
from dreamlab.fidelity.strata import UNKNOWN, Labels
from dreamlab.stats.intervals import Interval

GROUPS, GROUPS_OF_MANY, MANY = 20, 10, 512
"""Groups of the jackknife, and fewer above MANY features, where each takes longer."""
LEAST = 1e-12
"""Eigenvalues below this are zeros with a rounding error."""


def vendi(features: np.ndarray) -> float:
    """The Vendi score of features (n, d), with the cosine of the features as the kernel. A feature
    vector of zeros is like no other. Raises ValueError for no images."""
    x = np.asarray(features, np.float64)
    if x.ndim != 2 or not len(x):
        raise ValueError(f"features of shape {x.shape} cannot be used; (n, d) is needed")
    return _score(_directions(x))


def _directions(x: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(x, axis=1, keepdims=True)
    found: np.ndarray = np.divide(x, length, out=np.zeros_like(x), where=length > 0)
    return found


def _score(unit: np.ndarray) -> float:
    """Of directions (n, d); zeros among them count as images of their own."""
    n, zeros = len(unit), int((~unit.any(1)).sum())
    gram = unit @ unit.T if n <= unit.shape[1] else unit.T @ unit  # equal eigenvalues above 0
    values = np.linalg.eigvalsh(gram) / n
    values = np.concatenate([values[values > LEAST], np.full(zeros, 1 / n)])
    return float(np.exp(-(values * np.log(values)).sum()))


def vendi_interval(features: np.ndarray, labels: Labels = UNKNOWN, level: float = 0.95) -> Interval:
    """The Vendi score of features (n, d), with an interval for the choice of the images (a grouped
    jackknife). The score grows with n, so that only sets of equal size compare. The interval is NaN
    below 4 images."""
    unit = _directions(np.asarray(features, np.float64))
    wanted = GROUPS if unit.shape[1] <= MANY else GROUPS_OF_MANY
    group, _, count = jackknife.groups((len(unit), len(unit)), wanted, Labels(labels.x))
    left = np.array([_score(unit[group != g]) for g in range(count)])
    return jackknife.interval(_score(unit), left, np.zeros(count), level, least=1.0)


def measure(x: np.ndarray, y: np.ndarray, kept: Kept, labels: Labels) -> Interval:
    """The metric vendi: of the set x alone; see `vendi_interval`."""
    return vendi_interval(x, labels)
