"""The size that the images of an import get, from the headers of all files."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence

from dreamlab.data.importing.source import Source

DEFAULT_SIZE, LARGEST = 64, 512
"""Side in pixels for images of different sizes, and of larger ones; largest side of an image."""
REPORT_EVERY = 0.3
"""Seconds between two progress reports."""


def common_size(source: Source, rows: Sequence[int], fit: str) -> Generator[int, None, int]:
    """Side in pixels if the images of these rows all have the same size, of at most LARGEST, else
    DEFAULT_SIZE. It reads headers only, and yields now and then how many."""
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
