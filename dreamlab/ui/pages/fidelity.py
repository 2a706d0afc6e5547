"""The Fidelity tab: distances of a synthetic set from real images, and curves of them against the
settings of sampling and training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from dreamlab.experiments.provenance import labelled_by
from dreamlab.fidelity import wording
from dreamlab.service import Refused, RunRow
from dreamlab.settings import FidelitySpec, SweepSpec
from dreamlab.store import RunError
from dreamlab.store.states import ACTIVE
from dreamlab.ui import render
from dreamlab.ui.forms import spec_form
from dreamlab.ui.forms.start import start
from dreamlab.ui.parts import memory, sweep_curve
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
                with gr.Row():
                    metric = gr.Dropdown(
                        [], label="Show", elem_id="sweep-metric", filterable=False, min_width=180
                    )
                    beside = gr.Dropdown(
                        [],
                        label="Beside it",
                        elem_id="sweep-beside",
                        multiselect=True,
                        max_choices=3,
                        min_width=240,
                    )
                chart = gr.Plot(show_label=False, elem_id="sweep-chart")
                table = gr.HTML("", elem_id="sweep-table")

    _draw_numbers(pages, numbers, copies)
    _draw_curve(pages, head, chart, table)
    _choose_lines(pages, view, metric, beside)
    pages.openers["fidelity"] = lambda now, run: opened(pages, now, run)
    spec_form.add_choices(pages, "fidelity", one, "images", view)
    spec_form.add_choices(pages, "fidelity", curve, "source", view)
    _switch(pages, view, which, one_column, curve_column)
    start(pages, one, view, "fidelity")
    start(pages, curve, view, "fidelity")


def _draw_numbers(pages: Pages, numbers: Any, copies: Any) -> None:
    """Connects the panel with the chosen measurement."""

    def shown(now: View) -> RunRow | None:
        return pages.chosen(now, "fidelity", ("fidelity",))

    pages.add(
        "fidelity",
        numbers,
        lambda now: pages.version_of(shown(now)),
        lambda now: numbers_html(pages, shown(now)),
    )
    pages.add(
        "fidelity",
        copies,
        lambda now: (pages.version_of(shown(now)), memory.key(pages.service, shown(now))),
        lambda now: panel([memory.memory_html(pages.service, shown(now))]),
    )


def _sweep(pages: Pages, now: View) -> RunRow | None:
    return pages.chosen(now, "fidelity", ("sweep",))


def _draw_curve(pages: Pages, head: Any, chart: Any, table: Any) -> None:
    """Connects the panels with the chosen curve."""

    def key(now: View) -> Any:
        return pages.version_of(_sweep(pages, now))

    def beside(now: View) -> tuple[str, ...]:
        return tuple(now.pick("sweep-beside", ()))

    def look(now: View) -> Any:
        rows = [r for r in pages.service.rows("sweep") if r.id in beside(now)]
        others = tuple(pages.version_of(r) for r in rows)
        return key(now), now.theme, now.pick("sweep-metric"), beside(now), others

    def drawn(now: View) -> Any:
        row = _sweep(pages, now)
        return sweep_curve.figure(pages, row, now.pick("sweep-metric"), beside(now), now.theme)

    def report(now: View) -> tuple[RunRow | None, dict[str, Any]]:
        row = _sweep(pages, now)
        return row, pages.report(row)

    pages.add("fidelity", head, key, lambda now: sweep_curve.head(*report(now)))
    pages.add("fidelity", chart, look, drawn)
    pages.add("fidelity", table, key, lambda now: sweep_curve.table(pages, *report(now)))


def _choose_lines(pages: Pages, view: Any, metric: Any, beside: Any) -> None:
    """Fills the two choices above the curve, and stores what is chosen."""

    def metrics_of(now: View) -> Any:
        choices = sweep_curve.shown_choices(pages.report(_sweep(pages, now)))
        values = [value for _, value in choices]
        picked = now.pick("sweep-metric")
        value = picked if picked in values else next(iter(values), None)
        return gr.Dropdown(choices=choices, value=value, visible=len(values) > 1)

    def others_of(now: View) -> Any:
        choices = sweep_curve.beside_choices(pages, _sweep(pages, now))
        values = [value for _, value in choices]
        picked = [name for name in now.pick("sweep-beside", ()) if name in values]
        return gr.Dropdown(choices=choices, value=picked, visible=bool(values))

    def key(now: View) -> Any:
        return pages.version_of(_sweep(pages, now)), now.pick("sweep-metric")

    def others_key(now: View) -> Any:
        row = _sweep(pages, now)
        names = tuple((r.id, r.name) for r in pages.service.rows("sweep"))
        return row.id if row else "", names, now.pick("sweep-beside", ())

    pages.add("fidelity", metric, key, metrics_of)
    pages.add("fidelity", beside, others_key, others_of)
    metric.input(
        lambda now, name: now.with_pick("sweep-metric", name or ""), [view, metric], view, **QUIET
    )
    beside.input(
        lambda now, names: now.with_pick("sweep-beside", tuple(names or ())),
        [view, beside],
        view,
        **QUIET,
    )


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
    if result.get("fdr"):
        rows.insert(1, ratio_line(result))
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


def ratio_line(result: Mapping[str, Any]) -> dict[str, Any]:
    """The line of the table for the distance as a multiple of that of real images."""
    found, few = result["fdr"], 0
    for row in result["metrics"]:
        if found["name"].startswith(f"{row['name']} "):
            few = wording.too_few(row, result)
    return {
        "name": f"{found['name']}, 1 is as close as real images",
        "cell": metric_cell(found),
        "images": result["images"],
        "few": few,
        "real": None,
    }


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
    said += [wording.about_gap(result), wording.about_looks(result)]
    return " ".join(filter(None, said))
