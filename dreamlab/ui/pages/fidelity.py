"""The Fidelity tab: distances of a synthetic set from real images, and curves of them against
guidance weight, sampler steps or T."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from dreamlab.experiments.provenance import labelled_by
from dreamlab.experiments.sweep.report import best_text
from dreamlab.fidelity import wording
from dreamlab.service import Refused, RunRow
from dreamlab.settings import FidelitySpec, SweepSpec
from dreamlab.store import RunError
from dreamlab.store.states import ACTIVE
from dreamlab.ui import render
from dreamlab.ui.charts import curves
from dreamlab.ui.forms import spec_form
from dreamlab.ui.forms.start import start
from dreamlab.ui.parts import memory
from dreamlab.ui.parts.numbers import metric as metric_cell
from dreamlab.ui.parts.panels import panel
from dreamlab.ui.view import QUIET, Pages, View

PAGE = "fidelity.html"
ONE, CURVE = "Measure one set", "Draw a curve"


def create(pages: Pages, view: Any) -> None:
    """Creates the components of the tab: two forms to choose from, the numbers of one set, and a
    curve."""
    service = pages.service
    gr.HTML(
        render.macro(
            "page_head",
            "How close to real?",
            f"{wording.summary()} Every number names its images,"
            " its reference, its extractor and its interval.",
        )
    )
    with gr.Row(elem_classes="columns"):
        with gr.Column(elem_classes="formcol"), gr.Column(elem_classes="dl-panel"):
            which = gr.Radio(
                [ONE, CURVE],
                value=ONE,
                show_label=False,
                label="What to do",
                elem_id="fidelity-which",
                container=False,
            )
            with gr.Column(visible=True) as one_column:
                one = spec_form.build(service, FidelitySpec, "Measure", "fidelity")
            with gr.Column(visible=False) as curve_column:
                curve = spec_form.build(service, SweepSpec, "Draw the curve", "sweep")
        with gr.Column(elem_classes="maincol"):
            with gr.Column(elem_classes="dl-panel"):
                numbers = gr.HTML("", elem_id="fidelity-result")
            copies = gr.HTML("", elem_id="fidelity-memory", visible=False)
            with gr.Column(elem_classes="dl-panel"):
                head = gr.HTML("", elem_id="sweep-head")
                chart = gr.Plot(show_label=False, elem_id="sweep-chart")
                table = gr.HTML("", elem_id="sweep-table")

    _draw(pages, numbers, copies, head, chart, table)
    pages.openers["fidelity"] = lambda now, run: opened(pages, now, run)
    spec_form.add_choices(pages, "fidelity", one, "images", view)
    spec_form.add_choices(pages, "fidelity", curve, "source", view)
    _switch(pages, view, which, one_column, curve_column)
    start(pages, one, view, "fidelity")
    start(pages, curve, view, "fidelity")


def _draw(pages: Pages, numbers: Any, copies: Any, head: Any, chart: Any, table: Any) -> None:
    """Connects the panels with the chosen measurement and the chosen curve."""
    service = pages.service

    def shown(now: View, kind: str) -> RunRow | None:
        return pages.chosen(now, "fidelity", (kind,))

    def key(kind: str) -> Any:
        def of(now: View) -> Any:
            row = shown(now, kind)
            return (row.id, service.status(row.id).version, row.state) if row else None

        return of

    def points(now: View) -> tuple[RunRow | None, dict[str, Any]]:
        row = shown(now, "sweep")
        return row, service.report(row.id) if row else {}

    pages.add(
        "fidelity",
        numbers,
        key("fidelity"),
        lambda now: numbers_html(pages, shown(now, "fidelity")),
    )
    pages.add(
        "fidelity",
        copies,
        lambda now: (key("fidelity")(now), memory.key(service, shown(now, "fidelity"))),
        lambda now: panel([memory.memory_html(service, shown(now, "fidelity"))]),
    )
    pages.add("fidelity", head, key("sweep"), lambda now: sweep_head(*points(now)))
    pages.add(
        "fidelity",
        chart,
        lambda now: (key("sweep")(now), now.theme),
        lambda now: sweep_figure(*points(now), now.theme),
    )
    pages.add("fidelity", table, key("sweep"), lambda now: sweep_table(pages, *points(now)))


def _switch(pages: Pages, view: Any, which: Any, one_column: Any, curve_column: Any) -> None:
    """Shows one of the two forms."""
    pages.add(
        "fidelity",
        which,
        lambda now: now.pick("fidelity-which", ONE),
        lambda now: gr.Radio(value=now.pick("fidelity-which", ONE)),
    )
    which.change(
        lambda word: (gr.Column(visible=word == ONE), gr.Column(visible=word == CURVE)),
        which,
        [one_column, curve_column],
        **QUIET,
    )
    which.input(
        lambda now, word: now.with_pick("fidelity-which", word), [view, which], view, **QUIET
    )


def opened(pages: Pages, view: View, run: str) -> View:
    """The view when a run is opened in this tab. A synthetic set is chosen in the form for
    measuring; a sweep shows the form for curves."""
    kind = pages.service.row(run, disk=False).kind
    if kind in ("synthesize", "import"):
        return (
            view.at("fidelity", "")
            .with_pick("fidelity-images", run)
            .with_pick("fidelity-which", ONE)
        )
    return view.with_pick("fidelity-which", CURVE if kind == "sweep" else ONE)


def numbers_html(pages: Pages, row: RunRow | None) -> Markup:
    """The numbers of one set, with reference, extractor and number of images."""
    if row is None:
        return render.part(PAGE, "one_set", None)
    run = pages.service.get(row.id)
    result, active = run.result() or {}, row.state in ACTIVE
    if not result.get("metrics"):
        coming = "The set is being measured; the extractor is trained once and then cached."
        waiting = row.error or row.text or (coming if active else "No numbers.")
        return render.part(PAGE, "one_set", row, waiting, active)
    floor = result["real_floor"] if wording.comparable(result) else []
    real = {m["name"]: metric_cell(m) for m in floor}
    found = wording.reliable_first(result["metrics"], result)
    title, names = wording.column_titles([m["name"] for m in found])
    rows = [
        {
            "name": name,
            "cell": metric_cell(m),
            "images": result["images"],
            "few": wording.too_few(m, result),
            "real": real.get(m["name"]),
        }
        for name, m in zip(names, found, strict=True)
    ]
    return render.part(
        PAGE,
        "one_set",
        row,
        sources=sources(pages, row),
        title=title,
        metrics=rows,
        about=about(result, pseudo_labelled(pages, row)),
        command=run.record.command,
        classes=by_class(found),
    )


def by_class(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The table of the metrics class by class: `names` of the metrics that some class has enough
    images for, and for each class its name, its number of images and a cell of each metric. None if
    classes were not measured."""
    measured = [m for m in rows if any(c["value"] is not None for c in m.get("per_class") or [])]
    if not measured:
        return None
    lines = [
        {
            "name": of_class[0]["class"],
            "images": of_class[0]["n"],
            "cells": [None if c["value"] is None else metric_cell(c) for c in of_class],
        }
        for of_class in zip(*(m["per_class"] for m in measured), strict=True)
    ]
    return {"names": [m["name"] for m in measured], "lines": lines}


def sources(pages: Pages, row: RunRow) -> list[tuple[str, str, str]]:
    """(id, name, headline) of the measured sets. Deleted sets are left out."""
    found = []
    for parent in row.parents:
        try:
            source = pages.service.row(parent, disk=False)
        except Refused:
            continue
        found.append((source.id, source.name, source.headline))
    return found


def pseudo_labelled(pages: Pages, row: RunRow) -> bool:
    """Whether a classifier labelled the measured set. Results of earlier versions do not say it."""
    for parent in row.parents:
        try:
            if labelled_by(pages.service.get(parent)):
                return True
        except (Refused, RunError):
            continue
    return False


def about(result: dict[str, Any], pseudo: bool = False) -> str:
    """Reference and extractor in words, with the extractor's accuracy and the share of synthetic
    images that it recognises as their class. `pseudo`: a classifier gave these classes."""
    reference, extractor = result.get("reference") or {}, result.get("extractor") or {}
    accuracy = extractor.get("accuracy")
    right = (
        f", right on {100 * accuracy:.1f} % of the real test images" if accuracy is not None else ""
    )
    said = [
        f"Reference: {reference.get('images', 0):,} real images of the {reference.get('split', '')}"
        f" split of {reference.get('dataset', '')}.",
        f"Features: {extractor.get('name', '')}, {extractor.get('dimensions', '')}"
        f" dimensions{right}.",
    ]
    if reference.get("other_images"):
        said.append(wording.OTHER_IMAGES)
    if pseudo or result.get("pseudo_labelled"):
        said.append(wording.CIRCULAR)
    elif result.get("recognised") is not None:
        share = f"{100 * result['recognised']:.1f} %"
        said.append(f"{share} of the synthetic images are recognised as their class.")
    said += wording.about_too_few(result)
    said += [*wording.about_intervals(result.get("metrics") or []), wording.about_floor(result)]
    return " ".join(said)


def metric_names(report: dict[str, Any]) -> list[str]:
    """Names of the metrics of a sweep; empty before the first point is measured."""
    return next(
        ([m["name"] for m in p["metrics"]] for p in report.get("points", []) if p.get("metrics")),
        [],
    )


def sweep_head(row: RunRow | None, report: dict[str, Any]) -> Markup:
    """Title, progress and best point of a curve."""
    if row is None:
        return render.part(PAGE, "curve", None)
    axis = curves.AXIS_WORDS.get(str(report.get("axis", "")), str(report.get("axis", "")))
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
    best = best_text(report, axis.split(" (")[0]) if row.state == "done" else ""
    best = " ".join(w for w in (best, report.get("reference_note", "") if best else "") if w)
    return render.part(PAGE, "curve", row, axis, ", ".join(said), best, row.state in ACTIVE)


def sweep_figure(row: RunRow | None, report: dict[str, Any], theme: str) -> Any:
    """The curve of the first metric of a sweep, with the distance between two sets of real images
    for comparison."""
    names = metric_names(report)
    points = []
    for p in report.get("points", []):
        m = (
            next((m for m in p.get("metrics") or [] if m["name"] == names[0]), None)
            if names
            else None
        )
        floor = (
            next((f["value"] for f in p.get("real_floor") or [] if f["name"] == names[0]), None)
            if names
            else None
        )
        points.append(
            {
                "x": p["x"],
                "value": m["value"] if m else None,
                "low": m and m.get("low"),
                "high": m and m.get("high"),
                "floor": floor,
            }
        )
    return curves.curve(
        points,
        str(report.get("axis", "")),
        names[0] if names else "distance",
        theme,
        row.id if row else "none",
    )


def sweep_table(pages: Pages, row: RunRow | None, report: dict[str, Any]) -> Markup:
    """One row per point with its metrics, its time and a link to its images; below it the
    command."""
    names = metric_names(report)
    points = []
    for p in report.get("points", []):
        by_name = {m["name"]: m for m in p.get("metrics") or []}
        share = p.get("recognised")
        points.append(
            {
                "x": f"{p['x']:g}",
                "cells": [metric_cell(by_name.get(name)) for name in names],
                "recognised": f"{100 * share:.1f}" if share is not None else "",
                "seconds": p.get("seconds"),
                "run": p.get("synthesize") if by_name else "",
            }
        )
    if not points or row is None:
        return Markup()
    axis = str(report.get("axis", "")).replace("_", " ")
    command = pages.service.get(row.id).record.command
    return render.part(PAGE, "points", axis, names, points, command)
