"""The report of an import: what was imported, what was left out and why, and the preprocessing.
Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from dreamlab.service import RunRow
from dreamlab.store import Run
from dreamlab.ui.parts.near_copies import copies_html
from dreamlab.ui.render import part
from dreamlab.ui.words import duration, number, time_left

TEMPLATE = "import_report.html"

FIRST = 25
"""Number of left-out files that are named."""
SHARP = 40
"""Largest side in pixels of a small picture that is enlarged pixel by pixel."""


def running_html(row: RunRow) -> Markup:
    """The progress of an import."""
    left = time_left(row.eta_seconds) if row.state == "running" else ""
    count = (
        f"{row.step:,} of {row.total:,} {row.unit}{left}"
        if row.total
        else "reading the list of files"
    )
    return part(TEMPLATE, "running", row, "; ".join(filter(None, (count, row.text))))


def report_html(row: RunRow, run: Run) -> Markup:
    """The report of a finished import."""
    result = run.result() or {}
    steps = read_as(result) + prepared(result.get("preprocessing"))
    return part(
        TEMPLATE,
        "report",
        row,
        title=result.get("title", row.name),
        taken=taken(result),
        left_out=left_out_html(row.id, result),
        prepared=[*steps, ("Content hash", result.get("content_hash", ""))],
        copies=copies_html(run.path) if result.get("role") == "synthetic" else Markup(),
        command=run.record.command,
    )


def read_as(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How files and values were read, as (name, value). Empty for imports of version 0.1."""
    reading, notes = result.get("reading"), result.get("notes") or []
    return [("Labels", str(reading))] * bool(reading) + [("Note", str(note)) for note in notes]


def taken(result: Mapping[str, Any]) -> str:
    """What was imported, in one sentence."""
    counts = [int(n) for n in result.get("per_class") or []]
    side = result.get("image_size", "?")
    colour = "grey" if result.get("channels") == 1 else "colour"
    spread = (
        f", {min(counts):,} to {max(counts):,} of each"
        if counts and min(counts) < max(counts)
        else f", {counts[0]:,} of each"
        if counts
        else ""
    )
    parts = (
        f"{result.get('train', 0):,} for training and {result.get('test', 0):,} for testing"
        if result.get("test")
        else "all of them synthetic"
    )
    took = f"; it took {duration(result['seconds'])}" if result.get("seconds") is not None else ""
    return (
        f"{result.get('images', 0):,} images of {side} x {side} pixels in {colour} were imported,"
        f" {parts}: {len(counts):,} classes{spread}{took}."
    )


def left_out_html(run: str, result: Mapping[str, Any]) -> Markup:
    """What was left out: reasons with counts, the first files, and small pictures of some."""
    counts = result.get("left_out_counts") or {}
    rows = sorted(counts.items(), key=lambda pair: -pair[1])
    named = (result.get("left_out") or [])[:FIRST]
    words = [(reason, number(files)) for reason, files in rows]
    drawn = result.get("left_out_pictures")
    pictures = _small(run, drawn) if isinstance(drawn, Mapping) else None
    return part(TEMPLATE, "left_out", words, sum(counts.values()), named, pictures)


def _small(run: str, drawn: Mapping[str, Any]) -> dict[str, Any]:
    """What the template needs of the small pictures of files that were left out, see
    `dreamlab.data.importing.left_out.draw`."""
    columns = int(drawn["columns"])
    rows = -(-len(drawn["files"]) // columns)
    places = [
        {
            **file,
            "x": 100 * (i % columns) / max(columns - 1, 1),
            "y": 100 * (i // columns) / max(rows - 1, 1),
        }
        for i, file in enumerate(drawn["files"])
    ]
    return {
        "src": f"/media/{run}/{drawn['path']}",
        "zoom": (100 * columns, 100 * rows),
        "fine": int(drawn["cell"]) > SHARP,
        "files": places,
    }


def prepared(preprocessing: Any) -> list[tuple[str, str]]:
    """The recorded preprocessing as (name, value)."""
    if isinstance(preprocessing, Mapping):
        return [
            (str(k).replace("_", " ").capitalize(), _plain(v)) for k, v in preprocessing.items()
        ]
    return [("Preprocessing", str(preprocessing))] if preprocessing else []


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (
        f"{value:,}"
        if isinstance(value, int)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )
