"""What identifies images by their content: hashes of data sets and of files. Path, size and times
of a file decide only whether it has to be read again."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dreamlab.data import catalog, described, imageset
from dreamlab.data.exporting import LABELLED_BY
from dreamlab.data.imageset import DataError
from dreamlab.store.cache import array_hash, file_hash, user_cache


def images_of(name: str, data_dir: str = "") -> str:
    """Identifies the images, labels and split of a data set, by its name or by the id of an import
    run. The same images in another folder or another kind of file have the same value. Raises
    DataError."""
    if described.find(name) is not None:
        return f"described-{name}"
    return _images_of(name, data_dir, catalog.stamp(name, data_dir))


def import_of(name: str) -> str:
    """Identifies an imported set: its images, the names of its classes, and the classifier that
    gave its labels if it is known. Raises DataError if the import is not done."""
    known = catalog.info(name)
    by = catalog.card(name).get(LABELLED_BY)
    about = json.dumps([images_of(name), known.classes, known.mirror, *([by] if by else [])])
    return hashlib.sha256(about.encode()).hexdigest()[:16]


def file_of(path: str) -> str:
    """Identifies a file by its content. Raises DataError if it cannot be read."""
    file = Path(path).expanduser().resolve()
    return _file_of(file, catalog.stamp_of([file]))


@functools.lru_cache(maxsize=256)
def _images_of(name: str, data_dir: str, stamp: catalog.Stamp) -> str:
    if name in catalog.INFO:
        return _kept([name, stamp], lambda: _hash_of_named(name, data_dir))
    card, folder = catalog.card(name), catalog.folder_of(name)
    try:
        content, train = str(card["content_hash"]), int(card["train"])
    except (KeyError, ValueError, TypeError) as error:
        raise catalog.no_card(folder, error) from None
    written, *files = (changed for _, _, changed, _ in stamp)
    if max(files) > written:  # an import writes its card last: these files are not its own
        content = _kept(["import", stamp], lambda: array_hash(*imageset.load(folder)))
    return f"import-{content}-{train}"


def _hash_of_named(name: str, data_dir: str) -> str:
    data = catalog.load(name, data_dir)
    return array_hash(data.train_images, data.train_labels, data.test_images, data.test_labels)


@functools.lru_cache(maxsize=16)
def _file_of(file: Path, stamp: catalog.Stamp) -> str:
    try:
        return _kept(["file", stamp], lambda: file_hash(file))
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}).") from None


def _kept(about: list[object], compute: Callable[[], str]) -> str:
    """The hash that `compute` gives, from the user's cache if it is there."""
    key = "content/" + hashlib.sha256(json.dumps(about).encode()).hexdigest()[:32]
    found = user_cache().get(key) or user_cache().add(key, hash=np.array(compute()))
    return str(found["hash"])
