"""A sample of the images of a source, decoded as an import would."""

from __future__ import annotations

import base64
import collections
import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from dreamlab.data import imageset
from dreamlab.data.importing.array_values import Scale, scale_of_depth
from dreamlab.data.importing.decoding import highest_values
from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.pictures import DEEPEST, Preparation, Unusable
from dreamlab.data.importing.sizes import colour_of, side_of
from dreamlab.data.importing.source import Source
from dreamlab.data.named import Info
from dreamlab.settings import ImportSpec

SAMPLE, EACH = 200, 10
"""Most images that are decoded, and how many of a class are shown."""
EMPTY = 128
"""Grey of the places in a sheet that have no image, in light and dark themes."""
SHEET_PIXELS = 1_500_000
"""Most pixels of a sheet; larger images are shown smaller."""


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """Decoded images of a source. `images` uint8 (N, size, size, channels) of the classes `labels`
    (N,); `tried` images were decoded, `unusable` says why some could not be; decoding one took
    `seconds_each`."""

    images: np.ndarray
    labels: np.ndarray
    size: int
    tried: int
    unusable: dict[str, int]
    seconds_each: float
    deep: Scale | None
    """How grey of 16 bits is scaled, by the images of the sample; None if there is none."""
    resized: int
    """How many images have another size in the source."""

    @property
    def channels(self) -> int:
        """Channels of the images, 1 or 3."""
        return int(self.images.shape[-1])

    def sheet(self, classes: Sequence[str]) -> dict[str, Any]:
        """A sheet of at most EACH images of the first classes, one class a row, as JSON values:
        `png` in base64, `cell` (side of an image in it, in pixels), `width`, `height`, `classes`.
        Empty without images."""
        shown = [c for c in np.unique(self.labels).tolist() if (self.labels == c).any() and c >= 0][
            : SAMPLE // EACH
        ]
        if not shown:
            return {}
        cell = min(self.size, int((SHEET_PIXELS / (len(shown) * EACH)) ** 0.5))
        cols = min(EACH, max(int((self.labels == c).sum()) for c in shown))
        cells = np.full((len(shown) * cols, cell, cell, self.channels), EMPTY, np.uint8)
        for i, c in enumerate(shown):
            members = self.images[self.labels == c][:cols]
            cells[i * cols : i * cols + len(members)] = imageset.resized(members, cell)
        sheet = imageset.sheet(cells, cols)
        return {
            "png": base64.b64encode(imageset.png(sheet)).decode(),
            "cell": cell,
            "width": sheet.shape[1],
            "height": sheet.shape[0],
            "classes": [classes[c] for c in shown],
        }


def sample_of(
    source: Source,
    labels: np.ndarray,
    taken: np.ndarray,
    spec: ImportSpec,
    target: Info | None,
    limits: Limits,
) -> Sample:
    """Decodes a sample of the images of the rows `taken`; `labels` (N,) are the classes of all
    rows. The size is that of the import, from the headers of all these images."""
    size, color = _side(spec, source, taken, target), colour_of(spec, source, target)
    rows = _rows(labels, taken)
    deep = max(
        (n for _, found in highest_values(source, rows, limits, 1) for n in found), default=0
    )
    scale = scale_of_depth(deep) if deep else None
    prepare = Preparation(size, spec.fit, color == "grey", limits, scale or DEEPEST)
    reasons, images, kept, resized = collections.Counter[str](), [], [], 0
    began = time.monotonic()
    for row in rows:
        try:
            images.append(prepare(source.fetch(row)())[0])
            kept.append(row)
            resized += source.size_of(row) not in (None, (size, size))
        except Unusable as error:
            reasons[str(error)] += 1
    seconds = (time.monotonic() - began) / max(1, len(rows))
    shape = (0, size, size, prepare.channels)
    stacked = np.stack(images) if images else np.zeros(shape, np.uint8)
    if color == "auto" and not (stacked != stacked[..., :1]).any():
        stacked = stacked[..., :1]
    unusable = dict(reasons.most_common())
    return Sample(stacked, labels[kept], size, len(rows), unusable, seconds, scale, resized)


def _side(spec: ImportSpec, source: Source, rows: np.ndarray, target: Info | None) -> int:
    work = side_of(spec, source, rows.tolist(), target)
    try:
        while True:
            next(work)
    except StopIteration as done:
        return int(done.value)


def _rows(labels: np.ndarray, taken: np.ndarray) -> list[int]:
    """At most SAMPLE rows in increasing order: some of each of the first classes, spread over each
    class; of many classes also some of the others."""
    held = np.unique(labels[taken])
    few = len(held) <= SAMPLE // EACH
    first = held if few else held[: SAMPLE // EACH // 2]
    each = max(EACH, SAMPLE // max(1, len(held))) if few else EACH
    chosen = [_spread(taken[labels[taken] == c], each) for c in first]
    if not few:
        chosen.append(_spread(taken, SAMPLE - EACH * len(first)))
    rows: list[int] = np.unique(np.concatenate([*chosen, taken[:0]])).tolist()
    return rows


def _spread(rows: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the rows, at equal distances."""
    places = np.linspace(0, len(rows) - 1, min(len(rows), most)).round().astype(int)
    return rows[np.unique(places)] if len(rows) else rows
