"""The main button of a form."""

from __future__ import annotations

from typing import Any

from dreamlab.ui.forms import spec_form
from dreamlab.ui.view import QUIET, Pages, View

REUSED = "A run with these settings exists; it is shown. Check Compute again to run it again."


def start(
    pages: Pages, form: spec_form.Form, view: Any, tab: str, clears: tuple[str, ...] = ()
) -> None:
    """Connects the main button of a form. It submits the form and shows the run in this tab, or
    shows why that is not possible. `view` is the component that holds the View. The fields `clears`
    are emptied when the run has started, so that they do not act on the next one."""
    emptied = [form.fields[name] for name in clears]

    def on_start(data: dict[Any, Any]) -> dict[Any, Any]:
        """Component -> its new value, of component -> its value."""
        now: View = data[view]
        try:
            run, reused = form.submit(pages.service, data)
        except Exception as error:  # any error must be shown as a sentence
            return {form.refusal: spec_form.refusal(spec_form.refused(error))}
        for name in clears:  # a choice that a button made, see `spec_form.add_choices`
            now = now.with_pick(f"{form.cls.kind}-{name}", "")
        return {
            view: now.at(tab, run).saying(REUSED if reused else ""),
            form.refusal: "",
            **dict.fromkeys(emptied, ""),
        }

    form.start.click(on_start, {*form.inputs, view}, [view, form.refusal, *emptied], **QUIET)
