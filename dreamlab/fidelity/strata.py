"""Whether a set of images was drawn class by class. Without torch.

A set with fixed numbers per class varies less from draw to draw than one drawn at random, because
the class shares do not vary. An estimate and its interval must know which of the two it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

REGULAR = 0.01
"""Counts are taken as fixed if random draws would fit the expected shares so well with at most this
probability."""

LEAST = 4
"""Fewest images of a class from which its part of a variance is estimated without bias."""


class Labels(NamedTuple):
    """Classes (n,) of the images of a set and (m,) of those of the reference. None: unknown."""

    x: np.ndarray | None = None
    y: np.ndarray | None = None


UNKNOWN = Labels()


def drawn_by_class(labels: np.ndarray, other: np.ndarray | None = None) -> bool:
    """Whether the numbers per class of `labels` (n,) look fixed rather than random.

    They do if they are equal shares, or the shares of the labels `other` (m,), rounded, or fit them
    better than all but 1 % of random draws would (the lower tail of Pearson's chi-squared test).
    """
    present, counts = np.unique(labels, return_counts=True)
    expected = [np.full(len(counts), len(labels) / len(counts))]
    if other is not None and np.array_equal(present, np.unique(other)):
        expected.append(np.unique(other, return_counts=True)[1] * (len(labels) / len(other)))
    return len(counts) > 1 and any(_regular(counts, e) for e in expected)


def _regular(counts: np.ndarray, expected: np.ndarray) -> bool:
    off = counts - expected
    fit = special.gammainc((len(counts) - 1) / 2, np.sum(off * off / expected) / 2)
    return bool(np.abs(off).max() < 1 or fit < REGULAR)


class Design(NamedTuple):
    """Numbers 0, 1, ... (n,) of the strata of a set, and the share of its images, 0 to 1, of whose
    class there are fewer than LEAST although the set was drawn class by class."""

    strata: np.ndarray
    few: float


def by_class(labels: np.ndarray) -> Design:
    """Each class is a stratum. Classes with one image form one together, because a variance within
    a stratum needs two; a single such class joins the smallest other one."""
    _, found, counts = np.unique(labels, return_inverse=True, return_counts=True)
    alone = counts[found] == 1
    share = float((counts[found] < LEAST).mean())
    if alone.sum() == 1 and len(counts) > 1:
        alone |= found == np.where(counts > 1, counts, len(labels)).argmin()
    merged = np.where(alone, len(counts), found)
    return Design(np.unique(merged, return_inverse=True)[1], share)


def designs(x: int, y: int, labels: Labels) -> tuple[Design, Design]:
    """Of two sets of these sizes: by class where a set was drawn class by class
    (`drawn_by_class`), otherwise one stratum."""

    def design(size: int, own: np.ndarray | None, other: np.ndarray | None) -> Design:
        if own is not None and drawn_by_class(own, other):
            return by_class(own)
        return Design(np.zeros(size, dtype=np.intp), 0.0)

    return design(x, labels.x, labels.y), design(y, labels.y, labels.x)
