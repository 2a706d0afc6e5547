"""The import on the Data page: where the images are, what an import would do with them, and its
start."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr
from markupsafe import Markup

from dreamlab.data.importing.matching import as_setting, target_of
from dreamlab.settings import ImportSpec, Spec, settings_of
from dreamlab.ui.forms import spec_form
from dreamlab.ui.forms.picker import LOCAL
from dreamlab.ui.forms.start import start
from dreamlab.ui.parts.proposal import proposal_html
from dreamlab.ui.render import macro
from dreamlab.ui.view import QUIET, Pages, View


def create(pages: Pages, view: Any) -> tuple[spec_form.Form, Any, Any]:
    """Creates the form in the current column. Returns it, the component for the proposal, which is
    rendered elsewhere, and the state that holds for which source which settings were answers."""
    answered = gr.State(("", ()))
    proposal = gr.HTML(
        "", elem_id="import-proposal", elem_classes="if-filled", js_on_load=LOCAL, render=False
    )

    def describe(spec: Spec) -> Markup:
        if not isinstance(spec, ImportSpec):
            return Markup("")
        look = pages.service.looker.look(spec)
        target = target_of(spec)
        classes = target.classes if target else ()
        return _panelled(proposal_html(spec, look, pages.service.places.said, classes))

    gr.HTML(macro("panel_head", "Import images"))
    form = spec_form.build(
        pages.service,
        ImportSpec,
        "Import",
        "import",
        describe=describe,
        extra=proposal,
        state=answered,
        corrected=lambda form, data: _asked_again(form, data, answered),
    )
    for name in ("dataset", "extends"):
        spec_form.add_choices(pages, "data", form, name, view)
    start(pages, form, view, "data", clears=("source", "extends"))
    return form, proposal, answered


def _asked_again(form: spec_form.Form, data: dict[Any, Any], answered: Any) -> dict[Any, Any]:
    """The usual values of the settings that answered questions about an earlier source: a new one
    is asked about again."""
    source, names = data[answered]
    if not names or source == data[form.fields["source"]]:
        return {}
    usual = {k.name: k.default for k in settings_of(ImportSpec) if k.name in names}
    return {answered: ("", ()), **form.filled(usual)}


def connect(pages: Pages, form: spec_form.Form, proposal: Any, answered: Any, view: Any) -> None:
    """Connects the proposal, after it was rendered: it is drawn again when the look at the files is
    done, and the answer to a question fills in the form."""
    source = form.fields["source"]

    def look(data: dict[Any, Any]) -> dict[Any, Any]:
        return form.look(pages.service, data)

    spec_form.refine(
        pages, "data", [proposal], form.inputs, look, lambda: pages.service.looker.version
    )

    def on_answer(
        path: str, known: tuple[str, tuple[str, ...]], now: View, event: gr.EventData
    ) -> dict[Any, Any]:
        given = _answer(event)
        names = tuple({*given, *(known[1] if known[0] == path else ())})
        if "extends" in given:  # the choice that the button of a set made
            now = now.with_pick("import-extends", given["extends"])
        return {answered: (path, names), view: now, **form.filled(given)}

    fields = list(form.fields.values())
    proposal.click(on_answer, [source, answered, view], [answered, view, *fields], **QUIET)


def _answer(event: gr.EventData) -> dict[str, str]:
    """The settings of an answer to a question: those of a button, or the classes that were chosen.
    They come from a browser and may be anything."""
    data = event._data or {}
    try:
        given = json.loads(str(data.get("settings") or data.get("pairs") or ""))
        if data.get("local") == "map":
            pairs = as_setting({str(a): str(b) for a, b in given})
            return {"classes": pairs, "class_map": ""}
    except (ValueError, TypeError):
        return {}
    texts = {k.name for k in settings_of(ImportSpec) if k.type == "str"}
    settings = given.items() if isinstance(given, dict) else ()
    return {name: str(value) for name, value in settings if name in texts}


def _panelled(shown: Markup) -> Markup:
    return macro("panel", [shown]) if shown else Markup("")
