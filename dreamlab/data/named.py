"""The registry of built-in data sets: the description, the reader and the marker files of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from dreamlab.data import readers, shapes
from dreamlab.data.readers import Arrays


@dataclasses.dataclass(frozen=True)
class Info:
    """The description of a data set, known before its images are read. `size` is the side of the
    images in pixels; `train` and `test` are numbers of images."""

    name: str
    title: str
    size: int
    channels: int
    classes: tuple[str, ...]
    train: int
    test: int
    bundled: bool
    """Whether the images are part of an installed package or imported, so that no folder has to be
    given."""
    mirror: bool = False
    """Whether a mirrored image keeps its class."""
    noun: str = "images"
    """What the images show, in the plural, for sentences."""
    origin: str = "inside an installed package"
    """Where the images of a bundled set come from."""


@dataclasses.dataclass(frozen=True)
class NamedSet:
    """One row of the registry."""

    info: Info
    read: Callable[[Path, Sequence[str]], Arrays]
    """(folder or file, markers) -> arrays. Raises DataError, or any error of a reader for a damaged
    file."""
    files: Callable[[Path, Sequence[str]], list[Path]]
    """(folder or file, markers) -> the files that `read` reads. Raises DataError."""
    markers: tuple[str, ...] = ()
    """Relative paths. A folder that contains one of them has this data set. Empty for a set inside
    a package."""
    layout: str = ""
    """What a folder or file must contain, as a sentence for error messages."""


DIGITS = tuple(str(i) for i in range(10))
CIFAR_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
FASHION_CLASSES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


def _idx_markers(name: str) -> tuple[str, ...]:
    return tuple(
        f"{folder}train-images-idx3-ubyte{end}"
        for folder in ("", f"{name}/raw/", "raw/")
        for end in ("", ".gz")
    )


_IDX_LAYOUT = (
    "A folder holds the four IDX files (also as {name}/raw/ and gzipped), an .npz holds x_train,"
    " y_train, x_test, y_test."
)
_CIFAR_MARKERS = tuple(
    f"{folder}data_batch_1{end}"
    for folder in ("", "cifar-10-batches-py/", "cifar-10-batches-bin/")
    for end in ("", ".bin")
)
_CIFAR_LAYOUT = (
    "A folder holds cifar-10-batches-py or cifar-10-batches-bin, an .npz holds x_train, y_train,"
    " x_test, y_test (uint8, NHWC)."
)

NAMED: dict[str, NamedSet] = {
    s.info.name: s
    for s in (
        NamedSet(
            Info(
                "mnist5k",
                "Handwritten digits (MNIST, 5,000)",
                28,
                1,
                DIGITS,
                3000,
                2000,
                True,
                noun="digits",
            ),
            readers.mnist5k,
            lambda *_: [readers.package_file(*readers.MNIST_5K)],
        ),
        NamedSet(
            Info(
                "digits",
                "Handwritten digits (8x8, 1,797)",
                8,
                1,
                DIGITS,
                1200,
                597,
                True,
                noun="digits",
            ),
            readers.digits,
            lambda *_: [readers.package_file(*readers.DIGITS)],
        ),
        NamedSet(
            Info(
                "shapes",
                "Coloured shapes (32x32, drawn, 6,000)",
                shapes.SIDE,
                3,
                tuple(shapes.SHAPES),
                5000,
                1000,
                True,
                mirror=True,
                noun="shapes",
                origin="drawn by DreamLab's own code, under its MIT licence",
            ),
            shapes.shapes,
            lambda *_: [Path(shapes.__file__)],
        ),
        NamedSet(
            Info("mnist", "MNIST (70,000)", 28, 1, DIGITS, 60000, 10000, False, noun="digits"),
            readers.mnist,
            readers.idx_files,
            _idx_markers("MNIST"),
            _IDX_LAYOUT.format(name="MNIST"),
        ),
        NamedSet(
            Info(
                "mnist32",
                "MNIST, padded to 32x32 (70,000)",
                32,
                1,
                DIGITS,
                60000,
                10000,
                False,
                noun="digits",
            ),
            readers.mnist32,
            readers.idx_files,
            _idx_markers("MNIST"),
            _IDX_LAYOUT.format(name="MNIST"),
        ),
        NamedSet(
            Info(
                "fashion_mnist",
                "Fashion-MNIST (70,000)",
                28,
                1,
                FASHION_CLASSES,
                60000,
                10000,
                False,
                mirror=True,
            ),
            readers.mnist,
            readers.idx_files,
            _idx_markers("FashionMNIST"),
            _IDX_LAYOUT.format(name="FashionMNIST"),
        ),
        NamedSet(
            Info(
                "cifar10",
                "CIFAR-10 (60,000, colour)",
                32,
                3,
                CIFAR_CLASSES,
                50000,
                10000,
                False,
                mirror=True,
            ),
            readers.cifar10,
            readers.cifar_files,
            _CIFAR_MARKERS,
            _CIFAR_LAYOUT,
        ),
    )
}
"""Name -> data set, in the order in which choices list them. If two sets have files of the same
names, such as the four IDX files, a folder whose name says neither is taken for the first."""
