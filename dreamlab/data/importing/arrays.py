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
from dreamlab.data.importing.array_labels import (
    NAMES,
    Labels,
    labels_in,
    several,
    unread,
    wanted_array,
)
from dreamlab.data.importing.array_values import Scale, scale_of
from dreamlab.data.importing.class_folders import (
    TRAIN,
    about_validation,
    is_split,
    split_of,
    test_mask,
)
from dreamlab.data.importing.exported import parts_of, with_card
from dreamlab.data.importing.limits import MIN_SIDE, Limits
from dreamlab.data.importing.listing import Doubt, LeftOut, Listing, some
from dreamlab.data.importing.source import Fetch, Source
from dreamlab.data.importing.svhn import SvhnFiles, is_svhn
from dreamlab.settings import ImportSpec

IMAGES = ("images", "image", "imgs", "x", "data", "arr_0", "pixels")
LABELS = ("labels", "label", "y", "targets", "target", "arr_1")
"""Names of arrays of images and of their labels, alone or with the name of a split before or
behind, such as train_images and x_train."""
KNOWN = (*NAMES, SPLIT, "role", "source", "index")
"""Further arrays that are read, or that belong to an exported set."""
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


def open_arrays(file: Path, limits: Limits, spec: ImportSpec) -> Source:
    """A source for a file of arrays. Class names come from an array `classes` if it has one. The
    setting `labels` names the array of labels as :KEY. Raises DataError if its arrays cannot be
    used."""
    return array_source(open_file(file), limits, spec)


def open_file(file: Path) -> ArrayFile:
    """The arrays of a file, or of a folder of .npy files or of SVHN. Raises DataError."""
    reader: Callable[[Path], ArrayFile] = SvhnFiles
    if not is_svhn(file):
        reader = NpyFiles if file.is_dir() else OPENED[file.suffix.lower()]
    try:
        return reader(file)
    except DataError:
        raise
    except (OSError, zipfile.BadZipFile, EOFError, ValueError, NotImplementedError) as error:
        raise DataError(f"{file.name} cannot be read: {error}.") from None


def array_source(arrays: ArrayFile, limits: Limits, spec: ImportSpec) -> Source:
    """A source for arrays that are open; they are closed if they cannot be used. Raises
    DataError."""
    try:
        return ArraySource(arrays, limits, spec)
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
        raise DataError(f"{arrays.name} cannot be read: {error}.") from None


class _Part:
    """The images of one array, read in increasing order."""

    def __init__(self, file: ArrayFile, key: str, limits: Limits):
        shape, self.dtype = file.header(key)
        self.key, self.name = key, file.shown(key)
        self._file, self._at = file, 0
        self._rows: Iterator[np.ndarray] = iter(())
        self.first = len(shape) == 4 and shape[1] in (1, 3) and not _channels_last(shape)
        good = len(shape) == 3 or (len(shape) == 4 and (self.first or shape[3] in (1, 3, 4)))
        if not good:
            raise DataError(f"{self.name} has shape {shape}; what can be read is {ACCEPTED}.")
        self.count = shape[0]
        h, w = shape[2:] if self.first else shape[1:3]
        self.size = min(h, w), max(h, w)
        limits.check_row_size(self.name, w, h)
        if min(h, w) < MIN_SIDE:
            raise DataError(
                f"{self.name} has shape {shape}, images of {w}x{h} pixels; at least {MIN_SIDE} a"
                " side are needed."
            )

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


def _channels_last(shape: tuple[int, ...]) -> bool:
    """Whether (N, H, W, C) is meant; the other is (N, C, H, W). If both fit, sides of at least
    MIN_SIDE decide."""
    return shape[3] in (1, 3, 4) and min(shape[1:3]) >= MIN_SIDE


class ArraySource(Source):
    """Images and labels of a file of arrays."""

    def __init__(self, file: ArrayFile, limits: Limits, spec: ImportSpec):
        self._file, self._spec = file, spec
        pairs = _pairs(file.keys, wanted_array(file, spec), spec.layout == "unlabelled")
        if not pairs:
            raise DataError(
                f"{file.name} holds {', '.join(sorted(file.keys)) or 'no arrays'}; what can be"
                f" read is {ACCEPTED}."
            )
        self._parts = [_Part(file, images, limits) for _, images, _ in pairs]
        total = sum(part.count for part in self._parts)
        limits.check_rows(file.name, total)
        if not total:
            raise DataError(f"{file.name} holds no images; give arrays with at least one.")
        self._scale = self._scaled()
        keys = [(key, part.count) for (_, _, key), part in zip(pairs, self._parts, strict=True)]
        every, left = Labels(np.arange(total), np.zeros(total, np.int64), ("images",)), LeftOut()
        if all(key for key, _ in keys):
            every, left = labels_in(file, keys, spec, limits)
        self._left_over(pairs, left)
        rows = every.rows
        of = np.repeat([part for part, _, _ in pairs], [part.count for part in self._parts])[rows]
        split = is_split(set(of.tolist()))
        test = test_mask(of.tolist()) if split else self._marked(limits)[rows]
        order = np.lexsort((np.arange(len(rows)), test))
        self._rows, self._starts = rows[order], np.cumsum([0, *(p.count for p in self._parts)])
        doubts, notes = self._unread(pairs, limits)
        listing = Listing(
            file.title,
            self._shown(),
            every.codes[order],
            test[order],
            every.classes,
            "its own arrays" if test.any() else "",
            file.mirror,
            roles=self._roles(limits, total),
            numbered=every.numbers,
            named=every.named,
            reading=self._reading(pairs),
            layout="table" if keys[0][0] else "unlabelled",
            labelled=bool(keys[0][0]),
            notes=(
                *sorted(every.notes | {self._scale.said, *file.notes, *notes} - {""}),
                *(about_validation(of.tolist()) if split else ()),
            ),
            doubts=(*file.doubts, *every.doubts, *doubts),
        )
        super().__init__(with_card(listing, file.card()), left)

    def _left_over(self, pairs: Sequence[tuple[int, str, str]], left: LeftOut) -> None:
        """Reports the arrays of images of splits without labels."""
        read = {images for _, images, _ in pairs}
        for key in self._file.keys:
            part, rest = _affix(key)
            if rest in IMAGES and part not in {p for p, _, _ in pairs} and key not in read:
                shape, _ = self._file.header(key)
                left.add(key, "without a label", shape[0] if shape else 1)

    def _unread(
        self, pairs: Sequence[tuple[int, str, str]], limits: Limits
    ) -> tuple[tuple[Doubt, ...], set[str]]:
        """(doubts, notes) on arrays that are not read."""
        file, spec = self._file, self._spec
        read = {key for pair in pairs for key in pair[1:]}
        others = [k for k in file.keys if k not in read and k not in KNOWN]
        others = [k for k in others if _affix(k)[1] not in IMAGES]  # they are in the report
        if file.card() or not others:
            return (), set()
        note = {f"Arrays that are not read: {some(others)}."}
        if spec.layout != "auto" or spec.labels:
            return (), note
        part, _, labels = pairs[0]
        if not labels:
            return unread(file, others, self._parts[0].count if len(pairs) == 1 else -1), note
        alike = [k for k in others if _affix(k)[0] == part and _affix(k)[1] in LABELS]
        return (several(file, [labels, *alike], limits) if alike else ()), note

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
        if shape != (total,) or dtype is None or dtype.kind not in "US":
            return np.zeros(total, bool)
        held = self._file.small(SPLIT, limits, limits.files)
        return parts_of((np.char.decode(held, "utf-8") if dtype.kind == "S" else held).tolist())

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


def _pairs(keys: Sequence[str], wanted: str, unlabelled: bool) -> list[tuple[int, str, str]]:
    """(split, array of images, array of labels or "") for each split; without names of splits, all
    is TRAIN. Empty if there is no array of images; without the splits that have no labels, if
    others have. `wanted` is an array of labels that was asked for, and those of other splits have
    its name; `unlabelled`: labels are not read."""
    found: dict[tuple[int, bool], str] = {}
    marks = (_affix(wanted)[1],) if wanted else () if unlabelled else LABELS
    for key in keys:
        part, rest = _affix(key)
        for labelled, usual in enumerate((IMAGES, marks)):
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


def holds_images(path: Path) -> bool:
    """Whether a folder holds .npy files with usual names of images, or one such file alone."""
    held = [file.name for file in path.iterdir()] if any(path.glob("*.npy")) else []
    arrays = [name.removesuffix(".npy") for name in held if name.endswith(".npy")]
    return len(held) == len(arrays) == 1 or any(_affix(key)[1] in IMAGES for key in arrays)


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
