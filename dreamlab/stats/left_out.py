"""The grouped jackknife: the error of a value from its values without each group of a sample (Efron
& Stein 1981; delete-a-group: Kott 2001)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

LeftOut = tuple[np.ndarray, np.ndarray]
"""Values of an estimate without each group of its first and of its second sample, each (groups,);
empty where there are too few images for groups."""
NOTHING: LeftOut = (np.empty(0), np.empty(0))


def error(*samples: np.ndarray) -> float:
    """Standard error of a value, from its values without each group, for each of the independent
    samples that it depends on."""
    return math.sqrt(sum((len(left) - 1) * float(np.var(left)) for left in samples))


def paired_error(a: LeftOut, b: LeftOut, first: bool = True) -> float | None:
    """Standard error of the difference of two values whose second samples are the same, such as two
    sets that are compared with one reference. None if the groups differ in number, or if there are
    none.

    `first`: the first samples are paired as well, as two sets of images from the same noise: then
    what both have in common cancels.
    """
    if not len(a[0]) or any(len(p) != len(q) for p, q in zip(a, b, strict=True)):
        return None
    shared = np.asarray(a[1]) - b[1]
    if first:
        return error(np.asarray(a[0]) - b[0], shared)
    return error(np.asarray(a[0]), np.asarray(b[0]), shared)


def stored(left: LeftOut) -> dict[str, list[float]] | None:
    """For a result file, seven digits each; None if there are none."""
    if not len(left[0]):
        return None
    return {
        name: [float(f"{value:.7g}") for value in values]
        for name, values in zip(("set", "reference"), left, strict=True)
    }


def loaded(found: dict[str, Sequence[float]] | None) -> LeftOut:
    """The inverse of `stored`."""
    return (np.array(found["set"]), np.array(found["reference"])) if found else NOTHING
