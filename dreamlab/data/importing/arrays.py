"""Source of an import: an .npz with arrays of images and labels. Images are read row by row."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from dreamlab.data.exporting import main_role
from dreamlab.data.imageset import DataError
from dreamlab.data.importing.class_folders import LeftOut, Listing, natural
from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.source import Fetch, Source

KEYS = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("images", "labels"),
    ("x", "y"),
    ("arr_0", "arr_1"),
)
"""Accepted names of the arrays: images and labels, for one or two splits."""
ACCEPTED = (
    "x_train, y_train, x_test, y_test or images, labels (or x, y; arr_0, arr_1): uint8 images (N,"
    " H, W), (N, H, W, 3) or (N, 3, H, W)"
)


class _Rows:
    """The rows of one uint8 array inside an .npz. They must be read in increasing order; one row is
    in memory at a time."""

    def __init__(self, archive: zipfile.ZipFile, key: str, file: str, limits: Limits):
        self._name, self._at = f"{file}: {key}", 0
        self._stream = archive.open(key + ".npy")
        shape, fortran, dtype = _header(self._stream, self._name)
        if dtype != np.uint8:
            raise DataError(f"{self._name} is {dtype}; uint8 images from 0 to 255 are needed.")
        self.channels_first = len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3, 4)
        if (
            fortran
            or len(shape) not in (3, 4)
            or (len(shape) == 4 and not self.channels_first and shape[3] not in (1, 3, 4))
        ):
            raise DataError(
                f"{self._name} has shape {shape}{' in Fortran order' * fortran}; what can be read"
                f" is {ACCEPTED}."
            )
        self._shape, self._bytes, self.count = (
            shape[1:],
            int(np.prod(shape[1:], dtype=object)),
            shape[0],
        )
        h, w = self._shape[1:] if self.channels_first else self._shape[:2]
        self.size = min(h, w), max(h, w)
        limits.check_row_size(self._name, w, h)

    def __getitem__(self, row: int) -> np.ndarray:
        try:
            while self._at < row:
                self._take()
            flat = np.frombuffer(self._take(), np.uint8)
        except (zipfile.BadZipFile, EOFError, OSError) as error:
            raise DataError(f"{self._name} is damaged: {error}.") from None
        image = flat.reshape(self._shape)
        return image.transpose(1, 2, 0) if self.channels_first else image

    def _take(self) -> bytes:
        data = self._stream.read(self._bytes)
        if len(data) < self._bytes:
            raise EOFError(f"it ends after {self._at:,} of {self.count:,} images")
        self._at += 1
        return data


class NpzSource(Source):
    """Images and labels of an .npz. Class names come from an array `classes` if it has one. Raises
    DataError if its arrays cannot be used."""

    def __init__(self, file: Path, limits: Limits):
        try:
            self._zip = zipfile.ZipFile(file)
            self._open(file, limits)
        except DataError:
            self.close()
            raise
        except (
            OSError,
            zipfile.BadZipFile,
            EOFError,
            ValueError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise DataError(f"{file.name} cannot be read: {error}.") from None

    def _open(self, file: Path, limits: Limits) -> None:
        held = {n.removesuffix(".npy") for n in self._zip.namelist() if n.endswith(".npy")}
        keys = next((k for k in KEYS if set(k) <= held), ())
        if not keys:
            raise DataError(
                f"{file.name} holds {', '.join(sorted(held)) or 'no arrays'}; what can be read is"
                f" {ACCEPTED}."
            )
        self._parts = [_Rows(self._zip, key, file.name, limits) for key in keys[::2]]
        labels = [self._small(key, file.name, limits, limits.files) for key in keys[1::2]]
        total = sum(part.count for part in self._parts)
        limits.check_rows(file.name, total)
        for key, part, y in zip(keys[1::2], self._parts, labels, strict=True):
            if y.shape not in ((part.count,), (part.count, 1)):
                raise DataError(
                    f"{file.name}: {key} has shape {y.shape} for {part.count:,} images; one label"
                    " per image is needed."
                )
            if y.dtype.kind not in "iuU":
                raise DataError(
                    f"{file.name}: {key} is {y.dtype}; labels are whole numbers or names."
                )
        names = (
            self._small("classes", file.name, limits, limits.classes) if "classes" in held else None
        )
        left = LeftOut()
        rows, found, classes = _numbered(
            np.concatenate([y.reshape(-1) for y in labels]), names, left
        )
        test = rows >= self._parts[0].count
        split = "its own arrays" if len(self._parts) == 2 and self._parts[1].count else ""
        shown = [f"image {row}" for row in rows] if len(rows) <= 10_000 else _Numbered(rows)
        roles = None
        if "role" in held and len(self._parts) == 1:  # of an exported set
            said = self._small("role", file.name, limits, limits.files).reshape(-1)
            if said.dtype.kind == "U" and len(said) == self._parts[0].count:
                roles = np.array([main_role(str(role)) for role in said[rows]], str)
        numbered = names is None and labels[0].dtype.kind != "U"
        listing = Listing(
            file.stem,
            shown,
            found,
            test,
            classes,
            split,
            roles=roles,
            numbered=numbered,
            named=names is not None,
        )
        super().__init__(listing, left)
        self._rows = rows

    def _small(self, key: str, file: str, limits: Limits, count: int) -> np.ndarray:
        """Reads an array of labels or names. Its size is checked in its header first."""
        with self._zip.open(key + ".npy") as stream:
            shape, _, dtype = _header(stream, f"{file}: {key}")
        limits.check_labels(f"{file}: {key}", shape, dtype, count)
        with self._zip.open(key + ".npy") as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)

    def fetch(self, row: int) -> Fetch:
        """See `Source.fetch`."""
        at = int(self._rows[row])
        part = self._parts[0] if at < self._parts[0].count else self._parts[1]
        image = part[at if part is self._parts[0] else at - self._parts[0].count]
        return lambda: image

    def size_of(self, row: int) -> tuple[int, int] | None:
        """See `Source.size_of`. All images of an array have the same size."""
        return self._parts[int(self._rows[row] >= self._parts[0].count)].size

    def close(self) -> None:
        """Closes the file."""
        self._zip.close()


class _Numbered(Sequence[str]):
    """The names "image 0", "image 1" and so on for the rows of a long array, made on demand."""

    def __init__(self, rows: np.ndarray):
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, i: int) -> str:  # type: ignore[override]
        return f"image {self._rows[i]}"


def _header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(stream)
    except ValueError as error:
        raise DataError(f"{name} is not an array: {error}.") from None
    if dtype.hasobject:
        raise DataError(f"{name} holds Python objects, which are not loaded: save plain arrays.")
    return shape, fortran, dtype


def _numbered(
    y: np.ndarray, names: np.ndarray | None, left: LeftOut
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """(rows that have a class, their class numbers, class names). Labels are numbers or names. Rows
    with a label out of range go to `left`."""
    if y.dtype.kind == "U":
        values, found = np.unique(y, return_inverse=True)
        order = np.array(
            sorted(range(len(values)), key=lambda i: natural(str(values[i]))), np.int64
        )
        return np.arange(len(y)), np.argsort(order)[found], tuple(str(values[i]) for i in order)
    good = (y >= 0) if names is None else (y >= 0) & (y < len(names))
    for row in np.flatnonzero(~good):
        left.add(f"image {row}", "label out of range")
    rows = np.flatnonzero(good)
    values, found = np.unique(y[rows], return_inverse=True)
    shown = tuple(str(v) if names is None else str(names[v]) for v in values)
    for c in range(0 if names is None else len(names)):
        if c not in values:
            left.add(str(names[c]) if names is not None else "", "class without images")
    return rows, found.astype(np.int64), shown
