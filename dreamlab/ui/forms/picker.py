"""Fills in the path of a setting: files of the reader's machine are sent to the server, or a folder
of the server is chosen."""

from __future__ import annotations

import dataclasses
from typing import Any

import gradio as gr

from dreamlab.service import Refused
from dreamlab.service.places import Places
from dreamlab.ui.render import macro, part
from dreamlab.ui.view import QUIET
from dreamlab.ui.words import size

TEMPLATE = "picker.html"
LOCAL = (
    "const ready = (then) => (window.dreamlab?.local ? then(window.dreamlab)"
    " : setTimeout(ready, 20, then)); ready((d) => d.local(element, trigger));"
)
"""Connects the clicks of an element with its own handler (assets/picker.js)."""


@dataclasses.dataclass(frozen=True)
class Place:
    """The buttons that choose files, and the list of a folder of the server."""

    buttons: Any
    shelf: Any


def create(places: Places, elem_id: str, large: bool) -> Place:
    """Creates the buttons in the current column. `large`: with a place on which files are dropped.
    `connect` connects them with a text box."""
    shown = part(TEMPLATE, "place", large, size(places.most_bytes), bool(places.allowed))
    return Place(
        gr.HTML(shown, elem_id=f"{elem_id}-files", js_on_load=LOCAL),
        gr.HTML("", elem_id=f"{elem_id}-shelf", elem_classes="if-filled", js_on_load=LOCAL),
    )


def connect(places: Places, place: Place, field: Any) -> None:
    """Lets the buttons fill in the text box `field`."""
    shelf = place.shelf

    def on_click(event: gr.EventData) -> dict[Any, Any]:
        data = {str(k): str(v) for k, v in (event._data or {}).items()}
        try:
            return answer(data)
        except Refused as error:
            return {shelf: macro("refusal", str(error))}

    def answer(data: dict[str, str]) -> dict[Any, Any]:
        """`data` comes from a browser and may contain anything. The folder is not called `path`,
        which Gradio takes for one of its own files."""
        asked = data.get("local", "")
        if asked == "sent":
            return {field: places.end(data.get("name", "")), shelf: ""}
        if asked == "browse":
            return {shelf: part(TEMPLATE, "shelf", places.shelf(data.get("at", "")))}
        if asked == "choose":
            return {field: data.get("at", ""), shelf: ""}
        return {shelf: ""}

    for component in (place.buttons, shelf):
        component.click(on_click, None, [field, shelf], **QUIET)
