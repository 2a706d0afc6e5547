"""Fidelity: how far a synthetic set is from real images, and a curve of that against guidance,
steps or T."""

from __future__ import annotations

from typing import Any

import gradio as gr

from dreamlab.fidelity import metrics
from dreamlab.service import Refused, RunRow
from dreamlab.settings import FidelitySpec, SweepSpec
from dreamlab.store.states import ACTIVE
from dreamlab.ui import html
from dreamlab.ui.charts import curves
from dreamlab.ui.forms import spec_form
from dreamlab.ui.pages.train import start
from dreamlab.ui.view import QUIET, Pages, View

ONE, CURVE = "Measure one set", "Draw a curve"


def create(pages: Pages, view: Any, seen: Any) -> None:
    """Lays out the tab: two forms behind a switch, the numbers of one set, the newest curve."""
    service = pages.service
    gr.HTML(
        html.page_head(
            "How close to real?",
            f"{metrics.summary()} Every number names its images,"
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
            with gr.Column(elem_classes="dl-panel"):
                head = gr.HTML("", elem_id="sweep-head")
                chart = gr.Plot(show_label=False, elem_id="sweep-chart")
                table = gr.HTML("", elem_id="sweep-table")

    _draw(pages, numbers, head, chart, table)
    pages.openers["fidelity"] = lambda now, run: opened(pages, now, run)
    spec_form.add_choices(pages, "fidelity", one, "images", view)
    spec_form.add_choices(pages, "fidelity", curve, "source", view)
    _switch(pages, view, which, one_column, curve_column)
    start(pages, one, view, seen, "fidelity")
    start(pages, curve, view, seen, "fidelity")


def _draw(pages: Pages, numbers: Any, head: Any, chart: Any, table: Any) -> None:
    """What is shown of the chosen measurement and of the chosen curve, and when it is drawn
    anew."""
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
    pages.add("fidelity", head, key("sweep"), lambda now: sweep_head(pages, *points(now)))
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
    """A synthetic set that is opened here is one to be measured; a curve shows its form."""
    kind = pages.service.row(run, disk=False).kind
    if kind in ("synthesize", "import"):
        return (
            view.at("fidelity", "")
            .with_pick("fidelity-images", run)
            .with_pick("fidelity-which", ONE)
        )
    return view.with_pick("fidelity-which", CURVE if kind == "sweep" else ONE)


def interval(metric: dict[str, Any]) -> str:
    if metric.get("low") is None or metric.get("high") is None:
        return ""
    return f"{metric['low']:.3g} to {metric['high']:.3g}"


def numbers_html(pages: Pages, row: RunRow | None) -> str:
    """The numbers of one set, with everything they need to be believed."""
    if row is None:
        return html.panel_head("One set") + '<p class="empty">Nothing measured yet.</p>'
    result = pages.service.get(row.id).result() or {}
    head = (
        '<h2 class="head"><b>One'
        f" set</b>{html.demo_chip(row.demo)}<span>{html.state_chip(row.state)}</span></h2>"
    )
    if not result.get("metrics"):
        words = (
            row.error
            or row.text
            or (
                "It is being measured; the extractor is trained once and then kept."
                if row.state in ACTIVE
                else "No numbers."
            )
        )
        stop = html.button("Stop", "stop", small=True, run=row.id) if row.state in ACTIVE else ""
        return head + f'<p class="sub">{html.esc(words)}</p>{stop}'
    floor = {m["name"]: m for m in result.get("real_floor") or []}
    rows = []
    title, names = metrics.column_titles([m["name"] for m in result["metrics"]])
    for name, m in zip(names, result["metrics"], strict=True):
        base = floor.get(m["name"])
        rows.append(
            [
                f"<b>{html.esc(name)}</b>",
                metrics.number(m),
                f'<span class="mut">{interval(m)}</span>',
                f"{result['images']:,}",
                f'{metrics.number(base)} <span class="mut">{interval(base)}</span>' if base else "",
            ]
        )
    heads = [title, "value", "95 % interval", "images", "real images reach"]
    return (
        head
        + set_line(pages, row)
        + html.table(heads, rows)
        + about(result)
        + html.command_line(pages.service.get(row.id).record.command)
    )


def set_line(pages: Pages, row: RunRow) -> str:
    """Which set it is about."""
    links = []
    for parent in row.parents:
        try:
            source = pages.service.row(parent, disk=False)
        except Refused:
            continue
        links.append(
            f"{html.run_link(source.id, source.name, 'gallery')} ({html.esc(source.headline)})"
        )
    return f'<p class="sub">{"; ".join(links)}</p>' if links else ""


def about(result: dict[str, Any]) -> str:
    """Reference and extractor in words, with the extractor's accuracy and the share recognised as
    their class."""
    reference, extractor = result.get("reference") or {}, result.get("extractor") or {}
    words = [
        f"Reference: {reference.get('images', 0):,} real images of the {reference.get('split', '')}"
        f" split of {reference.get('dataset', '')}."
    ]
    accuracy = extractor.get("accuracy")
    right = (
        f", right on {100 * accuracy:.1f} % of the real test images" if accuracy is not None else ""
    )
    words.append(
        f"Features: {extractor.get('name', '')}, {extractor.get('dimensions', '')}"
        f" dimensions{right}."
    )
    if result.get("recognised") is not None:
        words.append(
            f"{100 * result['recognised']:.1f} % of the synthetic images are recognised as their"
            " class."
        )
    words.append(
        "The last column is the same measurement for as many real training images: no set can be"
        " expected to be much better."
    )
    return f'<p class="note" style="margin-bottom:12px">{html.esc(" ".join(words))}</p>'


def metric_names(report: dict[str, Any]) -> list[str]:
    return next(
        ([m["name"] for m in p["metrics"]] for p in report.get("points", []) if p.get("metrics")),
        [],
    )


def sweep_head(pages: Pages, row: RunRow | None, report: dict[str, Any]) -> str:
    """What the curve is of, and how far it is."""
    if row is None:
        return (
            html.panel_head("Curve")
            + '<p class="empty">No curve yet: "Draw a curve" varies guidance, sampler steps or'
            " T.</p>"
        )
    axis = curves.AXIS_WORDS.get(str(report.get("axis", "")), str(report.get("axis", "")))
    points = report.get("points", [])
    done = sum(bool(p.get("metrics")) for p in points)
    extractor = report.get("extractor")
    name = extractor.get("name") if isinstance(extractor, dict) else extractor
    facts = (
        [f"{done} of {len(points)} points"]
        + ([f"{report['images']:,} images each"] if report.get("images") else [])
        + ([f"features: {name}"] if name else [])
    )
    head = (
        '<h2 class="head"><b>Curve against'
        f" {html.esc(axis)}</b>{html.demo_chip(row.demo)}<span>{html.esc(', '.join(facts))}"
        f" {html.state_chip(row.state)}</span></h2>"
    )
    best = report.get("best")
    if row.state == "done" and best:
        head += (
            f'<p class="verdict small">{metrics.best_word(best["metric"]).capitalize()} {html.esc(best["metric"])} at'
            f" {html.esc(axis.split(' (')[0])} = {best['x']:g}.</p>"
        )
    elif row.state in ACTIVE:
        stop = html.button("Stop and keep", "stop", small=True, run=row.id)
        head += (
            f'<p class="sub">{html.track(row.step / row.total if row.total else 0)}'
            f" {html.esc(row.text)} {stop}</p>"
        )
    elif row.error:
        head += f'<p class="refusal">{html.esc(row.error)}</p>'
    return head


def sweep_figure(row: RunRow | None, report: dict[str, Any], theme: str) -> Any:
    """The curve of a sweep's first metric, with the distance between two real sets beside it."""
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


def sweep_table(pages: Pages, row: RunRow | None, report: dict[str, Any]) -> str:
    """One row per point: its metrics, its time, a link to its images; below them the command."""
    names = metric_names(report)
    rows = []
    for p in report.get("points", []):
        by_name = {m["name"]: m for m in p.get("metrics") or []}
        cells = [
            (
                f'{metrics.number(by_name[n])} <span class="mut">{interval(by_name[n])}</span>'
                if n in by_name
                else '<span class="mut">to come</span>'
            )
            for n in names
        ]
        recognised = f"{100 * p['recognised']:.1f}" if p.get("recognised") is not None else ""
        link = (
            html.run_link(p["synthesize"], "see them", "gallery")
            if p.get("synthesize") and by_name
            else ""
        )
        rows.append([f"{p['x']:g}", *cells, recognised, html.duration(p.get("seconds")), link])
    if not rows or row is None:
        return ""
    heads = [str(report.get("axis", "")).replace("_", " "), *names, "recognised, %", "time", ""]
    return html.table(heads, rows) + html.command_line(pages.service.get(row.id).record.command)
