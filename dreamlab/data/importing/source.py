"""What all sources of an import have in common: a list of images, and access to each of them."""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable

from dreamlab.data.importing.files import Files
from dreamlab.data.importing.listing import LeftOut, Listing
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

    def named(self, name: str) -> Raw:
        """The image with a name, also one that was left out. Raises Unusable if there is none."""
        try:
            row = self.listing.names.index(name)
        except ValueError:
            raise Unusable("not in the listing") from None
        return self.fetch(row)()

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


class FileSource(Source):
    """A source whose images are files; `listing.names` are their names."""

    def __init__(self, listing: Listing, files: Files):
        super().__init__(listing, files.left)
        self._files = files

    def fetch(self, row: int) -> Fetch:
        """See `Source.fetch`. A member of an archive is read at once, because one thread reads
        it."""
        name = self.listing.names[row]
        if self._files.parallel:
            return lambda: self._files.read(name)
        try:
            data = self._files.read(name)
        except Unusable as error:
            reason = str(error)

            def refused() -> Raw:
                raise Unusable(reason)

            return refused
        self.unpacked = self._files.unpacked
        return lambda: data

    def size_of(self, row: int) -> tuple[int, int] | None:
        """See `Source.size_of`."""
        before = self._files.unpacked
        found = super().size_of(row)
        self._files.unpacked = before  # the member will be read and counted again
        return found

    def named(self, name: str) -> Raw:
        """See `Source.named`."""
        if name not in self._there:
            raise Unusable("not a file of this source")
        before = self._files.unpacked
        try:
            return self._files.read(name)
        finally:
            self._files.unpacked = before  # it may have been read and counted before

    @functools.cached_property
    def _there(self) -> set[str]:
        return set(self._files.names)

    def close(self) -> None:
        """See `Source.close`."""
        self._files.close()
