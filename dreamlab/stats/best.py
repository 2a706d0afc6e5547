"""The best mix, and the mixes that are not significantly worse."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from dreamlab.stats.components import paired


@dataclasses.dataclass(frozen=True)
class Best:
    """The arm with the highest mean accuracy, the arms that are not significantly worse, and the
    range of synthetic shares of these arms, 0 to 1."""

    arm: str
    arms: list[str]
    """In the order given. They include the arm with the highest true accuracy with a probability of
    at least 95 %."""
    low: float
    high: float
    text: str


def best_mix(
    values: Mapping[str, ArrayLike],
    fractions: Mapping[str, float],
    labels: Mapping[str, str] | None = None,
    level: float = 0.95,
) -> Best | None:
    """Multiple comparisons with the best (Hsu 1981), with Bonferroni's critical value instead of
    Dunnett's.

    values: arm -> (seeds, images) of 0/1 or pseudo-values, with the same seeds and test images for
    all arms. fractions: arm -> synthetic share of its images, 0 (real only) to 1. labels: arm ->
    name in the sentence. An arm is excluded if the observed best is significantly better, one-sided
    at (1 - level) / (arms - 1). The arm with the highest true accuracy is then excluded with a
    probability below 1 - level. None for fewer than two arms. Raises ValueError if shapes differ or
    there is only one seed.
    """
    if len(values) < 2:
        return None
    table = {arm: np.asarray(v, dtype=np.float64) for arm, v in values.items()}
    top = max(table, key=lambda arm: float(table[arm].mean()))
    limit = (1 - level) / (len(table) - 1)
    arms = []
    for arm, rows in table.items():
        if arm != top:
            pair = paired(table[top], rows)
            if pair.p / 2 <= limit:
                continue
        arms.append(arm)
    low, high = min(fractions[a] for a in arms), max(fractions[a] for a in arms)
    name = (labels or {}).get(top, top)
    return Best(top, arms, low, high, _sentence(name, arms, len(table), low, high))


def _sentence(name: str, arms: list[str], compared: int, low: float, high: float) -> str:
    if len(arms) == 1:
        return (
            f"The best of the {compared} arms is {name}, {_percent(low)} synthetic: every other arm"
            " is significantly worse."
        )
    span = (
        f"The best arm is {_percent(low)} synthetic"
        if low == high
        else f"The best mix lies between {_percent(low)} and {_percent(high)} synthetic"
    )
    rest = f"{len(arms)} of the {compared} arms" if len(arms) < compared else "none of the arms"
    told = (
        "do not differ significantly from the best one"
        if len(arms) < compared
        else "differs significantly from the best one"
    )
    return f"{span}: {rest} {told}, {name}."


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.3g} %"
