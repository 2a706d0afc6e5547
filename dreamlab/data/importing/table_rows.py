"""The tables of a source whose rows name its images, and why other tables cannot be used."""

from __future__ import annotations

import collections
import dataclasses
import posixpath
import re
from collections.abc import Mapping, Sequence

from dreamlab.data.importing.class_folders import PARTS, part_of, split_of
from dreamlab.data.importing.files import Files
from dreamlab.data.importing.image_names import Finder
from dreamlab.data.importing.listing import PICTURE
from dreamlab.data.importing.pictures import Unusable
from dreamlab.data.importing.table_columns import FILE_NAMES, called_split, part_in, plain
from dreamlab.data.importing.table_files import TABLE, Row, UnusableTable, rows_of, without_head

FORM = re.compile(r"submission", re.IGNORECASE)
"""Part of the names of tables whose labels are placeholders, such as sample_submission.csv."""
ALWAYS_A_TABLE = re.compile(r"\.(csv|tsv|jsonl|ndjson|parquet)$", re.IGNORECASE)
MOST_TABLES = 50
LEAST_NAMED = 10
"""One row in this many must name an image; half of the images must be named by bare numbers in a
column without a usual name."""


@dataclasses.dataclass(frozen=True)
class Table:
    """A table whose rows name image files. `rows` are (image, row); `file` is the column of files;
    `gone` are values that name no image."""

    name: str
    columns: tuple[str, ...]
    file: str
    rows: tuple[tuple[str, Row], ...]
    gone: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Tables:
    """The tables of a source that name images; and those that may hold labels, but cannot be used:
    file -> reason. `unclear` are those of them whose names fit several images."""

    usable: tuple[Table, ...]
    unused: Mapping[str, str]
    unclear: frozenset[str]


def read_tables(files: Files, wanted: str = "") -> Tables:
    """The tables of `files`, or only those with the file name or path `wanted`."""
    pictures = [name for name in files.names if PICTURE.search(name)]
    usable, unused, unclear = [], {}, set()
    for name in _candidates(files, wanted):
        try:
            usable.append(_table(files, name, pictures))
        except _Unclear as error:
            unused[name] = str(error)
            unclear.add(name)
        except UnusableTable as error:
            if str(error):
                unused[name] = str(error)
    return Tables(tuple(usable), unused, frozenset(unclear))


class _Unclear(UnusableTable):
    """A table whose names of images fit several of them."""


def _candidates(files: Files, wanted: str) -> list[str]:
    names = [name for name in sorted(files.names) if TABLE.search(name)]
    if wanted:
        return [n for n in names if n == wanted or posixpath.basename(n) == wanted]
    names = [name for name in names if not FORM.search(posixpath.basename(name))]
    return sorted(names, key=lambda n: n.count("/"))[:MOST_TABLES]


def _table(files: Files, name: str, pictures: Sequence[str]) -> Table:
    """The table in a file. Raises UnusableTable if its rows name no images, without a text if it
    need not be a table of images at all."""
    sure, data = bool(ALWAYS_A_TABLE.search(name)), b""
    try:
        data = files.read(name)
        rows = rows_of(name, data, len(pictures))
    except (UnusableTable, Unusable) as error:
        named = any(end.encode() in data for end in {posixpath.splitext(p)[1] for p in pictures})
        raise UnusableTable(f"it cannot be read: {error}" if sure or named else "") from None
    if not rows or not pictures:
        raise UnusableTable("it has no rows" if sure and not rows else "")
    find = Finder(pictures, posixpath.dirname(name), part_beside("", name))
    split = next((c for c in rows[0] if called_split(c)), "")
    columns = tuple(rows[0])
    counted = {c: sum(1 for r in rows if find(r.get(c, ""), _row_part(r, split))) for c in columns}
    usual = {c: i for i, c in enumerate(FILE_NAMES[::-1], 1)}
    best = max(columns, key=lambda c: (counted[c], usual.get(plain(c), 0)))
    if plain(best) not in usual and find(best):
        place, split = columns.index(best), ""
        rows = without_head(rows)
        columns = tuple(rows[0])
        best = columns[place]
    found = [(find(row.get(best, ""), _row_part(row, split)), row) for row in rows]
    _check(name, best, found, find, sure, plain(best) in usual, len(pictures))
    gone = tuple(row.get(best, "") for image, row in found if not image and row.get(best, ""))
    return Table(name, columns, best, tuple((i, row) for i, row in found if i), gone)


def _row_part(row: Row, split: str) -> int | None:
    return part_in(split, row.get(split, "")) if split else None


def _check(
    name: str,
    column: str,
    found: Sequence[tuple[str, Row]],
    find: Finder,
    sure: bool,
    usual: bool,
    pictures: int,
) -> None:
    """Raises UnusableTable unless the rows name images in this column."""
    named = {image for image, _ in found if image}
    values = [row.get(column, "") for _, row in found]
    if sum(1 for image, _ in found if image) < max(1, len(found) // LEAST_NAMED):
        if find.unclear:
            raise _Unclear(f"several images are called {find.unclear}: write their paths into it")
        cells = (cell for _, row in found for cell in row.values())
        sure = sure or any(PICTURE.search(cell) for cell in cells)
        first = ", ".join(list(found[0][1].values())[:3])
        raise UnusableTable(f"its rows name none of the images ({first})" if sure else "")
    if not usual and 2 * len(named) < pictures and all(v.isdigit() for v in values if v):
        raise UnusableTable(
            f"its column {column} holds numbers that name few of the images" if sure else ""
        )


def part_beside(image: str, table: str) -> int | None:
    """The split of an image by the folders it is in, else by the name or folder of its table, such
    as train_labels.csv or instances_val2017.json."""
    stem = posixpath.splitext(posixpath.basename(table))[0]
    words = collections.Counter(split_of(w) for w in re.split(r"[\W_]+", stem.casefold()))
    told = [part for part in set(PARTS.values()) if words[part]]
    by_name = told[0] if len(told) == 1 else split_of(stem)
    near = [part_of(image.split("/")[:-1]), by_name, part_of(table.split("/")[:-1])]
    return next((part for part in near if part is not None), None)
