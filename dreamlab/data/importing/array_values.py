"""Brings the numbers of arrays into one form: pixels to uint8, labels to class numbers."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterable

import numpy as np

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.listing import LeftOut, natural

LOOKED_AT = 64
"""Number of images of uint8 by which it is decided whether all are looked at."""
DEPTHS = (8, 10, 12, 14, 16)
"""Bits of grey or colour of a pixel in usual files."""


class Scale:
    """How values become levels of 0 to 255: `offset` is added, then `factor` multiplied. `said`
    says it, empty if nothing is done."""

    def __init__(self, offset: float = 0.0, factor: float = 1.0, said: str = ""):
        self.offset, self.factor, self.said = offset, factor, said

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The values as uint8 of the same shape."""
        if values.dtype == np.uint8 and self.factor == 1:
            return values
        scaled = (values.astype(np.float64) + self.offset) * self.factor
        return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def scale_of(name: str, dtype: np.dtype, rows: Iterable[np.ndarray]) -> Scale:
    """The scale of an array of images. For other types than uint8 all values are looked at: floats
    from 0 to 1 or -1 to 1, whole numbers of 8 to 16 bits, or of 0 and 1 alone. Of uint8 all are, if
    the first LOOKED_AT images hold 0 and 1 alone. Raises DataError for other ranges, and for values
    that are no numbers."""
    rows = iter(rows)
    if dtype == np.uint8:
        first = list(itertools.islice(rows, LOOKED_AT))
        if any(row.max(initial=0) > 1 for row in first):
            return Scale()
        rows = itertools.chain(first, rows)
    if dtype.kind not in "fiub":
        raise DataError(f"{name} is {dtype}; images are numbers.")
    low, high, whole = np.inf, -np.inf, True
    for row in rows:
        low, high = min(low, float(row.min())), max(high, float(row.max()))
        if dtype.kind == "f" and not np.isfinite(row).all():
            raise DataError(f"{name} holds values that are no numbers (NaN or infinite).")
        whole = whole and (dtype.kind != "f" or bool((row == np.rint(row)).all()))
    if dtype.kind == "f" and 0 <= low and high <= 1:
        return Scale(0.0, 255.0, "values from 0 to 1 were multiplied by 255")
    if dtype.kind == "f" and -1 <= low and high <= 1:
        return Scale(1.0, 127.5, "values from -1 to 1 were brought to 0 to 255")
    if dtype.kind == "b" or (dtype.kind in "iu" and low >= 0 and high == 1):
        return Scale(0.0, 255.0, "values are 0 or 1; 1 became 255")
    if whole and low >= 0 and high < 2 ** DEPTHS[-1]:
        return scale_of_depth(int(high)) if high >= 2 ** DEPTHS[0] else Scale()
    raise DataError(
        f"{name} holds values from {low:g} to {high:g}; floats from 0 to 1 or from -1 to 1, or"
        " whole numbers from 0 to 65,535 are needed."
    )


def scale_of_depth(highest: int) -> Scale:
    """The scale of whole numbers whose largest is `highest`: the fewest of DEPTHS bits that hold
    it, because many cameras store 10 or 12 bits in numbers of 16."""
    bits = next(b for b in DEPTHS if highest < 2**b)
    most = 2**bits - 1
    return Scale(
        0.0,
        255 / most,
        f"the largest value is {highest:,}, so values are of {bits} bits: {most:,} became 255",
    )


def labels_of(name: str, y: np.ndarray, count: int) -> tuple[np.ndarray, str]:
    """(labels (N,) as whole numbers or texts, what was done, in words) of an array (N,), (N, 1), or
    (N, K) of one-hot rows. Raises DataError for anything else."""
    if y.shape == (count, 1):
        y = y[:, 0]
    if y.ndim == 2 and len(y) == count and y.dtype.kind in "iufb":
        hot = y.astype(np.float64)
        if not (np.isin(hot, (0.0, 1.0)).all() and (hot.sum(1) == 1).all()):
            raise DataError(
                f"{name} has shape {y.shape}, but its rows are not one-hot: one label per image is"
                " needed."
            )
        return hot.argmax(1), "one-hot labels were read as their numbers"
    if y.shape != (count,):
        raise DataError(
            f"{name} has shape {y.shape} for {count:,} images; one label per image is needed."
        )
    if y.dtype.kind == "S":
        try:
            y = np.char.decode(y, "utf-8")
        except UnicodeDecodeError:
            raise DataError(f"{name} holds bytes that are no UTF-8 text.") from None
    if y.dtype.kind == "U":
        return np.array([unicodedata.normalize("NFC", text) for text in y.tolist()], str), ""
    if y.dtype.kind == "f":
        if not (np.isfinite(y).all() and (y == np.rint(y)).all()):
            raise DataError(f"{name} holds {y.dtype} that are no whole numbers; labels must be.")
        return y.astype(np.int64), "labels were stored as floats"
    if y.dtype.kind not in "iub":
        raise DataError(f"{name} is {y.dtype}; labels are whole numbers or names.")
    return (y.astype(np.int64) if y.dtype.kind == "b" else y), ""


def numbered(
    y: np.ndarray, names: np.ndarray | None, left: LeftOut, below: bool = False
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """(rows that have a class, their class numbers, class names). Labels are numbers or names. Rows
    with a label out of range go to `left`; labels below 0 are unless `below`."""
    if y.dtype.kind == "U":
        values, found = np.unique(y, return_inverse=True)
        order = np.array(
            sorted(range(len(values)), key=lambda i: natural(str(values[i]))), np.int64
        )
        return np.arange(len(y)), np.argsort(order)[found], tuple(str(values[i]) for i in order)
    good = (y >= 0) | below if names is None else (y >= 0) & (y < len(names))
    for row in np.flatnonzero(~good):
        left.add(f"image {row}", "label out of range")
    rows = np.flatnonzero(good)
    values, found = np.unique(y[rows], return_inverse=True)
    shown = tuple(str(v) if names is None else str(names[v]) for v in values)
    for c in range(0 if names is None else len(names)):
        if c not in values:
            left.add(str(names[c]) if names is not None else "", "class without images")
    return rows, found.astype(np.int64), shown
