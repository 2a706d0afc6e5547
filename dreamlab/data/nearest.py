"""The one test of nearness: the nearest image of a set for each of other images, and how near it is
for images of this kind.

Images are compared by their pixels at a common small size, also mirrored, shifted by a pixel and
blurred as by resizing. The distance to the nearest image is divided by the distance to further
neighbours, so that neither flat nor detailed images look near by their kind (Carlini et al. 2023,
Extracting Training Data from Diffusion Models, section 4.2).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Generator, Iterator

import numpy as np
from PIL import Image

from dreamlab.data.imageset import ImageSource

COARSE, FINE, LARGEST = 8, 12, 64
"""Side in pixels of the images that are searched, and of those that are compared; larger images
than the last are reduced to it first."""
NEIGHBOURS = 16
"""Number of found images that are compared."""
SMALL, BLURRED = 28, 40
"""Images up to these sides, in pixels, are searched at every shift, and compared also blurred. In
larger ones a pixel changes little."""
TRIMMED = 12
"""Up to this side, the pixel that differs most does not count: it alone could decide."""
ROWS, COLUMNS = 512, 4096
"""Number of images on both sides of one block of the search."""
AT_ONCE = 2**19
"""Number of numbers that are compared at once."""
KEPT = 2**26
"""Most numbers of the references that are kept in the form in which they are compared."""
ROUNDING = 0.5
"""Distance in levels of 0 to 255 that rounding explains: such images are the same."""


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """The nearest of M reference images for each of N images.

    `index` (N,) int64 is its place among the M. `distance` (N,) float32 is the root mean square of
    the difference in levels of 0 to 255, over the inner pixels at the common size. `ratio` (N,)
    float32 is that distance divided by the mean distance of the further half of the neighbours: 0
    for the same pixels, about 1 for an image that is nearest by chance. `further` (N, K) float32
    are the sorted distances of all neighbours that were compared.
    """

    index: np.ndarray
    distance: np.ndarray
    ratio: np.ndarray
    further: np.ndarray


def neighbours(
    images: ImageSource,
    of: ImageSource,
    side: int = 0,
    rows: np.ndarray | None = None,
    itself: bool = False,
) -> Generator[int, None, Neighbours]:
    """The nearest of the images `of` uint8 (M, H, H, C) for each of `images` uint8 (N, h, h, C), or
    only for their `rows` (N,). Yields the number of images of every block that is done.

    Both are compared at `side` pixels, by default at `common_side`. With `itself`, the two are the
    same set, and no image is its own neighbour. Memory holds 64 C numbers per reference image, KEPT
    numbers, and one block. Raises ValueError if there is no reference, or if the numbers of
    channels differ.
    """
    if of.shape[0] <= itself or images.shape[3] != of.shape[3]:
        raise ValueError(f"no neighbours of images {images.shape} among images {of.shape}")
    form = _Form(side or common_side(images, of))
    rows = np.arange(images.shape[0]) if rows is None else rows
    base = np.concatenate([form.key(of[part]) for part in _parts(of.shape[0], ROWS)])
    references, k = _References(form, of), min(NEIGHBOURS, len(base) - itself)
    index, further = np.zeros(len(rows), np.int64), np.zeros((len(rows), k), np.float32)
    for part in _parts(len(rows), ROWS):
        queries = images[rows[part]]
        found, turned = _candidates(form, queries, base, k, rows[part] if itself else None)
        for some in _parts(len(queries), max(1, AT_ONCE // (k * references.size))):
            distances = _compared(form, queries[some], references, found[some], turned[some])
            here = slice(part.start + some.start, part.start + some.stop)
            index[here] = found[some][np.arange(len(distances)), distances.argmin(1)]
            further[here] = np.sort(distances, 1)
        yield len(queries)
    distance, far = further[:, 0], further[:, k // 2 :].mean(1)
    same = distance <= ROUNDING
    ratio = np.where(same, 0, distance / np.maximum(far, ROUNDING)).astype(np.float32)
    return Neighbours(index, distance, ratio, further)


def common_side(images: ImageSource, of: ImageSource) -> int:
    """The side in pixels at which two sets are compared: the smaller one, at most LARGEST."""
    return min(images.shape[1], of.shape[1], LARGEST)


def _parts(count: int, step: int) -> Iterator[slice]:
    return (slice(at, min(at + step, count)) for at in range(0, count, step))


@functools.lru_cache(maxsize=64)
def _averages(big: int, small: int) -> np.ndarray:
    """The matrix (small, big) that averages areas of a row of `big` pixels."""
    edges, at = np.linspace(0, big, small + 1), np.arange(big)
    low, high = edges[:-1, None], edges[1:, None]
    cover = np.clip(np.minimum(high, at + 1) - np.maximum(low, at), 0, None)
    return np.asarray(cover / cover.sum(1, keepdims=True), np.float32)


def _square(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("nd,nd->n", x, x))


@functools.lru_cache(maxsize=64)
def _resize(start: int, end: int) -> np.ndarray:
    """The matrix (end, start) that resizes a row of pixels, bicubic as in `imageset.resized`."""
    rows = Image.fromarray(np.eye(start, dtype=np.float32))
    return np.asarray(rows.resize((start, end), Image.Resampling.BICUBIC))


class _Form:
    """The linear maps that bring images of one side into the forms that are searched and compared.
    Only the inner pixels count, so that a shifted image has all of them. `fine` (3, f, side) are
    the maps of a row for the shifts by -1, 0 and 1, `blurred` those of the blurred image."""

    def __init__(self, side: int):
        self.side, inner = side, max(side - 2, 1)
        self.fine = self._shifted(min(FINE, inner))
        coarse = self._shifted(min(COARSE, max(2, inner * 2 // 3)))
        middle = coarse.mean(0, keepdims=True)
        self._key: np.ndarray = coarse[1] if side <= SMALL else middle[0]
        self._views: np.ndarray = coarse if side <= SMALL else middle
        sizes = (2 * side, *(max(1, round(side * s)) for s in (3 / 4, 2 / 3, 1 / 2)))
        sizes = sizes if side <= BLURRED else ()
        self.blurred = [self.fine[1] @ _resize(to, side) @ _resize(side, to) for to in sizes]

    def _shifted(self, small: int) -> np.ndarray:
        inner = max(self.side - 2, 1)
        out = np.zeros((3, small, self.side), np.float32)
        for shift in range(3):
            at = min(shift, self.side - inner)
            out[shift, :, at : at + inner] = _averages(inner, small)
        return out

    def pixels(self, images: np.ndarray) -> np.ndarray:
        """float32 (n, C, side, side) of images uint8 (n, h, h, C), around 0."""
        x = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32) - 127.5
        if x.shape[2] == self.side:
            return x
        a = _resize(x.shape[2], self.side)
        return np.asarray(a @ x @ a.T)

    @staticmethod
    def along(a: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Applies a map (s, side) to the last axis of (n, C, h, side), and swaps the two: the
        result is (n, C, s, h). One product of matrices, because many small ones are slow."""
        return np.ascontiguousarray(
            (x.reshape(-1, x.shape[3]) @ a.T).reshape(*x.shape[:3], -1).swapaxes(2, 3)
        )

    def applied(self, a: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Applies the map `a` to the columns and `b` to the rows of images (n, C, side, side)."""
        return self.along(b, self.along(a, x))

    def key(self, images: np.ndarray) -> np.ndarray:
        """What is searched: float32 (n, d + 2), whose product with a view is the square of the
        distance."""
        a = self._key
        x = (a @ self.pixels(images) @ a.T).reshape(len(images), -1)
        return np.column_stack([x, _square(x), np.ones(len(x), np.float32)])

    def views(self, images: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The images at each shift, each float32 (n, d + 2), and the same of the mirrored ones."""
        x = self.pixels(images)
        ones = np.ones(len(x), np.float32)
        shifted = [a @ x @ b.T for a in self._views for b in self._views]

        def views(small: np.ndarray) -> np.ndarray:
            view = small.reshape(len(x), -1)
            return np.column_stack([-2 * view, ones, _square(view)])

        return [views(v) for v in shifted], [views(v[..., ::-1]) for v in shifted]


def _candidates(
    form: _Form, images: np.ndarray, base: np.ndarray, k: int, own: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """(the k references (n, k) that are nearest to images uint8 (n, h, h, C) by their keys, whether
    the image was mirrored for that). `own` (n,) are the references that are the images
    themselves."""
    n, (plain, mirrored) = len(images), form.views(images)
    kept = (
        np.full((n, k), np.inf, np.float32),
        np.full((n, k), -1, np.int64),
        np.zeros((n, k), bool),
    )
    for part in _parts(len(base), COLUMNS):
        as_is, turned = _least(plain, base[part]), _least(mirrored, base[part])
        distance = np.minimum(as_is, turned)
        if own is not None:
            mine = np.flatnonzero((own >= part.start) & (own < part.stop))
            distance[mine, own[mine] - part.start] = np.inf
        if part.start == 0:
            column = np.argpartition(distance, min(k, distance.shape[1]) - 1, axis=1)[:, :k]
            row, column = np.repeat(np.arange(n), column.shape[1]), column.ravel()
        else:
            row, column = np.nonzero(distance < kept[0][:, -1:])
        new = (distance[row, column], column + part.start, (turned < as_is)[row, column])
        kept = _merged(kept, row, new)
    return kept[1], kept[2]


def _least(views: list[np.ndarray], base: np.ndarray) -> np.ndarray:
    least: np.ndarray = views[0] @ base.T
    for view in views[1:]:
        np.minimum(least, view @ base.T, out=least)
    return least


_Kept = tuple[np.ndarray, np.ndarray, np.ndarray]


def _merged(kept: _Kept, row: np.ndarray, new: _Kept) -> _Kept:
    """The nearest k of each row, sorted: of distances, references and flags (n, k), and of new ones
    (m,) of the rows `row` (m,)."""
    if not len(row):
        return kept
    n, k = kept[0].shape
    rows = np.concatenate([np.repeat(np.arange(n), k), row])
    distance, index, flag = (np.concatenate([a.ravel(), b]) for a, b in zip(kept, new, strict=True))
    order = np.lexsort((distance, rows))
    first = np.searchsorted(rows[order], np.arange(n))
    best = order[first[:, None] + np.arange(k)]
    return distance[best], index[best], flag[best]


class _References:
    """The reference images in the forms in which they are compared: as they are, and blurred. They
    are kept where they are few enough, because an image is found again and again."""

    def __init__(self, form: _Form, images: ImageSource):
        self._form, self._images = form, images
        self.size = images.shape[3] * form.fine.shape[1] ** 2
        shape = (1 + len(form.blurred), images.shape[0], self.size)
        self._kept = np.empty(shape, np.float32) if math.prod(shape) <= KEPT else None
        self._known = np.zeros(images.shape[0], bool)

    def forms(self, index: np.ndarray) -> Iterator[np.ndarray]:
        """Each form of the references `index` (n, k), float32 (n, k, d)."""
        if self._kept is None:
            some, place = np.unique(index, return_inverse=True)
            return (form[place.reshape(index.shape)] for form in self._made(some))
        new = np.unique(index[~self._known[index]])
        if len(new):
            self._kept[:, new], self._known[new] = self._made(new), True
        return (form[index] for form in self._kept)

    def _made(self, index: np.ndarray) -> np.ndarray:
        form, side = self._form, self._form.side
        out = np.empty((1 + len(form.blurred), len(index), self.size), np.float32)
        for part in _parts(len(index), max(1, AT_ONCE // (side**2 * self._images.shape[3]))):
            x = form.pixels(self._images[index[part]])
            for made, a in zip(out, [form.fine[1], *form.blurred], strict=True):
                made[part] = form.applied(a, a, x).reshape(len(x), -1)
        return out


def _compared(
    form: _Form, images: np.ndarray, of: _References, found: np.ndarray, turned: np.ndarray
) -> np.ndarray:
    """Root mean square differences (n, k) between images uint8 (n, h, h, C) and the references
    `found` (n, k): the smallest over the shifts of the image and the blurs of a reference."""
    n, (c, f) = len(images), (images.shape[3], form.fine.shape[1])
    columns = [form.along(a, form.pixels(images)) for a in form.fine]
    shifted = [form.along(a, y) for y in columns for a in form.fine]
    plain, *blurred = of.forms(found)
    best = np.full(found.shape, np.inf, np.float32)

    def compare(view: np.ndarray, other: np.ndarray) -> None:
        both = np.stack([view, view[..., ::-1]]).reshape(2, n, -1)
        difference = both[turned.astype(np.int64), np.arange(n)[:, None]] - other
        total = np.einsum("nkd,nkd->nk", difference, difference)
        if form.side <= TRIMMED:
            pixels = difference.reshape(*found.shape, c, -1)
            total -= np.einsum("nkcd,nkcd->nkd", pixels, pixels).max(2)
        np.minimum(best, total, out=best)

    for view in shifted:
        compare(view, plain)
    for other in blurred:
        compare(shifted[4], other)  # the one that is not shifted
    count = c * (f * f - (form.side <= TRIMMED and f > 1))
    return np.asarray(np.sqrt(np.maximum(best, 0) / count))
