"""The Data tab: the import form, the imports that run, and the data sets."""

from __future__ import annotations

from typing import Any

import gradio as gr

from dreamlab.service import RunRow
from dreamlab.store.states import ACTIVE
from dreamlab.ui.pages import data_import, data_sets
from dreamlab.ui.parts.import_report import running_html
from dreamlab.ui.parts.panels import panel
from dreamlab.ui.render import macro
from dreamlab.ui.view import Pages


def create(pages: Pages, view: Any) -> None:
    """Creates the components of the tab and connects its form."""
    gr.HTML(
        macro(
            "page_head",
            "Data",
            "The data sets for training and testing. No generator or classifier is ever trained on"
            " a test image.",
        )
    )
    with gr.Row(elem_classes="columns"):
        with gr.Column(elem_classes="formcol"), gr.Column(elem_classes="dl-panel"):
            form, proposal, answered = data_import.create(pages, view)
        with gr.Column(elem_classes="maincol"):
            proposal.render()
            running = gr.HTML("", elem_id="data-running", visible=False)
            data_sets.create(pages, view)
    pages.add(
        "data",
        running,
        lambda now: tuple(pages.version_of(r) for r in active(pages)),
        lambda now: panel([running_html(r) for r in active(pages)]),
    )
    data_import.connect(pages, form, proposal, answered, view)


def active(pages: Pages) -> list[RunRow]:
    """The active imports."""
    return [r for r in pages.service.rows("import") if r.state in ACTIVE]
