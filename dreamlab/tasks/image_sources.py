"""Image sources (see `dreamlab.data.imageset.ImageSource`): parts of arrays or of memory-mapped
files, and images that are computed when they are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dreamlab.data import imageset
from dreamlab.data.imageset import ImageSource
from dreamlab.store import Run
from dreamlab.store.cache import array_hash
from dreamlab.tasks.context import TaskContext


class JoinedImages:
    """Selected images of several sources, concatenated: uint8 (N, H, W, C). `parts` are (source,
    indices into it). Images are copied only when they are read."""

    def __init__(self, parts: Sequence[tuple[ImageSource, np.ndarray]]):
        self._parts = list(parts)
        self._ends = np.cumsum([len(index) for _, index in self._parts])
        self.shape = (int(self._ends[-1]), *self._parts[0][0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        """The images at a slice or at indices (n,)."""
        wanted = np.arange(len(self))[key] if isinstance(key, slice) else np.asarray(key)
        out = np.empty((len(wanted), *self.shape[1:]), np.uint8)
        of = np.searchsorted(self._ends, wanted, side="right")
        for number, (source, index) in enumerate(self._parts):
            here = np.flatnonzero(of == number)
            if len(here):
                start = int(self._ends[number]) - len(index)
                out[here] = source[index[wanted[here] - start]]
        return out


class NoiseImages:
    """Images of uniform noise of shape (H, W, C), as many as needed. Image i depends only on the
    seed and i."""

    def __init__(self, shape: tuple[int, ...], seed: int):
        self.shape, self._seed = (0, *shape), seed

    def __getitem__(self, index: Any) -> np.ndarray:
        draw = [
            np.random.default_rng([self._seed, int(i), 5]).integers(
                0, 256, self.shape[1:], np.uint8
            )
            for i in index
        ]
        return np.stack(draw)


class Resized:
    """A source whose images are resized when they are read."""

    def __init__(self, source: ImageSource, size: int):
        self._source, self._size = source, size
        self.shape = (source.shape[0], size, size, source.shape[3])

    def __getitem__(self, index: Any) -> np.ndarray:
        return imageset.resized(self._source[index], self._size)


def at_size(source: ImageSource, size: int) -> ImageSource:
    """The source with images of this size; the source itself if they have it."""
    return source if source.shape[1] == size else Resized(source, size)


def set_hash(ctx: TaskContext, run: Run) -> str:
    """Identifies an image set by its content. The hash is cached until the files change."""
    files = [(run.path / name).stat() for name in ("images.npy", "labels.npy")]
    key = f"content/{run.id}/" + "/".join(f"{f.st_size}-{f.st_mtime_ns}" for f in files)
    found = ctx.cache.get(key)
    if found is None:
        found = {"hash": np.array(array_hash(*imageset.load(run.path)))}
        ctx.cache.put(key, **found)
    return str(found["hash"])
