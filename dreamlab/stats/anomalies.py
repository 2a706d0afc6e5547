"""Finds doubtful numbers in a table of results. Every function takes rows and returns sentences.

A row is a mapping with `label` (str) and `value` (a number, or None if it is missing). It may have
`unit` ("%", "share", "points", "distance", "s"), `x` (its position on the axis of the table),
`images` (number of test images behind a share) and `spread` (standard deviation).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

Row = Mapping[str, Any]
RANGES = {
    "%": (0.0, 100.0),
    "share": (0.0, 1.0),
    "points": (-100.0, 100.0),
    "distance": (0.0, math.inf),
    "s": (0.0, math.inf),
}
"""Unit -> (lowest, highest) possible value."""
LARGE = 2.0
"""Number of standard errors above which sampling error does not explain a step."""


def flags(
    rows: Sequence[Row],
    claim: Literal["", "rising", "falling"] = "",
    ends: tuple[str, str] | None = None,
) -> list[str]:
    """All remarks on one table. `claim`: what the source says about the values along `x`. `ends`:
    labels of the two rows of which the others are mixes."""
    found = impossible(rows) + duplicates(rows)
    if claim:
        found += not_monotone(rows, claim)
    if ends:
        found += below_both(rows, *ends)
    return found


def impossible(rows: Sequence[Row]) -> list[str]:
    """Remarks on values that are not finite or that are impossible in their unit."""
    said = []
    for row in rows:
        value = row.get("value")
        if value is None:
            continue
        low, high = RANGES.get(str(row.get("unit", "")), (-math.inf, math.inf))
        if not math.isfinite(value):
            said.append(f"{row['label']} is {value}, which is no number to report.")
        elif not low <= value <= high:
            bounds = f"{low:g} to {high:g}" if math.isfinite(high) else f"{low:g} or more"
            said.append(f"{row['label']} is {value:g}; in this unit only {bounds} is possible.")
    return said


def duplicates(rows: Sequence[Row]) -> list[str]:
    """Remarks on neighbours along `x` (or in the order given) with exactly the same value of at
    least three digits."""
    known = _ordered(rows)
    return [
        f"{a['label']} and {b['label']} are both {a['value']:g}: equal to the last digit, perhaps"
        " copied."
        for a, b in zip(known, known[1:], strict=False)
        if a["value"] == b["value"]
        and len(f"{abs(a['value']):.10g}".replace(".", "").strip("0")) >= 3
    ]


def not_monotone(rows: Sequence[Row], claim: Literal["rising", "falling"]) -> list[str]:
    """Remarks on steps against the claimed direction. Each says whether sampling error explains the
    step. That error is `spread` if given, else binomial for shares with `images` (an upper bound if
    both values were measured on the same images)."""
    known, said = _ordered(rows), []
    sign = 1.0 if claim == "rising" else -1.0
    for a, b in zip(known, known[1:], strict=False):
        step = b["value"] - a["value"]
        if step * sign < 0:
            error = math.hypot(_error(a), _error(b))
            way = "above" if step > 0 else "below"
            text = (
                f"{b['label']} ({b['value']:g}) lies {abs(step):.3g} {way} {a['label']}"
                f" ({a['value']:g}) where {claim} values are claimed"
            )
            if error and abs(step) <= LARGE * error:
                text += (
                    f"; sampling error of {error:.2g} explains it, so the claim is not shown there"
                )
            elif error:
                text += f", {abs(step) / error:.1f} standard errors"
            said.append(text + ".")
    return said


def below_both(rows: Sequence[Row], first: str, second: str) -> list[str]:
    """Remarks on mixes that score no more than the lower of the two ends, with any better mix that
    is further from the better end. Raises KeyError if a label is missing."""
    by_label = {row["label"]: row for row in rows}
    low = min(by_label[first]["value"], by_label[second]["value"])
    best = first if by_label[first]["value"] >= by_label[second]["value"] else second
    said = []
    for row in rows:
        if row["label"] in (first, second) or row.get("value") is None or row["value"] > low:
            continue
        how = "equals" if row["value"] == low else "lies below"
        text = (
            f"{row['label']} ({row['value']:g}) {how} the lower of {first} and {second} ({low:g}),"
            " which it mixes"
        )
        further = [r for r in rows if _further(r, row, by_label[best])]
        if further:
            top = max(further, key=lambda r: r["value"])
            text += f"; {top['label']}, further from {best}, has {top['value']:g}"
        said.append(text + ": a slip or a failed run is likely.")
    return said


def wrong_difference(
    label: str, before: float, after: float, stated: float, digits: int = 2
) -> list[str]:
    """A remark if a stated difference disagrees with its two cells, with whether rounding explains
    it. All are given to `digits` digits."""
    true = after - before
    step = 10.0**-digits
    if abs(true - stated) < 0.5 * step:
        return []
    why = (
        "rounding of the cells can explain it"
        if abs(true - stated) < 1.5 * step + 1e-12
        else "rounding does not explain it"
    )
    return [
        f"{label}: {stated:+.{digits}f} is stated, {after:g} - {before:g} is {true:+.{digits}f};"
        f" {why}."
    ]


def _ordered(rows: Sequence[Row]) -> list[Row]:
    known = [row for row in rows if row.get("value") is not None]
    return sorted(known, key=lambda row: row["x"]) if all("x" in row for row in known) else known


def _error(row: Row) -> float:
    if row.get("spread") is not None:
        return float(row["spread"])
    scale = {"%": 100.0, "share": 1.0}.get(str(row.get("unit", "")))
    if scale is None or not row.get("images"):
        return 0.0
    share = min(max(row["value"] / scale, 0.0), 1.0)
    return scale * math.sqrt(share * (1 - share) / row["images"])


def _further(other: Row, row: Row, best: Row) -> bool:
    """Whether `other` is further from the best end along x than `row`, but scores more."""
    if other.get("value") is None or not all("x" in r for r in (other, row, best)):
        return False
    return bool(
        abs(other["x"] - best["x"]) > abs(row["x"] - best["x"]) and other["value"] > row["value"]
    )
