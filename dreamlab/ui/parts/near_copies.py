"""Near-copies: what was found in a synthetic set or within a data set, in a sentence and in
pictures of the pairs."""

from __future__ import annotations

import io
from pathlib import Path

from markupsafe import Markup
from PIL import Image

from dreamlab.data import imageset, near_copies, near_copies_report
from dreamlab.data.catalog import DataSet
from dreamlab.data.near_copies import Copies
from dreamlab.ui.render import data_uri, part

TEMPLATE = "near_copies.html"


def within_html(found: Copies | None, data: DataSet) -> Markup:
    """What was found within a data set: counts, and pictures of the pairs."""
    if found is None:
        return part(TEMPLATE, "not_searched")
    sheets = []
    for words, pairs, drawn in near_copies_report.pair_sheets(found, data):
        shown = min(pairs, near_copies_report.SHOWN)
        columns = min(near_copies_report.COLUMNS, shown)
        picture = _sized(imageset.png(drawn), drawn.shape[1], drawn.shape[0], columns)
        sheets.append((words, pairs, shown, picture))
    warns = found.splits_leak or found.repeats_within
    sentence = near_copies_report.of_data(found)
    return part(TEMPLATE, "within", sentence, warns, sheets)


def copies_html(folder: Path) -> Markup:
    """What was found in the synthetic set of a folder. Empty if it was not searched."""
    found = near_copies.load(folder)
    if found is None:
        return Markup()
    pairs = len(found.test) + len(found.training)
    shown = min(pairs, near_copies_report.SHOWN)
    drawn = picture(folder / near_copies_report.PICTURE, min(near_copies_report.COLUMNS, shown))
    sentence = near_copies_report.of_set(found)
    return part(TEMPLATE, "of_set", sentence, found.leaks, drawn, shown, pairs)


def picture(file: Path, columns: int) -> dict[str, object] | None:
    """What the template needs of a picture with this number of pairs per row; None without one."""
    try:
        png = file.read_bytes()
        width, height = Image.open(io.BytesIO(png)).size
    except OSError:
        return None
    return _sized(png, width, height, columns)


def _sized(png: bytes, width: int, height: int, columns: int) -> dict[str, object]:
    return {"src": data_uri(png), "width": width, "height": height, "cell": width // columns}
