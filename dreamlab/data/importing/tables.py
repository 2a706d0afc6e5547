"""Layout of a source: a table that gives the class of each image file. It reads no images."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.class_folders import NO_SPLIT, about_validation, is_split, test_mask
from dreamlab.data.importing.files import Files
from dreamlab.data.importing.listing import PICTURE, Doubt, LeftOut, Listing, natural, some
from dreamlab.data.importing.table_columns import (
    label_columns,
    label_of,
    no_labels,
    part_in,
    same_classes,
    split_column_of,
)
from dreamlab.data.importing.table_files import TABLE
from dreamlab.data.importing.table_rows import Table, Tables, part_beside, read_tables

WITHOUT = "without a label"
NOT_THERE = "named by a table, but not there"


def listed(
    files: Files,
    left: LeftOut,
    labels: str = "",
    split_column: str = "",
    tables: Tables | None = None,
) -> Listing | None:
    """The images that a table of `files` gives a class, sorted by split, class and name; None if
    there is no such table.

    A table is a CSV or TSV file, a list of paths with labels, JSON lines, or JSON of records or in
    the form of COCO. Images are named by path, file name or file name without its ending. `labels`
    is "FILE:COLUMN", and `split_column` the column of the split; without them usual names decide,
    and the listing has a doubt if they do not. `tables` are those of `files`, if they have been
    read. What has no label goes to `left`. Raises DataError if a table or column that was asked for
    is not there.
    """
    wanted, _, column = labels.rpartition(":") if ":" in labels else (labels, "", "")
    tables = tables or read_tables(files, wanted)
    if wanted and not tables.usable:
        raise DataError(_no_table(files, tables, wanted))
    found = _Found(left)
    some_have = column and any(column in t.columns for t in tables.usable)
    for table in tables.usable:
        if not (some_have and column not in table.columns):
            found.add(table, column, split_column)
    known = {image: label for image, label in found.classes.items() if label}
    if not known:
        if wanted or column:
            raise DataError(_no_column(tables, column))
        return None
    for name in files.names:
        if name not in known and not TABLE.search(name) and name not in found.told_of:
            left.add(name, WITHOUT if PICTURE.search(name) else "not an image")
    return found.listing(files.title, known)


class _Found:
    """What tables say of images: `classes` (image -> label, "" without one), `parts` (image ->
    split), and `told_of`, the images that are in the report already."""

    def __init__(self, left: LeftOut):
        self.left, self.reading, self.doubts = left, list[str](), list[Doubt]()
        self.notes: set[str] = set()
        self.classes: dict[str, str] = {}
        self.parts: dict[str, int | None] = {}
        self.told_of: set[str] = set()
        self._tables: list[tuple[str, dict[str, Any], dict[str, str]]] = []

    def add(self, table: Table, column: str, split_column: str) -> None:
        """Adds what a table says. Raises DataError."""
        others, rows = [c for c in table.columns if c != table.file], [r for _, r in table.rows]
        if column and column not in others:
            raise DataError(no_labels(table.name, table.columns, column))
        chosen, doubts = label_columns(table.name, others, rows, column)
        if not chosen:
            return
        split, note = split_column_of(table.name, others, rows, split_column)
        answer = {"labels": table.name + (f":{chosen[0]}" if len(chosen) == 1 else "")}
        own: dict[str, str] = {}
        twice: set[str] = set()
        for image, row in table.rows:
            label = label_of(row, chosen)
            if own.setdefault(image, label) != label:
                twice.add(image)
        if not self._fits(table.name, answer, own):
            return
        self.doubts += doubts
        self.notes |= {note} - {""}
        self.reading.append(_said(table, chosen, split))
        self._tables.append((table.name, answer, own))
        for image, row in table.rows:
            self.parts[image] = (
                part_in(split, row.get(split, "")) if split else part_beside(image, table.name)
            )
            if split and self.parts[image] is None and image not in self.told_of:
                self.told_of.add(image)
                self.left.add(image, NO_SPLIT)
        twice |= {i for i, c in own.items() if self.classes.get(i, c) != c}
        for image in sorted(twice - self.told_of):
            self.left.add(image, "given two labels")
        self.told_of |= twice
        self.classes |= own | dict.fromkeys(self.told_of, "")
        for value in table.gone:
            self.left.add(f"{table.name}: {value}", NOT_THERE)

    def _fits(self, name: str, answer: dict[str, Any], own: Mapping[str, str]) -> bool:
        """Whether a table goes with those before. If it gives most of their images other labels,
        the one with words is taken if both give the same classes; else it is asked."""
        for before, other_answer, other in self._tables:
            both = [i for i in own if i in other]
            if 2 * sum(own[i] == other[i] for i in both) >= len(both):
                continue
            if not same_classes((own[i], other[i]) for i in both):
                self.doubts.append(
                    Doubt(
                        f"{before} and {name} give the images different labels.",
                        (
                            (f"those of {before}", {"layout": "table", **other_answer}),
                            (f"those of {name}", {"layout": "table", **answer}),
                        ),
                    )
                )
            else:
                self.notes.add(f"{name} gives the same classes as {before} under other names.")
            return False
        return True

    def listing(self, title: str, known: Mapping[str, str]) -> Listing:
        """The images with the labels `known`."""
        names = sorted(known)
        order = sorted(set(known.values()), key=natural)
        number = {c: i for i, c in enumerate(order)}
        labels = np.array([number[known[name]] for name in names], np.int64)
        parts = [self.parts[name] for name in names]
        split = is_split(set(parts)) and None not in parts
        test = test_mask(parts) if split else np.zeros(len(names), bool)
        by_class = np.lexsort((np.arange(len(names)), labels, test))
        return Listing(
            title,
            [names[i] for i in by_class],
            labels[by_class],
            test[by_class],
            tuple(order),
            "its own table or folders" if split else "",
            named=not all(c.isascii() and c.isdigit() for c in order),
            reading="; ".join(self.reading),
            layout="table",
            notes=(*sorted(self.notes), *(about_validation(parts) if split else ())),
            doubts=(*self.doubts, *many_labels(len(order), len(names))),
        )


def splits_of(tables: Tables, images: Sequence[str]) -> tuple[np.ndarray, str]:
    """(whether each of the images is a test image, where that is from) by tables with a column of
    the split, or by lists for each split, such as train.txt; ("" and none unless they name all
    images once and the training part is among them)."""
    found: dict[str, set[int | None]] = collections.defaultdict(set)
    used = []
    for table in tables.usable:
        rows = [row for _, row in table.rows]
        others = [c for c in table.columns if c != table.file]
        split, _ = split_column_of(table.name, others, rows, "")
        own = None if split else part_beside("", table.name)
        if not split and own is None:
            continue
        used.append(f"column {split} of {table.name}" if split else table.name)
        for image, row in table.rows:
            found[image].add(part_in(split, row.get(split, "")) if split else own)
    parts = [next(iter(p)) if len(p := found.get(image, set())) == 1 else None for image in images]
    if None in parts or not is_split(set(parts)):
        return np.zeros(len(images), bool), ""
    return test_mask(parts), " and ".join(used)


def of_unused(tables: Tables, layout: str, words: str) -> tuple[Doubt, ...]:
    """The doubt on a table that may hold labels, but cannot be used. `layout` and `words` are the
    reading without it."""
    return tuple(
        Doubt(f"{name} may hold labels, but {reason}.", ((words, {"layout": layout}),))
        for name, reason in list(tables.unused.items())[:1]
    )


def about_unlabelled(tables: Tables) -> tuple[str, ...]:
    """What is said of tables that name images without labels to tell what they hold."""
    return tuple(
        f"{t.name} names images, but no column of it was read as labels: it has {some(others)}."
        for t in tables.usable[:1]
        if (others := [c for c in t.columns if c != t.file])
    )


def many_labels(labels: int, images: int) -> tuple[Doubt, ...]:
    """The doubt on a column with about as many labels as images."""
    if labels <= max(20, images // 2):
        return ()
    return (
        Doubt(
            f"There are {labels:,} different labels for {images:,} images.",
            (("they are classes", {"layout": "table"}),),
        ),
    )


def _said(table: Table, columns: tuple[str, ...], split: str) -> str:
    labels = f"column {columns[0]}" if len(columns) == 1 else f"the {len(columns)} one-hot columns"
    by = f", split by column {split}" if split else ""
    return f"labels from {labels} of {table.name}, files from column {table.file}{by}"


def _no_table(files: Files, tables: Tables, wanted: str) -> str:
    there = [n for n in sorted(files.names) if TABLE.search(n)]
    reason = next(iter(tables.unused.values()), "")
    return (
        f"Labels (--labels): {wanted} of {files.title} is not a table that names images;"
        f" {reason + '; ' if reason else ''}"
        f"{'tables there: ' + some(there) if there else 'there is no table'}."
    )


def _no_column(tables: Tables, column: str) -> str:
    table = tables.usable[0] if tables.usable else Table("the source", (), "", ())
    return no_labels(table.name, table.columns, column)
