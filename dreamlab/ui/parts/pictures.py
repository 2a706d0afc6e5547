"""Pictures on pages: sheets of images, previews of a training, and the names beside rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dreamlab.data import catalog, imageset
from dreamlab.settings import TrainSpec
from dreamlab.store import RunStatus
from dreamlab.ui.render import data_uri

STEP_PANELS = (
    ("x_t, the noisy images", "noisy images"),
    ("Predicted x0, the clean images", "predicted images"),
)
"""(title, alternative text) of the two pictures of a sampling step."""


@dataclasses.dataclass(frozen=True)
class Sheet:
    """A picture of images in rows. `src` is its address; `width`, `height` and `cell` (the side of
    one image) are in pixels."""

    src: str
    width: int
    height: int
    cell: int


def sheet(images: np.ndarray, side: int, cols: int) -> Sheet:
    """A sheet of images uint8 (N, H, W, C), resized to `side` pixels as for training, with `cols`
    per row. It is embedded in the page as a lossless PNG."""
    drawn = imageset.sheet(imageset.resized(images, side), cols)
    return Sheet(data_uri(imageset.png(drawn)), drawn.shape[1], drawn.shape[0], side)


def stored(run: str, path: Path, event: Mapping[str, Any], cols: int) -> Sheet:
    """A picture that a run has written. `path` is the folder of the run, `event` the image event,
    and `cols` the number of images per row."""
    with Image.open(path / event["path"]) as picture:
        width, height = picture.size
    return Sheet(address(run, event), width, height, width // max(1, cols))


def address(run: str, event: Mapping[str, Any]) -> str:
    """The web address of a picture of a run. It changes when the picture changes."""
    return f"/media/{run}/{event['path']}?v={event['t']}"


def previews(status: RunStatus) -> list[dict[str, Any]]:
    """The image events of the previews of a training, oldest first."""
    return [e for e in status.images if e.get("name") == "preview"]


def frame(srcs: Sequence[str], like: Sheet, title: str, caption: str) -> dict[str, Any]:
    """One frame of a sequence of pictures, as app.js expects it. `srcs` has one picture per panel,
    all of the size of `like`."""
    return {
        "srcs": list(srcs),
        "w": like.width,
        "h": like.height,
        "cell": like.cell,
        "title": title,
        "caption": caption,
    }


def drawn_names(spec: Any) -> tuple[str, ...]:
    """Class names of a generator; empty if it was trained without classes."""
    return catalog.drawn_classes(spec) if isinstance(spec, TrainSpec) and spec.conditional else ()


def png_size(png: bytes) -> tuple[int, int]:
    """(width, height) from the header of a PNG (IHDR, big-endian)."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
