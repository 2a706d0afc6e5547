"""What is said of rank correlations between metrics and usefulness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dreamlab.stats.rank_correlation import LEAST, MOST

METHOD = (
    "Spearman's rank correlation, positive where better values of a metric go with more useful"
    " sets; Fisher's z with the variance of Bonett and Wright (2000), 95 %."
)
ALPHA = 0.05


def metric_name(metric: Mapping[str, Any]) -> str:
    """The name of a metric with its extractor, if the name does not have it, and its reference."""
    words = [metric["name"]]
    if metric["extractor"] and metric["extractor"] not in (*metric["name"].split("_"), "pixels"):
        words.append(metric["extractor"])
    if metric["role"] not in ("", "test"):
        words.append(f"against {metric['role']}")
    return ", ".join(words)


def metric_text(metric: Mapping[str, Any], outcome: str) -> str:
    """One sentence on what is known of a metric and an outcome, or what it would take to know
    it."""
    name, n = metric_name(metric), metric["sets"]
    if n < LEAST:
        there = "there is 1" if n == 1 else f"there are {n}"
        return f"{name}: a correlation needs at least {LEAST} sets; {there}."
    if metric["correlation"] is None:
        return f"{name}: no correlation, because all {n} sets have the same value."
    found = f"{metric['correlation']:.2f} ({metric['low']:.2f} to {metric['high']:.2f})"
    said = f"{name} and {outcome}: rank correlation {found} over {n} sets"
    if metric["p"] >= ALPHA:
        return f"{said}. {further_text(metric)}"
    which = "predicts" if metric["correlation"] > 0 else "points the wrong way for"
    if metric["p_holm"] >= ALPHA:
        return f"{said}: not more than chance explains among so many metrics."
    return f"{said}: it {which} {outcome} among these sets."


def further_text(metric: Mapping[str, Any]) -> str:
    """How many more sets would settle the sign of a correlation."""
    more = metric["further"]
    if more is None:
        return f"More than {MOST:,} sets would be needed to tell it from none."
    sets = "1 more set" if more == 1 else f"{more:,} more sets"
    return f"Nothing can be said yet; {sets} would be needed if the correlation stays as it is."


def about_sets(sets: int, generators: int, metrics: int) -> list[str]:
    """What limits the correlations over these sets of so many generators, a sentence or two
    each."""
    said = []
    if generators < sets:
        of = "one generator" if generators == 1 else f"{generators} generators"
        said.append(
            f"The {sets} sets are of {of}. Sets of one generator are not independent: they count"
            " for less than sets of as many generators, and the intervals are too narrow."
        )
    if generators == 1:
        said.append("What holds for the sets of one generator need not hold for other generators.")
    if metrics > 1:
        said.append(
            f"An interval is about one metric. Among {metrics} metrics some may seem to predict"
            " by chance; the last p value is corrected for that (Holm)."
        )
    return said


def nothing_text(report: Mapping[str, Any], commands: tuple[str, str]) -> str:
    """Why there is nothing to correlate, and the commands that change that: one that measures a set
    and one that gives its CAS."""
    if report["outcomes"]:
        return ""
    measured, tested = report["measured"], report["with_outcome"]
    return (
        f"Which metric predicts usefulness on {report['dataset']} cannot be said: no set has both a"
        f" metric (sets with one: {measured}) and a CAS or a mix with a verdict (sets with one:"
        f" {tested})."
        f" `{commands[0]}` measures a set, and `{commands[1]}` gives its CAS."
    )
