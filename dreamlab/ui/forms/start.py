"""What a form's main button does."""

from __future__ import annotations

from typing import Any

from dreamlab.ui.forms import spec_form
from dreamlab.ui.view import QUIET, Pages, View

REUSED = "This very run is there already; it is shown. Check Compute anew to run it again."


def start(pages: Pages, form: spec_form.Form, view: Any, tab: str) -> None:
    """Connects a form's main button: it submits the form and shows the run in this tab, or says in
    one sentence why not. view: the component that holds the page's View."""

    def on_start(data: dict[Any, Any]) -> dict[Any, Any]:
        now: View = data[view]
        try:
            run, reused = form.submit(pages.service, data)
        except Exception as error:  # the page must get a sentence whatever happens
            return {form.refusal: spec_form.refusal(spec_form.refused(error))}
        return {view: now.at(tab, run).saying(REUSED if reused else ""), form.refusal: ""}

    form.start.click(on_start, {*form.inputs, view}, [view, form.refusal], **QUIET)
