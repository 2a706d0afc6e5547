"""The tabs of the dashboard. A new tab is a module in `pages` with a function
`create(pages, view)`, and a row in TABS."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Sequence
from typing import Any

from dreamlab.settings import KINDS


@dataclasses.dataclass(frozen=True)
class Tab:
    """One tab. `name` is used in addresses and is the name of the module in `dreamlab.ui.pages`.
    Runs of the kinds `kinds` open in it."""

    name: str
    title: str
    kinds: tuple[str, ...] = ()

    def create(self, pages: Any, view: Any) -> None:
        """Creates the components of the tab. Raises ImportError or AttributeError if its module or
        the function `create` is missing."""
        module = importlib.import_module(f"dreamlab.ui.pages.{self.name}")
        module.create(pages, view)


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


def by_kind(tabs: Sequence[Tab]) -> dict[str, Tab]:
    """The tab of each kind of run. Raises LookupError where a kind has none, two, or is unknown, or
    where two tabs have one name or one title."""
    found = {kind: [tab for tab in tabs if kind in tab.kinds] for kind in KINDS}
    wrong = sorted(kind for kind, those in found.items() if len(those) != 1)
    unknown = sorted({kind for tab in tabs for kind in tab.kinds} - set(KINDS))
    different = min(len({tab.name for tab in tabs}), len({tab.title for tab in tabs}))
    if wrong or unknown or different < len(tabs):
        raise LookupError(
            "dreamlab/ui/tabs.py: every kind of run needs one tab, and names and titles must"
            f" differ; kinds without one tab: {wrong}, kinds that do not exist: {unknown}."
        )
    return {kind: those[0] for kind, those in found.items()}


BY_KIND = by_kind(TABS)


def of_kind(kind: str) -> str:
    """The name of the tab in which a run of this kind opens; Runs for an unknown kind, which a run
    of another version may have."""
    tab = BY_KIND.get(kind)
    return tab.name if tab else "runs"
