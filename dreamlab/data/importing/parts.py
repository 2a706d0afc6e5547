"""Writes the arrays of an imported set from parts of other arrays, with a few images in memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import numpy as np

from dreamlab.data import imageset

COPIED = 8 * 2**20
"""Number of bytes that are copied at once."""
SCRATCH = ".import-images.tmp"
Part = tuple[Callable[[], np.ndarray], np.ndarray]
"""Images (N, H, W, C), mapped anew at each call, and the indices (n,) of those that are taken."""


def write_parts(
    folder: Path, parts: Sequence[Part], shape: tuple[int, ...], labels: np.ndarray
) -> Generator[int, None, str]:
    """Writes images.npy, uint8 (N, *shape) from the parts in order, and labels.npy (N,). Further
    channels of a part than those of `shape` are left out. Yields the number of images written so
    far and returns the content hash, computed as in `store.cache.array_hash`."""
    count = len(labels)
    digest = hashlib.sha256(f"{np.dtype(np.uint8).str}{(count, *shape)}".encode())
    step = max(1, COPIED // int(np.prod(shape)))

    def chunks() -> Iterator[np.ndarray]:
        for mapped, rows in parts:
            for start in range(0, len(rows), step):
                # a new map for every chunk, because pages that were read count as memory of this
                # process until the map is closed
                taken = mapped()[rows[start : start + step]]
                chunk = np.ascontiguousarray(taken[..., : shape[-1]])
                digest.update(chunk.data)
                yield chunk

    with open(folder / SCRATCH, "wb") as out:
        yield from imageset.write_rows(out, count, shape, chunks())
        out.flush()
        os.fsync(out.fileno())
    digest.update(f"{labels.dtype.str}{labels.shape}".encode())
    digest.update(np.ascontiguousarray(labels).data)
    with open(folder / "labels.npy", "wb") as file:
        np.save(file, labels, allow_pickle=False)
    (folder / SCRATCH).replace(folder / "images.npy")
    return digest.hexdigest()[:16]
