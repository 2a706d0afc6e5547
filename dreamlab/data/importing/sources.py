"""Sources of an import: folders, ZIP files, arrays, lists. Nothing is unpacked to disk or read as a
whole."""

from __future__ import annotations

import abc
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.class_folders import ARCHIVE, SYSTEM, LeftOut, Listing, listed
from dreamlab.data.importing.limits import Limits
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


class FolderSource(Source):
    """Class folders on disk. Hidden files, special files and links that lead outside the folder are
    left out."""

    def __init__(self, folder: Path, limits: Limits):
        self.folder, self.limits = folder.resolve(), limits
        left = LeftOut()
        names, folders = self._walk(left)
        super().__init__(
            listed(folder.name or str(folder), names, folders, _beside(self._read), left), left
        )

    def _walk(self, left: LeftOut) -> tuple[list[str], list[str]]:
        names: list[str] = []
        folders: list[str] = []
        waiting = [""]
        while waiting:
            inside = waiting.pop()
            try:
                entries = list(os.scandir(self.folder / inside))
            except OSError as error:
                if not inside:
                    raise DataError(
                        f"The folder {self.folder} cannot be read: {error.strerror}."
                    ) from None
                left.add(inside + "/", "unreadable")
                continue
            for entry in entries:
                name = f"{inside}/{entry.name}" if inside else entry.name
                reason = "hidden or system file" if SYSTEM.search(name) else self._not_a_file(entry)
                if reason:
                    left.add(name, reason)
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append(name)
                    folders.append(name)
                else:
                    names.append(name)
            if len(names) > self.limits.files:
                raise DataError(
                    f"The folder {self.folder} holds more than {self.limits.files:,} files; give"
                    " one that holds the data set alone."
                )
        return names, folders

    def _not_a_file(self, entry: os.DirEntry[str]) -> str:
        """Why an entry is neither a folder nor a file of this folder, or ""."""
        if not entry.is_symlink():
            return "" if entry.is_file() or entry.is_dir() else "no regular file"
        target = Path(os.path.realpath(entry.path))
        if not target.is_relative_to(self.folder):
            return "symbolic link that leaves the folder"
        if target.is_dir():
            return "symbolic link to a folder"
        return "" if target.is_file() else "symbolic link that leads nowhere"

    def _read(self, name: str) -> bytes:
        try:
            with open(self.folder / name, "rb") as file:
                data = file.read(self.limits.file_bytes + 1)
        except OSError:
            raise Unusable("unreadable") from None
        if len(data) > self.limits.file_bytes:
            raise Unusable("too large a file")
        return data

    def fetch(self, row: int) -> Fetch:
        name = self.listing.names[row]
        return lambda: self._read(name)


class ZipSource(Source):
    """Class folders inside a ZIP. Members are read one by one, and the unpacked bytes are counted
    while they come."""

    def __init__(self, file: Path, limits: Limits):
        self.limits = limits
        # images hardly compress: a member that grows a hundredfold is not an image
        self.most = min(limits.unpacked_bytes, max(2**28, 100 * file.stat().st_size))
        left = LeftOut()
        try:
            self._zip = zipfile.ZipFile(file)
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise DataError(
                f"{file.name} cannot be read as a ZIP: {error}; make it anew."
            ) from None
        self._members: dict[str, zipfile.ZipInfo] = {}
        try:
            folders = self._list(left)
            super().__init__(
                listed(file.stem, list(self._members), folders, _beside(self._read), left), left
            )
        except BaseException:
            self._zip.close()
            raise

    def _list(self, left: LeftOut) -> list[str]:
        infos = self._zip.infolist()
        if len(infos) > self.limits.files:
            raise DataError(
                f"The ZIP names {len(infos):,} files; at most {self.limits.files:,} are taken."
            )
        folders = []
        for info in infos:
            name = info.filename
            reason = _suspicious(info)
            if not reason and name in self._members:
                reason = "name given twice"
            if reason:
                left.add(name, reason)
            elif info.is_dir():
                folders.append(name.rstrip("/"))
            else:
                self._members[name] = info
        if self._members or not left.counts["encrypted"]:
            return folders
        raise DataError(
            "The ZIP is encrypted: unpack it and give the folder, or make one without a password."
        )

    def _read(self, name: str) -> bytes:
        most = self.limits.file_bytes
        try:
            with self._zip.open(self._members[name]) as member:
                data = member.read(most + 1)
        except (zipfile.BadZipFile, EOFError, OSError, ValueError):
            raise Unusable("damaged") from None
        except Exception:  # an unknown compression method, or damaged data
            raise Unusable("unreadable") from None
        self.unpacked += len(data)
        if self.unpacked > self.most:
            raise DataError(
                f"The ZIP unpacks to more than {self.most / 2**20:,.0f} MiB, far more than pictures"
                " would: it is not read further."
            )
        if len(data) > most:
            raise Unusable("too large a file")
        return data

    def fetch(self, row: int) -> Fetch:
        try:
            data = self._read(self.listing.names[row])
        except Unusable as error:
            reason = str(error)

            def refused() -> Raw:
                raise Unusable(reason)

            return refused
        return lambda: data

    def size_of(self, row: int) -> tuple[int, int] | None:
        before = self.unpacked
        found = super().size_of(row)
        self.unpacked = before  # this member will be read again
        return found

    def close(self) -> None:
        self._zip.close()


def _beside(read: Callable[[str], bytes]) -> Callable[[str], bytes]:
    """Reads a file beside the class folders; empty if it cannot be read."""

    def found(name: str) -> bytes:
        try:
            return read(name)
        except Unusable:
            return b""

    return found


def _suspicious(info: zipfile.ZipInfo) -> str:
    """Why a member of a ZIP is not read, or ""."""
    name = info.filename
    if (
        name.startswith("/")
        or "\\" in name
        or ":" in name.split("/")[0]
        or ".." in name.split("/")
        or "\0" in name
    ):
        return "path outside the folder"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "symbolic link"
    if SYSTEM.search(name):
        return "hidden or system file"
    if info.flag_bits & 1:
        return "encrypted"
    return "archive inside the archive" if ARCHIVE.search(name) else ""
