"""Source of an import: a ZIP of class folders. It is not unpacked to disk, and is read member by
member."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.class_folders import ARCHIVE, SYSTEM, LeftOut, listed
from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.pictures import Raw, Unusable
from dreamlab.data.importing.source import Fetch, Source, beside


class ZipSource(Source):
    """Class folders inside a ZIP. The unpacked bytes are counted while they are read, so that a ZIP
    bomb is noticed early. Raises DataError if the file cannot be used."""

    def __init__(self, file: Path, limits: Limits):
        self.limits, self.bytes = limits, file.stat().st_size
        left = LeftOut()
        try:
            self._zip = zipfile.ZipFile(file)
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise DataError(
                f"{file.name} cannot be read as a ZIP: {error}; create it again."
            ) from None
        self._members: dict[str, zipfile.ZipInfo] = {}
        try:
            folders = self._list(left)
            super().__init__(
                listed(file.stem, list(self._members), folders, beside(self._read), left), left
            )
        except BaseException:
            self._zip.close()
            raise

    def _list(self, left: LeftOut) -> list[str]:
        infos = self._zip.infolist()
        self.limits.check_zip(len(infos))
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
            "The ZIP is encrypted: unpack it and give the folder, or create one without a password."
        )

    def _read(self, name: str) -> bytes:
        try:
            with self._zip.open(self._members[name]) as member:
                data = member.read(self.limits.file_bytes + 1)
        except (zipfile.BadZipFile, EOFError, OSError, ValueError):
            raise Unusable("damaged") from None
        except Exception:  # an unknown compression method, or damaged data
            raise Unusable("unreadable") from None
        self.unpacked += len(data)
        self.limits.check_unpacked(self.unpacked, self.bytes)
        if reason := self.limits.refused_file(data):
            raise Unusable(reason)
        return data

    def fetch(self, row: int) -> Fetch:
        """See `Source.fetch`. The member is read at once, because a ZIP is read by one thread."""
        try:
            data = self._read(self.listing.names[row])
        except Unusable as error:
            reason = str(error)

            def refused() -> Raw:
                raise Unusable(reason)

            return refused
        return lambda: data

    def size_of(self, row: int) -> tuple[int, int] | None:
        """See `Source.size_of`."""
        before = self.unpacked
        found = super().size_of(row)
        self.unpacked = before  # the member will be read and counted again
        return found

    def close(self) -> None:
        """Closes the file."""
        self._zip.close()


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
