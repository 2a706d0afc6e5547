"""Small pictures of files that an import leaves out, for its report."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dreamlab.data import imageset
from dreamlab.data.imageset import DataError
from dreamlab.data.importing.pictures import Preparation, Unusable
from dreamlab.data.importing.source import Source
from dreamlab.store import write_bytes

PICTURE = "samples/left_out.png"
MOST, COLUMNS, SIDE = 24, 8, 64
"""Most images that are kept, images per row, and their largest side in pixels."""
TRIED = 2 * MOST
"""Most files that are decoded for it."""


def draw(
    source: Source, files: Sequence[dict[str, str]], folder: Path, prepare: Preparation
) -> dict[str, Any]:
    """Writes a sheet of at most MOST images of `files` ({"file", "reason"}) that can be decoded,
    taken from all reasons in turn. Returns what result.json says of it: its `path`, the side
    `cell` of an image in pixels, `columns`, and the `files` in the order of the sheet; empty if
    there is none."""
    found: list[tuple[dict[str, str], np.ndarray]] = []
    for file in _picked(source, files):
        try:
            image, _ = prepare(source.named(file["file"]))
        except (Unusable, DataError):
            continue
        if len(found) < MOST:
            found.append((file, image))
    if not found:
        return {}
    tiles = np.stack([np.broadcast_to(image, (*image.shape[:2], 3)) for _, image in found])
    sheet = imageset.sheet(tiles, min(COLUMNS, len(tiles)))
    (folder / PICTURE).parent.mkdir(exist_ok=True)
    write_bytes(folder / PICTURE, imageset.png(sheet))
    return {
        "path": PICTURE,
        "cell": prepare.size,
        "columns": min(COLUMNS, len(tiles)),
        "files": [file for file, _ in found],
    }


def _picked(source: Source, files: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """At most TRIED files, of all reasons in turn, in the order of the source, because arrays are
    read in one order."""
    by_reason: dict[str, list[dict[str, str]]] = {}
    for file in files:
        by_reason.setdefault(file["reason"], []).append(file)
    turns = itertools.zip_longest(*by_reason.values())
    picked = [file for turn in turns for file in turn if file][:TRIED]
    names = {file["file"] for file in picked}
    place = {name: i for i, name in enumerate(source.listing.names) if name in names}
    return sorted(picked, key=lambda file: place.get(file["file"], -1))
