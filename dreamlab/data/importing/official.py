"""Source of an import: a folder in the layout of torchvision with a built-in data set or Oxford 102
Flowers. It keeps the published split."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dreamlab.data import catalog
from dreamlab.data.imageset import DataError
from dreamlab.data.importing.listing import LeftOut, Listing
from dreamlab.data.importing.pictures import Raw, Unusable
from dreamlab.data.importing.source import ListedSource, Source
from dreamlab.data.named import NAMED

FLOWERS = "flowers-102"


def open_official(folder: Path) -> Source | None:
    """A source for a folder in torchvision's layout of MNIST, Fashion-MNIST, CIFAR-10 or Oxford 102
    Flowers. None for any other folder.

    Raises DataError if the folder has such a layout but is incomplete.
    """
    for flowers in (folder / FLOWERS, folder):
        if all((flowers / part).exists() for part in ("jpg", "imagelabels.mat", "setid.mat")):
            return _flowers(flowers)
    for name, own in _own_markers().items():
        if any((folder / marker).is_file() for marker in own):
            return _official(catalog.load(name, str(folder)))
    return None


def _own_markers() -> dict[str, list[str]]:
    """Data set -> marker files by which a folder is recognised, in the order in which they are
    checked.

    A marker that several data sets share is kept only for the first of them, and that set is
    checked after the others.
    """
    seen: set[str] = set()
    order: list[str] = []
    own: dict[str, list[str]] = {}
    for name, known in NAMED.items():
        own[name] = [m for m in known.markers if m not in seen]
        seen |= set(known.markers)
        alike = (i for i, n in enumerate(order) if set(NAMED[n].markers) & set(known.markers))
        order.insert(next(alike, len(order)), name)
    return {name: own[name] for name in order}


def _official(data: catalog.DataSet) -> Source:
    """A built-in data set with its published split."""
    n, total = len(data.train_labels), len(data.train_labels) + len(data.test_labels)
    labels = np.concatenate([data.train_labels, data.test_labels])
    listing = Listing(
        data.info.title,
        [f"image {i}" for i in range(total)],
        labels,
        np.arange(total) >= n,
        data.info.classes,
        "the official one",
        data.info.mirror,
    )
    return ListedSource(
        listing, LeftOut(), lambda i: data.train_images[i] if i < n else data.test_images[i - n]
    )


def _flowers(folder: Path) -> Source:
    """Oxford 102 Flowers. Its 1,020 training and 1,020 validation images form the training split
    here; 6,149 images are the test split."""
    import scipy.io

    try:
        labels = (
            scipy.io.loadmat(str(folder / "imagelabels.mat"), squeeze_me=True)["labels"].astype(
                np.int64
            )
            - 1
        )
        parts = scipy.io.loadmat(str(folder / "setid.mat"), squeeze_me=True)
        train, test = np.concatenate([parts["trnid"], parts["valid"]]) - 1, parts["tstid"] - 1
        chosen = np.concatenate([np.sort(train), np.sort(test)]).astype(np.int64)
        found = labels[chosen]
    except Exception as error:  # loadmat raises many kinds of errors for damaged files
        raise DataError(
            f"{folder} does not hold the tables of Oxford 102 Flowers: {error}."
        ) from None
    names = [f"jpg/image_{i + 1:05d}.jpg" for i in chosen]

    def read(row: int) -> Raw:
        try:
            return (folder / names[row]).read_bytes()
        except OSError:
            raise Unusable("unreadable") from None

    shown = tuple(str(c + 1) for c in range(102))
    listing = Listing(
        "Oxford 102 Flowers",
        names,
        found,
        np.arange(len(chosen)) >= len(train),
        shown,
        "the official one",
    )
    return ListedSource(listing, LeftOut(), read)
