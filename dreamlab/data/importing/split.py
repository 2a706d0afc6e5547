"""Finds duplicates among imported images and splits them into training and test images. Functions
of arrays."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Arranged:
    """The split of imported images: sorted positions of the training and test images, and reason ->
    positions of the images that are left out."""

    train: np.ndarray
    test: np.ndarray
    left_out: dict[str, np.ndarray]
    duplicates: int
    """Number of images with the same pixels as an earlier one."""
    overlapping: int
    """Number of training images that are also test images."""


def arranged(
    labels: np.ndarray,
    test: np.ndarray,
    digests: np.ndarray,
    share: float | None,
    seed: int,
    least: int = 1,
) -> Arranged:
    """Splits N images, given labels (N,), test (N,) bool and digests (N,), which are equal for
    equal pixels.

    If `share` is None, `test` gives the split. Training images that are also test images, or that
    occur earlier among the training images, are left out. Otherwise duplicates are left out first,
    and then the share `share` of each class, at least `least` images, is drawn for testing. A class
    may be left without training or test images; the caller has to check that.
    """
    here = np.arange(len(labels))
    tested = here[test] if share is None else here[:0]
    pool = here[~test] if share is None else here
    seen = np.isin(digests[pool], digests[tested])
    left_out = {"also a test image: not used for training": pool[seen]}
    pool = pool[~seen]
    _, first, group = np.unique(digests[pool], return_index=True, return_inverse=True)
    again = np.setdiff1d(np.arange(len(pool)), first)
    alike = labels[pool[again]] == labels[pool[first[group[again]]]]
    left_out["duplicate of an earlier image"] = pool[again[alike]]
    left_out["duplicate of an earlier image of another class"] = pool[again[~alike]]
    pool = pool[np.sort(first)]
    if share is not None:
        tested = _drawn(pool, labels[pool], share, seed, least)
        pool = np.setdiff1d(pool, tested)
    return Arranged(pool, tested, left_out, len(again), int(seen.sum()))


def held_out(count: int, share: float, least: int = 1) -> int:
    """Number of images of a class of `count` that are kept for testing: the share `share`, at least
    `least`, but not all if there are two or more."""
    return min(max(least, round(share * count)), max(count - 1, least))


def _drawn(pool: np.ndarray, labels: np.ndarray, share: float, seed: int, least: int) -> np.ndarray:
    """Draws the share `share` of each class, see `held_out`."""
    chosen = [pool[:0]]
    for c in np.unique(labels):
        members = pool[labels == c]
        count = held_out(len(members), share, least)
        chosen.append(np.random.default_rng([seed, int(c)]).permutation(members)[:count])
    return np.sort(np.concatenate(chosen))
