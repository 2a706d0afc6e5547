"""Images where they lie: selections of arrays, of files in memory, and of images that are made when
they are read."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from dreamlab.classifiers.networks import ImageSource
from dreamlab.data import catalog, imageset
from dreamlab.store import Run
from dreamlab.store.cache import array_hash
from dreamlab.tasks.context import TaskContext


class JoinedImages:
    """Some images of several sources, one after the other, as one: uint8 (N, H, W, C). Nothing is
    copied before it is read."""

    def __init__(self, parts: Sequence[tuple[ImageSource, np.ndarray]]):
        self._parts = list(parts)
        self._ends = np.cumsum([len(index) for _, index in self._parts])
        self.shape = (int(self._ends[-1]), *self._parts[0][0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        """A slice, or indices (n,)."""
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
    """Endless images of uniform noise of one shape (H, W, C): image i depends on the seed and i
    alone."""

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
    """A source at another size, made so when it is read."""

    def __init__(self, source: ImageSource, size: int):
        self._source, self._size = source, size
        self.shape = (source.shape[0], size, size, source.shape[3])

    def __getitem__(self, index: Any) -> np.ndarray:
        return imageset.resized(self._source[index], self._size)


def at_size(source: ImageSource, size: int) -> ImageSource:
    """The source itself where its images have this size already."""
    return source if source.shape[1] == size else Resized(source, size)


def data_hash(name: str, data_dir: str) -> str:
    """What identifies a data set by its content, both splits: of an imported one, what its card
    says."""
    if name in catalog.INFO:
        return _hash_of(name, data_dir)
    card = json.loads((catalog.folder_of(name) / catalog.CARD).read_text())
    return f"import-{card['content_hash']}-{card['train']}"


@functools.lru_cache(maxsize=8)
def _hash_of(name: str, data_dir: str) -> str:
    data = catalog.load(name, data_dir)
    return array_hash(data.train_images, data.train_labels, data.test_images, data.test_labels)


def set_hash(ctx: TaskContext, run: Run) -> str:
    """The same of an image set. It is read whole once, and again only when its files change."""
    files = [(run.path / name).stat() for name in ("images.npy", "labels.npy")]
    key = f"content/{run.id}/" + "/".join(f"{f.st_size}-{f.st_mtime_ns}" for f in files)
    found = ctx.cache.get(key)
    if found is None:
        found = {"hash": np.array(array_hash(*imageset.load(run.path)))}
        ctx.cache.put(key, **found)
    return str(found["hash"])
