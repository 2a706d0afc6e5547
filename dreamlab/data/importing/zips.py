"""Files of an import: a ZIP. It is not unpacked to disk, and is read member by member."""

from __future__ import annotations

import contextlib
import stat
import zipfile
from pathlib import Path
from typing import IO

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.files import IN_ARCHIVE, Files, plain, refused_member
from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.pictures import Unusable

UTF_8 = 0x800
"""Flag of a member whose name is UTF-8."""
WINDOWS = (0, 10, 11)
"""Systems that may write backslashes between folders: MS-DOS, Windows NTFS and VFAT."""


class ZipFiles(Files):
    """The files inside a ZIP. The unpacked bytes are counted while they are read, so that a ZIP
    bomb is noticed early. Raises DataError if the file cannot be used."""

    def __init__(self, file: Path, limits: Limits):
        super().__init__(file.stem, limits)
        self.size = file.stat().st_size
        try:
            self._zip = zipfile.ZipFile(file)
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise DataError(
                f"{file.name} cannot be read as a ZIP: {error}; create it again."
            ) from None
        self._members: dict[str, zipfile.ZipInfo] = {}
        try:
            self._list()
        except BaseException:
            self._zip.close()
            raise
        packed = set(self.packed)
        self.names = [name for name in self._members if name not in packed]

    def _list(self) -> None:
        infos = self._zip.infolist()
        self.limits.check_zip(len(infos))
        slashes = any("/" in (n := info.filename) and "\\" not in n for info in infos)
        for info in infos:
            name = _name(info, slashes)
            folder = name.endswith("/") or info.is_dir()
            reason = refused_member(name, stat.S_ISLNK(info.external_attr >> 16))
            if not reason and name in self._members:
                reason = "name given twice"
            if not reason and info.flag_bits & 1:
                reason = "encrypted"
            if reason == IN_ARCHIVE:
                self.packed.append(name)
                self._members[name] = info
            if reason:
                self.left.add(name, reason)
            elif folder:
                self.folders.append(name.rstrip("/"))
            else:
                self._members[name] = info
        if self.left.counts["encrypted"] and not self._members:
            raise DataError(
                "The ZIP is encrypted: unpack it and give the folder, or create one without a"
                " password."
            )

    def stream(self, name: str) -> IO[bytes]:
        """See `Files.stream`."""
        return self._zip.open(self._members[name])

    def read(self, name: str) -> bytes:
        """See `Files.read`."""
        try:
            with self._zip.open(self._members[name]) as member:
                data = member.read(self.limits.file_bytes + 1)
        except (zipfile.BadZipFile, EOFError, OSError, ValueError):
            raise Unusable("damaged") from None
        except Exception:  # an unknown compression method, or damaged data
            raise Unusable("unreadable") from None
        self.unpacked += len(data)
        self.limits.check_unpacked(self.unpacked, self.size)
        if reason := self.limits.refused_file(data):
            raise Unusable(reason)
        return data

    def close(self) -> None:
        """See `Files.close`."""
        self._zip.close()


def _name(info: zipfile.ZipInfo, slashes: bool) -> str:
    """The name of a member. macOS and Linux write UTF-8, often without the flag that says so;
    Windows may write backslashes. `slashes`: whether any name of the ZIP has a "/" and no
    backslash."""
    name = info.filename
    if not info.flag_bits & UTF_8:
        # zipfile reads such names as cp437; those that are no UTF-8 are cp437, as old Windows wrote
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    if "\\" in name and (info.create_system in WINDOWS or not slashes):
        name = name.replace("\\", "/")
    return plain(name.removeprefix("./"))
