"""Near-copies of real images in a set: what was found, in a sentence and in pictures of pairs."""

from __future__ import annotations

import io
from pathlib import Path

from markupsafe import Markup
from PIL import Image

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
    pairs = len(found.test) + len(found.training)
    shown = min(pairs, near_copies_report.SHOWN)
    picture = _picture(folder / near_copies_report.PICTURE, min(near_copies_report.COLUMNS, shown))
    return part("import_report.html", "near_copies", sentence, warns, picture, shown, pairs)


def _picture(file: Path, columns: int) -> dict[str, object] | None:
    """What the template needs of a picture with this number of pairs per row; None without one."""
    try:
        png = file.read_bytes()
        width, height = Image.open(io.BytesIO(png)).size
    except OSError:
        return None
    return {"src": data_uri(png), "width": width, "height": height, "cell": width // columns}
