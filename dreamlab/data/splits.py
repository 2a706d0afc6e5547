"""Who may use which image: stratified, seeded index sets into the training split."""

from __future__ import annotations

import numpy as np


def stratified_split(labels: np.ndarray, test_size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sorted (train, test) indices; class shares in the test part follow the data by largest remainder."""
    classes, counts = np.unique(labels, return_counts=True)
    exact = counts * (test_size / len(labels))
    take = np.floor(exact).astype(int)
    for i in np.argsort(-(exact - take), kind="stable")[: test_size - take.sum()]:
        take[i] += 1
    rng = np.random.default_rng(seed)
    test = [rng.permutation(np.flatnonzero(labels == c))[:n] for c, n in zip(classes, take, strict=True)]
    chosen = np.sort(np.concatenate(test))
    return np.setdiff1d(np.arange(len(labels)), chosen), chosen


def subset(labels: np.ndarray, per_class: int, seed: int) -> np.ndarray:
    """Sorted indices of `per_class` images of every class (0: all). A larger subset of a seed contains a smaller one.

    Raises ValueError where a class has fewer images.
    """
    if per_class == 0:
        return np.arange(len(labels))
    parts = []
    for c in np.unique(labels):
        members = np.flatnonzero(labels == c)
        if len(members) < per_class:
            raise ValueError(f"class {c} has {len(members)} images, fewer than the {per_class} asked for")
        parts.append(np.random.default_rng([seed, int(c)]).permutation(members)[:per_class])
    return np.sort(np.concatenate(parts))
