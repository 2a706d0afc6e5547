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
import hashlib
import os
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from dreamlab.data import catalog, imageset, near_copies, near_copies_report, small_sets
from dreamlab.data.exporting import LABELLED_BY
from dreamlab.data.imageset import DataError
from dreamlab.data.importing.array_values import Scale, scale_of_depth
from dreamlab.data.importing.decoding import decoded, highest_values
from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.listing import UNLISTED, Listing
from dreamlab.data.importing.matching import class_numbers
from dreamlab.data.importing.pictures import DEEPEST, RULES, Preparation
from dreamlab.data.importing.source import Source
from dreamlab.data.importing.split import Arranged, arranged
from dreamlab.settings import ImportSpec
from dreamlab.store import write_bytes, write_json

DEFAULT_SIZE, LARGEST = 64, 512
COPIED = 8 * 2**20
"""Number of bytes that are copied at once."""
GRID, GRID_ROWS, GRID_COLUMNS = "samples/grid.png", 20, 12
OTHER_CLASS = "of a class that the class map does not name"
SCRATCH = (".import-scratch.tmp", ".import-images.tmp")
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
    made = ("images.npy", "labels.npy", GRID, near_copies.FILE, near_copies_report.PICTURE)
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
        self.source, self.spec, self.folder, self.threads, self.limits = (
            source,
            spec,
            folder,
            threads,
            limits,
        )
        self.left, self.listing, self.began = source.left_out, source.listing, time.monotonic()
        ask(self.listing)
        self.said: collections.Counter[str] = collections.Counter()
        self.deep: Scale | None = None
        self.target = catalog.info(spec.dataset) if spec.role == "synthetic" else None
        self.labels, self.classes = self._classes()
        self._leave_out_other_role()
        self.rows = self._chosen(np.flatnonzero(self.labels >= 0))
        limits.check_classes(self.title, len(self.classes))

    @property
    def title(self) -> str:
        """Name of the source, for messages."""
        return self.listing.title

    def run(self) -> Generator[Progress, None, dict[str, Any]]:
        """Decodes, removes duplicates, splits and writes. Yields progress and returns the result.
        Raises DataError."""
        size = self.spec.image_size or (
            self.target.size if self.target else (yield from self._common_size())
        )
        color = {1: "grey", 3: "rgb"}[self.target.channels] if self.target else self.spec.color
        self.deep = yield from self._depth()
        grey = color == "grey"
        prepare = Preparation(size, self.spec.fit, grey, self.limits, self.deep or DEEPEST)
        with open(self.folder / SCRATCH[0], "wb") as scratch:
            kept, digests, colored = yield from self._decode(prepare, scratch)
        if not len(kept):
            raise DataError(f"{self.title} holds no image that can be used ({self.left}).")
        scratch_shape = (len(kept), size, size, prepare.channels)
        channels = 1 if color == "grey" or (color == "auto" and not colored) else 3
        arranged = self._arranged(kept, digests)
        train, test = arranged.train, arranged.test
        order = np.concatenate([train, test])
        labels = self.labels[kept[order]]
        digest = yield from self._write(scratch_shape, order, labels, channels)
        yield self._grid(labels, len(train))
        card = self._card(size, channels, arranged, digest)
        if self.target is None:
            card["notes"] += self._expected(labels, len(train), size)
        write_json(self.folder / catalog.CARD, card)
        return self._result(card, labels)

    def _classes(self) -> tuple[np.ndarray, tuple[str, ...]]:
        """(class of each row or -1, class names). Synthetic images get the classes of their data
        set."""
        numbers, names = class_numbers(self.listing, self.spec, self.target)
        labels = numbers[self.listing.labels]
        for row in np.flatnonzero(labels < 0).tolist():
            self.left.add(self.listing.names[row], OTHER_CLASS)
        return labels, names

    def _leave_out_other_role(self) -> None:
        """Leaves out the images of an exported set whose role is not that of the import: the real
        ones of a mix that is imported as synthetic, and the synthetic ones of a real data set; and
        those that its table does not name, whose role is not known."""
        roles, other = self.listing.roles, {"real": "synthetic", "synthetic": "real"}
        if roles is None:
            return
        reasons = {
            other[self.spec.role]: f"{other[self.spec.role]} by its own table",
            UNLISTED: "not in the table of the exported set",
        }
        for role, reason in reasons.items():
            self.labels = np.where(roles == role, -1, self.labels)
            for row in np.flatnonzero(roles == role).tolist():
                self.left.add(self.listing.names[row], reason)

    def _chosen(self, rows: np.ndarray) -> np.ndarray:
        """At most `max_images` rows: the same share of each class and split, at least one of
        each."""
        most = self.spec.max_images
        if not most or len(rows) <= most:
            return rows
        groups = self.labels[rows] * 2 + self.listing.test[rows]
        chosen = []
        for group in np.unique(groups):
            members = rows[groups == group]
            count = max(1, int(len(members) * most / len(rows)))
            rng = np.random.default_rng([self.spec.split_seed, int(group), 2])
            chosen.append(rng.permutation(members)[:count])
        kept = np.sort(np.concatenate(chosen))
        self.left.counts["beyond the requested number of images"] += len(rows) - len(kept)
        return kept

    def _common_size(self) -> Generator[Progress, None, int]:
        """Side of the images in pixels if all have the same size, else DEFAULT_SIZE. Only headers
        are read."""
        found: tuple[int, int] | None = None
        reported = time.monotonic()
        for i, row in enumerate(self.rows):
            size = self.source.size_of(int(row))
            if size is not None and found is not None and size != found:
                return DEFAULT_SIZE
            found = size or found
            if time.monotonic() - reported > REPORT_EVERY:
                reported = time.monotonic()
                yield Progress(i, len(self.rows), "reading sizes")
        side = found[self.spec.fit != "crop"] if found else DEFAULT_SIZE
        return side if side <= LARGEST else DEFAULT_SIZE

    def _depth(self) -> Generator[Progress, None, Scale | None]:
        """The scale of images in grey of 16 bits, by the largest value of all; None if there are
        none among the first."""
        highest, tried = 0, 0
        work = highest_values(self.source, self.rows.tolist(), self.limits, self.threads)
        with contextlib.closing(work):  # type: ignore[type-var]
            for rows, found in work:
                tried, highest = tried + len(rows), max(highest, *found)
                if not highest and tried >= LOOKED_AT:
                    return None
                if highest:
                    yield Progress(tried, len(self.rows), "looking for the largest value")
        return scale_of_depth(highest) if highest else None

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
        self, scratch_shape: tuple[int, ...], order: np.ndarray, labels: np.ndarray, channels: int
    ) -> Generator[Progress, None, str]:
        """Writes images.npy and labels.npy from the scratch file, whose shape is `scratch_shape`.
        Yields progress and returns the content hash, computed as in `store.cache.array_hash`."""
        shape = (*scratch_shape[1:3], channels)
        digest = hashlib.sha256(f"{np.dtype(np.uint8).str}{(len(order), *shape)}".encode())
        step = max(1, COPIED // int(np.prod(scratch_shape[1:])))

        def chunks() -> Iterator[np.ndarray]:
            for start in range(0, len(order), step):
                # a new map for every chunk, because pages that were read count as memory of this
                # process until the map is closed
                images = np.memmap(self.folder / SCRATCH[0], np.uint8, "r", shape=scratch_shape)
                chunk = np.ascontiguousarray(images[order[start : start + step]][..., :channels])
                digest.update(chunk.data)
                yield chunk

        scratch = self.folder / SCRATCH[1]
        with open(scratch, "wb") as out:
            for done in imageset.write_rows(out, len(order), shape, chunks()):
                yield Progress(done, len(order), "writing")
            out.flush()
            os.fsync(out.fileno())
        digest.update(f"{labels.dtype.str}{labels.shape}".encode())
        digest.update(np.ascontiguousarray(labels).data)
        with open(self.folder / "labels.npy", "wb") as out:
            np.save(out, labels, allow_pickle=False)
        scratch.replace(self.folder / "images.npy")
        return digest.hexdigest()[:16]

    def _arranged(self, kept: np.ndarray, digests: np.ndarray) -> Arranged:
        """The training and test images as positions in `kept`. Duplicates are reported as left out.
        Raises DataError if a class has no training or no test images."""
        labels, test = self.labels[kept], self.listing.test[kept]
        if self.target is not None:
            here = np.arange(len(kept))
            return Arranged(here, here[:0], {}, len(kept) - len(np.unique(digests)), 0)
        share = None if self.listing.split else self.spec.test_share
        found = arranged(labels, test, digests, share, self.spec.split_seed)
        for reason, positions in found.left_out.items():
            for row in kept[positions].tolist():
                self.left.add(self.listing.names[row], reason)
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

    def _card(self, size: int, channels: int, parts: Arranged, content: str) -> dict[str, Any]:
        spec, mirror = (
            self.spec,
            self.target.mirror if self.target else self.spec.mirror and self.listing.mirror,
        )
        split = (
            self.listing.split
            or f"{spec.test_share:g} of every class, drawn with seed {spec.split_seed}"
        )
        by = self.listing.labelled_by if spec.role == "synthetic" else None
        preprocessing = {
            "image_size": size,
            "fit": spec.fit,
            "color": "grey" if channels == 1 else "rgb",
            **RULES,
            **({"grey_of_16_bits": self.deep.said} if self.deep else {}),
            "split": split if self.target is None else "none",
            "max_images": spec.max_images,
            "duplicates": parts.duplicates,
            "overlap_removed": parts.overlapping,
        }
        return {
            "title": self.title,
            "role": spec.role,
            "source": spec.source,
            "dataset": spec.dataset,
            "size": size,
            "channels": channels,
            "classes": list(self.classes),
            "train": len(parts.train),
            "test": len(parts.test),
            "mirror": mirror,
            "reading": self.listing.reading,
            "labelled": self.listing.labelled,
            **({LABELLED_BY: by} if by else {}),
            "notes": [
                *self.listing.notes,
                *([PSEUDO_LABELS] if by else []),
                *(f"{n:,} images: {w}" for w, n in self.said.items()),
            ],
            "overlap": 0,  # overlapping images were removed from the training part
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
            "image_size": card["size"],
            "channels": card["channels"],
            "reading": card["reading"],
            "labelled": card["labelled"],
            **{key: card[key] for key in (LABELLED_BY,) if key in card},
            "notes": card["notes"],
            "content_hash": card["content_hash"],
            "preprocessing": card["preprocessing"],
            "seconds": round(time.monotonic() - self.began, 3),
            "left_out": self.left.files,
            "left_out_counts": dict(self.left.counts.most_common()),
            "grid": GRID,
        }
