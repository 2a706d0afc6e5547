"""The Fidelity tab: distances of a synthetic set from real images, and curves of them against the
settings of sampling and training."""

from __future__ import annotations

from typing import Any

import gradio as gr

from dreamlab.fidelity import wording
from dreamlab.service import RunRow, usefulness
from dreamlab.settings import FidelitySpec, SweepSpec
from dreamlab.ui import render
from dreamlab.ui.forms import spec_form
from dreamlab.ui.forms.start import start
from dreamlab.ui.pages import fidelity_usefulness
from dreamlab.ui.parts import fidelity_numbers, memory, sweep_curve
from dreamlab.ui.parts.panels import panel
from dreamlab.ui.view import QUIET, Pages, View

PAGE = "fidelity.html"
ONE, CURVE = "Measure one set", "Draw a curve"


def create(pages: Pages, view: Any) -> None:
    """Creates the components of the tab: two forms to choose from, the numbers of one set, a curve,
    and which metric predicts usefulness."""
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
            fidelity_usefulness.create(pages, view)

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
        lambda now: (pages.version_of(shown(now)), usefulness.version(pages.service)),
        lambda now: fidelity_numbers.numbers_html(pages, shown(now)),
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
