"""Which settings of a curve cannot be told apart from its best one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy import special

from dreamlab.stats.intervals import Interval


def as_good(values: Sequence[Interval | float], best: int, level: float = 0.95) -> list[int]:
    """Indices of the values that do not differ significantly from the value at `best`, which is
    among them.

    The standard error of a value comes from its interval, whose level it carries. Each value is
    compared with the best one by a one-sided z test at (1 - level) / (values - 1), as in `best`
    (Hsu 1981). The errors are taken as independent, which is cautious where values share a
    reference. A value without an interval (a number) cannot be told apart from any other.
    """
    edge = float(special.ndtri(1 - (1 - level) / max(len(values) - 1, 1)))
    top = values[best]
    same = []
    for i, value in enumerate(values):
        if i != best and isinstance(value, Interval) and isinstance(top, Interval):
            error = math.hypot(_error(value), _error(top))
            if abs(value.mean - top.mean) > edge * error:
                continue
        same.append(i)
    return same


def _error(value: Interval) -> float:
    return (value.high - value.low) / 2 / float(special.ndtri((1 + value.level) / 2))


def sentence(word: str, metric: str, axis: str, x: float, others: Sequence[float], of: int) -> str:
    """For example `Lowest kid at w = 3; it cannot be told apart from w = 1, 2.` `others` are the
    settings that are as good as `x`, of `of` settings in all."""
    text = f"{word.capitalize()} {metric} at {axis} = {x:g}"
    if not others:
        return f"{text}."
    if len(others) == of - 1:
        return f"{text}, but no setting can be told apart from it."
    return f"{text}; it cannot be told apart from {axis} = {', '.join(f'{o:g}' for o in others)}."
