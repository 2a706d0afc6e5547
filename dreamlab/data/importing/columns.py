"""Which columns of Parquet or Arrow files hold the images, the labels and the split, and what the
labels are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.listing import Doubt, natural, some
from dreamlab.data.importing.matching import below_zero, class_map
from dreamlab.data.importing.pictures import size_of
from dreamlab.data.importing.shards import Shard, pyarrow
from dreamlab.data.importing.table_columns import (
    LABEL_NAMES,
    called_split,
    no_labels,
    no_split,
    only_numbers,
    part_in,
    plain,
    several_labels,
)
from dreamlab.settings import ImportSpec

UNKNOWN, OUT_OF_RANGE = -1, -2
"""Codes of values that are no class: none is given, or a number that has no name."""
IMAGE_NAMES = ("image", "img", "images", "picture", "photo")
"""Usual names of a column of images. The one that has it is proposed."""
MOST_SPLITS = 100
"""Most different values of a column of splits that are looked at."""
SNIFFED = 16
"""Number of values by which it is decided whether bytes are image files."""


@dataclasses.dataclass(frozen=True)
class Column:
    """The values of a column: `codes` (N,) are numbers of `texts`, or UNKNOWN or OUT_OF_RANGE.
    `names` are all names that the file declares, in their order, and None without them; `numbers`:
    values are numbers without names."""

    codes: np.ndarray
    texts: tuple[str, ...]
    names: tuple[str, ...] | None
    numbers: bool

    def same_classes(self, other: Column) -> bool:
        """Whether both give all rows the same classes under other names."""
        pairs = np.unique(np.stack([self.codes, other.codes]), axis=1).shape[1]
        return bool(pairs == len(np.unique(self.codes)) == len(np.unique(other.codes)))


def image_column(shards: Sequence[Shard], spec: ImportSpec) -> tuple[str, tuple[Doubt, ...]]:
    """(the column of images, doubts) of files whose columns are those of the first. A column holds
    images if it is declared so, or if its values are image files. Raises DataError if there is
    none, or not the one that was asked for."""
    first, wanted = shards[0], spec.image_column
    found = [c for c in first.schema.names if holds(first.schema.field(c).type)]
    if wanted:
        if wanted not in found:
            raise DataError(
                f"Image column (--image-column): {first.name} has no column {wanted!r} of images;"
                f" its columns of images are {some(found) or 'none'}."
            )
        return wanted, ()
    found = [c for c in found if _holds_images(first, c)]
    if not found:
        raise DataError(_no_images(first))
    found.sort(key=lambda c: plain(c) not in IMAGE_NAMES)
    if len(found) == 1:
        return found[0], ()
    answers = tuple((f"column {c}", {"image_column": c}) for c in found)
    return found[0], (Doubt(f"Several columns of {first.name} hold images.", answers),)


def holds(kind: Any) -> bool:
    """Whether a type may be that of images: bytes, or struct{bytes, path}."""
    if _is_bytes(kind):
        return True
    index = kind.get_field_index("bytes") if pyarrow().types.is_struct(kind) else -1
    return index >= 0 and _is_bytes(kind.field(index).type)


def _is_bytes(kind: Any) -> bool:
    types = pyarrow().types
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _holds_images(shard: Shard, column: str) -> bool:
    if shard.features.get(column, {}).get("_type") == "Image":
        return True
    for _, batch in shard.batches((column,)):
        values = [content(value)[0] for value in batch.column(0)[:SNIFFED]]
        held = [value for value in values if value is not None]
        if held:
            return any(size_of(value) is not None for value in held)
    return False


def content(value: Any) -> tuple[bytes | None, str]:
    """(content of an image file or None, its path or "") of a value in a column of images."""
    held = value.as_py()
    if isinstance(held, dict):
        return held.get("bytes"), str(held.get("path") or "")
    return held, ""


def _no_images(shard: Shard) -> str:
    types = pyarrow().types
    arrays = [
        f"{f.name} ({f.type})"
        for f in shard.schema
        if types.is_nested(f.type) or isinstance(f.type, pyarrow().BaseExtensionType)
    ]
    if arrays:
        return (
            f"{shard.name} holds numbers in the column {arrays[0]} and no image files; cast the"
            " column to Image of the package datasets, or save the arrays as an .npz."
        )
    return (
        f"{shard.name} has the columns {some(shard.schema.names)}; a column with image files (PNG"
        " or JPEG) as bytes or as struct{bytes, path} is needed."
    )


def split_column(shards: Sequence[Shard], image: str, wanted: str) -> tuple[str, np.ndarray | None]:
    """(the column of the split or "", the split of each row). Raises DataError if the wanted column
    is not there or holds other values."""
    names = shards[0].schema.names
    if wanted and wanted not in names:
        raise no_split(wanted, shards[0].name, None)
    usual = [c for c in names if called_split(c) and c != image]
    for name in [wanted] if wanted else usual:
        possible = _may_be_labels(shards[0], name)
        column = column_of(shards, name, MOST_SPLITS) if possible else None
        parts = [part_in(name, text) for text in column.texts] if column else [None]
        if column and None not in parts and (column.codes >= 0).all():
            return name, np.array(parts, np.int64)[column.codes]
        if wanted:
            raise no_split(wanted, shards[0].name, column.texts if column else ("other values",))
    return "", None


def label_column(
    shards: Sequence[Shard], others: Sequence[str], wanted: str, title: str
) -> tuple[str, Column | None, tuple[Doubt, ...]]:
    """(the column of labels or "", its values, doubts). A declared column of classes comes first,
    then those with usual names, then those with few different values; of several that give the same
    classes, the one with names is taken. `others` are the columns that hold something else. Raises
    DataError if the wanted column is not there."""
    first = shards[0]
    names = [c for c in first.schema.names if c not in others and _may_be_labels(first, c)]
    if wanted:
        if wanted not in names:
            raise DataError(no_labels(first.name, [*names], wanted))
        return wanted, column_of(shards, wanted), ()
    declared = [c for c in names if first.features.get(c, {}).get("_type") == "ClassLabel"]
    usual = [c for n in LABEL_NAMES for c in names if plain(c) == n]
    count = sum(shard.count for shard in shards)
    most = 0 if declared or usual else max(2, count // 2)
    found: dict[str, Column] = {}
    for name in declared or usual or [c for c in names if not called_split(c)]:
        column = column_of(shards, name, most)
        if column is None or (most and len(column.texts) < 2) or not len(column.texts):
            continue
        same = next((c for c, other in found.items() if column.same_classes(other)), "")
        if same and found[same].numbers and not column.numbers:
            del found[same]
        elif same:
            continue
        found[name] = column
    if not found:
        return "", None, ()
    chosen = next(iter(found))
    counts = {c: len(column.texts) for c, column in found.items()}
    doubts = () if len(found) == 1 else (several_labels(title, counts, ""),)
    if not declared and not usual and len(found) == 1 and found[chosen].numbers:
        doubts = (only_numbers(title, chosen, counts[chosen], ""),)
    return chosen, found[chosen], doubts


def without_negative(column: Column, spec: ImportSpec) -> tuple[Column, tuple[Doubt, ...]]:
    """The column in which numbers below 0 are no labels, unless a class map names them; and the
    doubt on them, unless there is a class map or no other label."""
    low = [i for i, text in enumerate(column.texts) if column.numbers and text.startswith("-")]
    mapped = class_map(spec)
    if not low or any(column.texts[i] in mapped for i in low):
        return column, ()
    rest = [i for i in range(len(column.texts)) if i not in low]
    to = np.full(len(column.texts) + 2, UNKNOWN, np.int32)
    to[rest], to[OUT_OF_RANGE] = np.arange(len(rest)), OUT_OF_RANGE
    doubts: tuple[Doubt, ...] = ()
    if rest and spec.role == "real" and not mapped:
        doubts = (below_zero([column.texts[code] for code in column.codes if code >= 0]),)
    texts = tuple(column.texts[i] for i in rest)
    return dataclasses.replace(column, codes=to[column.codes], texts=texts), doubts


def _may_be_labels(shard: Shard, column: str) -> bool:
    types, kind = pyarrow().types, shard.schema.field(column).type
    held = kind.value_type if types.is_dictionary(kind) else kind
    numbers = types.is_integer(held) or types.is_boolean(held) or types.is_floating(held)
    return bool(numbers or is_text(kind))


def column_of(shards: Sequence[Shard], name: str, most: int = 0) -> Column | None:
    """The values of a column of all files, in order; None if there are more than `most` different
    ones (0 for any number). A file without the column gives UNKNOWN."""
    names = shards[0].features.get(name, {}).get("names")
    text = _texts(names if isinstance(names, list) else None)
    numbers: dict[str, int] = {}
    codes = []
    for shard in shards:
        if name not in shard.schema.names:
            codes.append(np.full(shard.count, UNKNOWN, np.int32))
            continue
        for _, batch in shard.batches((name,)):
            array = batch.column(0)
            if not pyarrow().types.is_dictionary(array.type):
                array = array.dictionary_encode()
            own = [text(value) for value in array.dictionary.to_pylist()]
            to = [v if isinstance(v, int) else numbers.setdefault(v, len(numbers)) for v in own]
            held = array.indices.fill_null(len(to)).to_numpy(zero_copy_only=False)
            codes.append(np.array([*to, UNKNOWN], np.int32)[held.astype(np.int64)])
            if most and len(numbers) > most:
                return None
    together = np.concatenate(codes) if codes else np.zeros(0, np.int32)
    known = tuple(dict.fromkeys(map(str, names))) if isinstance(names, list) else None
    return _ordered(together, numbers, known, is_text(shards[0].schema.field(name).type))


def _ordered(
    codes: np.ndarray, numbers: dict[str, int], names: tuple[str, ...] | None, words: bool
) -> Column:
    """The column with its texts in the order of the declared names, else that of the numbers or of
    `natural`."""
    texts = tuple(text for text in names or () if text in numbers)
    order: Callable[[str], Any] = natural if words or names is not None else float
    texts += tuple(sorted(set(numbers) - set(texts), key=order))
    place = {numbers[text]: i for i, text in enumerate(texts)}
    to = np.array([place[i] for i in range(len(texts))] + [OUT_OF_RANGE, UNKNOWN], np.int32)
    return Column(to[codes], texts, names, names is None and not words)


def is_text(kind: Any) -> bool:
    """Whether a type is one of texts."""
    types = pyarrow().types
    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _texts(names: list[Any] | None) -> Callable[[Any], str | int]:
    """A function of a value: the text of its class, UNKNOWN or OUT_OF_RANGE."""

    def text(value: Any) -> str | int:
        if isinstance(value, str):
            return value.strip() or UNKNOWN
        if value is None or value != value or names is not None and value < 0:
            return UNKNOWN
        if isinstance(value, float) and not value.is_integer():
            return f"{value:g}"
        number = int(value)
        if names is None:
            return str(number)
        return str(names[number]) if number < len(names) else OUT_OF_RANGE

    return text
