"""Results by class: histograms of image counts, gains, confusion matrices. Pure functions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from dreamlab.ui import render, words
from dreamlab.ui.parts import mix_report

PAGE = "classes.html"
WELL = 44
"""Height in pixels of the tallest bar of a histogram; it matches the style sheet."""
NAMED, LISTED = 12, 20
"""Most classes whose names are shown below the bars, and for which a matrix is drawn."""
COLOURS = {"real": "var(--real)", "synthetic": "var(--synthetic)", "other": "var(--line-2)"}
SMALL = 0.05
"""Percent or points below which a cell of a matrix is left empty."""
PerClass = Mapping[str, Sequence[int]]
"""Images of each class under the keys "real", "synthetic" and "other"; each key may be missing."""


@dataclasses.dataclass(frozen=True)
class MatrixCell:
    """One cell of a confusion matrix. `ink` is the strength of its colour in percent."""

    text: str
    colour: str
    ink: float


def histogram(names: Sequence[str], counts: PerClass, top: int) -> Markup:
    """Images per class as stacked bars. `top` is the count of a bar of full height. Each bar shows
    its numbers as a tooltip."""
    bars = []
    for c, name in enumerate(names):
        parts = [(kind, int(counts[kind][c])) for kind in COLOURS if counts.get(kind)]
        parts = [(kind, n) for kind, n in parts if n]
        said = ", ".join(f"{n:,} {kind}" for kind, n in parts) or "none"
        bars.append(
            {
                "title": f"{name}: {said}",
                "name": name if len(names) <= NAMED else "",
                "parts": [(n / top * WELL if top else 0.0, COLOURS[kind]) for kind, n in parts],
            }
        )
    return render.part(PAGE, "histogram", bars, len(names) > NAMED)


def histograms(
    names: Sequence[str], listed: Sequence[tuple[str, PerClass]], kind: str = ""
) -> Markup:
    """Several histograms on one scale, each with a title.

    listed: (title, counts) of each. kind: "broad" for histograms as wide as the page.
    """
    top = max((total for _, counts in listed for total in totals(counts, names)), default=0)
    tiles = [
        {"title": title, "note": span(counts, names), "histogram": histogram(names, counts, top)}
        for title, counts in listed
    ]
    return render.part(PAGE, "histograms", tiles, kind)


def totals(counts: PerClass, names: Sequence[str]) -> list[int]:
    """Number of images of each class, of all sorts together."""
    return [sum(int(v[c]) for v in counts.values() if v) for c in range(len(names))]


def span(counts: PerClass, names: Sequence[str]) -> str:
    """The numbers of images of the smallest and the largest class in words."""
    found = totals(counts, names)
    if not found:
        return ""
    low, high = min(found), max(found)
    return f"{low:,} a class" if low == high else f"{low:,} to {high:,} a class"


def histograms_html(report: dict[str, Any]) -> Markup:
    """The histograms of the arms of a mix, the arm `real` first. Empty if the report has no
    counts."""
    listed: list[tuple[str, PerClass]] = [
        (a["label"], a["counts_per_class"])
        for a in mix_report.unique(report)
        if a.get("counts_per_class")
    ]
    if not listed:
        return Markup()
    names = class_names(report, len(listed[0][1]["real"]))
    return render.part(PAGE, "before_and_after", histograms(names, listed))


def class_names(report: dict[str, Any], count: int) -> list[str]:
    """Names of the classes, or their numbers if the report does not have names."""
    return report.get("classes") or [str(i) for i in range(count)]


def gains_html(report: dict[str, Any], arm: dict[str, Any] | None) -> Markup:
    """The gain of each class in points, one arm against the arm `real`: bars, or for many classes a
    list of the largest changes."""
    control = mix_report.reference(report)
    if arm is None or control is None or not arm.get("per_class") or not control.get("per_class"):
        return render.part(PAGE, "gains", "", [], [], 0.0, [])
    points = [100 * (a - b) for a, b in zip(arm["per_class"], control["per_class"], strict=True)]
    names = class_names(report, len(points))
    rows = []
    if len(names) > LISTED:
        order = sorted(range(len(names)), key=lambda c: points[c])
        picked = [*reversed(order[-8:]), *order[:8]]
        rows = [(names[c], words.signed(points[c])) for c in picked]
    note = f"{arm['label']} against real only"
    return render.part(PAGE, "gains", note, names, points, arm["synthetic_fraction"], rows)


def confusion_html(
    report: dict[str, Any], arm: dict[str, Any] | None, *, both: bool = False
) -> Markup:
    """Confusion matrix of an arm in percent of each true class, and its difference to the arm
    `real` in points; with `both`, the matrix of that arm comes first. Empty if it is not in the
    report."""
    if arm is None or not arm.get("confusion"):
        return Markup()
    mine = shares(arm["confusion"])
    names = class_names(report, len(mine))
    draw = matrix if len(names) <= LISTED else mistakes
    control, before, change = mix_report.reference(report), Markup(), Markup()
    other = control is not None and mix_report.key(control) != mix_report.key(arm)
    if control and other and control.get("confusion"):
        theirs = shares(control["confusion"])
        differences = [
            [a - b for a, b in zip(x, y, strict=True)] for x, y in zip(mine, theirs, strict=True)
        ]
        before = draw(names, theirs, difference=False) if both else before
        change = draw(names, differences, difference=True)
    return render.part(
        PAGE,
        "confusion",
        arm["label"],
        draw(names, mine, difference=False),
        change,
        control["label"] if control else "",
        before,
    )


def shares(confusion: Sequence[Sequence[float]]) -> list[list[float]]:
    """Percent of each row; zeros for a row without images."""
    return [[100 * v / sum(row) if sum(row) else 0.0 for v in row] for row in confusion]


def matrix(names: Sequence[str], values: Sequence[Sequence[float]], *, difference: bool) -> Markup:
    """A matrix (classes x classes, percent or points) as a table. The colour behind a number grows
    with it. Differences are green or red and have a sign."""
    beside = [
        abs(v) for i, row in enumerate(values) for j, v in enumerate(row) if difference or i != j
    ]
    largest = max(beside, default=0.0) or 1.0
    rows = [
        [_cell(v, largest, difference, hit=i == j) for j, v in enumerate(row)]
        for i, row in enumerate(values)
    ]
    return render.part(PAGE, "matrix", names, rows)


def _cell(value: float, largest: float, difference: bool, hit: bool) -> MatrixCell:
    """One cell; `hit` is for the diagonal, where more is better."""
    share = min(abs(value) / largest, 1.0)
    small = abs(value) < SMALL
    if not difference:
        return MatrixCell("" if small else f"{value:.1f}", "var(--ink)", share * 30)
    colour = "var(--good)" if (value > 0) == hit else "var(--bad)"
    return MatrixCell("" if small else words.signed(value), colour, share * 45)


def mistakes(
    names: Sequence[str], values: Sequence[Sequence[float]], *, difference: bool
) -> Markup:
    """The largest entries off the diagonal, for matrices that are too large to show."""
    found = [
        (abs(v), i, j, v)
        for i, row in enumerate(values)
        for j, v in enumerate(row)
        if i != j and abs(v) >= SMALL
    ]
    rows = [
        (f"{names[i]} taken for {names[j]}", words.signed(v) if difference else f"{v:.1f}")
        for _, i, j, v in sorted(found, reverse=True)[:12]
    ]
    return render.macro("table", ["The largest of them", "points" if difference else "%"], rows)


def arm_html(report: dict[str, Any], asked: str) -> Markup:
    """Gains, confusion and histograms of the arm `asked`, or else of the arm of the verdict."""
    arm = mix_report.chosen_arm(report, asked)
    parts = [gains_html(report, arm), confusion_html(report, arm), histograms_html(report)]
    return render.part(PAGE, "stacked", parts)
