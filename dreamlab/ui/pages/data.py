"""The Data tab: the import form, the imports that run, and the data sets."""

from __future__ import annotations

from typing import Any

import gradio as gr

from dreamlab.service import RunRow
from dreamlab.settings import ImportSpec
from dreamlab.store.states import ACTIVE
from dreamlab.ui.forms import spec_form
from dreamlab.ui.forms.start import start
from dreamlab.ui.pages import data_sets
from dreamlab.ui.parts.import_report import running_html
from dreamlab.ui.parts.panels import panel
from dreamlab.ui.render import macro
from dreamlab.ui.view import Pages, View


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
            gr.HTML(macro("panel_head", "Import images"))
            form = spec_form.build(pages.service, ImportSpec, "Import", "import")
        with gr.Column(elem_classes="maincol"):
            running = gr.HTML("", elem_id="data-running", visible=False)
            data_sets.create(pages, view)
    pages.add(
        "data",
        running,
        lambda now: tuple(pages.version_of(r) for r in active(pages)),
        lambda now: panel([running_html(r) for r in active(pages)]),
    )
    _fill_source(pages, form)
    for name in ("dataset", "extends"):
        spec_form.add_choices(pages, "data", form, name, view)
    start(pages, form, view, "data")


def _fill_source(pages: Pages, form: spec_form.Form) -> None:
    """Lets the download buttons of the data sets fill in the source of the import form."""

    def draw(now: View) -> Any:
        asked = now.pick("import-source")
        return gr.Textbox(value=asked) if asked else gr.skip()

    pages.add("data", form.fields["source"], lambda now: now.pick("import-source"), draw)


def active(pages: Pages) -> list[RunRow]:
    """The active imports."""
    return [r for r in pages.service.rows("import") if r.state in ACTIVE]
