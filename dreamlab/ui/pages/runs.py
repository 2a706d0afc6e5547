"""The Runs tab: all runs with state, settings, related runs and disk use; open, compare, stop,
resume and delete."""

from __future__ import annotations

from typing import Any

import gradio as gr
from markupsafe import Markup

from dreamlab.paths import program
from dreamlab.service import Refused
from dreamlab.settings import KINDS, settings_of
from dreamlab.ui.render import macro, part
from dreamlab.ui.view import Pages, View
from dreamlab.ui.words import STATE_WORDS

TEMPLATE = "runs.html"
MOST_ROWS = 300


def create(pages: Pages, view: Any) -> None:
    """Creates the components of the tab."""
    service = pages.service
    gr.HTML(macro("page_head", "Runs", "Everything that was started, newest first."))
    with gr.Row(elem_classes="columns"):
        with gr.Column(elem_classes="maincol"):
            with gr.Column(elem_classes="dl-panel"):
                table = gr.HTML("", elem_id="runs-table")
            compared = gr.HTML("", elem_id="runs-compare")
        with gr.Column(elem_classes="sidecol"), gr.Column(elem_classes="dl-panel"):
            detail = gr.HTML("", elem_id="runs-detail")
    pages.add(
        "runs",
        table,
        lambda now: (service.version(), now.run("runs"), now.pick("runs-all")),
        lambda now: table_html(pages, now),
    )
    pages.add(
        "runs",
        compared,
        lambda now: now.pick("compare", ()),
        lambda now: compare_html(pages, now.pick("compare", ())),
    )
    pages.add(
        "runs",
        detail,
        lambda now: (service.version(), now.run("runs")),
        lambda now: detail_html(pages, now.run("runs")),
    )


def table_html(pages: Pages, view: View) -> Markup:
    """The table of runs with its filter. Only the newest 300 are shown; older ones are counted."""
    inside = view.pick("runs-all") == "yes"
    rows = pages.service.rows(top_level=not inside, disk=True)
    return part(
        TEMPLATE,
        "table",
        rows[:MOST_ROWS],
        more=len(rows) - MOST_ROWS,
        selected=view.run("runs"),
        inside=inside,
        kinds=list(KINDS),
        states=list(STATE_WORDS),
        program=program(),
    )


def detail_html(pages: Pages, run: str) -> Markup:
    """Everything about one run, with buttons for what can be done with it."""
    if not run:
        return part(TEMPLATE, "no_detail")
    try:
        row = pages.service.row(run)
    except Refused as error:
        return part(TEMPLATE, "no_detail", str(error))
    if pages.service.find(row.id).problem():
        return part(TEMPLATE, "unreadable", row)
    record = pages.service.get(row.id).record
    messages = pages.service.status(row.id).messages[-4:]
    lineage = pages.service.lineage(row.id)
    values = settings(record.kind, record.spec)
    return part(TEMPLATE, "detail", row, record, messages, lineage, values)


def settings(kind: str, values: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """The settings of a run: (label, value with its unit, whether it differs from the default)."""
    rows = []
    for k in settings_of(KINDS[kind]):
        value = values.get(k.name)
        default = list(k.default) if isinstance(k.default, tuple) else k.default
        text = listed(value) or "none"
        rows.append((k.label, f"{text} {k.unit}" if k.unit else text, value != default))
    return rows


def listed(value: Any) -> str:
    """A value of a setting in words. The items of a list are separated by commas."""
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def compare_html(pages: Pages, ids: tuple[str, ...]) -> Markup:
    """The settings in which the chosen runs differ, and the results of these runs."""
    if len(ids) < 2:
        return Markup()
    rows = [pages.service.row(i) for i in ids]
    differences = [
        (label, ["" if value is None else listed(value) for value in values])
        for label, values in pages.service.differences(list(ids))
    ]
    return part(TEMPLATE, "comparison", rows, differences)
