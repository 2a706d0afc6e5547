"""What all sources of an import have in common: a list of images, and access to each of them."""

from __future__ import annotations

import abc
from collections.abc import Callable

from dreamlab.data.importing.class_folders import LeftOut, Listing
from dreamlab.data.importing.pictures import Raw, Unusable, size_of

Fetch = Callable[[], Raw]
"""Returns the image of a row; raises Unusable."""


class Source(abc.ABC):
    """A list of images and access to each of them. One thread calls `fetch` with increasing
    rows."""

    unpacked = 0
    """Number of bytes that `fetch` has read from files so far."""

    def __init__(self, listing: Listing, left_out: LeftOut):
        self.listing, self.left_out = listing, left_out

    @abc.abstractmethod
    def fetch(self, row: int) -> Fetch:
        """A function that returns the image of a row. It may be called in another thread, and
        raises Unusable if the image cannot be used."""

    def size_of(self, row: int) -> tuple[int, int] | None:
        """(shorter, longer) side of the image of a row in pixels; None if it is not usable."""
        try:
            return size_of(self.fetch(row)())
        except Unusable:
            return None

    def close(self) -> None:
        """Closes open files."""
        return None


class ListedSource(Source):
    """A source whose images are opened by a function: `open_row` returns the image of a row."""

    def __init__(self, listing: Listing, left_out: LeftOut, open_row: Callable[[int], Raw]):
        super().__init__(listing, left_out)
        self._open = open_row

    def fetch(self, row: int) -> Fetch:
        """See `Source.fetch`."""
        return lambda: self._open(row)


def beside(read: Callable[[str], bytes]) -> Callable[[str], bytes]:
    """Wraps `read` so that it returns empty bytes if a file cannot be read. It is used for
    card.json and labels.csv."""

    def found(name: str) -> bytes:
        try:
            return read(name)
        except Unusable:
            return b""

    return found
