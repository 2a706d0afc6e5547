"""The import on the Data page: where the images are, what an import would do with them, and its
start."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr
from markupsafe import Markup

from dreamlab.data.importing.matching import as_setting
from dreamlab.settings import ImportSpec, Spec, settings_of
from dreamlab.ui.forms import spec_form
from dreamlab.ui.forms.picker import LOCAL
from dreamlab.ui.forms.start import start
from dreamlab.ui.parts.proposal import proposal_html
from dreamlab.ui.render import macro
from dreamlab.ui.view import QUIET, Pages


def create(pages: Pages, view: Any) -> tuple[spec_form.Form, Any]:
    """Creates the form in the current column. Returns it, and the component for the proposal, which
    is rendered elsewhere."""
    proposal = gr.HTML(
        "", elem_id="import-proposal", elem_classes="if-filled", js_on_load=LOCAL, render=False
    )

    def describe(spec: Spec) -> Markup:
        if not isinstance(spec, ImportSpec):
            return Markup("")
        return _panelled(proposal_html(spec, pages.service.looker.look(spec)))

    gr.HTML(macro("panel_head", "Import images"))
    form = spec_form.build(
        pages.service, ImportSpec, "Import", "import", describe=describe, extra=proposal
    )
    for name in ("dataset", "extends"):
        spec_form.add_choices(pages, "data", form, name, view)
    start(pages, form, view, "data", clears=("source",))
    return form, proposal


def connect(pages: Pages, form: spec_form.Form, proposal: Any) -> None:
    """Connects the proposal, after it was rendered: it is drawn again when the look at the files is
    done, and the answer to a question fills in the form."""

    def look(data: dict[Any, Any]) -> dict[Any, Any]:
        return form.look(pages.service, data)

    spec_form.refine(
        pages, "data", [proposal], form.inputs, look, lambda: pages.service.looker.version
    )

    def on_answer(event: gr.EventData) -> dict[Any, Any]:
        return form.filled(_answer(event))

    proposal.click(on_answer, None, list(form.fields.values()), **QUIET)


def _answer(event: gr.EventData) -> dict[str, str]:
    """The settings of an answer to a question: those of a button, or the classes that were chosen.
    They come from a browser and may be anything."""
    data = event._data or {}
    try:
        given = json.loads(str(data.get("settings") or data.get("pairs") or ""))
        if data.get("local") == "map":
            return {"classes": as_setting({str(a): str(b) for a, b in given if b})}
    except (ValueError, TypeError):
        return {}
    texts = {k.name for k in settings_of(ImportSpec) if k.type == "str"}
    settings = given.items() if isinstance(given, dict) else ()
    return {name: str(value) for name, value in settings if name in texts}


def _panelled(shown: Markup) -> Markup:
    return macro("panel", [shown]) if shown else Markup("")
