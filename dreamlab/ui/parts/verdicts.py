"""The answer of a mix or a study: its verdict, how far it is, and its files. Pure functions, but
for the files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from dreamlab.service import RunRow, Service
from dreamlab.store.states import ACTIVE
from dreamlab.ui import render

PAGE = "verdicts.html"
VERBS = re.compile(r"\b(helps|hurts|undecided|Undecided|does not help)\b")
LONG = 220
"""Characters from which on a verdict is set in smaller type."""


def verdict_html(verdict: Mapping[str, Any], size: str = "") -> Markup:
    """A verdict in large type, its verb in the colour of its kind (the word itself says the same).

    verdict: {"text", "kind"} of a report; size: "small" or empty.
    """
    text, kind = str(verdict.get("text", "")), str(verdict.get("kind", ""))
    found = VERBS.search(text)
    start, end = found.span() if found else (len(text), len(text))
    sentence = {
        "before": text[:start],
        "verb": text[start:end],
        "after": text[end:],
        "kind": kind,
        "long": len(text) > LONG,
    }
    return render.part(PAGE, "verdict", sentence, size)


def progress_html(row: RunRow, coming: str, tab: str, small: bool = False) -> Markup:
    """What stands in the verdict's place while a mix or a study runs, or after it ended without
    one. coming: what will stand there, in words."""
    if row.state in ACTIVE:
        return render.part(PAGE, "progress", row, coming, tab, small)
    return render.part(PAGE, "ended", row, tab)


def files_html(
    service: Service, row: RunRow | None, images: tuple[str, str] | None = None
) -> Markup:
    """The command of a run and, once it is done, its table as files; empty without a run.

    images: (run, label) of an arm whose synthetic images can be taken too.
    """
    if row is None:
        return Markup()
    command = service.get(row.id).record.command
    if row.state != "done":
        return render.part(PAGE, "files", row, command)
    csv, latex = service.table(row.id, "csv"), service.table(row.id, "latex")
    return render.part(PAGE, "files", row, command, csv, latex, images)
