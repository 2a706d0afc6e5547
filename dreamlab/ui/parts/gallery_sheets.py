"""One page of a set of images as a sheet: which images it holds, and what is said of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from dreamlab.ui.parts import pictures

COLS, ROWS = 10, 8
PER_PAGE = COLS * ROWS
"""Images of one class on a page; of all classes, a page holds COLS of each."""


@dataclasses.dataclass(frozen=True)
class SheetView:
    """One side of the page: what it shows in words, and the sheet (None where the page holds no
    images). `kind`: "real" or "synthetic"; `images`: of the whole set; `rows`: names beside the
    rows; `file`: the name of the download."""

    kind: str
    what: str
    about: str
    images: int
    sheet: pictures.Sheet | None
    rows: Sequence[str]
    file: str

    @property
    def word(self) -> str:
        return self.kind.capitalize()


def pick(
    images: np.ndarray, labels: np.ndarray, classes: int, klass: int | None, page: int
) -> np.ndarray:
    """Indices of one page: of one class in stored order, or as many columns of every class (rows
    are classes)."""
    if klass is not None:
        return np.flatnonzero(labels == klass)[(page - 1) * PER_PAGE : page * PER_PAGE]
    parts = [np.flatnonzero(labels == c)[(page - 1) * COLS : page * COLS] for c in range(classes)]
    parts = [p for p in parts if len(p) == COLS]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def page_count(labels: np.ndarray, klass: int | None) -> int:
    """Pages of one class, or of all classes (None); at least one."""
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
    """One page of a set. held: its images, uint8 (N, H, W, C), and labels; `klass`: one class, or
    None for all; images are shown at `side` pixels, resized as for training where they are stored
    larger."""
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
