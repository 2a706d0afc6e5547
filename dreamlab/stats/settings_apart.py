"""Which settings of a curve cannot be told apart from its best one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy import special

from dreamlab.stats.intervals import Interval
from dreamlab.stats.left_out import LeftOut, paired_error


def as_good(
    values: Sequence[Interval | float], best: int, level: float = 0.95, left: Sequence[LeftOut] = ()
) -> list[int]:
    """Indices of the values that do not differ significantly from the value at `best`, which is
    among them.

    Each value is compared with the best one by a one-sided test at (1 - level) / (values - 1), as
    in `best` (Hsu 1981). `left` are the values without each group of images, in the order of
    `values`: with them, the test is one of the difference, in which what both have in common, the
    reference and the noise of the samples, cancels (a paired jackknife, t test). Otherwise the
    errors come from the intervals and are taken as independent, which is cautious (z test). A value
    without an interval (a number) cannot be told apart from any other.
    """
    tail = (1 - level) / max(len(values) - 1, 1)
    top, same = values[best], []
    for i, value in enumerate(values):
        if i != best and isinstance(value, Interval) and isinstance(top, Interval):
            paired = paired_error(left[i], left[best]) if left else None
            if paired is not None:
                edge = float(special.stdtrit(len(left[best][0]) - 1, 1 - tail)) * paired
            else:
                edge = float(special.ndtri(1 - tail)) * math.hypot(_error(value), _error(top))
            if abs(value.mean - top.mean) > edge:
                continue
        same.append(i)
    return same


def _error(value: Interval) -> float:
    return (value.high - value.low) / 2 / float(special.ndtri((1 + value.level) / 2))


def sentence(word: str, metric: str, best: str, others: Sequence[str], of: int) -> str:
    """For example `Lowest kid at w = 3; it cannot be told apart from w = 1, 2.` `best` names the
    best setting, and `others` those that are as good, of `of` settings in all."""
    text = f"{word.capitalize()} {metric} at {best}"
    if not others:
        return f"{text}."
    if len(others) == of - 1:
        return f"{text}, but no setting can be told apart from it."
    return f"{text}; it cannot be told apart from {others_listed(best, others)}."


def others_listed(best: str, others: Sequence[str]) -> str:
    """The names of settings, with what they share with the best one, such as `w = `, once."""
    axis, found, _ = best.partition(" = ")
    if found and "," not in best and all(name.startswith(f"{axis} = ") for name in others):
        return f"{axis} = {', '.join(name.removeprefix(f'{axis} = ') for name in others)}"
    return "; ".join(others)
