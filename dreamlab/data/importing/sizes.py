"""The size and colour that the images of an import get."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence

from dreamlab.data.importing.source import Source
from dreamlab.data.named import Info
from dreamlab.settings import ImportSpec

DEFAULT_SIZE, LARGEST = 64, 512
"""Side in pixels for images of different sizes, and of larger ones; largest side of an image."""
REPORT_EVERY = 0.3
"""Seconds between two progress reports."""


def colour_of(spec: ImportSpec, source: Source, target: Info | None) -> str:
    """ "grey", "rgb", or "auto": grey if all images are grey. `target` is the data set that they
    belong to, if any."""
    if target is not None:
        return "grey" if target.channels == 1 else "rgb"
    return "rgb" if spec.color == "auto" and source.listing.channels == 3 else spec.color


def side_of(
    spec: ImportSpec, source: Source, rows: Sequence[int], target: Info | None
) -> Generator[int, None, int]:
    """Side of the images in pixels: that of the settings, else that of `target`, else by the
    headers of the files of `rows`. Yields now and then how many headers were read."""
    if spec.image_size:
        return spec.image_size
    if target is not None:
        return target.size
    return (yield from _common_side(source, rows, spec.fit))


def _common_side(source: Source, rows: Sequence[int], fit: str) -> Generator[int, None, int]:
    """Side if the images all have the same size, of at most LARGEST, else DEFAULT_SIZE."""
    found: tuple[int, int] | None = None
    reported = time.monotonic()
    for i, row in enumerate(rows):
        size = source.size_of(row)
        if size is not None and found is not None and size != found:
            return DEFAULT_SIZE
        found = size or found
        if time.monotonic() - reported > REPORT_EVERY:
            reported = time.monotonic()
            yield i
    side = found[fit != "crop"] if found else DEFAULT_SIZE
    return side if side <= LARGEST else DEFAULT_SIZE
