"""Finds and reads data sets, built-in or imported, as uint8 arrays."""

from __future__ import annotations

import dataclasses
import functools
import json
import pickle
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from dreamlab.data import described, imageset
from dreamlab.data.imageset import DataError as DataError
from dreamlab.data.named import NAMED
from dreamlab.data.named import Info as Info
from dreamlab.settings import SynthesizeSpec, TrainSpec
from dreamlab.store import Folders, Run
from dreamlab.store.about import read_about
from dreamlab.store.states import UNREADABLE


@dataclasses.dataclass(frozen=True, eq=False)
class DataSet:
    """Images uint8 (N, H, W, C) and labels int64 (N,). The test split is never used for training.

    The images of an import are memory-mapped and may be larger than memory: read rows, and never
    copy the whole array.
    """

    info: Info
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    overlap: int | None = None
    """Number of test images that are also training images; None if it has not been counted. The
    function `overlap` counts it."""
    data_dir: str = ""
    """The folder or file that it was read from; empty for a set in a package and for an import."""


INFO: dict[str, Info] = {name: known.info for name, known in NAMED.items()}
CARD = "card.json"
"""File that describes an imported set. It is written last: a folder without it is not a complete
set."""
_runs_folders: dict[Path, None] = {}


def add_runs_folder(folder: Path) -> None:
    """Registers a runs folder, so that the sets imported there are found by their run ids."""
    _runs_folders[Path(folder)] = None


def folder_of(name: str) -> Path:
    """The folder of an imported set. Raises DataError if there is no finished import with this run
    id."""
    for runs in _runs_folders if Path(name).name == name not in ("", "..") else ():
        if (runs / name / CARD).is_file():
            return runs / name
        if (runs / name).is_dir():
            run = Run(runs / name)
            status = run.status()
            if status.state == UNREADABLE:
                raise DataError(status.error)
            if run.kind != "import":
                raise DataError(
                    f"{name} is a {run.kind} run; a data set is a name ({', '.join(INFO)}) or an"
                    " import run."
                )
            raise DataError(
                f"The import {name} is {status.state} and has no images: wait until it is done, or"
                " resume it."
            )
        if (Folders(runs).trash / name).is_dir():
            raise DataError(
                f"The import {name} was deleted: restore it, or choose another data set."
            )
    raise DataError(
        f"There is no data set {name!r}; there are {', '.join(INFO)}, and import runs by their id."
    )


Stamp = tuple[tuple[str, int, int, int], ...]
"""Path, size, time of the last change of the content and of the entry (in ns), for each file."""


def stamp(name: str, data_dir: str = "") -> Stamp:
    """A stamp of the files of a data set, by its name or by the id of an import run. It changes
    when a file changes, so it is part of the key of all that is cached about the images. It reads
    no images. Raises DataError."""
    if (known := described.find(name)) is not None:
        return (("described", known.train, known.test, known.size),)
    if name not in INFO:
        return _stamped(name)[1]
    check_available(name, data_dir)
    return stamp_of(NAMED[name].files(_folder(data_dir), NAMED[name].markers))


def stamp_of(files: Iterable[Path]) -> Stamp:
    """The stamp of these files. A missing file has the size -1."""
    found = []
    for file in files:
        try:
            s = file.stat()
            # a copy may keep the time of its content, but not the time of its entry
            found.append((str(file), s.st_size, s.st_mtime_ns, s.st_ctime_ns))
        except OSError:
            found.append((str(file), -1, 0, 0))
    return tuple(found)


def _folder(data_dir: str) -> Path:
    return Path(data_dir).expanduser().resolve() if data_dir else Path()


def info(name: str) -> Info:
    """The description of a data set, by its name or by the id of an import run. Raises
    DataError."""
    if (known := described.find(name)) is not None:
        return known
    return INFO[name] if name in INFO else _imported(*_stamped(name))[0]


def import_stamp(folder: Path) -> Stamp:
    """The stamp of the card and the images of an imported set."""
    return stamp_of(folder / file for file in (CARD, "images.npy", "labels.npy"))


def _stamped(name: str) -> tuple[Path, Stamp, str]:
    """The folder of an imported set, its stamp, and the name that the user gave to it, or "". The
    three are the key of the caches below."""
    folder = folder_of(name)
    found = import_stamp(folder)
    if found[0][1] < 0:
        raise DataError(f"The import {name} was deleted: restore it, or choose another data set.")
    return folder, found, read_about(folder).name


def card(name: str) -> dict[str, Any]:
    """The card of an imported set: its description, and the hash of its content. Raises
    DataError."""
    folder = folder_of(name)
    try:
        found: dict[str, Any] = json.loads((folder / CARD).read_text())
        if not isinstance(found, dict):
            raise ValueError("it is not a JSON object")
        return found
    except (OSError, ValueError) as error:
        raise no_card(folder, error) from None


def no_card(folder: Path, error: Exception) -> DataError:
    """The error for an imported set whose card cannot be read."""
    return DataError(
        f"The imported set {folder.name} has no readable card ({error}); import it again."
    )


@functools.lru_cache(maxsize=256)
def _imported(folder: Path, _: Stamp, given: str) -> tuple[Info, int | None]:
    """The description in the card of an imported set, under the name `given` if there is one, and
    the number of test images that are also training images; None if the card does not have it."""
    try:
        card = json.loads((folder / CARD).read_text())
        known = Info(
            folder.name,
            given or str(card["title"]),
            int(card["size"]),
            int(card["channels"]),
            tuple(map(str, card["classes"])),
            int(card["train"]),
            int(card["test"]),
            True,
            bool(card["mirror"]),
        )
        return known, int(card["overlap"]) if "overlap" in card else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise no_card(folder, error) from None


def drawn_classes(spec: TrainSpec) -> tuple[str, ...]:
    """Names of the classes that a generator samples; `("all",)` for a generator without classes."""
    return info(spec.dataset).classes if spec.conditional else ("all",)


def set_classes(spec: SynthesizeSpec, generator: TrainSpec) -> tuple[str, ...]:
    """Names of the classes of a synthetic set: all those of the data set if a classifier gives the
    labels, else those that the generator samples."""
    if spec.labeller != "none":
        return info(generator.dataset).classes
    return drawn_classes(generator)


def load(name: str, data_dir: str = "") -> DataSet:
    """Reads a data set by its name or by the id of an import run. The images of an imported one are
    memory-mapped. Raises DataError."""
    if (known := described.find(name)) is not None:
        return _described(known)
    if name not in INFO:
        return _load_imported(*_stamped(name))
    return _load(name, _folder(data_dir), stamp(name, data_dir))


def check_available(name: str, data_dir: str) -> None:
    """Raises DataError if files of the data set are missing. It does not read the images."""
    known = info(name)
    if known.bundled or described.find(name) is not None:
        return
    markers, layout = NAMED[name].markers, NAMED[name].layout
    if not data_dir:
        raise DataError(
            f"Data ({name}) is not inside an installed package: give --data-dir, the folder or .npz"
            f" file that holds it. {layout}"
        )
    path = Path(data_dir).expanduser()
    if not path.exists():
        raise DataError(f"Data folder (--data-dir): {data_dir!r} does not exist. {layout}")
    if path.is_dir() and not any((path / p).exists() for p in markers):
        raise DataError(
            f"Data folder (--data-dir): {data_dir!r} holds no {known.title.split(' (')[0]}."
            f" {layout}"
        )


def overlap(data: DataSet) -> int:
    """Number of test images that have the same pixels as a training image. The result is cached."""
    return _overlap(data) if data.overlap is None else data.overlap


@functools.lru_cache(maxsize=8)
def _overlap(data: DataSet) -> int:
    return imageset.copies(data.test_images, data.train_images)


@functools.lru_cache(maxsize=8)
def _described(known: Info) -> DataSet:
    train, test = (described.black(known, n) for n in (known.train, known.test))
    return DataSet(known, train.images, train.labels, test.images, test.labels, 0)


@functools.lru_cache(maxsize=8)
def _load_imported(folder: Path, at: Stamp, given: str) -> DataSet:
    known, overlapping = _imported(folder, at, given)
    try:
        images, labels = imageset.load(folder)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"The imported set {folder.name} cannot be read: {error}; import it again."
        ) from None
    shape = (known.train + known.test, known.size, known.size, known.channels)
    if (
        images.shape != shape
        or labels.shape != shape[:1]
        or not _within(labels, len(known.classes))
    ):
        raise DataError(
            f"The imported set {folder.name} has images of shape {images.shape} and"
            f" {labels.size:,} labels, but its card says {shape} and labels 0 to"
            f" {len(known.classes) - 1}; import it again."
        )
    n = known.train
    return DataSet(known, images[:n], labels[:n], images[n:], labels[n:], overlapping)


def _within(labels: np.ndarray, classes: int) -> bool:
    return labels.size == 0 or (int(labels.min()) >= 0 and int(labels.max()) < classes)


@functools.lru_cache(maxsize=4)
def _load(name: str, data_dir: Path, _: Stamp) -> DataSet:
    known = INFO[name]
    try:
        train_x, train_y, test_x, test_y = NAMED[name].read(data_dir, NAMED[name].markers)
    except DataError:
        raise
    except (
        OSError,
        ValueError,
        KeyError,
        EOFError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
    ) as error:
        raise DataError(
            f"{known.title} could not be read from {'its package' if known.bundled else data_dir}:"
            f" {error}."
        ) from None
    for part, x, y in (("training", train_x, train_y), ("test", test_x, test_y)):
        shape = (known.size, known.size, known.channels)
        if (
            x.shape[1:] != shape
            or len(x) != len(y)
            or len(x) == 0
            or not _within(y, len(known.classes))
        ):
            raise DataError(
                f"{known.title}: the {part} images in {data_dir} have shape {x.shape} and {len(y)}"
                f" labels; images of {shape} with labels 0 to {len(known.classes) - 1} are needed."
            )
    for array in (train_x, train_y, test_x, test_y):
        array.setflags(write=False)  # the cached arrays are shared
    source = "" if known.bundled else str(data_dir)
    return DataSet(known, train_x, train_y, test_x, test_y, data_dir=source)
