"""What is said class by class: histograms of images, gains, the confusion matrix and its
difference. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dreamlab.ui import html
from dreamlab.ui.parts import arm_tables as tables

WELL = 44
"""Pixels of the tallest bar of a histogram."""
NAMED, LISTED = 12, 20
"""Most classes that have their names under the bars, and that a matrix is drawn for."""
COLOURS = {"real": "var(--real)", "synthetic": "var(--synthetic)", "other": html.OTHER}


def histogram(
    names: Sequence[str], counts: dict[str, Sequence[int]], top: int, height: int = WELL
) -> str:
    """Images per class as stacked bars; `top` is the count that is drawn at full height.

    counts: a number per class under real, synthetic and other; each bar says its numbers when it is
    pointed at.
    """
    bars = []
    for c, name in enumerate(names):
        parts = [
            (word, int(counts[word][c])) for word in COLOURS if counts.get(word) and counts[word][c]
        ]
        said = ", ".join(f"{n:,} {word}" for word, n in parts) or "none"
        drawn = "".join(
            f'<i style="height:{n / top * height if top else 0:.1f}px;background:{COLOURS[word]}"></i>'
            for word, n in parts
        )
        under = f"<small>{html.esc(name)}</small>" if len(names) <= NAMED else ""
        bars.append(
            f'<span title="{html.esc(name)}: {said}"><b'
            f' style="height:{height}px">{drawn}</b>{under}</span>'
        )
    return f'<div class="histogram{" narrow" if len(names) > NAMED else ""}">{"".join(bars)}</div>'


def histograms(
    names: Sequence[str], listed: Sequence[tuple[str, dict[str, Sequence[int]]]], kind: str = ""
) -> str:
    """Several histograms on one scale, each under its title: before, and after every arm."""
    tops = [
        max((sum(int(v[c]) for v in counts.values() if v) for c in range(len(names))), default=0)
        for _, counts in listed
    ]
    top = max(tops, default=0)
    tiles = "".join(
        f'<div><div class="tile-head"><span>{html.esc(title)}</span><span'
        f' class="mut">{span(counts, names)}</span></div>{histogram(names, counts, top)}</div>'
        for title, counts in listed
    )
    return f'<div class="tiles {kind}">{tiles}</div>'


def span(counts: dict[str, Sequence[int]], names: Sequence[str]) -> str:
    """Images of the smallest and of the largest class."""
    totals = [sum(int(v[c]) for v in counts.values() if v) for c in range(len(names))]
    if not totals:
        return ""
    low, high = min(totals), max(totals)
    return f"{low:,} a class" if low == high else f"{low:,} to {high:,} a class"


def histograms_html(report: dict[str, Any]) -> str:
    """The class histogram before (real only) and after each arm of a finished or planned mix."""
    listed = [
        (a["label"], a["counts_per_class"]) for a in unique(report) if a.get("counts_per_class")
    ]
    if not listed:
        return ""
    names = report.get("classes") or [str(i) for i in range(len(next(iter(listed))[1]["real"]))]
    return html.panel_head(
        "Images per class, before and after",
        "blue: real; vermilion: synthetic; grey: repeated or noise",
    ) + histograms(names, listed)


def unique(report: dict[str, Any]) -> list[dict[str, Any]]:
    """One arm of each name: generators do not change the counts."""
    found: dict[str, dict[str, Any]] = {}
    for arm in tables.ordered(report):
        found.setdefault(arm["arm"], arm)
    return list(found.values())


def reference(report: dict[str, Any]) -> dict[str, Any] | None:
    return next((a for a in report.get("arms") or [] if tables.role(a) == "reference"), None)


def gains_html(report: dict[str, Any], arm: dict[str, Any] | None) -> str:
    """Gain of each class in points: one arm against real only."""
    control = reference(report)
    if arm is None or control is None or not arm.get("per_class") or not control.get("per_class"):
        return (
            html.panel_head("Gain by class, points")
            + '<p class="empty">Comes with the first finished arm beside real only.</p>'
        )
    points = [100 * (a - b) for a, b in zip(arm["per_class"], control["per_class"], strict=True)]
    names = report.get("classes") or [str(i) for i in range(len(points))]
    head = html.panel_head("Gain by class, points", f"{arm['label']} against real only")
    if len(names) <= LISTED:
        return head + html.gains(names, points, arm["synthetic_fraction"])
    order = sorted(range(len(names)), key=lambda c: points[c])
    rows = [
        [html.esc(names[c]), html.signed(points[c])] for c in [*reversed(order[-8:]), *order[:8]]
    ]
    return head + html.table(["Class: the most gained, then the most lost", "points"], rows)


def confusion_html(report: dict[str, Any], arm: dict[str, Any] | None) -> str:
    """Confusion matrix of an arm in percent of each true class, and its difference from real only
    in points; empty where it was not kept."""
    control = reference(report)
    if arm is None or not arm.get("confusion"):
        return ""
    mine = shares(arm["confusion"])
    names = report.get("classes") or [str(i) for i in range(len(mine))]
    head = html.panel_head("Confusion, % of the true class", f"{arm['label']}; rows: truth")
    first = head + (
        matrix(names, mine, difference=False) if len(names) <= LISTED else mistakes(names, mine)
    )
    if control is None or tables.key(control) == tables.key(arm) or not control.get("confusion"):
        return f"<div>{first}</div>"
    before = shares(control["confusion"])
    change = [[a - b for a, b in zip(x, y, strict=True)] for x, y in zip(mine, before, strict=True)]
    head = html.panel_head("Difference from real only, points", "green: better")
    second = head + (
        matrix(names, change, difference=True)
        if len(names) <= LISTED
        else mistakes(names, change, signed=True)
    )
    return f'<div class="pair"><div>{first}</div><div>{second}</div></div>'


def shares(confusion: Sequence[Sequence[float]]) -> list[list[float]]:
    """Percent of each row; a row without images is all zero."""
    return [[100 * v / sum(row) if sum(row) else 0.0 for v in row] for row in confusion]


def matrix(names: Sequence[str], values: Sequence[Sequence[float]], *, difference: bool) -> str:
    """A matrix as a table; the ink behind a number grows with it, green or red (and a sign) where
    it is a difference."""
    largest = (
        max(
            (
                abs(v)
                for i, row in enumerate(values)
                for j, v in enumerate(row)
                if difference or i != j
            ),
            default=0.0,
        )
        or 1.0
    )
    top = "".join(f'<th scope="col" title="{html.esc(n)}">{html.esc(n[:4])}</th>' for n in names)
    body = ""
    for i, row in enumerate(values):
        cells = ""
        for j, v in enumerate(row):
            colour = (
                "var(--ink)"
                if not difference
                else "var(--good)"
                if (v > 0) == (i == j)
                else "var(--bad)"
            )
            ink = min(abs(v) / largest, 1.0) * (45 if difference else 30)
            shown = "" if abs(v) < 0.05 else html.signed(v) if difference else f"{v:.1f}"
            bold = ";font-weight:600" if i == j else ""
            cells += (
                f'<td style="background:color-mix(in srgb, {colour} {ink:.0f}%, transparent)'
                f' !important{bold}" title="{html.esc(names[i])} taken for'
                f' {html.esc(names[j])}">{shown}</td>'
            )
        body += f'<tr><td class="name">{html.esc(names[i])}</td>{cells}</tr>'
    return (
        '<div class="wide"><table'
        f' class="matrix"><thead><tr><th></th>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def mistakes(
    names: Sequence[str], values: Sequence[Sequence[float]], *, signed: bool = False
) -> str:
    """The largest entries beside the diagonal, where a matrix would have too many cells."""
    found = [
        (abs(v), i, j, v)
        for i, row in enumerate(values)
        for j, v in enumerate(row)
        if i != j and abs(v) >= 0.05
    ]
    rows = [
        [
            f"{html.esc(names[i])} taken for {html.esc(names[j])}",
            html.signed(v) if signed else f"{v:.1f}",
        ]
        for _, i, j, v in sorted(found, reverse=True)[:12]
    ]
    return html.table(["The largest of them", "points" if signed else "%"], rows)
