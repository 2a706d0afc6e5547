"""What the Fidelity tab shows of metrics against usefulness: choices, the table of correlations,
and what cannot be said. Pure functions of a report of `dreamlab.service.usefulness`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from dreamlab.experiments.usefulness_words import further_text
from dreamlab.stats.rank_correlation import LEAST
from dreamlab.ui import render
from dreamlab.ui.parts.numbers import NumberCell, p_value

PAGE = "fidelity.html"
ALPHA = 0.05
Report = Mapping[str, Any]


def outcome_choices(report: Report) -> list[tuple[str, str]]:
    """(text, key) of the outcomes, those of the most sets first."""
    return [
        (f"{o['label']} ({o['sets']} set{'' if o['sets'] == 1 else 's'})", o["label"])
        for o in report.get("outcomes", [])
    ]


def chosen_outcome(report: Report, asked: str) -> Mapping[str, Any] | None:
    """The outcome that is asked for, else the first; None if there is none."""
    found: Sequence[Mapping[str, Any]] = report.get("outcomes", [])
    return next((o for o in found if o["label"] == asked), found[0] if found else None)


def metric_choices(outcome: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """(text, key) of the metrics of an outcome."""
    return [(m["label"],) * 2 for m in (outcome["metrics"] if outcome else ())]


def chosen_metric(outcome: Mapping[str, Any] | None, asked: str) -> Mapping[str, Any] | None:
    """The metric that is asked for, else the one with the most sets; None if there is none."""
    found = outcome["metrics"] if outcome else []
    most = max(found, key=lambda m: m["sets"], default=None)
    return next((m for m in found if m["label"] == asked), most)


def table(report: Report, asked: str) -> Markup:
    """The correlations of all metrics with an outcome, and what limits them; or why there are
    none."""
    outcome = chosen_outcome(report, asked)
    if outcome is None:
        return render.part(PAGE, "usefulness", report.get("text", ""))
    rows = [{"name": m["label"], "sets": m["sets"], **_cells(m)} for m in outcome["metrics"]]
    notes = [report["method"], *outcome["notes"]]
    if report["left_out"]:
        notes.append(
            f"{report['left_out']} runs are left out, because they read other images under the name"
            f" {report['dataset']}."
        )
    return render.part(PAGE, "usefulness", "", rows, notes)


def _cells(m: Mapping[str, Any]) -> dict[str, Any]:
    if m["correlation"] is None:
        few = m["sets"] < LEAST
        why = f"at least {LEAST} sets are needed" if few else "all sets have the same value"
        return {"found": NumberCell(), "p": "", "holm": "", "note": why}
    shown = m["p_holm"] < ALPHA
    look = ("good" if m["correlation"] > 0 else "bad") if shown else "mut"
    interval = f"{m['low']:.2f} to {m['high']:.2f}"
    chance = "" if shown else "not more than chance among so many metrics"
    return {
        "found": NumberCell(f"{m['correlation']:+.2f}", interval, look),
        "p": p_value(m["p"]),
        "holm": p_value(m["p_holm"]),
        "note": chance if m["p"] < ALPHA else further_text(m),
    }
