"""Decodes images in several threads, a few batches at a time, and returns them in order."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from dreamlab.data import imageset
from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.pictures import Preparation, Unusable, highest
from dreamlab.data.importing.source import Fetch, Source

BATCH, BATCH_BYTES = 32, 32 * 2**20
"""Size of a batch: at most this many images, and about this many bytes of files."""
Decoded = tuple[np.ndarray, bytes, bool, str] | str
"""(image, digest, whether it has colour, what must be said of it or ""), or the reason why the
image cannot be used."""
T = TypeVar("T")


def decoded(
    source: Source, rows: Sequence[int], prepare: Preparation, threads: int
) -> Iterator[tuple[list[int], list[Decoded]]]:
    """Yields (rows, decoded images) in order, one batch at a time. If the generator is closed
    early, pending batches are cancelled."""

    def decode(fetch: Fetch) -> Decoded:
        try:
            made, said = prepare(fetch())
        except Unusable as error:
            return str(error)
        image = np.ascontiguousarray(made)
        colored = image.shape[2] == 3 and bool((image != image[..., :1]).any())
        return image, imageset.digest(image), colored, said

    return in_batches(source, rows, decode, threads)


def highest_values(
    source: Source, rows: Sequence[int], limits: Limits, threads: int
) -> Iterator[tuple[list[int], list[int]]]:
    """Yields (rows, largest values of grey of 16 bits), as `decoded` does."""

    def look(fetch: Fetch) -> int:
        try:
            return highest(fetch(), limits)
        except Unusable:
            return 0

    return in_batches(source, rows, look, threads)


def in_batches(
    source: Source, rows: Sequence[int], work: Callable[[Fetch], T], threads: int
) -> Iterator[tuple[list[int], list[T]]]:
    """Calls `work` for the images of `rows` in several threads, and yields the results in order."""
    waiting: collections.deque[tuple[list[int], Future[list[T]]]] = collections.deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="import") as pool:
        try:
            for batch, fetches in _batches(source, rows):
                waiting.append((batch, pool.submit(lambda all: list(map(work, all)), fetches)))
                if len(waiting) > 2 * threads:
                    batch, future = waiting.popleft()
                    yield batch, future.result()
            for batch, future in waiting:
                yield batch, future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _batches(source: Source, rows: Sequence[int]) -> Iterator[tuple[list[int], list[Fetch]]]:
    batch: list[int] = []
    fetches: list[Fetch] = []
    before = source.unpacked
    for row in rows:
        batch.append(row)
        fetches.append(source.fetch(row))
        if len(batch) == BATCH or source.unpacked - before > BATCH_BYTES:
            yield batch, fetches
            batch, fetches, before = [], [], source.unpacked
    if batch:
        yield batch, fetches
