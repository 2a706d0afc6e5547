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
from collections.abc import Generator, Iterable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from dreamlab.data.imageset import ImageSource

COARSE, FINE, LARGEST = 8, 12, 32
"""Side in pixels of the images that are searched, and of those that are compared; larger images
than the last are reduced to it first."""
NEIGHBOURS = 16
"""Number of found images that are compared."""
DIRECTIONS, SAMPLED = 32, 4096
"""Most directions in which images are searched, and number of references that choose them."""
MOVED = 16
"""From this side in pixels on, images are also shifted by two pixels and zoomed. In smaller ones
that changes too much."""
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
    same set, and no image is its own neighbour. Memory holds DIRECTIONS numbers per reference
    image, KEPT numbers, and one block. Raises ValueError if there is no reference, or if the
    numbers of channels differ.
    """
    if of.shape[0] <= itself or images.shape[3] != of.shape[3]:
        raise ValueError(f"no neighbours of images {images.shape} among images {of.shape}")
    form = _Form(side or common_side(images, of), min(images.shape[1], of.shape[1]), of)
    rows = np.arange(images.shape[0]) if rows is None else rows
    base = np.concatenate([form.key(of[part]) for part in _parts(of.shape[0], ROWS)])
    references, k = _References(form, of), min(NEIGHBOURS, len(base) - itself)
    index, further = np.zeros(len(rows), np.int64), np.zeros((len(rows), k), np.float32)
    for part in _parts(len(rows), ROWS):
        queries = images[rows[part]]
        found = _candidates(form, queries, base, k, rows[part] if itself else None)
        for some in _parts(len(queries), max(1, AT_ONCE // (references.size * len(form.views)))):
            distances = _compared(form, queries[some], references, found[some])
            here = slice(part.start + some.start, part.start + some.stop)
            index[here] = found[some][np.arange(len(distances)), distances.argmin(1)]
            further[here] = np.sort(distances, 1)
        yield len(queries)
    return Neighbours(index, further[:, 0], ratios(further, ROUNDING), further)


def ratios(further: np.ndarray, rounding: float) -> np.ndarray:
    """The distance of the nearest neighbour divided by the mean distance of the further half, (N,)
    float32, of sorted distances (N, K); 0 where the nearest is not further than `rounding` > 0."""
    distance, far = further[:, 0], further[:, further.shape[1] // 2 :].mean(1)
    found = np.where(distance <= rounding, 0, distance / np.maximum(far, rounding))
    return np.asarray(found, np.float32)


class Rows:
    """Some images of a source, read when they are needed."""

    def __init__(self, source: ImageSource, rows: np.ndarray):
        self._source, self._rows = source, rows
        self.shape = (len(rows), *source.shape[1:])

    def __getitem__(self, index: Any) -> np.ndarray:
        return self._source[self._rows[index]]


def common_side(images: ImageSource, of: ImageSource) -> int:
    """The side in pixels at which two sets are compared: the smaller one, at most LARGEST."""
    return min(images.shape[1], of.shape[1], LARGEST)


def _parts(count: int, step: int) -> Iterator[slice]:
    return (slice(at, min(at + step, count)) for at in range(0, count, step))


def _window(side: int, start: float, size: float, cells: int) -> np.ndarray:
    """The matrix (cells, side) that averages a row of pixels over equal parts of a window."""
    edges, at = start + np.linspace(0, size, cells + 1), np.arange(side)
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

    Of a reference only the inner pixels count, so that an image that is shifted or zoomed has all
    of them. `views` are pairs of windows, rows and columns of an image that are held against these
    inner pixels; the first is the same window. `blurred` are the maps of a row of a blurred
    reference.
    """

    def __init__(self, side: int, before: int, of: ImageSource):
        """`before` is the side of the images before they are reduced to `side`."""
        self.side = side
        moved = side >= MOVED
        unit = min(1.0, side / before)  # one pixel of the images as they were
        margin = 2 * unit if moved else min(1, (side - 1) // 2)
        inner = side - 2 * margin
        self._windows: list[tuple[float, float]] = [(margin, inner)]
        self.views: list[tuple[int, int]] = []
        most = 2 if moved else int(margin)
        self._add(margin, inner, [unit * k for k in range(-most, most + 1)])
        for cut in (1, 2) if moved else ():  # the image was cut by so many pixels, or lies in more
            part = 1 - 2 * cut * unit / side
            size = inner / part
            self._add((side - size) / 2, size, [unit * k for k in range(cut - 2, 3 - cut)])
            size = inner * part
            self._add((side - size) / 2, size, [-unit, 0, unit])
        self.cells = min(FINE, int(inner))
        self._fine = [_window(side, *w, self.cells) for w in self._windows]
        sizes = (2 * side, *(max(1, round(side * s)) for s in (3 / 4, 2 / 3, 1 / 2)))
        self.references = [
            self._fine[0],
            *(self._fine[0] @ _resize(to, side) @ _resize(side, to) for to in sizes),
        ]
        coarse = min(COARSE, max(2, int(inner * 2 // 3)))
        self._coarse = [_window(side, *w, coarse) for w in self._windows]
        self._searched = [v for v in self.views if self._is_searched(v, margin, inner, unit)]
        step = max(1, of.shape[0] // SAMPLED)
        some = self._flat(self._coarse, (0, 0), self.pixels(of[: step * SAMPLED : step]))
        self._basis = np.linalg.eigh(np.cov(some.T, ddof=0))[1][:, : -DIRECTIONS - 1 : -1]

    def _add(self, start: float, size: float, shifts: Iterable[float]) -> None:
        """Adds the views of a window at all pairs of shifts."""
        at = []
        for shift in sorted(shifts, key=abs):
            window = (start + shift, size)
            if window not in self._windows:
                self._windows.append(window)
            at.append(self._windows.index(window))
        self.views += [(i, j) for i in at for j in at]

    def _is_searched(self, view: tuple[int, int], margin: float, inner: float, unit: float) -> bool:
        """Whether images are searched in a view: its neighbours are near enough to it."""
        starts = [self._windows[i] for i in view]
        if starts[0][1] == inner:
            steps = [round((start - margin) / unit) for start, _ in starts]
            return self.side < MOVED or sum(steps) % 2 == 0
        centred = all(abs(2 * start + size - self.side) < 1e-6 for start, size in starts)
        return centred and abs(starts[0][1] / inner - 1) > 3 * unit / self.side

    def pixels(self, images: np.ndarray) -> np.ndarray:
        """float32 (n, C, side, side) of images uint8 (n, h, h, C), around 0."""
        x = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32) - 127.5
        if x.shape[2] == self.side:
            return x
        a = _resize(x.shape[2], self.side)
        return self.along(a, self.along(a, x))

    @staticmethod
    def along(a: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Applies a map (s, side) to the last axis of (n, C, h, side), and swaps the two: the
        result is (n, C, s, h). One product of matrices, because many small ones are slow."""
        return np.ascontiguousarray(
            (x.reshape(-1, x.shape[3]) @ a.T).reshape(*x.shape[:3], -1).swapaxes(2, 3)
        )

    def _flat(self, maps: list[np.ndarray], view: tuple[int, int], x: np.ndarray) -> np.ndarray:
        """One view of images (n, C, side, side): (n, d)."""
        rows, columns = (maps[i] for i in view)
        return self.along(rows, self.along(columns, x)).reshape(len(x), -1)

    def key(self, images: np.ndarray) -> np.ndarray:
        """What is searched: float32 (n, DIRECTIONS + 2), whose product with a view is the square of
        the distance. The directions are those in which the references differ most."""
        x = self._flat(self._coarse, (0, 0), self.pixels(images)) @ self._basis
        return np.column_stack([x, _square(x), np.ones(len(x), np.float32)])

    def searched(self, images: np.ndarray) -> Iterator[np.ndarray]:
        """Views of the images and of the mirrored ones, each float32 (n, DIRECTIONS + 2)."""
        ones = np.ones(len(images), np.float32)
        for x in self._both(images):
            for view in self._searched:
                y = self._flat(self._coarse, view, x) @ self._basis
                yield np.column_stack([-2 * y, ones, _square(y)])

    def compared(self, images: np.ndarray) -> np.ndarray:
        """All views of the images and of the mirrored ones: float32 (n, 2 V, d)."""
        made = []
        for x in self._both(images):
            columns = [self.along(a, x) for a in self._fine]
            made += [self.along(self._fine[i], columns[j]) for i, j in self.views]
        return np.stack([m.reshape(len(images), -1) for m in made], 1)

    def _both(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = self.pixels(images)
        return x, x[..., ::-1]

    def made(self, a: np.ndarray, x: np.ndarray) -> np.ndarray:
        """A form of reference images (n, C, side, side) by a map of its rows: (n, d)."""
        return self.along(a, self.along(a, x)).reshape(len(x), -1)


def _candidates(
    form: _Form, images: np.ndarray, base: np.ndarray, k: int, own: np.ndarray | None
) -> np.ndarray:
    """The k references (n, k) that are nearest to images uint8 (n, h, h, C) by their keys. `own`
    (n,) are the references that are the images themselves."""
    n, views = len(images), list(form.searched(images))
    kept = (np.full((n, k), np.inf, np.float32), np.full((n, k), -1, np.int64))
    for part in _parts(len(base), COLUMNS):
        distance: np.ndarray = views[0] @ base[part].T
        for view in views[1:]:
            np.minimum(distance, view @ base[part].T, out=distance)
        if own is not None:
            mine = np.flatnonzero((own >= part.start) & (own < part.stop))
            distance[mine, own[mine] - part.start] = np.inf
        if part.start == 0:
            column = np.argpartition(distance, min(k, distance.shape[1]) - 1, axis=1)[:, :k]
            row, column = np.repeat(np.arange(n), column.shape[1]), column.ravel()
        else:
            row, column = np.nonzero(distance < kept[0][:, -1:])
        kept = _merged(kept, row, (distance[row, column], column + part.start))
    return kept[1]


_Kept = tuple[np.ndarray, np.ndarray]


def _merged(kept: _Kept, row: np.ndarray, new: _Kept) -> _Kept:
    """The nearest k of each row, sorted: of distances and references (n, k), and of new ones (m,)
    of the rows `row` (m,)."""
    if not len(row):
        return kept
    n, k = kept[0].shape
    rows = np.concatenate([np.repeat(np.arange(n), k), row])
    distance, index = (np.concatenate([a.ravel(), b]) for a, b in zip(kept, new, strict=True))
    order = np.lexsort((distance, rows))
    first = np.searchsorted(rows[order], np.arange(n))
    best = order[first[:, None] + np.arange(k)]
    return distance[best], index[best]


class _References:
    """The reference images in the forms in which they are compared: as they are, and blurred. They
    are kept where they are few enough, because an image is found again and again."""

    def __init__(self, form: _Form, images: ImageSource):
        self._form, self._images = form, images
        self.size = images.shape[3] * form.cells**2
        shape = (len(form.references), images.shape[0], self.size)
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
        form = self._form
        out = np.empty((len(form.references), len(index), self.size), np.float32)
        for part in _parts(len(index), max(1, AT_ONCE // (form.side**2 * self._images.shape[3]))):
            x = form.pixels(self._images[index[part]])
            for made, a in zip(out, form.references, strict=True):
                made[part] = form.made(a, x)
        return out


def _compared(form: _Form, images: np.ndarray, of: _References, found: np.ndarray) -> np.ndarray:
    """Root mean square differences (n, k) between images uint8 (n, h, h, C) and the references
    `found` (n, k): the smallest over the views of the image and the blurs of a reference."""
    views = form.compared(images)
    same = views[:, :: len(form.views)]  # the image and its mirror image, not shifted
    plain, *blurred = of.forms(found)
    trimmed = images.shape[3] if form.side <= TRIMMED else 0
    best = _least(views, plain, trimmed)
    for other in blurred:
        np.minimum(best, _least(same, other, trimmed), out=best)
    pixels = form.cells**2 - (form.side <= TRIMMED and form.cells > 1)
    return np.asarray(np.sqrt(np.maximum(best, 0) / (images.shape[3] * pixels)))


def _least(views: np.ndarray, other: np.ndarray, trimmed: int) -> np.ndarray:
    """The smallest square of the distance over the views (n, v, d) to each of `other` (n, k, d).
    With `trimmed` channels, the pixel that differs most does not count."""
    if trimmed:
        square = (views[:, :, None] - other[:, None]) ** 2
        pixels = square.reshape(*square.shape[:3], trimmed, -1).sum(3)
        return np.asarray((pixels.sum(3) - pixels.max(3)).min(1))
    lengths = np.einsum("nvd,nvd->nv", views, views)[:, :, None]
    products = views @ other.swapaxes(1, 2)
    others = np.einsum("nkd,nkd->nk", other, other)
    return np.asarray((lengths - 2 * products).min(1) + others)
