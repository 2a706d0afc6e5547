"""What every origin of an import is: a listing of pictures, and the way to each of them."""

from __future__ import annotations

import abc
from collections.abc import Callable

from dreamlab.data.importing.class_folders import LeftOut, Listing
from dreamlab.data.importing.pictures import Raw, Unusable, size_of

Fetch = Callable[[], Raw]


class Source(abc.ABC):
    """A listing of pictures, and the way to each of them. Rows are fetched in increasing order, by
    one thread."""

    unpacked = 0
    """Bytes of files that `fetch` itself has read so far."""

    def __init__(self, listing: Listing, left_out: LeftOut):
        self.listing, self.left_out = listing, left_out

    @abc.abstractmethod
    def fetch(self, row: int) -> Fetch:
        """What gives the picture of a row of the listing; it may be called in another thread, and
        raises Unusable."""

    def size_of(self, row: int) -> tuple[int, int] | None:
        """(shorter, longer) side of a row's picture; None where it is not usable."""
        try:
            return size_of(self.fetch(row)())
        except Unusable:
            return None

    def close(self) -> None:
        """Lets go of what is open."""
        return None


class ListedSource(Source):
    """Pictures that something else opens: `open_row` gives the picture of a row."""

    def __init__(self, listing: Listing, left_out: LeftOut, open_row: Callable[[int], Raw]):
        super().__init__(listing, left_out)
        self._open = open_row

    def fetch(self, row: int) -> Fetch:
        return lambda: self._open(row)


def beside(read: Callable[[str], bytes]) -> Callable[[str], bytes]:
    """Reads a file beside the class folders; one that cannot be read says nothing."""

    def found(name: str) -> bytes:
        try:
            return read(name)
        except Unusable:
            return b""

    return found
