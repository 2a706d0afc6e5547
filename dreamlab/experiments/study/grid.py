"""The results of a study on a grid of sampling settings: which is best, and which cannot be told
apart from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dreamlab.fidelity import metrics, wording
from dreamlab.stats.intervals import Interval
from dreamlab.stats.left_out import loaded
from dreamlab.stats.settings_apart import as_good

Row = dict[str, Any]
LISTED = 4
"""Most settings that a sentence names."""
BEST, AS_GOOD = "best", "as good"
"""Values of `standing` of a row: the best of the grid, and one that cannot be told apart from
it."""


def judge_grid(rows: Sequence[Row], places: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Sets `standing` of the rows that have a place on a grid, in place, and says what it shows in
    a sentence. Nothing is done until all of them are measured.

    rows: those of a study's report. places: id of a row -> its place (`Study.places`).
    """
    mine = [row for row in rows if row["id"] in places and row["child"]]
    if not mine or any(row["ours"] is None for row in mine):
        return []
    metric = mine[0]["our_metric"].lower()  # the FID of a paper is the metric fid
    values = [_value(row) for row in mine]
    first = metrics.best(metric, [row["ours"] for row in mine])
    same = as_good(values, first, left=[loaded(row.get("left_out")) for row in mine])
    for i in same:
        mine[i]["standing"] = BEST if i == first else AS_GOOD
    word, best = wording.best_word(metric).capitalize(), mine[first]
    others = [mine[i]["arm"] for i in same if i != first]
    return [f"{word} {metric} of {len(mine)} settings: {best['arm']}{_rest(others, len(mine))}."]


def _value(row: Row) -> Interval | float:
    if row["low"] is None:
        return float(row["ours"])
    return Interval(row["ours"], row["low"], row["high"])


def _rest(others: Sequence[str], of: int) -> str:
    """What is said of the settings that are as good as the best."""
    if not others:
        return ""
    if len(others) == of - 1:
        return ", but no setting can be told apart from it"
    if len(others) > LISTED:
        return f"; {len(others)} others cannot be told apart from it"
    return f"; it cannot be told apart from {'; '.join(others)}"
