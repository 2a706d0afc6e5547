"""Files that hold arrays: .npz, .npy, a folder of .npy files, and MATLAB's .mat."""

from __future__ import annotations

import abc
import tempfile
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from dreamlab.data.exporting import CARD
from dreamlab.data.imageset import DataError
from dreamlab.data.importing.exported import LARGEST_CARD
from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.listing import Doubt

Header = tuple[tuple[int, ...], np.dtype]
"""Shape and type of an array."""


class ArrayFile(abc.ABC):
    """Named arrays. `keys` are their names, and `shown` names each of them in a message."""

    notes: tuple[str, ...] = ()
    """What was done to values, in words."""
    doubts: tuple[Doubt, ...] = ()
    """What an import must ask."""
    held: tempfile.TemporaryDirectory[str] | None = None
    """A folder for copies of its files."""
    mirror = True
    """False if a mirrored image is known not to keep its class."""

    def __init__(self, title: str, name: str, keys: list[str]):
        self.title, self.name, self.keys = title, name, keys

    def shown(self, key: str) -> str:
        """How a message names an array."""
        return f"{self.name}: {key}"

    @abc.abstractmethod
    def header(self, key: str) -> Header:
        """Shape and type of an array, before it is read. Raises DataError."""

    @abc.abstractmethod
    def rows(self, key: str) -> Iterator[np.ndarray]:
        """The rows of an array, the first axis of its header, in order. Raises DataError."""

    @abc.abstractmethod
    def whole(self, key: str) -> np.ndarray:
        """A small array. Raises DataError."""

    def small(self, key: str, limits: Limits, count: int) -> np.ndarray:
        """An array of `count` labels or names; its size is checked in its header first."""
        shape, dtype = self.header(key)
        limits.check_labels(self.shown(key), shape, dtype, count)
        return self.whole(key)

    def card(self) -> bytes:
        """The card.json of an exported set; empty without one."""
        return b""

    def close(self) -> None:
        """Closes the file, and removes its copies."""
        if self.held is not None:
            self.held.cleanup()


class NpzFile(ArrayFile):
    """The arrays of an .npz. One row is in memory at a time."""

    def __init__(self, file: Path):
        self._zip = zipfile.ZipFile(file)
        held = [n.removesuffix(".npy") for n in self._zip.namelist() if n.endswith(".npy")]
        super().__init__(file.stem, file.name, held)

    def header(self, key: str) -> Header:
        """See `ArrayFile.header`."""
        with self._zip.open(key + ".npy") as stream:
            shape, fortran, dtype = _header(stream, self.shown(key))
        if fortran and len(shape) > 1:
            raise DataError(
                f"{self.shown(key)} is stored in Fortran order, row by row it cannot be read: save"
                " numpy.ascontiguousarray of it."
            )
        return shape, dtype

    def rows(self, key: str) -> Iterator[np.ndarray]:
        """See `ArrayFile.rows`."""
        with self._zip.open(key + ".npy") as stream:
            shape, _, dtype = _header(stream, self.shown(key))
            size = int(np.prod(shape[1:], dtype=object)) * dtype.itemsize
            for at in range(shape[0]):
                try:
                    data = stream.read(size)
                except (zipfile.BadZipFile, EOFError, OSError) as error:
                    raise DataError(f"{self.shown(key)} is damaged: {error}.") from None
                if len(data) < size:
                    raise DataError(
                        f"{self.shown(key)} is damaged: it ends after {at:,} of {shape[0]:,}"
                        " images."
                    )
                yield np.frombuffer(data, dtype).reshape(shape[1:])

    def whole(self, key: str) -> np.ndarray:
        """See `ArrayFile.whole`."""
        with self._zip.open(key + ".npy") as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)

    def card(self) -> bytes:
        """See `ArrayFile.card`."""
        if CARD not in self._zip.namelist():
            return b""
        with self._zip.open(CARD) as stream:
            return stream.read(LARGEST_CARD)

    def close(self) -> None:
        """See `ArrayFile.close`."""
        self._zip.close()
        super().close()


class NpyFiles(ArrayFile):
    """One .npy file, or those of a folder; they are mapped into memory."""

    def __init__(self, path: Path):
        files = sorted(path.glob("*.npy")) if path.is_dir() else [path]
        self._files = {file.stem: file for file in files}
        super().__init__(path.stem, path.name, list(self._files))

    def header(self, key: str) -> Header:
        """See `ArrayFile.header`."""
        try:
            with open(self._files[key], "rb") as stream:
                shape, _, dtype = _header(stream, self.shown(key))
        except OSError as error:
            raise DataError(f"{self.shown(key)} cannot be read: {error.strerror}.") from None
        return shape, dtype

    def rows(self, key: str) -> Iterator[np.ndarray]:
        """See `ArrayFile.rows`."""
        yield from self._map(key)

    def whole(self, key: str) -> np.ndarray:
        """See `ArrayFile.whole`."""
        return np.array(self._map(key))

    def _map(self, key: str) -> np.ndarray:
        try:
            found: np.ndarray = np.load(self._files[key], mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{self.shown(key)} is damaged: {error}.") from None
        return found


class MatFile(ArrayFile):
    """The arrays of a MATLAB file, which scipy reads as a whole. Images are (H, W, C, N) or (H, W,
    N) there, as in SVHN: their last axis becomes the first."""

    def __init__(self, file: Path):
        import scipy.io

        try:
            values: dict[str, Any] = scipy.io.loadmat(str(file))
        except Exception as error:  # loadmat raises many kinds of errors for damaged files
            raise DataError(
                f"{file.name} cannot be read as a MATLAB file: {error}; files of version 7.3 must"
                " be saved with -v7."
            ) from None
        arrays = {k: v for k, v in values.items() if isinstance(v, np.ndarray) and k[:2] != "__"}
        counts = {v.size for v in arrays.values() if v.ndim == 2 and 1 in v.shape}
        self._arrays = {k: _images_first(f"{file.name}: {k}", v, counts) for k, v in arrays.items()}
        super().__init__(file.stem, file.name, list(arrays))

    def header(self, key: str) -> Header:
        """See `ArrayFile.header`."""
        array = self._arrays[key]
        return array.shape, array.dtype

    def rows(self, key: str) -> Iterator[np.ndarray]:
        """See `ArrayFile.rows`."""
        yield from self._arrays[key]

    def whole(self, key: str) -> np.ndarray:
        """See `ArrayFile.whole`."""
        return self._arrays[key]


def _images_first(name: str, array: np.ndarray, counts: Collection[int]) -> np.ndarray:
    """An array with its images along the first axis. `counts` are the lengths of possible arrays of
    labels, which tell (H, W, N) from (N, H, W). Raises DataError if both are possible."""
    if array.ndim == 3 and array.shape[2] in counts:
        if array.shape[0] in counts:
            raise DataError(
                f"{name} has shape {array.shape}: it is not known whether images are (H, W, N) or"
                " (N, H, W); save it as an .npz with (N, H, W)."
            )
        return np.moveaxis(array, 2, 0)
    if array.ndim == 4 and array.shape[2] in (1, 3, 4) and array.shape[3] not in (1, 3, 4):
        return np.moveaxis(array, 3, 0)
    return array.reshape(-1) if array.ndim == 2 and 1 in array.shape else array


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
