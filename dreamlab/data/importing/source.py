"""What all sources of an import have in common: a listing of images, and access to each of them."""

from __future__ import annotations

import abc
from collections.abc import Callable

from dreamlab.data.importing.class_folders import LeftOut, Listing
from dreamlab.data.importing.pictures import Raw, Unusable, size_of

Fetch = Callable[[], Raw]


class Source(abc.ABC):
    """A listing of images and access to each of them. Rows are fetched in increasing order by one
    thread."""

    unpacked = 0
    """Bytes of files that `fetch` has read so far."""

    def __init__(self, listing: Listing, left_out: LeftOut):
        self.listing, self.left_out = listing, left_out

    @abc.abstractmethod
    def fetch(self, row: int) -> Fetch:
        """A function that returns the image of a row. It may be called in another thread, and
        raises Unusable."""

    def size_of(self, row: int) -> tuple[int, int] | None:
        """(shorter, longer) side of a row's image; None if it is not usable."""
        try:
            return size_of(self.fetch(row)())
        except Unusable:
            return None

    def close(self) -> None:
        """Closes open files."""
        return None


class ListedSource(Source):
    """Images that are opened elsewhere: `open_row` returns the image of a row."""

    def __init__(self, listing: Listing, left_out: LeftOut, open_row: Callable[[int], Raw]):
        super().__init__(listing, left_out)
        self._open = open_row

    def fetch(self, row: int) -> Fetch:
        return lambda: self._open(row)


def beside(read: Callable[[str], bytes]) -> Callable[[str], bytes]:
    """Reads a file beside the class folders; empty if it cannot be read."""

    def found(name: str) -> bytes:
        try:
            return read(name)
        except Unusable:
            return b""

    return found
