"""The parts of the Studies tab: the list of studies, the table of published and measured numbers,
settings and notes. Pure functions."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from dreamlab.service import RunRow
from dreamlab.service.costs import ScaleCost
from dreamlab.service.tables import DERIVED
from dreamlab.store.states import ACTIVE
from dreamlab.studies import Study
from dreamlab.ui import render
from dreamlab.ui.charts.study_chart import axis_title
from dreamlab.ui.parts.numbers import NumberCell, p_value, points
from dreamlab.ui.words import MINUS

PAGE = "studies.html"
LONG = 40
"""Number of rows above which a table scrolls in its panel."""
NO_NUMBER = NumberCell("no number", look="mut")
Row = Mapping[str, Any]
"""One row of a study's report."""


@dataclasses.dataclass(frozen=True)
class OurNumber:
    """A measured number with its interval, and its metric if that differs from the paper's. If
    there is no number, `word` says why."""

    word: str = ""
    text: str = ""
    metric: str = ""
    interval: str = ""


@dataclasses.dataclass(frozen=True)
class StudyLine:
    """One line of the table. `doubt` says what is doubtful about the published number, `derived`
    how it follows from printed ones if it is not printed. `difference` is None if it was not
    computed."""

    arm: str
    published: NumberCell
    doubt: str
    derived: str
    setting: str
    ours: OurNumber
    seeds: str
    difference: NumberCell | None
    p: str
    stand_in: str


def list_html(studies: Sequence[Study], chosen: str, states: Mapping[str, str]) -> Markup:
    """The list of studies, grouped by paper (S0 to S4), with the state of each.

    states: id of a study -> state of its newest run.
    """
    papers = [
        (
            paper,
            [
                {"id": s.id, "title": s.title, "question": s.question, "state": states.get(s.id)}
                for s in found
            ],
        )
        for paper, found in itertools.groupby(studies, key=lambda s: s.study)
    ]
    return render.part(PAGE, "list", papers, chosen)


def scale_html(study: Study, name: str) -> Markup:
    """What a scale does and which data it uses."""
    return render.part(PAGE, "scale", study.scales.get(name))


def costs_html(costs: Iterable[ScaleCost], chosen: str) -> Markup:
    """What a study costs at each of its scales, or what it lacks; `chosen` is the scale that is
    shown as the current one."""
    return render.part(PAGE, "costs", list(costs), chosen)


def number(value: float, low: float | None = None, high: float | None = None) -> str:
    """A measured number with as many digits as its interval supports; three significant digits
    without an interval."""
    width = high - low if low is not None and high is not None else 0.0
    if width > 0:
        digits = max(0, min(4, 1 - math.floor(math.log10(width))))
    else:
        digits = max(0, min(4, 2 - math.floor(math.log10(abs(value))))) if value else 1
    return f"{value:,.{digits}f}".replace("-", MINUS)


def decimals(rows: Sequence[Row]) -> int:
    """Number of decimals in one column of the paper: that of its longest number."""
    found = [
        len(f"{r['published']:.6f}".rstrip("0").partition(".")[2])
        for r in rows
        if r.get("published") is not None
    ]
    return max(found, default=0)


def published_number(r: Row, digits: int) -> NumberCell:
    """A published number with its spread."""
    if r.get("published") is None:
        return NO_NUMBER
    text = f"{r['published']:,.{digits}f}".replace("-", MINUS)
    text += DERIVED if r.get("derived") else ""
    low, high = r.get("published_low"), r.get("published_high")
    if low is None or high is None:
        return NumberCell(text)
    return NumberCell(text, f"{low:,.{digits}f} to {high:,.{digits}f}")


def our_number(r: Row, running: bool) -> OurNumber:
    """A measured number with its interval, or the reason why there is none."""
    if r.get("ours") is None:
        state = str(r.get("state") or "")
        if state in ("failed", "stopped", "running"):
            return OurNumber(word=state)
        if running and r.get("child"):
            return OurNumber(word="to come")
        return OurNumber(word="published only" if r.get("published") is not None else "not run")
    low, high = r.get("low"), r.get("high")
    own = str(r.get("our_metric") or "")
    interval = ""
    if low is not None and high is not None:
        interval = f"{number(low, low, high)} to {number(high, low, high)}"
    return OurNumber(
        text=number(r["ours"], low, high),
        metric=own if own != r["metric"] else "",
        interval=interval,
    )


def table_html(rows: Sequence[Row], row: RunRow | None) -> Markup:
    """One line per arm, grouped by metric: published and measured numbers, seeds, difference, and
    the data that was used here."""
    running = row is not None and row.state in ACTIVE
    stand_ins = {str(r["stand_in"]) for r in rows if r.get("child") and r.get("stand_in")}
    by_metric: dict[str, list[Row]] = {}
    for r in rows:
        by_metric.setdefault(axis_title(r), []).append(r)
    return render.part(
        PAGE,
        "numbers",
        groups=[_group(title, mine, running) for title, mine in by_metric.items()],
        note=f"ours ran on {next(iter(stand_ins))}" if len(stand_ins) == 1 else "",
        tall=len(rows) > LONG,
        printed=any(r.get("published") is not None for r in rows),
        differ=any(r.get("difference") for r in rows),
        stand_ins=len(stand_ins) > 1,
    )


def _group(title: str, rows: Sequence[Row], running: bool) -> dict[str, Any]:
    """The lines of one metric. A setting that all of them share is shown once, in the title."""
    settings = {str(r.get("setting") or "") for r in rows}
    shared = next(iter(settings)) if len(settings) == 1 else ""
    digits = decimals(rows)
    lines = [_line(r, running, digits, own_setting=not shared) for r in rows]
    return {"title": title, "setting": shared, "lines": lines}


def _line(r: Row, running: bool, digits: int, own_setting: bool) -> StudyLine:
    difference = r.get("difference")
    return StudyLine(
        arm=r["arm"],
        published=published_number(r, digits),
        doubt=str(r.get("flag") or ""),
        derived=str(r.get("derived") or ""),
        setting=str(r.get("setting") or "") if own_setting else "",
        ours=our_number(r, running),
        seeds=f"{r['seeds']:,}" if r.get("seeds") and r.get("ours") is not None else "",
        difference=points(difference) if difference else None,
        p=p_value((difference or {}).get("p_holm")),
        stand_in=str(r.get("stand_in") or ""),
    )


def published_rows(study: Study) -> list[dict[str, Any]]:
    """The rows of a study that has not been run, with published numbers only."""
    ours = ("ours", "low", "high", "seeds", "difference")
    return [
        {
            "id": c.id,
            "arm": c.arm,
            "metric": c.metric,
            "unit": c.unit,
            "published": c.published,
            "setting": c.setting,
            "flag": c.flag,
            "derived": c.derived,
            "published_low": c.low,
            "published_high": c.high,
            **dict.fromkeys(ours),
            **dict.fromkeys(("stand_in", "state", "child"), ""),
        }
        for c in study.cells
    ]


def about_html(study: Study, report: Mapping[str, Any]) -> Markup:
    """The settings as published, mistakes and doubtful numbers, and the assumptions of each
    scale."""
    return render.part(PAGE, "about", study, report.get("anomalies") or [])
