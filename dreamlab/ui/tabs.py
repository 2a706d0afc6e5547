"""The tabs of the dashboard. A new tab is a module in `pages` with a function `create(pages, view,
seen)`, and a row in TABS."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

from dreamlab.settings import KINDS


@dataclasses.dataclass(frozen=True)
class Tab:
    """One tab. `name` is used in addresses and is the name of the module in `dreamlab.ui.pages`.
    Runs of the kinds `kinds` open in it."""

    name: str
    title: str
    kinds: tuple[str, ...] = ()

    def create(self, pages: Any, view: Any, seen: Any) -> None:
        """Creates the components of the tab. Raises ImportError or AttributeError if its module or
        the function `create` is missing."""
        module = importlib.import_module(f"dreamlab.ui.pages.{self.name}")
        module.create(pages, view, seen)


TABS = (
    Tab("home", "Home"),
    Tab("data", "Data", kinds=("import",)),
    Tab("train", "Train", kinds=("train",)),
    Tab("sample", "Sample"),
    Tab("gallery", "Gallery", kinds=("synthesize",)),
    Tab("fidelity", "Fidelity", kinds=("fidelity", "sweep")),
    Tab("mix", "Mix", kinds=("mix", "classify")),
    Tab("studies", "Studies", kinds=("study",)),
    Tab("runs", "Runs"),
)
"""In the order in which they are shown."""
BY_NAME = {tab.name: tab for tab in TABS}
BY_TITLE = {tab.title: tab for tab in TABS}


def _by_kind() -> dict[str, Tab]:
    """Kind of run -> its tab. Raises LookupError if a kind has no tab or several, or is unknown."""
    found = {kind: [tab for tab in TABS if kind in tab.kinds] for kind in KINDS}
    wrong = sorted(kind for kind, tabs in found.items() if len(tabs) != 1)
    unknown = sorted({kind for tab in TABS for kind in tab.kinds} - set(KINDS))
    if wrong or unknown or len(BY_NAME) < len(TABS) or len(BY_TITLE) < len(TABS):
        raise LookupError(
            "dreamlab/ui/tabs.py: every kind of run needs one tab, and names and titles must"
            f" differ; kinds without one tab: {wrong}, kinds that do not exist: {unknown}."
        )
    return {kind: tabs[0] for kind, tabs in found.items()}


BY_KIND = _by_kind()


def of_kind(kind: str) -> str:
    """The name of the tab in which a run of this kind opens; Runs for an unknown kind, which a run
    of another version may have."""
    tab = BY_KIND.get(kind)
    return tab.name if tab else "runs"
