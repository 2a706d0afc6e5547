"""Pictures for docs/studies: images of every generator of a study's run beside real ones of the
same classes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dreamlab.data import catalog, imageset
from dreamlab.settings import StudySpec, SynthesizeSpec, TrainSpec
from dreamlab.store import Run, RunStore

MOST_BYTES = 150_000
COLUMNS = 10
"""Images beside each other; more if there are more classes."""
MOST_CLASSES = 20
ROWS = 3
"""Rows of each synthetic set with classes. A set without has one."""
SIDE, GAP, TEXT = 64, 2, 14
"""Pixels: of an image of up to 64 pixels, between images, of the text."""
QUALITIES = (88, 80, 70, 60, 45)
NOT_REAL = (
    "Real images are not shown: the licence of an imported set may not allow that they are passed"
    " on."
)


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows of images under one heading: uint8 (n, H, W, C), n a multiple of the columns."""

    heading: str
    images: np.ndarray


def write(run: Run, store: RunStore, file: Path) -> str:
    """Writes the picture of a finished study's run as WebP, and gives its caption; empty, and no
    file, if the study has no synthetic set that can be read."""
    sets = _sets(run, store)
    if not sets:
        return ""
    trained = [t for _, _, t in sets]
    classes = _classes([run for _, run, t in sets if t.conditional])
    width = max(COLUMNS // max(1, len(classes)), 1) * len(classes) or COLUMNS
    shown, headings = [], ""
    free = {t.dataset for t in trained} <= set(catalog.INFO)
    if free:
        data = catalog.load(trained[0].dataset, cast(StudySpec, run.spec).data_dir)
        shown.append(Rows("real", _chosen(data.train_images, data.train_labels, classes, width, 2)))
        headings = ", ".join(data.info.classes[c] for c in classes)
    for role, made, generator in sets:
        images, labels = imageset.load(made.path)
        own = classes if generator.conditional else []
        rows = ROWS if generator.conditional else 1
        shown.append(Rows(role, _chosen(images, labels, own, width, rows)))
    _save(_sheet(shown, width), file)
    order = f" Columns: {headings}." if headings else ""
    beside = "Real images (first rows) and images" if free else "Images"
    return (
        f"{beside} of every synthetic set of this run, by the name of its part; the first ones of"
        f" each class, not selected.{order}{'' if free else f' {NOT_REAL}'}"
    )


def _sets(run: Run, store: RunStore) -> list[tuple[str, Run, TrainSpec]]:
    """(role, set, training of its generator) of all synthetic sets of a study's run."""
    found = []
    for role, name in run.record.roles.items():
        made = store.get(name)
        if isinstance(made.spec, SynthesizeSpec) and (made.path / "images.npy").exists():
            trained = store.get(made.spec.source).spec
            assert isinstance(trained, TrainSpec)
            found.append((role, made, trained))
    return found


def _classes(sets: list[Run]) -> list[int]:
    """The classes that any of these sets has."""
    held = [np.unique(imageset.load(made.path)[1]) for made in sets]
    return [int(c) for c in np.unique(np.concatenate(held))[:MOST_CLASSES]] if held else []


def _chosen(
    images: np.ndarray, labels: np.ndarray, classes: list[int], width: int, rows: int
) -> np.ndarray:
    """`rows` rows of `width` images; with classes, each has its columns, and a class that is
    missing leaves them black."""
    if not classes:
        return np.asarray(images[: width * rows])
    each = width // len(classes)
    grid = np.zeros((rows, width, *images.shape[1:]), np.uint8)
    for i, c in enumerate(classes):
        for n, index in enumerate(np.flatnonzero(labels == c)[: each * rows]):
            grid[n // each, i * each + n % each] = images[index]
    return grid.reshape(-1, *images.shape[1:])


def _sheet(shown: list[Rows], width: int) -> Image.Image:
    """All rows below each other, each block below its heading."""
    side = shown[0].images.shape[1]
    scale = max(1, SIDE // side)
    step = side * scale + GAP
    heights = [TEXT + 4 + -(-len(r.images) // width) * step for r in shown]
    sheet = Image.new("RGB", (width * step, sum(heights)), "white")
    draw, top = ImageDraw.Draw(sheet), 0
    for rows, height in zip(shown, heights, strict=True):
        draw.text((2, top + 2), rows.heading, fill="black", font=ImageFont.load_default(TEXT - 2))
        for i, image in enumerate(rows.images):
            tile = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
            tile = tile.resize((side * scale,) * 2, Image.Resampling.NEAREST)
            place = (i % width * step, top + TEXT + 4 + i // width * step)
            sheet.paste(tile.convert("RGB"), place)
        top += height
    return sheet


def _save(sheet: Image.Image, file: Path) -> None:
    """Writes WebP with the best quality that is small enough."""
    for quality in QUALITIES:
        sheet.save(file, "WEBP", quality=quality, method=6)
        if file.stat().st_size < MOST_BYTES:
            return
    raise SystemExit(f"{file.name} is larger than {MOST_BYTES:,} bytes at quality {QUALITIES[-1]}")
