"""What was found of the memory of a set, in sentences and as a picture of the most suspicious
images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dreamlab.data import imageset
from dreamlab.data.catalog import DataSet
from dreamlab.data.imageset import ImageSource
from dreamlab.data.memory import FEWEST, PIXELS, UNLIKELY, Memory
from dreamlab.data.near_copies_report import beside, sheet_of
from dreamlab.store import write_bytes

PICTURE = "samples/memory.png"
SHOWN, COLUMNS = 24, 4
"""Most images in the picture, and images per row, each with its two neighbours."""
NO_GUARANTEE = (
    "This is no privacy guarantee: an image that is not flagged may still tell something of"
    " training images that these distances do not see."
)


def of_space(counted: Mapping[str, Any]) -> str:
    """One space of a `memory.summary` in one or two sentences: how many images are flagged, how
    many chance explains, and whether that is more."""
    images, flagged, where = counted["images"], counted["flagged"], in_words(counted["space"])
    if counted["rate"] is None:
        return (
            f"{where.capitalize()}, no image can be flagged: {counted['held_out']:,} held-out real"
            f" images are too few for a limit, {FEWEST} are needed."
        )
    expected, are = 100 * counted["rate"], "image lies" if images == 1 else "images lie"
    said = (
        f"{where.capitalize()}, {flagged:,} of the {images:,} {are} closer to a training image than"
        f" {100 - expected:.3g} % of held-out real images do: {percent(counted)}, where"
        f" {expected:.2g} % are expected."
    )
    if counted["chance"] < UNLIKELY:
        return f"{said} Chance does not explain so many."
    return said


def percent(counted: Mapping[str, Any]) -> str:
    """A share with its interval, such as "3.0 % (1.7 to 5.2)"; empty if there is none."""
    if counted["share"] is None:
        return ""
    share, low, high = (100 * counted[name] for name in ("share", "low", "high"))
    return f"{share:.1f} % ({low:.1f} to {high:.1f})"


def compared(found: Mapping[str, Any]) -> str:
    """What the images of a `memory.summary` were compared with."""
    if found["known"]:
        return f"Compared with the {found['references']:,} training images of the generator."
    return (
        f"Compared with all {found['references']:,} images of the training split: which of them the"
        " generator was trained on is not known."
    )


def in_words(space: str) -> str:
    """The name of a space in a sentence."""
    return "in pixels" if space == PIXELS else f"in features ({space})"


def draw(folder: Path, found: Memory, images: ImageSource, data: DataSet) -> None:
    """Writes the picture: the images that lie closest to a training image for their kind, in
    pixels, the most suspicious first; on the right of each the nearest training image and the
    nearest held-out one."""
    space = found.spaces[PIXELS]
    tiles = [
        row(images, data, i, int(space.training[i]), int(space.held_out[i]))
        for i in np.argsort(space.ratio, kind="stable")[:SHOWN].tolist()
    ]
    (folder / PICTURE).parent.mkdir(exist_ok=True)
    write_bytes(folder / PICTURE, imageset.png(sheet_of(tiles, COLUMNS)))


def row(images: ImageSource, data: DataSet, image: int, training: int, held_out: int) -> np.ndarray:
    """An image of a set and, on its right, a training image and a held-out one: uint8 (H, W, C)."""
    own = imageset.resized(images[image : image + 1], data.info.size)[0]
    return beside([own, data.train_images[training], data.test_images[held_out]])
