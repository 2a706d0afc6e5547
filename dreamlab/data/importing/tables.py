"""Layout of a source: a table that gives the class of each image file. It reads no images."""

from __future__ import annotations

import collections
import csv
import dataclasses
import io
import json
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.class_folders import is_split, part_of, split_of, test_mask
from dreamlab.data.importing.files import Files
from dreamlab.data.importing.listing import PICTURE, Doubt, LeftOut, Listing, natural, some

TABLE = re.compile(r"\.(csv|tsv|txt|lst|list|jsonl|ndjson|json)$", re.IGNORECASE)
FILE_NAMES = ("file_name", "filename", "file", "image", "image_name", "path", "filepath", "id")
"""Usual names of the column of files. They decide between columns that fit as well."""
LABEL_NAMES = (
    "label",
    "class",
    "class_name",
    "category",
    "category_name",
    "species",
    "breed",
    "target",
    "labels",
    "classes",
    "y",
)
"""Usual names of the column of labels, the first preferred."""
SPLIT_NAMES = ("split", "set", "subset", "partition", "data_set", "dataset")
SEPARATORS = ",;\t|"
MOST_TABLES = 50
WITHOUT = "without a label"
Row = dict[str, str]


@dataclasses.dataclass(frozen=True)
class Table:
    """A table whose rows name image files. `rows` are (image, row); `file` is the column of
    files."""

    name: str
    columns: tuple[str, ...]
    file: str
    rows: tuple[tuple[str, Row], ...]


def listed(files: Files, left: LeftOut, labels: str = "", split_column: str = "") -> Listing | None:
    """The images that a table of `files` gives a class, sorted by split, class and name; None if
    there is no such table.

    A table is a CSV or TSV file, a list of paths with labels, JSON lines, or JSON in the form of
    COCO. Images are named by path, file name or file name without its ending. `labels` is
    "FILE:COLUMN", and `split_column` the column of the split; without them usual names decide, and
    the listing has a doubt if they do not. Images without a label go to `left`. Raises DataError if
    a table or column that was asked for is not there.
    """
    wanted, _, column = labels.rpartition(":") if ":" in labels else (labels, "", "")
    pictures = [name for name in files.names if PICTURE.search(name)]
    found = [t for t in (_table(files, n, pictures) for n in _candidates(files, wanted)) if t]
    if wanted and not found:
        raise DataError(_no_table(files, wanted))
    classes: dict[str, str] = {}
    parts: dict[str, int | None] = {}
    doubts: list[Doubt] = []
    told: list[str] = []
    for table in found:
        chosen, doubt = _label_columns(table, column)
        if not chosen:
            continue
        doubts += doubt
        split = _split_column(table, split_column)
        told.append(_said(table, chosen, split))
        for image, row in table.rows:
            label = _label(row, chosen)
            if image in classes and label != classes[image]:
                label = ""
                left.add(image, "given two labels")
            classes[image] = label
            parts[image] = split_of(row.get(split, "")) if split else _part(image, table.name)
    known = {image: label for image, label in classes.items() if label}
    if not known:
        if wanted:
            raise DataError(_no_column(found[0], column))
        return None
    for name in files.names:
        if name not in known and not TABLE.search(name) and classes.get(name) != "":
            left.add(name, WITHOUT if PICTURE.search(name) else "not an image")
    return _listing(files.title, known, parts, "; ".join(told), tuple(doubts))


def _listing(
    title: str,
    known: Mapping[str, str],
    parts: Mapping[str, int | None],
    reading: str,
    doubts: tuple[Doubt, ...],
) -> Listing:
    names = sorted(known)
    order = sorted(set(known.values()), key=natural)
    number = {c: i for i, c in enumerate(order)}
    labels = np.array([number[known[name]] for name in names], np.int64)
    listed_parts = [parts[name] for name in names]
    split = is_split(set(listed_parts)) and None not in listed_parts
    test = test_mask(listed_parts) if split else np.zeros(len(names), bool)
    by_class = np.lexsort((np.arange(len(names)), labels, test))
    doubts += many_labels(len(order), len(names))
    return Listing(
        title,
        [names[i] for i in by_class],
        labels[by_class],
        test[by_class],
        tuple(order),
        "its own table or folders" if split else "",
        named=not all(c.isascii() and c.isdigit() for c in order),
        reading=reading,
        layout="table",
        doubts=doubts,
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


def _candidates(files: Files, wanted: str) -> list[str]:
    names = [name for name in sorted(files.names) if TABLE.search(name)]
    if wanted:
        return [n for n in names if n == wanted or posixpath.basename(n) == wanted]
    return sorted(names, key=lambda n: n.count("/"))[:MOST_TABLES]


def _table(files: Files, name: str, pictures: Sequence[str]) -> Table | None:
    """The table in a file, None if its rows name no images."""
    data = files.beside(name)
    try:
        rows = _coco(data) if name.lower().endswith(".json") else _rows(name, data)
    except (ValueError, csv.Error, RecursionError):
        return None
    if not rows:
        return None
    find = _Finder(pictures, name)
    columns = tuple(rows[0])
    counted = {c: sum(1 for row in rows if find(row.get(c, ""))) for c in columns}
    usual = {c: i for i, c in enumerate(FILE_NAMES[::-1])}
    best = max(columns, key=lambda c: (counted[c], usual.get(plain(c), -1)))
    if counted[best] < max(1, len(rows) // 10):
        return None
    matched = ((find(row.get(best, "")), row) for row in rows)
    return Table(name, columns, best, tuple((image, row) for image, row in matched if image))


class _Finder:
    """Finds the image that a row means: by its path, with or without its ending, else by its file
    name. Of equal file names, that in a folder of the table's split or in the table's folder is
    meant (train/7.png for the row 7 of train.csv)."""

    def __init__(self, pictures: Sequence[str], table: str):
        self._paths = {name: name for name in pictures}
        self._ends: dict[str, list[str]] = collections.defaultdict(list)
        for name in pictures:
            self._paths.setdefault(posixpath.splitext(name)[0], name)
            base = posixpath.basename(name)
            for end in {base, posixpath.splitext(base)[0]}:
                self._ends[end].append(name)
        self._folder = posixpath.dirname(table)
        self._part = _part("", table)

    def __call__(self, value: str) -> str:
        """The name of the image, "" if there is none."""
        value = value.strip().replace("\\", "/").removeprefix("./")
        if not value:
            return ""
        near = posixpath.normpath(posixpath.join(self._folder, value))
        for path in (near, value):
            if path in self._paths:
                return self._paths[path]
        ends = self._ends.get(posixpath.basename(value), [])
        if "/" in value:
            ends = [n for n in ends if f"/{posixpath.splitext(n)[0]}".endswith(_end(value))]
        if len(ends) > 1:
            same = [n for n in ends if part_of(n.split("/")[:-1]) == self._part]
            ends = same if self._part is not None else ends
        if len(ends) > 1:
            ends = [n for n in ends if n.startswith(self._folder + "/")] if self._folder else []
        return ends[0] if len(ends) == 1 else ""


def _end(path: str) -> str:
    return "/" + (posixpath.splitext(path)[0] if PICTURE.search(path) else path).lstrip("/")


def _rows(name: str, data: bytes) -> list[Row]:
    """The rows of a table; every value is a text. Raises ValueError and csv.Error."""
    text = _text(data)
    if name.lower().endswith((".jsonl", ".ndjson")):
        values = [json.loads(line) for line in text.splitlines() if line.strip()]
        return [_flat(value) for value in values if isinstance(value, dict)]
    lines = text.splitlines()
    head = lines[0] if lines else ""
    separator = max(SEPARATORS, key=head.count)
    if not head.count(separator):
        return _list_file(lines)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    first = [cell.strip() for cell in next(rows)]
    body = [row for row in rows if len(row) == len(first)]
    if any(PICTURE.search(cell) for cell in first):  # no head: the first row names an image
        body, first = [first, *body], [f"column {i + 1}" for i in range(len(first))]
    return [dict(zip(first, map(str.strip, row), strict=True)) for row in body]


def _list_file(lines: Iterable[str]) -> list[Row]:
    """The rows of a list of `path label`; a path may contain spaces."""
    pairs = [line.strip().rsplit(None, 1) for line in lines if line.strip()]
    if any(len(pair) != 2 for pair in pairs):
        return []
    return [{"column 1": path, "column 2": label} for path, label in pairs]


def _text(data: bytes) -> str:
    for mark, coding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"", "utf-8-sig")):
        if data.startswith(mark):
            try:
                return data.decode(coding)
            except UnicodeDecodeError:
                break
    return data.decode("cp1252", "replace")  # what Windows programs write


def _flat(value: Mapping[str, Any]) -> Row:
    return {
        str(key): "" if item is None else str(item)
        for key, item in value.items()
        if not isinstance(item, dict | list)
    }


def _coco(data: bytes) -> list[Row]:
    """Rows of JSON in the form of COCO: one for each image whose annotations are of one
    category."""
    value = json.loads(data)
    if not isinstance(value, dict) or not {"images", "annotations"} <= set(value):
        return []
    names = {c["id"]: str(c.get("name", c["id"])) for c in value.get("categories", [])}
    found: dict[Any, set[str]] = collections.defaultdict(set)
    for mark in value["annotations"]:
        kind = mark.get("category_id")
        found[mark.get("image_id")].add(names.get(kind, str(kind)))
    return [
        {"file_name": str(image.get("file_name", "")), "category": next(iter(kinds))}
        for image in value["images"]
        if len(kinds := found.get(image.get("id"), set())) == 1
    ]


def called_split(column: str) -> bool:
    """Whether a column has a usual name of a column of splits."""
    return plain(column) in SPLIT_NAMES or plain(column).endswith("_split")


def plain(column: str) -> str:
    """The name of a column without regard to case, spaces and -."""
    return re.sub(r"[\s-]+", "_", column.strip().casefold())


def _label_columns(table: Table, wanted: str) -> tuple[tuple[str, ...], tuple[Doubt, ...]]:
    """(the column of labels, or those of one-hot labels; none if there is none; doubts). Raises
    DataError if a wanted column is not there."""
    others = [c for c in table.columns if c != table.file]
    if wanted:
        if wanted not in others:
            raise DataError(_no_column(table, wanted))
        return (wanted,), ()
    by_name = {plain(c): c for c in others}
    usual = next((by_name[n] for n in LABEL_NAMES if n in by_name), None)
    if usual is not None:
        return (usual,), ()
    if hot := _one_hot(table, others):
        return hot, ()
    possible = [
        c
        for c in others
        if not called_split(c)
        and 2 <= len({row.get(c, "") for _, row in table.rows}) <= max(2, len(table.rows) // 2)
    ]
    if len(possible) <= 1:
        return tuple(possible), ()
    counts = {c: len({row.get(c, "") for _, row in table.rows}) for c in possible}
    return (possible[0],), (several_labels(table.name, counts, table.name),)


def several_labels(title: str, counts: Mapping[str, int], file: str) -> Doubt:
    """The doubt on columns that may be the labels, with their numbers of classes. `file` is that of
    the answers, empty if there is no need to name one."""
    answers = tuple(
        (f"column {c}: {count:,} classes", {"labels": f"{file}:{c}"})
        for c, count in list(counts.items())[:8]
    )
    return Doubt(f"Several columns of {title} may be the labels.", answers)


def _one_hot(table: Table, others: Sequence[str]) -> tuple[str, ...]:
    """The columns that hold one 1 and else 0 in every row."""

    def value(row: Row, column: str) -> float:
        try:
            return float(row.get(column, ""))
        except ValueError:
            return -1.0

    hot = [c for c in others if {value(row, c) for _, row in table.rows} <= {0.0, 1.0}]
    if len(hot) < 2 or any(sum(value(row, c) for c in hot) != 1 for _, row in table.rows):
        return ()
    return tuple(hot)


def _label(row: Row, columns: tuple[str, ...]) -> str:
    if len(columns) == 1:
        return row.get(columns[0], "").strip()
    return next(c for c in columns if float(row[c]) == 1)


def _split_column(table: Table, wanted: str) -> str:
    """The column of the split, "" if there is none. Raises DataError if a wanted one is not
    there, or has values that are no splits."""
    usual = [c for c in table.columns if called_split(c)]
    for column in [wanted] if wanted else usual:
        values = {row.get(column, "") for _, row in table.rows}
        good = all(split_of(value) is not None for value in values)
        if wanted and (column not in table.columns or not good):
            raise no_split(wanted, table.name, values if column in table.columns else None)
        if good:
            return column
    return ""


def no_split(column: str, title: str, values: Iterable[str] | None) -> DataError:
    """The error for a column that cannot be the split; `values` is None if it is not there."""
    holds = "is not there" if values is None else f"holds {some(sorted(values))}"
    return DataError(
        f"Split column (--split-column): {column} of {title} {holds}; a column with values such as"
        " train, validation and test is needed."
    )


def _part(image: str, table: str) -> int | None:
    """The split of an image by the folders it is in, else by the name or folder of its table."""
    stem = posixpath.splitext(posixpath.basename(table))[0]
    near = [part_of(image.split("/")[:-1]), split_of(stem), part_of(table.split("/")[:-1])]
    return next((part for part in near if part is not None), None)


def _said(table: Table, columns: tuple[str, ...], split: str) -> str:
    labels = f"column {columns[0]}" if len(columns) == 1 else f"the {len(columns)} one-hot columns"
    by = f", split by column {split}" if split else ""
    return f"labels from {labels} of {table.name}, files from column {table.file}{by}"


def _no_table(files: Files, wanted: str) -> str:
    there = [n for n in sorted(files.names) if TABLE.search(n)]
    return (
        f"Labels (--labels): {wanted} of {files.title} is not a table that names images;"
        f" {'tables there: ' + some(there) if there else 'there is no table'}."
    )


def _no_column(table: Table, column: str) -> str:
    return no_labels(table.name, table.columns, column)


def no_labels(title: str, columns: Sequence[str], column: str) -> str:
    """The sentence for a column of labels that is not there."""
    return (
        f"Labels (--labels): {title} has no column {column!r} of labels; its columns are"
        f" {some(columns)}."
    )
