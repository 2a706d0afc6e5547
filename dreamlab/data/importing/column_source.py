"""Source of an import: the rows of Parquet or Arrow files, or of a data set of the hub."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.class_folders import NO_SPLIT, TEST, TRAIN, is_split, test_mask
from dreamlab.data.importing.columns import (
    OUT_OF_RANGE,
    Column,
    content,
    holds,
    image_column,
    is_text,
    label_column,
    split_column,
    without_negative,
)
from dreamlab.data.importing.files import Files
from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.listing import PICTURE, Doubt, LeftOut, Listing, some
from dreamlab.data.importing.pictures import Raw, Unusable
from dreamlab.data.importing.shards import SHARD, Batches, Shard, shards_of
from dreamlab.data.importing.source import Fetch, Source
from dreamlab.data.importing.table_columns import no_labels
from dreamlab.data.importing.tables import WITHOUT, many_labels
from dreamlab.settings import ImportSpec

BY_FOLDER = ("top", "joined", "leaf")
NO_IMAGE, ONLY_PATH = "without an image", "a path instead of the image itself"


def open_columns(files: Files, spec: ImportSpec, limits: Limits) -> Source | None:
    """A source for the Parquet and Arrow files of a folder or archive; None if there are none, if
    `spec` asks for class folders, or if there are pictures beside files that hold none (such as
    metadata.parquet). Raises DataError if they cannot be used."""
    if spec.layout in BY_FOLDER or not any(map(SHARD.search, files.names)):
        return None
    pictures = [name for name in files.names if PICTURE.search(name)]
    try:
        shards = _named(shards_of(files, limits), spec)
        if pictures:
            image_column(shards, spec)
    except DataError:
        if pictures:
            return None
        raise
    for name in pictures:
        files.left.add(name, "beside Parquet or Arrow files")
    shards.sort(key=lambda shard: (shard.part or TRAIN, shard.name))
    return ColumnSource(files.title, shards, files.left, spec, limits, files.close)


def _named(shards: list[Shard], spec: ImportSpec) -> list[Shard]:
    """The shards that the setting `labels` names, all if it names none."""
    file = spec.labels.rpartition(":")[0] or (spec.labels if SHARD.search(spec.labels) else "")
    found = [s for s in shards if file in ("", s.name, posixpath.basename(s.name))]
    if not found:
        raise DataError(
            f"Labels (--labels): there is no file {file}; the files are"
            f" {some([s.name for s in shards])}."
        )
    return found


class ColumnSource(Source):
    """The rows of files or splits with equal columns, training ones first. `follow`: the image of a
    row without bytes is read from its path, which is safe only if the files were made here."""

    def __init__(
        self,
        title: str,
        shards: Sequence[Shard],
        left: LeftOut,
        spec: ImportSpec,
        limits: Limits,
        close: Callable[[], None] = lambda: None,
        follow: bool = False,
    ):
        self._shards, self._limits, self._close, self._follow = shards, limits, close, follow
        self._starts = np.cumsum([0, *(shard.count for shard in shards)])
        limits.check_rows(title, int(self._starts[-1]))
        if not self._starts[-1]:
            raise DataError(f"{title} holds no rows; give files with images.")
        self._image, doubts = image_column(shards, spec)
        split, parts = split_column(shards, self._image, spec.split_column)
        label, column, more = _labels(shards, (self._image, split), spec, title)
        _check_alike(shards, self._image, label)
        name = self._name_of
        rows, test = _rows(column, _parts(shards) if parts is None else parts, name, left)
        labels, classes = _classes(column, rows, left)
        asked = spec.layout == "auto" and not spec.labels
        self._rows, by = rows, f", split by column {split}" if split and test.any() else ""
        whole = f"column {self._image} of {_together(shards)}{by}"
        super().__init__(
            Listing(
                title,
                _Names(name, rows),
                labels,
                test,
                classes,
                (f"column {split}" if split else "its own files") if test.any() else "",
                numbered=column is not None and column.numbers,
                named=column is not None and column.names is not None,
                reading=f"labels from column {label}, images from {whole}"
                if column
                else f"images without labels from {whole}",
                layout="table" if column else "unlabelled",
                labelled=column is not None,
                doubts=(*doubts, *(more + many_labels(len(classes), len(rows)) if asked else ())),
            ),
            left,
        )
        self._batches: Batches = iter(())
        self._shard, self._first, self._batch = -1, 0, _NONE

    def fetch(self, row: int) -> Fetch:
        """See `Source.fetch`."""
        data, path = self._content(int(self._rows[row]))
        if data is None and path and self._follow:
            return lambda: _read(Path(path), self._limits)
        reason = self._limits.refused_file(data) if data is not None else ""
        if data is None:
            reason = ONLY_PATH if path else NO_IMAGE
        if data is None or reason:

            def refused() -> Raw:
                raise Unusable(reason)

            return refused
        found = data
        self.unpacked += len(found)
        return lambda: found

    def _content(self, at: int) -> tuple[bytes | None, str]:
        """The image of a row of all shards. Rows that increase are read in one pass."""
        number = int(np.searchsorted(self._starts, at, "right")) - 1
        row, shard = at - int(self._starts[number]), self._shards[number]
        after = self._first + len(self._batch)
        if number != self._shard or row < self._first or shard.block_of(row) > after:
            self._batches = shard.batches((self._image,), row)
            self._shard, self._first, self._batch = number, 0, _NONE
        while not self._first <= row < self._first + len(self._batch):
            self._first, batch = next(self._batches)
            self._batch = batch.column(0)
        return content(self._batch[row - self._first])

    def _name_of(self, at: int) -> str:
        number = int(np.searchsorted(self._starts, at, "right")) - 1
        return f"{self._shards[number].name} row {at - int(self._starts[number])}"

    def close(self) -> None:
        """See `Source.close`."""
        self._batches, self._batch = iter(()), _NONE
        self._close()


_NONE: Any = ()


def _labels(
    shards: Sequence[Shard], others: Sequence[str], spec: ImportSpec, title: str
) -> tuple[str, Column | None, tuple[Doubt, ...]]:
    """What `label_column` finds; no column if none of its values is a class."""
    if spec.layout == "unlabelled":
        return "", None, ()
    wanted = "" if SHARD.search(spec.labels) else spec.labels.rpartition(":")[2]
    label, column, doubts = label_column(shards, others, wanted, title)
    if column is not None:
        column, more = without_negative(column, spec)
        if (column.codes >= 0).any():
            return label, column, (*doubts, *more)
    if wanted:
        raise DataError(no_labels(title, shards[0].schema.names, wanted))
    return "", None, ()


def _check_alike(shards: Sequence[Shard], image: str, label: str) -> None:
    """Raises DataError unless all files have the column of images and that of labels in the same
    form. Test files may have no labels."""
    first = shards[0]

    def form(shard: Shard, column: str) -> Any:
        kind, told = shard.schema.field(column).type, shard.features.get(column, {})
        return (is_text(kind), told.get("names")) if column == label else holds(kind)

    for shard in shards[1:]:
        without = {image, label} - {"", *shard.schema.names}
        if shard.part == TEST:
            without -= {label}
        there = [c for c in (image, label) if c in shard.schema.names]
        if without or any(form(shard, c) != form(first, c) for c in there):
            raise DataError(
                f"{shard.name} has the columns {_shown(shard)}, and {first.name} has"
                f" {_shown(first)}: give files with equal columns and classes, or name one as"
                " --labels FILE:COLUMN."
            )


def _shown(shard: Shard) -> str:
    return some([f"{field.name} ({field.type})" for field in shard.schema])


def _parts(shards: Sequence[Shard]) -> np.ndarray:
    """The split of each row by its file, -1 if it is not known."""
    each = [-1 if shard.part is None else shard.part for shard in shards]
    return np.repeat(np.array(each, np.int64), [shard.count for shard in shards])


def _rows(
    column: Column | None, parts: np.ndarray, name: Callable[[int], str], left: LeftOut
) -> tuple[np.ndarray, np.ndarray]:
    """(rows that are used, training ones first; whether each is a test image). Rows without a class
    go to `left`, and those in no split if there are splits."""
    codes = np.zeros(len(parts), np.int32) if column is None else column.codes
    divided = is_split({None if p < 0 else p for p in np.unique(parts[codes >= 0]).tolist()})
    out = (codes >= 0) & (parts < 0) & divided
    for at in np.flatnonzero((codes < 0) | out).tolist():
        reason = "label out of range" if codes[at] == OUT_OF_RANGE else WITHOUT
        left.add(name(at), NO_SPLIT if out[at] else reason)
    rows = np.flatnonzero((codes >= 0) & ~out)
    test = test_mask(parts[rows].tolist()) if divided else np.zeros(len(rows), bool)
    order = np.lexsort((rows, test))
    return rows[order], test[order]


def _classes(
    column: Column | None, rows: np.ndarray, left: LeftOut
) -> tuple[np.ndarray, tuple[str, ...]]:
    """(class numbers of the rows, class names). Names without images go to `left`."""
    if column is None:
        return np.zeros(len(rows), np.int64), ("images",)
    used, labels = np.unique(column.codes[rows], return_inverse=True)
    classes = tuple(column.texts[i] for i in used)
    for name in column.names or ():
        if name not in classes:
            left.add(name, "class without images")
    return labels.astype(np.int64), classes


def _together(shards: Sequence[Shard]) -> str:
    more = f" and {len(shards) - 1:,} more" if len(shards) > 1 else ""
    return shards[0].name + more


def _read(path: Path, limits: Limits) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(limits.file_bytes + 1)
    except OSError:
        raise Unusable("unreadable") from None
    if reason := limits.refused_file(data):
        raise Unusable(reason)
    return data


class _Names(Sequence[str]):
    """The names of rows, made on demand."""

    def __init__(self, name: Callable[[int], str], rows: np.ndarray):
        self._name, self._rows = name, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, i: int) -> str:  # type: ignore[override]
        return self._name(int(self._rows[i]))
