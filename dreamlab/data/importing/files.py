"""The files of a source of an import: a folder, a ZIP or a tar. Names are brought into one form."""

from __future__ import annotations

import abc
import re
import unicodedata
from pathlib import Path
from typing import IO

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.listing import ARCHIVE, SYSTEM, LeftOut
from dreamlab.data.importing.pictures import Unusable

CHUNK = 2**20
"""Bytes that are copied at once."""
IN_ARCHIVE = "archive inside the archive"
DRIVE = re.compile(r"[A-Za-z]:([/\\]|$)")
"""The start of a path on a drive of Windows."""


class Files(abc.ABC):
    """The files of a source. One thread calls `read`, unless `parallel` is True.

    `names` are relative paths with "/" in Unicode's form NFC, because macOS writes umlauts as two
    characters; `folders` are those of all folders, with and without files. What cannot be read is
    in `left`. `packed` are archives and compressed files inside an archive: they are in `left`, but
    can be copied.
    """

    parallel = False
    size = 0
    """Bytes of an archive."""
    unpacked = 0
    """Number of bytes that were unpacked from an archive so far."""

    def __init__(self, title: str, limits: Limits):
        self.title, self.limits, self.left = title, limits, LeftOut()
        self.names: list[str] = []
        self.folders: list[str] = []
        self.packed: list[str] = []

    @abc.abstractmethod
    def read(self, name: str) -> bytes:
        """The content of a file. Raises Unusable, and DataError if an archive is a bomb."""

    def place(self, name: str) -> Path | bytes:
        """Where a file lies on disk, or its content if it is in an archive. Raises as `read`
        does."""
        return self.read(name)

    @abc.abstractmethod
    def stream(self, name: str) -> IO[bytes]:
        """The content of a file, to be read in parts. Raises OSError or an error of the archive."""

    def copied(self, name: str, to: Path) -> Path:
        """Copies a file of any size to the path `to`, and returns it. Raises DataError if it is
        damaged or a bomb."""
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self.stream(name) as source, open(to, "wb") as out:
                while chunk := source.read(CHUNK):
                    self.unpacked += len(chunk)
                    self.limits.check_unpacked(self.unpacked, self.size)
                    out.write(chunk)
        except DataError:
            raise
        except Exception as error:  # each form of compression has errors of its own
            raise DataError(f"{name} of {self.title} is damaged: {error}; copy it again.") from None
        return to

    def beside(self, name: str) -> bytes:
        """The content of a table or card, empty if it cannot be read."""
        try:
            return self.read(name)
        except Unusable:
            return b""

    def close(self) -> None:
        """Closes open files."""
        return None


def plain(name: str) -> str:
    """A name in Unicode's form NFC."""
    return unicodedata.normalize("NFC", name)


def refused_member(name: str, link: bool) -> str:
    """Why a member of an archive is not read, or ""."""
    parts = re.split(r"[/\\]", name)
    if name.startswith("/") or DRIVE.match(name) or ".." in parts or "\0" in name:
        return "path outside the folder"
    if link:
        return "symbolic link"
    if SYSTEM.search(name):
        return "hidden or system file"
    return IN_ARCHIVE if ARCHIVE.search(name) else ""
