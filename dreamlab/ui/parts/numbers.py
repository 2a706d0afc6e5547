"""Numbers in tables: a value, its interval in grey, and a colour. Pure functions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from dreamlab.fidelity import wording
from dreamlab.stats.wording import level_text
from dreamlab.ui import words


@dataclasses.dataclass(frozen=True)
class NumberCell:
    """One number of a table. `look` is a class of the style sheet ("good", "bad", "mut") or empty.
    `beside` is shown in grey after it, such as an interval or a number of seeds."""

    text: str = ""
    beside: str = ""
    look: str = ""


TO_COME = NumberCell("to come", look="mut")
"""A number that is not known yet."""


def p_value(p: float | None) -> str:
    """A p value with three decimals; empty for None."""
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def percent(interval: dict[str, Any] | None, seeds: int) -> NumberCell:
    """A share in percent with its 95 % interval, limited to 0 and 100.

    interval: {"mean", "low", "high"}, each 0 to 1; low and high may be None. Without an interval,
    the number of seeds is shown instead.
    """
    if not interval or interval.get("mean") is None or seeds == 0:
        return TO_COME
    mean, low, high = interval["mean"], interval.get("low"), interval.get("high")
    if low is None or high is None or seeds < 2:
        return NumberCell(f"{100 * mean:.1f}", f"({seeds} seed{'s' if seeds != 1 else ''})")
    return NumberCell(f"{100 * mean:.1f}", f"{100 * max(low, 0):.1f} to {100 * min(high, 1):.1f}")


def points(difference: dict[str, Any] | None) -> NumberCell:
    """A difference in percentage points with its sign, its interval, and the level of the interval
    if that is not 95 %. It is green or red only if the interval excludes 0.

    difference: {"mean", "low", "high"} in points and "level", 0 to 1; low, high and level may be
    None. Without a mean, "why" says what it needs.
    """
    if not difference or difference.get("mean") is None:
        return NumberCell(difference["why"], look="mut") if difference else TO_COME
    mean, low, high = difference["mean"], difference.get("low"), difference.get("high")
    if low is None or high is None:
        return NumberCell(words.signed(mean), look="mut")
    look = ("good" if mean > 0 else "bad") if low > 0 or high < 0 else "mut"
    level = difference.get("level") or 0.95
    interval = f"{words.signed(low)} to {words.signed(high)}"
    if level != 0.95:
        interval += f" ({level_text(level)})"
    return NumberCell(words.signed(mean), interval, look)


def metric(found: Mapping[str, Any] | None) -> NumberCell:
    """A metric of fidelity with its unit and 95 % interval, three digits each.

    found: {"value", "low", "high"}, of which low and high may be None; None if not measured yet.
    """
    if found is None:
        return TO_COME
    return NumberCell(wording.number(found), metric_interval(found))


def metric_interval(found: Mapping[str, Any]) -> str:
    """The interval of a metric in words; empty if it has none."""
    if found.get("low") is None or found.get("high") is None:
        return ""
    return f"{found['low']:.3g} to {found['high']:.3g}"
