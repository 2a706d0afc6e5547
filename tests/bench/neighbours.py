"""Nearest neighbours in features and in pixels: seconds and peak memory, each in a process of its
own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from threadpoolctl import threadpool_limits

from dreamlab.data.nearest import NEIGHBOURS
from dreamlab.fidelity.manifold import nearest
from tests.import_helpers import peak_mb

SIZES = ((5_000, 128), (20_000, 128), (50_000, 128))
"""Numbers of images on both sides, and dimensions."""


def in_features(images: int, dimensions: int, threads: int = 2) -> tuple[float, float]:
    """(seconds, peak memory of this process in MB) of the neighbours of as many images among as
    many, also mirrored."""
    rng = np.random.default_rng(0)
    x, mirrored, y = (rng.normal(size=(images, dimensions)).astype(np.float32) for _ in range(3))
    began = time.monotonic()
    with threadpool_limits(threads):
        _, index = nearest(x, NEIGHBOURS, y, mirrored)
    assert index.shape == (images, NEIGHBOURS)
    return time.monotonic() - began, peak_mb()


def alone(images: int, dimensions: int, threads: int = 2) -> tuple[float, float]:
    """`in_features` in a new process."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(in_features, images, dimensions, threads).result()


def main(sizes: Sequence[tuple[int, int]] = SIZES) -> None:
    """Prints a table."""
    print("| images on both sides | dimensions | s | peak memory, MB |\n|---|---|---|---|")
    for images, dimensions in sizes:
        seconds, peak = alone(images, dimensions)
        print(f"| {images:,} | {dimensions} | {seconds:.1f} | {peak:,.0f} |", flush=True)
