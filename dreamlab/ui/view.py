"""What a browser page shows (`View`), and the parts of the page that are drawn from it and the
runs."""

from __future__ import annotations

import dataclasses
import sys
import time
import traceback
import urllib.parse
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import gradio as gr

from dreamlab.service import Refused, RunRow, Service
from dreamlab.store.states import ACTIVE
from dreamlab.ui.render import macro
from dreamlab.ui.tabs import BY_NAME

QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""Options of all event listeners: no queue, no progress overlay, no public endpoint."""


@dataclasses.dataclass(frozen=True)
class View:
    """The state of one page: tab, theme, the run chosen in each tab, other choices, and a notice
    with the run that Undo would restore."""

    tab: str = "home"
    theme: str = "light"
    runs: tuple[tuple[str, str], ...] = ()
    picks: tuple[tuple[str, Any], ...] = ()
    notice: str = ""
    undo: str = ""
    known: bool = False
    """Whether the page has said what it shows."""

    def run(self, tab: str) -> str:
        """The run chosen in a tab; empty if there is none."""
        return dict(self.runs).get(tab, "")

    def pick(self, name: str, default: Any = "") -> Any:
        """The value of a named choice."""
        return dict(self.picks).get(name, default)

    def at(self, tab: str, run: str) -> View:
        """This view with a run chosen in a tab."""
        return dataclasses.replace(self, runs=tuple(sorted({**dict(self.runs), tab: run}.items())))

    def with_pick(self, name: str, value: Any) -> View:
        """This view with a named choice changed."""
        return dataclasses.replace(
            self, picks=tuple(sorted({**dict(self.picks), name: value}.items()))
        )

    def saying(self, notice: str, undo: str = "") -> View:
        """This view with a notice."""
        return dataclasses.replace(self, notice=notice, undo=undo)

    def query(self) -> str:
        """The query string of the address; loading it again shows the same tab and run."""
        fields = {"tab": self.tab} | ({"run": self.run(self.tab)} if self.run(self.tab) else {})
        return "?" + urllib.parse.urlencode(fields)


def from_query(search: str, theme: str) -> View:
    """The view for a query string. Unknown names are ignored."""
    asked = dict(urllib.parse.parse_qsl(search.lstrip("?")))
    tab = asked.get("tab", "").lower()
    view = View(tab=tab if tab in BY_NAME else "home", theme="dark" if theme == "dark" else "light")
    return view.at(view.tab, asked["run"]) if asked.get("run") else view


@dataclasses.dataclass(frozen=True)
class PagePart:
    """One component of a page. It is drawn again only if its key has changed. `key` must be cheap;
    `draw` may read files."""

    component: Any
    key: Callable[[View], Hashable]
    draw: Callable[[View], Any]
    tab: str = ""
    """It is drawn only while this tab is shown; empty means always."""


class Pages:
    """The parts of all tabs, and the function that redraws those that have changed."""

    def __init__(self, service: Service):
        self.service = service
        self.parts: list[PagePart] = []
        self.openers: dict[str, Callable[[View, str], View]] = {}
        """Tab -> function that changes the view when a run is opened in it, for tabs that must do
        more than choose the run."""
        self._reports: dict[str, tuple[Hashable, dict[str, Any]]] = {}

    def add(
        self, tab: str, component: Any, key: Callable[[View], Hashable], draw: Callable[[View], Any]
    ) -> Any:
        """Adds a part to a tab and returns its component."""
        self.parts.append(PagePart(component, key, draw, tab))
        return component

    @property
    def outputs(self) -> list[Any]:
        """The components of all parts."""
        return [part.component for part in self.parts]

    def refresh(self, view: View, seen: dict[Any, Any]) -> tuple[dict[Any, Any], dict[Any, Any]]:
        """(component -> update, new `seen`). If nothing has changed there are no updates, and
        `seen` is returned as it is."""
        service = self.service
        work = (service.version(), service.estimate_version(), service.looker.version)
        gate = (*work, view, int(time.time() / 5))
        if seen.get("gate") == gate:
            return {}, seen
        seen = {**seen, "gate": gate}
        updates: dict[Any, Any] = {}
        for i, part in enumerate(self.parts):
            if part.tab not in ("", view.tab):
                continue
            try:
                key = part.key(view)
                if i in seen and seen[i] == key:
                    continue
                seen[i] = key
                updates[part.component] = part.draw(view)
            except Exception as error:  # an error in one part must not affect the others
                report_error(error)
                if isinstance(part.component, gr.HTML):
                    sentence = (
                        str(error)
                        if isinstance(error, Refused)
                        else "This part cannot be shown; DreamLab's terminal shows the error."
                    )
                    updates[part.component] = macro("refusal", sentence)
        return updates, seen

    def version_of(self, row: RunRow | None) -> Hashable:
        """A key that changes when the status of a run changes."""
        return (row.id, self.service.status(row.id).version, row.state) if row else None

    def report(self, row: RunRow | None) -> dict[str, Any]:
        """The results of an experiment so far. They are cached, so that several parts can use them.
        Empty without a run."""
        if row is None:
            return {}
        version = self.version_of(row)
        known = self._reports.get(row.id)
        if known is None or known[0] != version:
            known = (version, self.service.report(row.id))
            self._reports = {**dict(list(self._reports.items())[-7:]), row.id: known}
        return known[1]

    def chosen(
        self,
        view: View,
        tab: str,
        kinds: Sequence[str],
        fits: Callable[[RunRow], bool] = lambda row: True,
    ) -> RunRow | None:
        """The run that a tab shows: the chosen one, else the first active one of its kinds, else
        the newest. Runs of the demo come last. Runs for which `fits` is False are skipped."""
        asked = view.run(tab)
        if asked:
            try:
                row = self.service.row(asked, disk=False)
            except Refused:
                row = None
            if row is not None and row.kind in kinds and fits(row):
                return row
        rows = [r for kind in kinds for r in self.service.rows(kind) if fits(r)]
        rows.sort(key=lambda r: r.id, reverse=True)
        rows.sort(key=lambda r: (r.state not in ACTIVE, r.demo))
        return rows[0] if rows else None


def report_error(error: Exception) -> None:
    """Prints an unexpected error to the terminal. Pages never show a traceback."""
    if not isinstance(error, Refused):
        traceback.print_exception(error, file=sys.stderr)
