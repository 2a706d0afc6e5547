"""The import itself: decodes images, removes duplicates, splits them, and writes an image set with
a card.

Memory holds a few batches of images and a few bytes per image. The set is either complete or
absent: decoded images go to a scratch file, and the card, without which a folder is not a data set,
is written last.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from dreamlab.data import catalog, imageset, near_copies, near_copies_report, small_sets
from dreamlab.data.exporting import LABELLED_BY
from dreamlab.data.imageset import DataError
from dreamlab.data.importing import left_out
from dreamlab.data.importing import parts as arrays
from dreamlab.data.importing.array_values import Scale, scale_of_depth
from dreamlab.data.importing.decoding import decoded, highest_values
from dreamlab.data.importing.extending import extended, prepared, versioned
from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.listing import Listing
from dreamlab.data.importing.matching import target_of
from dreamlab.data.importing.pictures import DEEPEST, RULES, Preparation, UnexpectedDepth
from dreamlab.data.importing.rows import chosen_rows
from dreamlab.data.importing.sizes import colour_of, side_of
from dreamlab.data.importing.source import Source
from dreamlab.data.importing.split import Arranged, arranged
from dreamlab.settings import ImportSpec, command
from dreamlab.store import write_bytes, write_json

GRID, GRID_ROWS, GRID_COLUMNS = "samples/grid.png", 20, 12
SCRATCH = (".import-scratch.tmp", arrays.SCRATCH)
PSEUDO_LABELS = "By its card, a classifier gave the labels of these images (pseudo-labels)."
LOOKED_AT = 64
"""Number of images among which one in grey of 16 bits is looked for."""
REPORT_EVERY = 0.3
"""Seconds between two progress reports."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """`done` of `total` images have been processed. `grid` is set in the one report that says that
    the preview grid has been written."""

    done: int
    total: int
    text: str
    grid: tuple[int, int] | None = None
    """(rows, columns) of the preview grid."""


def clean(folder: Path) -> None:
    """Removes the files of an import that did not finish."""
    drawn = (GRID, left_out.PICTURE, near_copies_report.PICTURE)
    made = ("images.npy", "labels.npy", near_copies.FILE, *drawn)
    unfinished = () if (folder / catalog.CARD).exists() else made
    for name in (*SCRATCH, *unfinished):
        (folder / name).unlink(missing_ok=True)


def import_images(
    source: Source, spec: ImportSpec, folder: Path, threads: int = 1, limits: Limits | None = None
) -> Generator[Progress, None, dict[str, Any]]:
    """Imports `source` into `folder`. Yields progress and returns the content of result.json. If it
    raises DataError, or if the generator is closed early, no files are left behind."""
    (folder / catalog.CARD).unlink(missing_ok=True)
    clean(folder)
    try:
        return (yield from _Import(source, spec, folder, threads, limits or Limits()).run())
    finally:
        clean(folder)
        source.close()


def ask(listing: Listing) -> None:
    """Raises DataError with the first doubt of a listing and the settings that answer it."""
    for doubt in listing.doubts[:1]:
        raise DataError(f"{listing.title}: {doubt.sentence}")


class _Import:
    """One import: chooses rows, decodes them into the scratch file, splits them and writes the
    set."""

    def __init__(
        self, source: Source, spec: ImportSpec, folder: Path, threads: int, limits: Limits
    ):
        self.source, self.folder, self.threads, self.limits = source, folder, threads, limits
        self.spec = prepared(spec)
        self.left, self.listing, self.began = source.left_out, source.listing, time.monotonic()
        ask(self.listing)
        self.said: collections.Counter[str] = collections.Counter()
        self.deep: Scale | None = None
        self.target, self.base = target_of(spec), extended(spec)
        self.labels, self.classes, self.rows = chosen_rows(source, spec, self.target)
        limits.check_classes(self.title, len(self.classes))

    @property
    def title(self) -> str:
        """Name of the source, for messages."""
        return self.listing.title

    def run(self) -> Generator[Progress, None, dict[str, Any]]:
        """Decodes, removes duplicates, splits and writes. Yields progress and returns the result.
        Raises DataError."""
        size = yield from self._side()
        color = colour_of(self.spec, self.source, self.target)
        self.deep = yield from self._depth()
        prepare = Preparation(size, self.spec.fit, color == "grey", self.limits, self.deep)
        kept, digests, colored = yield from self._all_decoded(prepare)
        if not len(kept):
            raise DataError(f"{self.title} holds no image that can be used ({self.left}).")
        scratch_shape = (len(kept), size, size, prepare.channels)
        channels = 1 if color == "grey" or (color == "auto" and not colored) else 3
        found = self._arranged(kept, digests)
        labels, train = self.labels[kept], len(found.train)
        labels = np.concatenate([labels[found.train], labels[found.test]])
        if self.base:
            labels = self.base.labels(labels[:train], labels[train:])
            train += self.base.data.info.train
        digest = yield from self._write(scratch_shape, found, labels, channels)
        yield self._grid(labels, train)
        side = min(size, left_out.SIDE)
        small = dataclasses.replace(prepare, size=side, deep=self.deep or DEEPEST)
        shown = left_out.draw(self.source, self.left.files, self.folder, small)
        card = self._card(size, channels, found, (train, len(labels) - train), digest)
        if self.spec.role == "real":
            card["notes"] += self._expected(labels, train, size)
        write_json(self.folder / catalog.CARD, card)
        return self._result(card, labels) | ({"left_out_pictures": shown} if shown else {})

    def _side(self) -> Generator[Progress, None, int]:
        work = side_of(self.spec, self.source, self.rows.tolist(), self.target)
        try:
            while True:
                yield Progress(next(work), len(self.rows), "reading sizes")
        except StopIteration as done:
            return int(done.value)

    def _depth(self, to_the_end: bool = False) -> Generator[Progress, None, Scale | None]:
        """The scale of images in grey of 16 bits, by the largest value of all; None if there are
        none among the first, or among all if it looks `to_the_end`."""
        highest, tried = 0, 0
        work = highest_values(self.source, self.rows.tolist(), self.limits, self.threads)
        with contextlib.closing(work):  # type: ignore[type-var]
            for rows, found in work:
                tried, highest = tried + len(rows), max(highest, *found)
                if not highest and tried >= LOOKED_AT and not to_the_end:
                    return None
                if highest:
                    yield Progress(tried, len(self.rows), "looking for the largest value")
        return scale_of_depth(highest) if highest else None

    def _all_decoded(
        self, prepare: Preparation
    ) -> Generator[Progress, None, tuple[np.ndarray, np.ndarray, bool]]:
        """See `_decode`. If the first images have 8 bits and a later one has 16, it looks for the
        largest value of all and begins again, so that all get one scale."""
        counts, files = self.left.counts.copy(), list(self.left.files)
        try:
            with open(self.folder / SCRATCH[0], "wb") as scratch:
                return (yield from self._decode(prepare, scratch))
        except UnexpectedDepth:
            self.deep = yield from self._depth(to_the_end=True)
        self.left.counts, self.left.files = counts, files
        self.said.clear()
        prepare = dataclasses.replace(prepare, deep=self.deep or DEEPEST)
        with open(self.folder / SCRATCH[0], "wb") as scratch:
            return (yield from self._decode(prepare, scratch))

    def _decode(
        self, prepare: Preparation, scratch: BinaryIO
    ) -> Generator[Progress, None, tuple[np.ndarray, np.ndarray, bool]]:
        """(rows that could be decoded, their digests, whether any image has colour). The images go
        to the scratch file."""
        kept, digests, colored, tried = [], [], False, 0
        reported = 0.0
        for rows, done in decoded(self.source, self.rows.tolist(), prepare, self.threads):
            for row, result in zip(rows, done, strict=True):
                if isinstance(result, str):
                    self.left.add(self.listing.names[row], result)
                    continue
                image, digest, has_color, said = result
                if said:
                    self.said[said] += 1
                scratch.write(image.data)
                kept.append(row)
                digests.append(digest)
                colored = colored or has_color
            tried += len(rows)
            if time.monotonic() - reported > REPORT_EVERY:
                reported = time.monotonic()
                yield Progress(tried, len(self.rows), "importing")
        return np.array(kept, np.int64), np.array(digests, "S16"), colored

    def _write(
        self, scratch_shape: tuple[int, ...], found: Arranged, labels: np.ndarray, channels: int
    ) -> Generator[Progress, None, str]:
        """Writes images.npy and labels.npy from the scratch file, whose shape is `scratch_shape`,
        after the images of the set that is extended. Yields progress and returns the content
        hash."""

        def scratch() -> np.ndarray:
            return np.memmap(self.folder / SCRATCH[0], np.uint8, "r", shape=scratch_shape)

        parts: list[arrays.Part] = [(scratch, found.train), (scratch, found.test)]
        if self.base:
            parts = self.base.parts(scratch, found.train, found.test)
        shape = (*scratch_shape[1:3], channels)
        work = arrays.write_parts(self.folder, parts, shape, labels)
        while True:
            try:
                yield Progress(next(work), len(labels), "writing")
            except StopIteration as done:
                return str(done.value)

    def _arranged(self, kept: np.ndarray, digests: np.ndarray) -> Arranged:
        """The training and test images as positions in `kept`. Duplicates are reported as left out.
        Raises DataError if a class has no training or no test images."""
        labels, test = self.labels[kept], self.listing.test[kept]
        if self.spec.role == "synthetic":
            here = np.arange(len(kept))
            return Arranged(here, here[:0], {}, len(kept) - len(np.unique(digests)), 0)
        share = None if self.listing.split else self.spec.test_share

        least = 0 if self.base else 1  # a set that is extended has test images of every class

        def split(at: np.ndarray) -> Arranged:
            return arranged(labels[at], test[at], digests[at], share, self.spec.split_seed, least)

        found = (
            self.base.arranged(digests, split, self.left)
            if self.base
            else split(np.arange(len(kept)))
        )
        for reason, positions in found.left_out.items():
            for row in kept[positions].tolist():
                self.left.add(self.listing.names[row], reason)
        if self.base:  # its classes have images of both parts
            return found
        for part, chosen in (("training", found.train), ("test", found.test)):
            counts = np.bincount(labels[chosen], minlength=len(self.classes))
            if not counts.all():
                c = int(np.argmin(counts))
                usable = int((labels == c).sum())
                raise DataError(
                    small_sets.left_without(
                        self.classes[c], part, self.title, usable, str(self.left)
                    )
                )
        return found

    def _expected(self, labels: np.ndarray, train: int, size: int) -> list[str]:
        """What can be expected of a real set, in sentences."""
        of_train, of_test = (
            np.bincount(part, minlength=len(self.classes))
            for part in (labels[:train], labels[train:])
        )
        return small_sets.about_import(of_train, of_test, self.classes, size)

    def _grid(self, labels: np.ndarray, train: int) -> Progress:
        """Writes the preview grid, a PNG: the first training images of the first classes, one class
        per row."""
        images = np.load(self.folder / "images.npy", mmap_mode="r", allow_pickle=False)
        shown = np.unique(labels[:train])[:GRID_ROWS]
        cols = min(GRID_COLUMNS, int(np.bincount(labels[:train]).max()))
        tiles = np.zeros((len(shown) * cols, *images.shape[1:]), np.uint8)
        for row, c in enumerate(shown):
            members = np.flatnonzero(labels[:train] == c)[:cols]
            tiles[row * cols : row * cols + len(members)] = images[members]
        (self.folder / GRID).parent.mkdir(exist_ok=True)
        write_bytes(self.folder / GRID, imageset.png(imageset.sheet(tiles, cols)))
        return Progress(len(labels), len(labels), "writing", (len(shown), cols))

    def _card(
        self, size: int, channels: int, parts: Arranged, counts: tuple[int, int], content: str
    ) -> dict[str, Any]:
        spec, mirror = (
            self.spec,
            self.target.mirror if self.target else self.spec.mirror and self.listing.mirror,
        )
        split = (
            self.listing.split
            or f"{spec.test_share:g} of every class, drawn with seed {spec.split_seed}"
        )
        by = self.listing.labelled_by if spec.role == "synthetic" else None
        added = len(parts.train), len(parts.test)
        preprocessing = {
            "image_size": size,
            "fit": spec.fit,
            "color": "grey" if channels == 1 else "rgb",
            **RULES,
            **({"grey_of_16_bits": self.deep.said} if self.deep else {}),
            "split": split if spec.role == "real" else "none",
            "max_images": spec.max_images,
            "duplicates": parts.duplicates,
            "overlap_removed": parts.overlapping,
        }
        return {
            "title": versioned(self.target.title) if self.base and self.target else self.title,
            "role": spec.role,
            "source": spec.source,
            "dataset": spec.dataset,
            "size": size,
            "channels": channels,
            "classes": list(self.classes),
            "train": counts[0],
            "test": counts[1],
            "mirror": mirror,
            "reading": self.listing.reading,
            "labelled": self.listing.labelled,
            "exported": self.listing.exported,
            **({LABELLED_BY: by} if by else {}),
            "notes": [
                *(
                    self.base.notes(*added, self.deep.said if self.deep else "")
                    if self.base
                    else ()
                ),
                *self.listing.notes,
                *([PSEUDO_LABELS] if by else []),
                *(f"{n:,} images: {w}" for w, n in self.said.items()),
            ],
            "overlap": 0,  # overlapping images were removed from the training part
            **(self.base.card(*added) if self.base else {}),
            "content_hash": content,
            "preprocessing": preprocessing,
        }

    def _result(self, card: dict[str, Any], labels: np.ndarray) -> dict[str, Any]:
        return {
            "title": card["title"],
            "role": card["role"],
            "images": len(labels),
            "train": card["train"],
            "test": card["test"],
            "classes": card["classes"],
            "per_class": np.bincount(labels, minlength=len(self.classes)).tolist(),
            "splits": {"training": card["train"], "test": card["test"]},
            "image_size": card["size"],
            "channels": card["channels"],
            "layout": self.listing.layout or "auto",
            "reading": card["reading"],
            "labelled": card["labelled"],
            **{key: card[key] for key in (LABELLED_BY, "extends", "added") if key in card},
            "notes": card["notes"],
            "content_hash": card["content_hash"],
            "preprocessing": card["preprocessing"],
            "seconds": round(time.monotonic() - self.began, 3),
            "left_out": self.left.files,
            "left_out_counts": dict(self.left.counts.most_common()),
            "grid": GRID,
            "command": command(self.spec),
        }
