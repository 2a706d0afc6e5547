"""Near-copies of real images in a set: what was found, in a sentence and in pictures of pairs."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from dreamlab.data import near_copies, near_copies_report
from dreamlab.data.near_copies import Copies
from dreamlab.ui.render import data_uri, part


def within_text(found: Copies | None) -> str:
    """What was found within a data set; None if it was not searched."""
    if found is None:
        return "Near-copies within it have not been looked for: its first classifier does that."
    return near_copies_report.of_data(found)


def copies_html(folder: Path, synthetic: bool) -> Markup:
    """What was found in the synthetic set, or the data set, of a folder. Empty if it was not
    searched."""
    found = near_copies.load(folder)
    if found is None:
        return Markup()
    sentence = (near_copies_report.of_set if synthetic else near_copies_report.of_data)(found)
    warns = found.leaks if synthetic else found.splits_leak
    try:
        src = data_uri((folder / near_copies_report.PICTURE).read_bytes())
    except OSError:
        src = ""
    shown = min(len(found.test) + len(found.training), near_copies_report.SHOWN)
    return part("import_report.html", "near_copies", sentence, warns, src, shown)
