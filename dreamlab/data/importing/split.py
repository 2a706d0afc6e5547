"""Splits imported images into training and test part, and finds duplicates. Functions of arrays."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Arranged:
    """Sorted positions of the training and test images; the images left out by reason;
    two counts."""

    train: np.ndarray
    test: np.ndarray
    left_out: dict[str, np.ndarray]
    duplicates: int
    """Images with the same pixels as an earlier one."""
    overlapping: int
    """Training images that are test images as well."""


def arranged(
    labels: np.ndarray, test: np.ndarray, digests: np.ndarray, share: float | None, seed: int
) -> Arranged:
    """Splits images. labels (N,); test (N,) bool; digests (N,), equal for equal pixels.

    With `share` None the split is given by `test`. Training images that are test images too, or
    that occur earlier in the training part, are left out. Otherwise duplicates are left out first,
    and `share` of every class, at least one image, is drawn for the test part. A class may end
    without images in a part; the caller decides what that means.
    """
    here = np.arange(len(labels))
    held_out = here[test] if share is None else here[:0]
    pool = here[~test] if share is None else here
    seen = np.isin(digests[pool], digests[held_out])
    left_out = {"also a test image: not used for training": pool[seen]}
    pool = pool[~seen]
    _, first, group = np.unique(digests[pool], return_index=True, return_inverse=True)
    again = np.setdiff1d(np.arange(len(pool)), first)
    alike = labels[pool[again]] == labels[pool[first[group[again]]]]
    left_out["duplicate of an earlier image"] = pool[again[alike]]
    left_out["duplicate of an earlier image of another class"] = pool[again[~alike]]
    pool = pool[np.sort(first)]
    if share is not None:
        held_out = _drawn(pool, labels[pool], share, seed)
        pool = np.setdiff1d(pool, held_out)
    return Arranged(pool, held_out, left_out, len(again), int(seen.sum()))


def _drawn(pool: np.ndarray, labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """`share` of every class: at least one image, and never all if there are two."""
    chosen = [pool[:0]]
    for c in np.unique(labels):
        members = pool[labels == c]
        count = min(max(1, round(share * len(members))), max(len(members) - 1, 1))
        chosen.append(np.random.default_rng([seed, int(c)]).permutation(members)[:count])
    return np.sort(np.concatenate(chosen))


def match_class(name: str, classes: tuple[str, ...]) -> int:
    """Number of the class with this name (upper or lower case), else of the class with this number;
    -1 if there is none."""
    plain = [_plain(c) for c in classes]
    if _plain(name) in plain:
        return plain.index(_plain(name))
    return int(name) if name.isascii() and name.isdigit() and int(name) < len(classes) else -1


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").casefold().split())
