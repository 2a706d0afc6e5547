"""What can be expected of a small or uneven data set, a sentence each. An import, a training, a
classifier and a mix say it before they begin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dreamlab.stats.enough import LEAST_IMAGES

FEW_TEST = 200
"""Test images below which a difference must be large to be shown: 2 points and more."""
FEW_TRAIN = 10
"""Training images of a class below which the choice of the images decides the result."""
UNEVEN = 20
"""Times that the largest class may be as large as the smallest before it is said."""
LEAST_CHANGED = 4
"""Fewest test images with another answer, all in the same direction, that a paired test shows at 5
% (McNemar 1947: the square root of their number must be above 1.96). It may need more."""
USUAL_SIDE, LARGE_SIDE = 64, 128
"""Side of images in pixels that two CPU cores can train on, and above which it is said."""


def about_training(train: Sequence[int], classes: Sequence[str]) -> list[str]:
    """The sentences about the numbers of training images of each class."""
    said, few = [], [c for c, n in enumerate(train) if n < FEW_TRAIN]
    if few:
        low, high = min(train[c] for c in few), max(train[c] for c in few)
        each = (
            f"{low} training image{_s(high)}" if low == high else f"{low} to {high} training images"
        )
        where = (
            f"class {classes[few[0]]}"
            if len(few) == 1
            else "each class"
            if len(few) == len(classes)
            else f"{len(few):,} of {len(classes):,} classes"
        )
        said.append(
            f"{each} in {where}: a generator mostly repeats them, and results depend on which"
            " images they are; use several subset seeds."
        )
    large, small = (list(train).index(pick(train)) for pick in (max, min))
    if train[small] and train[large] >= UNEVEN * train[small]:
        said.append(
            f"Class {classes[large]} has {train[large] / train[small]:,.0f} times as many training"
            f" images as class {classes[small]} ({train[large]:,} and {train[small]:,}): look at"
            " macro-F1 and at each class, because large classes decide the accuracy."
        )
    return said


def about_testing(test: Sequence[int]) -> list[str]:
    """The sentences about the numbers of test images of each class."""
    said: list[str] = []
    total = sum(test)
    if not total:
        return said
    if total < FEW_TEST:
        shown = (
            f"a comparison needs at least {LEAST_IMAGES}"
            if total < LEAST_IMAGES
            else f"no difference below {100 * LEAST_CHANGED / total:.3g} points can be shown"
        )
        said.append(
            f"{total} test image{_s(total)}: an accuracy has steps of {100 / total:.3g} points, and"
            f" {shown}."
        )
    few = sum(n < LEAST_IMAGES for n in test)
    if few and total >= LEAST_IMAGES:
        said.append(
            f"Classes with fewer than {LEAST_IMAGES} test images get no comparison of their own:"
            f" {few:,} of {len(test):,}."
        )
    return said


def about_size(side: int) -> list[str]:
    """The sentence about the size of large images, in pixels."""
    if side <= LARGE_SIDE:
        return []
    return [
        f"A training step at {side} pixels costs about {(side / USUAL_SIDE) ** 2:.0f} times as much"
        f" as at {USUAL_SIDE}: without a GPU, choose {USUAL_SIDE} pixels (--image-size"
        f" {USUAL_SIDE})."
    ]


def about_import(
    train: np.ndarray, test: np.ndarray, classes: Sequence[str], side: int
) -> list[str]:
    """The sentences about an imported set, from the numbers of images of each class. A set of one
    class has no accuracy."""
    return [
        *about_training(train.tolist(), classes),
        *(about_testing(test.tolist()) if len(classes) > 1 else []),
        *about_size(side),
    ]


def left_without(name: str, part: str, title: str, usable: int, left: str) -> str:
    """The refusal of an import with a class that has no images for training or for testing."""
    return (
        f"Class {name} of {title} is left without {part} images: {usable:,} of its files can be"
        f" used, but a class needs at least one image for training and one for testing ({left});"
        " give it more images, or leave it out."
    )


def _s(count: int) -> str:
    return "" if count == 1 else "s"
