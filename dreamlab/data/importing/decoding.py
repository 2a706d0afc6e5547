"""Decodes images in several threads, a few batches at a time, and returns them in order."""

from __future__ import annotations

import collections
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from dreamlab.data import imageset
from dreamlab.data.importing.pictures import Preparation, Unusable
from dreamlab.data.importing.source import Fetch, Source

BATCH, BATCH_BYTES = 32, 32 * 2**20
"""Size of a batch: at most this many images, and about this many bytes of files."""
Decoded = tuple[np.ndarray, bytes, bool] | str
"""(image, digest, whether it has colour), or the reason why the image cannot be used."""


def decoded(
    source: Source, rows: Sequence[int], prepare: Preparation, threads: int
) -> Iterator[tuple[list[int], list[Decoded]]]:
    """Yields (rows, decoded images) in order, one batch at a time. If the generator is closed
    early, pending batches are cancelled."""
    waiting: collections.deque[tuple[list[int], Future[list[Decoded]]]] = collections.deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="import") as pool:
        try:
            for batch, fetches in _batches(source, rows):
                waiting.append((batch, pool.submit(_decode, fetches, prepare)))
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


def _decode(fetches: list[Fetch], prepare: Preparation) -> list[Decoded]:
    results: list[Decoded] = []
    for fetch in fetches:
        try:
            image = np.ascontiguousarray(prepare(fetch()))
        except Unusable as error:
            results.append(str(error))
            continue
        colored = image.shape[2] == 3 and bool((image != image[..., :1]).any())
        results.append((image, imageset.digest(image), colored))
    return results
