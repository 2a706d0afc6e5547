"""Source of an import: class folders on disk. A file is read when its image is needed."""

from __future__ import annotations

import os
from pathlib import Path

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.class_folders import SYSTEM, LeftOut, listed
from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.pictures import Unusable
from dreamlab.data.importing.source import Fetch, Source, beside


class FolderSource(Source):
    """Class folders on disk. Hidden files, special files and symbolic links that lead outside the
    folder are left out."""

    def __init__(self, folder: Path, limits: Limits):
        self.folder, self.limits = folder.resolve(), limits
        left = LeftOut()
        names, folders = self._walk(left)
        super().__init__(
            listed(folder.name or str(folder), names, folders, beside(self._read), left), left
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
            self.limits.check_folder(self.folder, len(names))
        return names, folders

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

    def _read(self, name: str) -> bytes:
        try:
            with open(self.folder / name, "rb") as file:
                data = file.read(self.limits.file_bytes + 1)
        except OSError:
            raise Unusable("unreadable") from None
        if reason := self.limits.refused_file(data):
            raise Unusable(reason)
        return data

    def fetch(self, row: int) -> Fetch:
        """See `Source.fetch`."""
        name = self.listing.names[row]
        return lambda: self._read(name)
