"""What a search for near-copies found, as a sentence and as pictures of the pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dreamlab.data import imageset
from dreamlab.data.catalog import DataSet
from dreamlab.data.imageset import ImageSource
from dreamlab.data.near_copies import Copies, Pairs
from dreamlab.store import write_bytes

PICTURE = "samples/near_copies.png"
SHOWN, COLUMNS = 48, 8
"""Most pairs in the picture, and pairs per row."""
GREY = 128
"""What is between the images and between the pairs: it differs from black and from white ones."""


def of_set(found: Copies, classes: Sequence[str] = ()) -> str:
    """What was found in a synthetic set, in one or two sentences. `classes` are the names of all
    classes, if they are known."""
    counts = f"{_count(found.test, 'test')} and {_count(found.training, 'training')}"
    if not found.leaks and not found.repeats:
        return (
            f"Of the {found.images:,} images, {counts}: no more than real images would have by"
            " chance."
        )
    said = f"Of the {found.images:,} images, {counts}."
    if found.leaking:
        said = f"{said[:-1]}; of test images, {in_class(found, classes)}."
    return f"{said} No classifier is trained on this set." if found.leaks else said


def in_class(found: Copies, classes: Sequence[str] = ()) -> str:
    """The class of a synthetic set with the largest share of near-copies of test images, if it has
    too many, as words of a sentence; else empty."""
    if not found.leaking:
        return ""
    c, (near, of) = max(found.leaking.items(), key=lambda item: item[1][0] / item[1][1])
    name = f" ({classes[c]})" if c < len(classes) and classes[c] != str(c) else ""
    more = len(found.leaking) - 1
    others = f" and too many of {more:,} other class{'es' * (more > 1)}" if more else ""
    return f"{near:,} of the {of:,} images of class {c}{name}{others}"


def of_data(found: Copies) -> str:
    """What was found among the test images of a data set, in one or two sentences."""
    between, within = len(found.training), len(found.test)
    said = (
        f"Of the {found.images:,} test images, {between:,} are near-copies of training images and"
        f" {within:,} of other test images"
    )
    if found.splits_leak:
        return f"{said}. No classifier is tested on them: the accuracy would be too high."
    if found.repeats_within:
        return f"{said}, which count more than once: intervals are narrower than they should be."
    return f"{said}, no more than usual for this data."


def _count(pairs: Pairs, split: str) -> str:
    number = len(pairs)
    are = "is a near-copy of a" if number == 1 else "are near-copies of"
    shown = f"{number:,}" if number else "none"
    return f"{shown} {are} {split} image{'' if number == 1 else 's'}"


def draw_set(folder: Path, found: Copies, images: ImageSource, data: DataSet) -> None:
    """Writes the picture of a synthetic set: each near-copy and, on its right, the real image. Test
    images come first. There is no picture of nothing."""
    pairs = ((found.test, data.test_images), (found.training, data.train_images))
    _draw(folder, [(images, real, near) for near, real in pairs])


def draw_data(folder: Path, found: Copies, data: DataSet) -> None:
    """Writes the picture of a data set: each test image and, on its right, the training image or
    the other test image that it is a near-copy of."""
    test = data.test_images
    _draw(folder, [(test, data.train_images, found.training), (test, test, found.test)])


def pair_sheets(found: Copies, data: DataSet) -> list[tuple[str, int, np.ndarray]]:
    """The near-copies within a data set as sheets, at most SHOWN pairs each: (what they are, number
    of pairs, sheet uint8 (H, W, C) with COLUMNS pairs per row or fewer). Sheets of nothing are left
    out."""
    test, made = data.test_images, []
    for words, real, pairs in (
        ("a test image and, on its right, the training image", data.train_images, found.training),
        ("two test images", test, found.test),
    ):
        if tiles := _tiles(test, real, pairs):
            made.append((words, len(pairs), sheet_of(tiles)))
    return made


def _draw(folder: Path, listed: list[tuple[ImageSource, ImageSource, Pairs]]) -> None:
    tiles = [tile for images, real, pairs in listed for tile in _tiles(images, real, pairs)]
    if not tiles:
        (folder / PICTURE).unlink(missing_ok=True)
        return
    (folder / PICTURE).parent.mkdir(exist_ok=True)
    write_bytes(folder / PICTURE, imageset.png(sheet_of(tiles[:SHOWN])))


def _tiles(images: ImageSource, real: ImageSource, pairs: Pairs) -> list[np.ndarray]:
    """The first SHOWN pairs, each of an image and, on its right, the real one."""
    return [
        beside([imageset.resized(images[i : i + 1], real.shape[1])[0], real[j]])
        for i, j in zip(pairs.image[:SHOWN].tolist(), pairs.of[:SHOWN].tolist(), strict=True)
    ]


def beside(images: Sequence[np.ndarray]) -> np.ndarray:
    """Images uint8 (H, H, C) beside each other, with a line between them: uint8 (H, W, C)."""
    side, _, channels = images[0].shape
    between = np.full((side, max(1, side // 32), channels), GREY, np.uint8)
    parts = [part for image in images for part in (between, image)]
    return np.concatenate(parts[1:], axis=1)


def sheet_of(tiles: Sequence[np.ndarray], columns: int = COLUMNS) -> np.ndarray:
    """Tiles uint8 (H, W, C) of at least one, as a sheet with at most `columns` per row."""
    gap = max(2, tiles[0].shape[0] // 8)
    return imageset.sheet(np.stack(tiles), min(columns, len(tiles)), gap, GREY)
