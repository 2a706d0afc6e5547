"""Holm's correction for comparing several arms with one control."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p values of Holm's step-down procedure (Holm 1979). A hypothesis is rejected if its
    value is at most alpha. The probability of any false rejection is then at most alpha, whatever
    the dependence between the arms."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * (len(values) - np.arange(len(values)))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(x) for x in adjusted]


def holm_levels(p: Sequence[float], alpha: float = 0.05) -> list[float]:
    """Confidence level of the interval of each arm, such that the interval excludes 0 exactly if
    Holm's procedure rejects.

    The arm that is rejected at rank i of m is tested at alpha / (m - i + 1), and its interval has
    the level 1 - alpha / (m - i + 1). Arms that are not rejected get the level of the rank at which
    the procedure stopped.
    """
    values = np.asarray(p, dtype=np.float64)
    m = len(values)
    rejected = np.asarray(holm(p)) <= alpha
    stopped = int(rejected.sum())
    levels = np.full(m, 1 - alpha / max(m - stopped, 1))
    for rank, index in enumerate(np.argsort(values, kind="stable")[:stopped]):
        levels[index] = 1 - alpha / (m - rank)
    return [float(x) for x in levels]
