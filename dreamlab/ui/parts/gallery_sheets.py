"""One page of an image set as a sheet, with its description."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from dreamlab.ui.parts import pictures

COLS, ROWS = 10, 8
PER_PAGE = COLS * ROWS
"""Images of one class on a page. A page of all classes has COLS images of each."""


@dataclasses.dataclass(frozen=True)
class SheetView:
    """One of the two sheets: its description and its picture (None if there are no images on this
    page). `kind`: "real" or "synthetic"; `images`: number of images in the set; `rows`: names of
    the rows; `file`: file name for the download."""

    kind: str
    what: str
    about: str
    images: int
    sheet: pictures.Sheet | None
    rows: Sequence[str]
    file: str

    @property
    def word(self) -> str:
        """ "Real" or "Synthetic"."""
        return self.kind.capitalize()


def pick(
    images: np.ndarray, labels: np.ndarray, classes: int, klass: int | None, page: int
) -> np.ndarray:
    """Indices of the images on one page: of class `klass` in stored order, or, if it is None, COLS
    images of each class that has enough."""
    if klass is not None:
        return np.flatnonzero(labels == klass)[(page - 1) * PER_PAGE : page * PER_PAGE]
    parts = [np.flatnonzero(labels == c)[(page - 1) * COLS : page * COLS] for c in range(classes)]
    parts = [p for p in parts if len(p) == COLS]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def page_count(labels: np.ndarray, klass: int | None) -> int:
    """Number of pages for one class, or for all classes (None); at least 1."""
    if klass is not None:
        return max(1, -(-int((labels == klass).sum()) // PER_PAGE))
    counts = np.unique(labels, return_counts=True)[1]
    return max(1, int(counts.max()) // COLS) if len(counts) else 1


def sheet_view(
    kind: str,
    about: str,
    held: tuple[np.ndarray, np.ndarray],
    names: Sequence[str],
    klass: int | None,
    page: int,
    side: int,
) -> SheetView:
    """One page of a set. `held` are its images uint8 (N, H, W, C) and labels; `klass` is one class,
    or None for all. Images are shown at `side` pixels, resized as for training."""
    images, labels = held
    index = pick(images, labels, len(names), klass, page)
    one = f"class {names[klass]}" if klass is not None and len(names) > 1 else "all classes"
    what = "rows are classes" if klass is None else one
    return SheetView(
        kind,
        what,
        about,
        len(labels),
        pictures.sheet(np.asarray(images[index]), side, COLS) if len(index) else None,
        names if klass is None and len(index) == COLS * len(names) else (),
        f"{kind}-{what.replace(' ', '-')}-{page}.png",
    )
