"""Reads the rows of a table: CSV, TSV, a list of paths, JSON lines, JSON of records or in the form
of COCO, and Parquet without images. Every value is a text."""

from __future__ import annotations

import collections
import csv
import importlib
import io
import itertools
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dreamlab.data.importing.listing import PICTURE
from dreamlab.data.importing.shards import features_of, pyarrow

TABLE = re.compile(r"\.(csv|tsv|txt|lst|list|jsonl|ndjson|json|parquet)$", re.IGNORECASE)
SEPARATORS = ",;\t|"
FEWEST_ROWS, ROWS_EACH = 10_000, 20
"""A table may have this many rows, and this many for each image of its source."""
Row = dict[str, str]


class UnusableTable(ValueError):
    """A file that is no table. The text is the reason."""


def rows_of(name: str, data: bytes, images: int) -> list[Row]:
    """The rows of the table `name` with the content `data`, beside `images` images. Texts are in
    Unicode's form NFC. Raises UnusableTable."""
    low, most = name.lower(), max(FEWEST_ROWS, ROWS_EACH * images)
    try:
        found = _parquet_rows(data) if low.endswith(".parquet") else _text_rows(low, data)
        rows = list(itertools.islice(found, most + 1))
    except ImportError:
        raise UnusableTable(
            "it needs the package pyarrow: run `pip install 'dreamlab[hf]'`"
        ) from None
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception:  # each form raises errors of its own for damaged data
        raise UnusableTable("it is damaged, or of another form") from None
    if len(rows) > most:
        raise UnusableTable(f"it has more than {most:,} rows for {images:,} images")
    return rows


def _text_rows(low: str, data: bytes) -> Iterator[Row]:
    text = unicodedata.normalize("NFC", _text(data))
    if low.endswith(".json"):
        yield from _records(json.loads(text))
    elif low.endswith((".jsonl", ".ndjson")):
        lines = filter(str.strip, text.splitlines())
        yield from (_flat(v) for v in map(json.loads, lines) if isinstance(v, dict))
    else:
        yield from _cells(text)


def _parquet_rows(data: bytes) -> Iterator[Row]:
    """The rows of a Parquet file without its columns of bytes, lists and records. A number of a
    column of classes (ClassLabel) becomes its name."""
    pa, pq = pyarrow(), importlib.import_module("pyarrow.parquet")
    with pq.ParquetFile(pa.BufferReader(data)) as file:
        schema = file.schema_arrow
        kinds = features_of(schema)
        columns = [
            f.name for f in schema if not (_binary(pa, f.type) or pa.types.is_nested(f.type))
        ]
        for batch in file.iter_batches(columns=columns, use_threads=False):
            cells = [_texts(batch.column(c).to_pylist(), kinds.get(c, {})) for c in columns]
            for row in zip(*cells, strict=True):
                yield dict(zip(columns, row, strict=True))


def _binary(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _texts(values: Sequence[Any], kind: Mapping[str, Any]) -> list[str]:
    """The values of a column as texts in form NFC, empty for those that are missing."""
    names = dict(enumerate(kind.get("names") or ()))
    texts = ("" if v is None or v != v else str(names.get(v, v)) for v in values)
    return [unicodedata.normalize("NFC", text) for text in texts]


def _text(data: bytes) -> str:
    if data[1:2] == b"\0":  # UTF-16 without its mark
        return data.decode("utf-16-le", "replace")
    for mark, coding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"", "utf-8-sig")):
        if data.startswith(mark):
            try:
                return data.decode(coding)
            except UnicodeDecodeError:
                break
    return data.decode("cp1252", "replace")  # what Windows programs write


def _cells(text: str) -> Iterator[Row]:
    """The rows of a CSV or TSV file, or of a list of `path label`. Lines that begin with # are
    comments, if they come first."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    while text.startswith("#") and "\n" in text:
        text = text.partition("\n")[2]
    head = text.partition("\n")[0]
    separator = max(SEPARATORS, key=head.count)
    if not head.count(separator):
        yield from _list_file(text.splitlines())
        return
    rows: Iterator[list[str]] = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    first = [cell.strip() for cell in next(rows)]
    if any(PICTURE.search(cell) for cell in first):  # no head: the first row names an image
        rows, first = itertools.chain([first], rows), numbered(len(first))
    for row in rows:
        if len(row) == len(first):
            yield dict(zip(first, map(str.strip, row), strict=True))


def numbered(count: int) -> list[str]:
    """The names of columns that have none."""
    return [f"column {i + 1}" for i in range(count)]


def _list_file(lines: Iterable[str]) -> list[Row]:
    """The rows of a list of `path label`, where a path may contain spaces, or of paths alone."""
    lines = [line.strip() for line in lines]
    if all(len(line.split()) < 2 for line in lines):
        return [{"column 1": line} for line in lines if line]
    pairs = [line.strip().rsplit(None, 1) for line in lines if line.strip()]
    if any(len(pair) != 2 for pair in pairs):
        return []
    return [dict(zip(numbered(2), pair, strict=True)) for pair in pairs]


def _flat(value: Mapping[str, Any]) -> Row:
    return {
        str(key): "" if item is None else str(item)
        for key, item in value.items()
        if not isinstance(item, dict | list)
    }


def _records(value: Any) -> list[Row]:
    """The rows of JSON: of a list of objects, of an object that gives files their labels, or in
    the form of COCO."""
    if isinstance(value, list):
        return [_flat(item) for item in value if isinstance(item, dict)]
    if {"images", "annotations"} <= set(value):
        return _coco(value)
    if value and all(PICTURE.search(key) and isinstance(v, str | int) for key, v in value.items()):
        return [{"file_name": key, "label": str(item)} for key, item in value.items()]
    return []


def _coco(value: Mapping[str, Any]) -> list[Row]:
    """A row for each image; its category is empty unless its annotations are of one category.
    Numbers may be written as texts. Categories of one name stay apart, by their numbers."""
    names = {str(c["id"]): str(c.get("name", c["id"])) for c in value.get("categories") or ()}
    often = collections.Counter(names.values())
    names = {key: f"{name} ({key})" if often[name] > 1 else name for key, name in names.items()}
    found: dict[str, set[str]] = collections.defaultdict(set)
    for mark in value["annotations"]:
        kind = str(mark.get("category_id"))
        found[str(mark.get("image_id"))].add(names.get(kind, kind))
    rows = []
    for image in value["images"]:
        kinds = found.get(str(image.get("id")), set())
        category = next(iter(kinds)) if len(kinds) == 1 else ""
        rows.append({"file_name": str(image.get("file_name", "")), "category": category})
    return rows


def without_head(rows: Sequence[Row]) -> list[Row]:
    """The rows of a table whose head is a row of its own."""
    names = numbered(len(rows[0]))
    every = [list(rows[0]), *(list(row.values()) for row in rows)]
    return [dict(zip(names, row, strict=True)) for row in every]
