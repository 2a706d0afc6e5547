"""Finds the image that a row of a table means."""

from __future__ import annotations

import collections
import posixpath
from collections.abc import Sequence

from dreamlab.data.importing.class_folders import part_of
from dreamlab.data.importing.listing import PICTURE


class Finder:
    """Finds the image that a row means: by its path, with or without its ending, else by its file
    name. Of equal file names, that in a folder of the split `part` or in the table's folder `near`
    is meant (train/7.png for the row 7 of train.csv). A name that several images have means none
    of them; `unclear` is one of these."""

    def __init__(self, pictures: Sequence[str], near: str, part: int | None):
        self._folder, self._part, self.unclear = near, part, ""
        self._names = set(pictures)
        self._paths: dict[str, list[str]] = collections.defaultdict(list)
        self._ends: dict[str, list[str]] = collections.defaultdict(list)
        for name in pictures:
            self._paths[posixpath.splitext(name)[0]].append(name)
            base = posixpath.basename(name)
            for end in {base, posixpath.splitext(base)[0]}:
                self._ends[end].append(name)

    def __call__(self, value: str, part: int | None = None) -> str:
        """The name of the image, "" if there is none. `part`: the split of the row, if known."""
        value = value.strip().replace("\\", "/").removeprefix("./")
        if not value:
            return ""
        near = posixpath.normpath(posixpath.join(self._folder, value))
        for path in (near, value):
            there = [path] if path in self._names else self._paths.get(path, [])
            if len(there) == 1:
                return there[0]
        return self._by_end(value, self._part if part is None else part)

    def _by_end(self, value: str, part: int | None) -> str:
        ends = self._ends.get(posixpath.basename(value), [])
        if "/" in value:
            # a path may be longer, as on another machine, or shorter than that of the image
            wanted = _end(value)
            longer = [n for n in ends if _end(n).endswith(wanted)]
            shorter = [n for n in ends if wanted.endswith(_end(n))]
            most = max(map(len, map(_end, shorter)), default=0)
            ends = longer or [n for n in shorter if len(_end(n)) == most]
        if len(ends) > 1 and part is not None:
            ends = [n for n in ends if part_of(n.split("/")[:-1]) == part] or ends
        if len(ends) > 1 and self._folder:
            ends = [n for n in ends if n.startswith(self._folder + "/")] or ends
        if len(ends) > 1:
            self.unclear = self.unclear or value
        return ends[0] if len(ends) == 1 else ""


def _end(path: str) -> str:
    return "/" + (posixpath.splitext(path)[0] if PICTURE.search(path) else path).lstrip("/")
