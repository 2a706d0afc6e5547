"""The cropped digits of SVHN: train_32x32.mat, test_32x32.mat and extra_32x32.mat."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.array_files import ArrayFile, Header, MatFile

NAME = re.compile(r"(train|test|extra)_32x32\.mat")
ARRAYS = ("X", "y")
"""The arrays of each file: images and labels."""
SPLITS = ("train", "test")
"""The files of a folder that are read. Those of extra_32x32.mat are easier images."""


def is_svhn(path: Path) -> bool:
    """Whether a path is a file of SVHN, or a folder with its training or test images."""
    if path.is_dir():
        return any((path / f"{split}_32x32.mat").is_file() for split in SPLITS)
    return bool(NAME.fullmatch(path.name))


class SvhnFiles(ArrayFile):
    """One file, or the two splits in a folder. The label 10 is the digit 0."""

    def __init__(self, path: Path):
        if path.is_dir():
            found = {s: path / f"{s}_32x32.mat" for s in SPLITS}
            self._files = {s: MatFile(f) for s, f in found.items() if f.is_file()}
        else:
            self._files = {"all": MatFile(path)}
        for file in self._files.values():
            if missing := set(ARRAYS) - set(file.keys):
                raise DataError(
                    f"{file.name} has no array {' and no array '.join(sorted(missing))}, which a"
                    " file of SVHN has: X for the images, y for the labels."
                )
        keys = [f"{split}_{array.lower()}" for split in self._files for array in ARRAYS]
        super().__init__("SVHN", path.name, keys if path.is_dir() else ["x", "y"])
        self.mirror = False
        self.notes = ("SVHN stores the digit 0 as label 10: it was read as 0.",)
        if path.is_dir() and (path / "extra_32x32.mat").is_file():
            self.notes += ("The images of extra_32x32.mat were not read.",)

    def header(self, key: str) -> Header:
        """See `ArrayFile.header`."""
        file, array = self._of(key)
        return file.header(array)

    def rows(self, key: str) -> Iterator[np.ndarray]:
        """See `ArrayFile.rows`."""
        file, array = self._of(key)
        return file.rows(array)

    def whole(self, key: str) -> np.ndarray:
        """See `ArrayFile.whole`."""
        file, array = self._of(key)
        values = file.whole(array)
        return np.where(values == 10, 0, values)

    def _of(self, key: str) -> tuple[MatFile, str]:
        split, _, array = key.rpartition("_")
        return self._files[split or "all"], {"x": "X", "y": "y"}[array]
