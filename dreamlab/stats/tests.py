"""Tests that are shown for comparison and do not decide the verdict. Their statements are about one
seed, or about these seeds only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

EXACT = 16
"""Largest number of seeds for which all sign patterns are enumerated."""


def mcnemar(treatment: ArrayLike, control: ArrayLike) -> float:
    """Two-sided p of McNemar's test (1947) with the exact binomial distribution. Both arguments are
    (images,) of 1 (correct) and 0 (wrong).

    Only images on which the two differ count. The test is about these two trained networks, not
    about how they were trained. Raises ValueError if the lengths differ.
    """
    return mcnemar_rows(np.asarray(treatment)[None], np.asarray(control)[None])[0]


def mcnemar_rows(treatment: ArrayLike, control: ArrayLike) -> list[float]:
    """`mcnemar` for each seed. Both arguments are (seeds, images) of 0/1. Raises ValueError if the
    shapes differ."""
    a, b = np.asarray(treatment) > 0.5, np.asarray(control) > 0.5
    if a.shape != b.shape or a.ndim != 2:
        raise ValueError(
            f"right answers of shape {a.shape} and {b.shape} cannot be compared image by image"
        )
    gained, lost = (a & ~b).sum(axis=1), (b & ~a).sum(axis=1)
    p = np.minimum(2 * special.bdtr(np.minimum(gained, lost), gained + lost, 0.5), 1.0)
    return [float(x) for x in p]


def sign_flip(differences: Sequence[float], draws: int = 20_000) -> float:
    """Two-sided p of the sign-flip test that the mean of the differences (one per seed) is 0
    (Fisher 1935, section 21).

    Up to S = 16 seeds it uses all 2^S sign patterns. Above, it uses `draws` random ones from a
    fixed seed, and the observed pattern. p is at least 2^(1-S), which is 0.25 for three seeds.
    Raises ValueError if there are no differences or one is not finite.
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.size == 0 or not np.isfinite(d).all():
        raise ValueError("a sign-flip test needs finite differences, at least one")
    if d.size <= EXACT:
        signs = 1 - 2 * (
            (np.arange(2 ** (d.size - 1))[:, None] >> np.arange(d.size)) & 1
        )  # the other half has the opposite signs and the same absolute sums
        return float(np.mean(np.abs(signs @ d) >= abs(d.sum()) * (1 - 1e-12) - 1e-15))
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (draws, d.size))
    return float((1 + np.sum(np.abs(signs @ d) >= abs(d.sum()) * (1 - 1e-12))) / (draws + 1))
