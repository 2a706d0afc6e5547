"""The files of a source of an import: a folder, a ZIP or a tar. Names are brought into one form."""

from __future__ import annotations

import abc
import re
import unicodedata
from pathlib import Path

from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.listing import ARCHIVE, SYSTEM, LeftOut
from dreamlab.data.importing.pictures import Unusable

DRIVE = re.compile(r"[A-Za-z]:([/\\]|$)")
"""The start of a path on a drive of Windows."""


class Files(abc.ABC):
    """The files of a source. One thread calls `read`, unless `parallel` is True.

    `names` are relative paths with "/" in Unicode's form NFC, because macOS writes umlauts as two
    characters; `folders` are those of all folders, with and without files. What cannot be read is
    in `left`.
    """

    parallel = False
    unpacked = 0
    """Number of bytes that were unpacked from an archive so far."""

    def __init__(self, title: str, limits: Limits):
        self.title, self.limits, self.left = title, limits, LeftOut()
        self.names: list[str] = []
        self.folders: list[str] = []

    @abc.abstractmethod
    def read(self, name: str) -> bytes:
        """The content of a file. Raises Unusable, and DataError if an archive is a bomb."""

    def place(self, name: str) -> Path | bytes:
        """Where a file lies on disk, or its content if it is in an archive. Raises as `read`
        does."""
        return self.read(name)

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
    return "archive inside the archive" if ARCHIVE.search(name) else ""
