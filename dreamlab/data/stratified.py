"""The split into training and test images for data sets that are packaged without one."""

from __future__ import annotations

import numpy as np


def stratified_split(
    labels: np.ndarray, test_size: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sorted indices (train, test). The test split has the class shares of the data, rounded by the
    largest-remainder method."""
    classes, counts = np.unique(labels, return_counts=True)
    exact = counts * (test_size / len(labels))
    take = np.floor(exact).astype(int)
    for i in np.argsort(-(exact - take), kind="stable")[: test_size - take.sum()]:
        take[i] += 1
    rng = np.random.default_rng(seed)
    test = [
        rng.permutation(np.flatnonzero(labels == c))[:n] for c, n in zip(classes, take, strict=True)
    ]
    chosen = np.sort(np.concatenate(test))
    return np.setdiff1d(np.arange(len(labels)), chosen), chosen
