"""Files of an import: a folder on disk. A file is read when its image is needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.files import Files, plain
from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.listing import SYSTEM
from dreamlab.data.importing.pictures import Unusable


class FolderFiles(Files):
    """The files of a folder. Hidden files, special files and symbolic links that lead outside the
    folder are left out. Raises DataError if the folder cannot be read."""

    parallel = True

    def __init__(self, folder: Path, limits: Limits):
        self.folder = folder.resolve()
        super().__init__(folder.name or str(folder), limits)
        self._there: dict[str, str] = {}
        waiting = [""]
        while waiting:
            waiting += self._scanned(waiting.pop())
            limits.check_folder(self.folder, len(self._there))
        self.names = list(self._there)

    def _scanned(self, inside: str) -> list[str]:
        """Adds the files of one folder, and returns the folders in it."""
        try:
            entries = list(os.scandir(self.folder / inside))
        except OSError as error:
            if not inside:
                raise DataError(
                    f"The folder {self.folder} cannot be read: {error.strerror}."
                ) from None
            self.left.add(inside + "/", "unreadable")
            return []
        inner = []
        for entry in entries:
            name = f"{inside}/{entry.name}" if inside else entry.name
            reason = "hidden or system file" if SYSTEM.search(name) else self._not_a_file(entry)
            if not reason and plain(name) in self._there:
                reason = "name given twice"
            if reason:
                self.left.add(name, reason)
            elif entry.is_dir(follow_symlinks=False):
                inner.append(name)
                self.folders.append(plain(name))
            else:
                self._there[plain(name)] = name
        return inner

    def _not_a_file(self, entry: os.DirEntry[str]) -> str:
        """Why an entry is left out, or "" if it is a folder or a file of this folder."""
        if not entry.is_symlink():
            return "" if entry.is_file() or entry.is_dir() else "no regular file"
        target = Path(os.path.realpath(entry.path))
        if not target.is_relative_to(self.folder):
            return "symbolic link that leaves the folder"
        if target.is_dir():
            return "symbolic link to a folder"
        return "" if target.is_file() else "symbolic link that leads nowhere"

    def place(self, name: str) -> Path:
        """See `Files.place`."""
        return self.folder / self._there[name]

    def stream(self, name: str) -> IO[bytes]:
        """See `Files.stream`."""
        return open(self.place(name), "rb")

    def read(self, name: str) -> bytes:
        """See `Files.read`."""
        try:
            with open(self.folder / self._there[name], "rb") as file:
                data = file.read(self.limits.file_bytes + 1)
        except OSError:
            raise Unusable("unreadable") from None
        if reason := self.limits.refused_file(data):
            raise Unusable(reason)
        return data


class LoneFile(FolderFiles):
    """One file, and those of these names that lie beside it."""

    def __init__(self, file: Path, limits: Limits, beside: Sequence[str]):
        Files.__init__(self, file.stem, limits)
        self.folder = file.parent.resolve()
        names = [name for name in (file.name, *beside) if (self.folder / name).is_file()]
        self._there = {plain(name): name for name in names}
        self.names = list(self._there)
