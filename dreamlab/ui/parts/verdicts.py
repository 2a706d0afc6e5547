"""The answer of a mix or a study: its verdict, its progress, and its files."""

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
"""Number of characters above which a verdict is set in smaller type."""


def verdict_html(verdict: Mapping[str, Any], size: str = "") -> Markup:
    """A verdict: its headline in large type, with the verb in the colour of the decision, and its
    other sentences below.

    verdict: {"text", "kind"} of a report; size: "small" or empty.
    """
    text, kind = str(verdict.get("text", "")), str(verdict.get("kind", ""))
    headline, more = split(text)
    found = VERBS.search(headline)
    start, end = found.span() if found else (len(headline), len(headline))
    sentence = {
        "before": headline[:start],
        "verb": headline[start:end],
        "after": headline[end:],
        "more": more,
        "kind": kind,
        "long": len(headline) > LONG,
    }
    return render.part(PAGE, "verdict", sentence, size)


def split(text: str) -> tuple[str, str]:
    """(headline, the sentences after it) of a verdict. The headline ends with the sentence that has
    the verb, so that a caution before it stays in it."""
    found = VERBS.search(text)
    end = re.compile(r"\.(?= [A-Z])").search(text, found.end() if found else 0)
    return (text[: end.end()], text[end.end() :].strip()) if end else (text, "")


def progress_html(row: RunRow, coming: str, tab: str, small: bool = False) -> Markup:
    """The progress of a mix or a study, or the reason why it ended without a verdict. `coming` says
    what will be shown here."""
    if row.state in ACTIVE:
        return render.part(PAGE, "progress", row, coming, tab, small)
    return render.part(PAGE, "ended", row, tab)


def files_html(
    service: Service, row: RunRow | None, images: tuple[str, str] | None = None
) -> Markup:
    """The command of a run and, if it is done, its table as files; empty without a run.

    images: (run, label) of an arm whose images can be downloaded too.
    """
    if row is None:
        return Markup()
    command = service.get(row.id).record.command
    if row.state != "done":
        return render.part(PAGE, "files", row, command)
    csv, latex = service.table(row.id, "csv"), service.table(row.id, "latex")
    return render.part(PAGE, "files", row, command, csv, latex, images)
