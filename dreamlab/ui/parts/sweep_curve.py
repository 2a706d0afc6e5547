"""What the Fidelity tab shows of a sweep: its figure, with other curves beside it, its head and its
table."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

from markupsafe import Markup

from dreamlab import studies
from dreamlab.experiments.sweep.report import best_text
from dreamlab.fidelity.metrics import METRICS
from dreamlab.service import Refused, RunRow
from dreamlab.settings import SpecError, SweepSpec, exact
from dreamlab.settings.commands import differences
from dreamlab.store import RunError
from dreamlab.store.states import ACTIVE
from dreamlab.ui import render
from dreamlab.ui.charts import grid_chart, sweep_chart
from dreamlab.ui.charts.curves import text_of
from dreamlab.ui.charts.sweep_chart import AXIS_WORDS, RECOGNISED, SECONDS, Line
from dreamlab.ui.parts.numbers import metric as metric_cell
from dreamlab.ui.view import Pages

PAGE = "fidelity.html"
PUBLISHED = "published:"
"""Before the name of a published curve, in place of the id of a run."""
STUDY_OF_T = "s4-tsweep"
"""The study whose published curves are against T."""
SHORT = {"guidance_weight": "w", "num_train_timesteps": "T", "logvar_coefficient": "v"}
"""Axis -> its symbol in sentences; others are named by their title."""
DIFFERENCES = 2
"""Most settings that tell curves apart in a legend."""
Report = dict[str, Any]


def words_of(axis: str) -> str:
    """The name of an axis in a sentence."""
    return SHORT.get(axis) or AXIS_WORDS.get(axis, axis).split(" (")[0]


def metric_names(report: Report) -> list[str]:
    """Names of the metrics of a sweep; empty before the first point is measured."""
    return next(
        ([m["name"] for m in p["metrics"]] for p in report.get("points", []) if p.get("metrics")),
        [],
    )


def shown_choices(report: Report) -> list[tuple[str, str]]:
    """(text, value) of what can be drawn: the metrics, and the other numbers of its points."""
    names = metric_names(report)
    extra = [
        (sweep_chart.TITLES[key], key)
        for key in (RECOGNISED, SECONDS)
        if any(p.get(key) is not None for p in report.get("points", []))
    ]
    return [(name, name) for name in names] + (extra if names else [])


def beside_choices(pages: Pages, row: RunRow | None) -> list[tuple[str, str]]:
    """(text, value) of the curves that can be drawn beside one: other sweeps against the same
    setting, and published curves."""
    if row is None:
        return []
    axes = _axes(pages, row)
    if len(axes) != 1:
        return []
    found = [
        (other.name, other.id)
        for other in pages.service.rows("sweep")
        if other.id != row.id and _axes(pages, other) == axes
    ]
    if axes == ["num_train_timesteps"]:
        found += [(f"published, study S4: {name}", PUBLISHED + name) for name in _published()]
    return found


def _axes(pages: Pages, row: RunRow) -> list[str]:
    """The settings that a sweep varies; none if its record cannot be read."""
    try:
        return list(cast(SweepSpec, pages.service.get(row.id).spec).axes)
    except (Refused, RunError, SpecError):
        return []


def _published() -> dict[str, list[dict[str, Any]]]:
    """Series of the published FID against T -> its points."""
    found: dict[str, list[dict[str, Any]]] = {}
    for cell in studies.load(STUDY_OF_T).cells:
        if cell.step is not None and cell.published is not None and cell.metric == "FID":
            point = {"x": cell.step.amount, "value": cell.published}
            found.setdefault(cell.step.series, []).append(point)
    return found


def figure(pages: Pages, row: RunRow | None, metric: str, beside: Sequence[str], theme: str) -> Any:
    """The curve of a metric, by default the first one, with other curves beside it; a heat map for
    two settings."""
    report = pages.report(row) if row else {}
    names = [value for _, value in shown_choices(report)]
    metric = metric if metric in names else (names or [""])[0]
    revision = f"{row.id if row else 'none'}/{metric}"
    if report.get("second_axis"):
        return _heat_map(report, metric, theme, revision)
    names_of = _told_apart(pages, [*([row.id] if row else []), *beside])
    lines = [Line(names_of.get(row.id, "") if row else "", _points(report, metric), metric)]
    lines += [line for name in beside if (line := _other(pages, name, metric, names_of))]
    return sweep_chart.curve(lines, str(report.get("axis", "")), theme, revision)


def _told_apart(pages: Pages, ids: Sequence[str]) -> dict[str, str]:
    """Id -> name of a sweep with the end of its id and the settings in which it differs from the
    others."""
    runs = []
    for name in ids:
        with contextlib.suppress(Refused, RunError):
            runs.append(pages.service.get(name))
    found = {run.id: [f"{run.record.name} · {run.id[-4:]}"] for run in runs}
    for label, values in differences([run.spec for run in runs])[:DIFFERENCES]:
        for run, value in zip(runs, values, strict=True):
            found[run.id].append(f"{label.lower()} {exact(value)}")
    return {name: ", ".join(words) for name, words in found.items()}


def _other(pages: Pages, name: str, metric: str, names_of: Mapping[str, str]) -> Line | None:
    if name.startswith(PUBLISHED):
        series = name.removeprefix(PUBLISHED)
        points = _published().get(series, [])
        return Line(f"published: {series}", points, "fid", published=True)
    try:
        row = pages.service.row(name, disk=False)
    except Refused:
        return None
    report = pages.report(row)
    names = [value for _, value in shown_choices(report)]
    drawn = metric if metric in names else (names or [metric])[0]
    return Line(names_of.get(name, row.name), _points(report, drawn), drawn)


def _points(report: Report, metric: str) -> list[dict[str, Any]]:
    return [{"x": p["x"], **_value(p, metric)} for p in report.get("points", [])]


def _value(point: dict[str, Any], metric: str) -> dict[str, Any]:
    """The value of a point with the ends of its interval, and that of real images (`floor`)."""
    if metric == RECOGNISED:
        share = point.get("recognised")
        return {"value": 100 * share if share is not None else None}
    if metric == SECONDS:
        return {"value": point.get("seconds")}
    found = {m["name"]: m for m in point.get("metrics") or []}.get(metric) or {}
    floor = {m["name"]: m["value"] for m in point.get("real_floor") or []}.get(metric)
    return {**{k: found.get(k) for k in ("value", "low", "high")}, "floor": floor}


def _heat_map(report: Report, metric: str, theme: str, revision: str) -> Any:
    first, second = (words_of(report[key]) for key in ("axis", "second_axis"))
    known, rows, places = METRICS.get(metric), [], {}
    names = metric_names(report)
    for p in report.get("points", []):
        name, found = f"{p['x']}:{p['y']}", _value(p, metric)
        places[name] = {first: p["x"], second: p["y"]}
        rows.append(
            {
                "id": name,
                "child": p["fidelity"],
                "ours": found["value"],
                "low": found.get("low"),
                "high": found.get("high"),
                "metric": metric,
                "arm": f"{first} = {text_of(p['x'])}, {second} = {text_of(p['y'])}",
                "standing": p.get("standing") if names and metric == names[0] else "",
                "lowest": known is not None and known.direction == "lower",
            }
        )
    return grid_chart.grid(rows, places, theme, revision)


def head(row: RunRow | None, report: Report) -> Markup:
    """Title, progress and best point of a curve."""
    if row is None:
        return render.part(PAGE, "curve", None)
    axes = [report.get("axis", ""), report.get("second_axis")]
    axis = " and ".join(AXIS_WORDS.get(a, a) for a in axes if a)
    title = f"{'Heat map' if axes[1] else 'Curve'} against {axis}"
    points = report.get("points", [])
    extractor = report.get("extractor")
    features = extractor.get("name") if isinstance(extractor, dict) else extractor
    said = [f"{sum(bool(p.get('metrics')) for p in points)} of {len(points)} points"]
    if report.get("images"):
        said.append(f"{report['images']:,} images each")
    if features:
        said.append(f"features: {features}")
    if isinstance(reference := report.get("reference"), dict) and reference:
        said.append(f"against {reference['images']:,} {reference['split']} images")
    words = {a: words_of(a) for a in axes if a}
    best = best_text(report, words) if row.state == "done" else ""
    about = report.get("reference_note", "") if best else ""
    return render.part(PAGE, "curve", row, title, ", ".join(said), best, about, row.state in ACTIVE)


def table(pages: Pages, row: RunRow | None, report: Report) -> Markup:
    """One row per point with its metrics, its time and a link to its images; below it the
    command."""
    names = metric_names(report)
    points = []
    for p in report.get("points", []):
        by_name = {m["name"]: m for m in p.get("metrics") or []}
        share = p.get("recognised")
        points.append(
            {
                "x": ", ".join(text_of(p[key]) for key in ("x", "y") if key in p),
                "cells": [metric_cell(by_name.get(name)) for name in names],
                "recognised": f"{100 * share:.1f}" if share is not None else "",
                "seconds": p.get("seconds"),
                "run": p.get("synthesize") if by_name else "",
            }
        )
    if not points or row is None:
        return Markup()
    axes = [report.get("axis", ""), report.get("second_axis")]
    axis = ", ".join(words_of(a) for a in axes if a)
    command = pages.service.get(row.id).record.command
    return render.part(PAGE, "points", axis, names, points, command)
