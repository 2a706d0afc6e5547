"""Source of an import: arrays of images and labels. Images are read row by row."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from dreamlab.data.exporting import SPLIT, main_role
from dreamlab.data.imageset import DataError
from dreamlab.data.importing.array_files import ArrayFile, MatFile, NpyFiles, NpzFile
from dreamlab.data.importing.array_values import Scale, labels_of, numbered, scale_of
from dreamlab.data.importing.class_folders import TEST, TRAIN, VALIDATION, is_split, split_of
from dreamlab.data.importing.exported import parts_of, with_card
from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.listing import LeftOut, Listing
from dreamlab.data.importing.source import Fetch, Source
from dreamlab.data.importing.svhn import SvhnFiles, is_svhn

IMAGES = ("images", "image", "imgs", "x", "data", "arr_0", "pixels")
LABELS = ("labels", "label", "y", "targets", "target", "arr_1")
"""Names of arrays of images and of their labels, alone or with the name of a split before or
behind, such as train_images and x_train."""
ACCEPTED = (
    "x_train, y_train, x_test, y_test or images, labels (or train_images, data, targets, arr_0,"
    " arr_1 and the like): images (N, H, W), (N, H, W, 3) or (N, 3, H, W)"
)
OPENED: dict[str, Callable[[Path], ArrayFile]] = {
    ".npz": NpzFile,
    ".npy": NpyFiles,
    ".mat": MatFile,
}
"""Ending of a file -> what reads it."""


def open_arrays(file: Path, limits: Limits) -> Source:
    """A source for a file of arrays. Class names come from an array `classes` if it has one. Raises
    DataError if its arrays cannot be used."""
    reader: Callable[[Path], ArrayFile] = SvhnFiles
    if not is_svhn(file):
        reader = NpyFiles if file.is_dir() else OPENED[file.suffix.lower()]
    try:
        arrays = reader(file)
    except (OSError, zipfile.BadZipFile, EOFError, ValueError, NotImplementedError) as error:
        raise DataError(f"{file.name} cannot be read: {error}.") from None
    try:
        return ArraySource(arrays, limits)
    except DataError:
        arrays.close()
        raise
    except (
        OSError,
        zipfile.BadZipFile,
        EOFError,
        ValueError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        arrays.close()
        raise DataError(f"{file.name} cannot be read: {error}.") from None


class _Part:
    """The images of one array, read in increasing order."""

    def __init__(self, file: ArrayFile, key: str, limits: Limits):
        shape, self.dtype = file.header(key)
        self.key, self.name = key, file.shown(key)
        self._file, self._at = file, 0
        self._rows: Iterator[np.ndarray] = iter(())
        self.first = len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3, 4)
        good = len(shape) == 3 or (len(shape) == 4 and (self.first or shape[3] in (1, 3, 4)))
        if not good:
            raise DataError(f"{self.name} has shape {shape}; what can be read is {ACCEPTED}.")
        self.count = shape[0]
        h, w = shape[2:] if self.first else shape[1:3]
        self.size = min(h, w), max(h, w)
        limits.check_row_size(self.name, w, h)

    def all(self) -> Iterator[np.ndarray]:
        """All rows, as they are stored."""
        return self._file.rows(self.key)

    def __getitem__(self, row: int) -> np.ndarray:
        if row < self._at or not self._at:
            self._rows, self._at = self.all(), 0
        while self._at < row:
            next(self._rows)
            self._at += 1
        found, self._at = next(self._rows), row + 1
        return found.transpose(1, 2, 0) if self.first else found


class ArraySource(Source):
    """Images and labels of a file of arrays."""

    def __init__(self, file: ArrayFile, limits: Limits):
        self._file = file
        pairs = _pairs(file.keys)
        if not pairs:
            raise DataError(
                f"{file.name} holds {', '.join(sorted(file.keys)) or 'no arrays'}; what can be"
                f" read is {ACCEPTED}."
            )
        self._parts = [_Part(file, images, limits) for _, images, _ in pairs]
        total = sum(part.count for part in self._parts)
        limits.check_rows(file.name, total)
        self._scale = self._scaled()
        left, notes = LeftOut(), {self._scale.said, *file.notes} - {""}
        labels, names = [], None
        for (_, _, key), part in zip(pairs, self._parts, strict=True):
            if key:
                y, said = labels_of(
                    file.shown(key), file.small(key, limits, limits.files), part.count
                )
                labels.append(y)
                notes |= {said} - {""}
        if "classes" in file.keys:
            names = file.small("classes", limits, limits.classes)
        together = np.concatenate(labels) if labels else np.zeros(total, np.int64)
        rows, found, classes = numbered(together, names if labels else None, left)
        of = np.repeat([part for part, _, _ in pairs], [part.count for part in self._parts])[rows]
        split = is_split(set(of.tolist()))
        test = of == (TEST if TEST in of else VALIDATION) if split else self._marked(limits)[rows]
        order = np.lexsort((np.arange(len(rows)), test))
        self._rows, self._starts = rows[order], np.cumsum([0, *(p.count for p in self._parts)])
        listing = Listing(
            file.title,
            self._shown(),
            found[order],
            test[order],
            classes if labels else ("images",),
            "its own arrays" if test.any() else "",
            file.mirror,
            roles=self._roles(limits, total),
            numbered=names is None and bool(labels) and together.dtype.kind != "U",
            named=names is not None,
            reading=self._reading(pairs),
            labelled=bool(labels),
            notes=tuple(sorted(notes)),
        )
        super().__init__(with_card(listing, file.card()), left)

    def _scaled(self) -> Scale:
        """The scale of all parts together: they must not be scaled apart."""
        types = {part.dtype for part in self._parts}
        if len(types) > 1:
            raise DataError(
                f"The images of {self._file.name} are {' and '.join(sorted(map(str, types)))}; one"
                " type is needed."
            )
        every = (row for part in self._parts for row in part.all())
        return scale_of(self._parts[0].name, types.pop(), every)

    def _shown(self) -> Sequence[str]:
        if len(self._rows) <= 10_000:
            return [f"image {row}" for row in self._rows]
        return _Numbered(self._rows)

    def _marked(self, limits: Limits) -> np.ndarray:
        """Whether each image is a test image, by an array `split` of names of splits."""
        total = sum(part.count for part in self._parts)
        shape, dtype = self._file.header(SPLIT) if SPLIT in self._file.keys else ((0,), None)
        if shape != (total,) or dtype is None or dtype.kind != "U":
            return np.zeros(total, bool)
        return parts_of(self._file.small(SPLIT, limits, limits.files).tolist())

    def _roles(self, limits: Limits, total: int) -> np.ndarray | None:
        """The roles of the images of an exported set."""
        if "role" not in self._file.keys or len(self._parts) > 1:
            return None
        said = self._file.small("role", limits, limits.files).reshape(-1)
        if said.dtype.kind != "U":
            return None
        if len(said) != total:
            if {"source", "index"} <= set(self._file.keys):
                raise DataError(
                    f"{self._file.name} holds {total:,} images, but {len(said):,} origins (array"
                    " `role`), so it is not known which images are real; export the set again."
                )
            return None
        return np.array([main_role(str(role)) for role in said[self._rows]], str)

    def _reading(self, pairs: Sequence[tuple[int, str, str]]) -> str:
        return "arrays " + ", ".join(
            f"{images} with {labels}" if labels else f"{images} without labels"
            for _, images, labels in pairs
        )

    def fetch(self, row: int) -> Fetch:
        """See `Source.fetch`."""
        at, part = self._place(row)
        image = self._scale(self._parts[part][at])
        return lambda: image

    def _place(self, row: int) -> tuple[int, int]:
        at = int(self._rows[row])
        part = int(np.searchsorted(self._starts, at, "right")) - 1
        return at - int(self._starts[part]), part

    def size_of(self, row: int) -> tuple[int, int] | None:
        """See `Source.size_of`. All images of an array have the same size."""
        return self._parts[self._place(row)[1]].size

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _pairs(keys: Sequence[str]) -> list[tuple[int, str, str]]:
    """(split, array of images, array of labels or "") for each split; without names of splits, all
    is TRAIN. Empty if there is no array of images, or if only some have labels."""
    found: dict[tuple[int, bool], str] = {}
    for key in keys:
        part, rest = _affix(key)
        for labelled, usual in enumerate((IMAGES, LABELS)):
            if rest in usual:
                place = part, bool(labelled)
                if place not in found or usual.index(rest) < usual.index(_affix(found[place])[1]):
                    found[place] = key
    if len(keys) == 1 and not found:
        return [(TRAIN, keys[0], "")]
    images = {part: key for (part, labelled), key in found.items() if not labelled}
    labels = {part: found.get((part, True), "") for part in images}
    if any(labels.values()):
        images = {part: key for part, key in images.items() if labels[part]}
    return [(part, images[part], labels[part]) for part in sorted(images)]


def _affix(key: str) -> tuple[int, str]:
    """(split, rest of the name): train_images and images_train are (TRAIN, "images")."""
    low = key.casefold()
    for pattern in (r"(?P<part>[a-z]+)_(?P<rest>\w+)", r"(?P<rest>\w+)_(?P<part>[a-z]+)"):
        match = re.fullmatch(pattern, low)
        if match and (part := split_of(match["part"])) is not None:
            return part, match["rest"]
    return TRAIN, low


class _Numbered(Sequence[str]):
    """The names "image 0", "image 1" and so on for the rows of a long array, made on demand."""

    def __init__(self, rows: np.ndarray):
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, i: int) -> str:  # type: ignore[override]
        return f"image {self._rows[i]}"
