"""Which columns of a table hold the labels and the split."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.class_folders import TEST, TRAIN, VALIDATION, split_of
from dreamlab.data.importing.listing import Doubt, some
from dreamlab.data.importing.table_files import Row

FILE_NAMES = (
    "file_name",
    "filename",
    "file",
    "image",
    "image_name",
    "path",
    "filepath",
    "file_path",
    "image_path",
    "image_file",
    "img",
    "img_name",
    "id",
    "image_id",
    "img_id",
    "name",
)
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
COORDINATE = "y"
"""The name that counts only without any other, because it may be a coordinate."""
SPLIT_NAMES = ("split", "set", "subset", "partition", "data_set", "dataset", "usage")
FLAGS = {
    f"{word}_{name}": part
    for word in ("is", "in")
    for name, part in (
        ("train", TRAIN),
        ("training", TRAIN),
        ("training_image", TRAIN),
        ("val", VALIDATION),
        ("valid", VALIDATION),
        ("validation", VALIDATION),
        ("test", TEST),
        ("testing", TEST),
        ("holdout", TEST),
    )
}
"""Usual names of a column that says with yes or no whether an image is in a split."""
YES, NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")
NO_VALUE = ("", "nan")
"""What stands for a label that is not given."""
UNNAMED = re.compile(r"column \d+")
"""The names of the columns of a table without a head."""


def called_split(column: str) -> bool:
    """Whether a column has a usual name of a column of splits."""
    name = plain(column)
    return name in SPLIT_NAMES or name in FLAGS or name.endswith("_split")


def part_in(column: str, value: str) -> int | None:
    """TRAIN, VALIDATION or TEST by the value of a column of splits; None if it names none. In a
    column of FLAGS, an image that is not in the split is a training image, or a test image where
    the split is that of training."""
    flag, said = FLAGS.get(plain(column)), value.strip().casefold()
    if flag is not None and said in YES:
        return flag
    if flag is not None and said in NO:
        return TEST if flag == TRAIN else TRAIN
    return split_of(value)


def plain(column: str) -> str:
    """The name of a column without regard to case, spaces and -."""
    return re.sub(r"[\s-]+", "_", column.strip().casefold())


def label_columns(
    name: str, columns: Sequence[str], rows: Sequence[Row], wanted: str
) -> tuple[tuple[str, ...], tuple[Doubt, ...]]:
    """(the column of labels, or those of one-hot labels; none if there is none; doubts) of the
    table `name`, whose `columns` are those but that of files. Columns with usual names that give
    the same classes are one; the one with words is taken. `wanted` is a column that was asked
    for."""
    if wanted:
        return (wanted,), ()
    by_name = {plain(c): c for c in columns}
    usual = [by_name[n] for n in LABEL_NAMES if n in by_name]
    usual = [c for c in usual if plain(c) != COORDINATE or len(usual) == 1]
    counts = {c: len({row.get(c, "") for row in rows}) for c in columns}
    if usual:
        usual = _different([c for c in usual if counts[c] > 1] or usual[:1], rows)
    elif hot := _one_hot(columns, rows):
        return hot, ()
    else:
        most = max(2, len(rows) // 2)
        usual = [c for c in columns if not called_split(c) and 2 <= counts[c] <= most]
        usual = [c for c in usual if not _is_split(c, rows)]
        if len(usual) == 1 and not UNNAMED.fullmatch(usual[0]) and _numbers(usual[0], rows):
            return (usual[0],), (only_numbers(name, usual[0], counts[usual[0]], name),)
    if len(usual) <= 1:
        return tuple(usual), ()
    return (usual[0],), (several_labels(name, {c: counts[c] for c in usual}, name),)


def only_numbers(title: str, column: str, count: int, file: str) -> Doubt:
    """The doubt on the only column that may be the labels, with `count` different numbers. `file`
    is that of the column; empty if it needs none."""
    return Doubt(
        f"The only column of {title} that may be the labels, {column}, holds numbers.",
        (
            (f"they are {count:,} classes", {"labels": f"{file}:{column}"}),
            ("the images have no labels", {"layout": "unlabelled"}),
        ),
    )


def _different(columns: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """The columns that give different classes. Of those that give the same, the first with words is
    kept."""
    kept: list[str] = []
    for column in columns:
        same = next((c for c in kept if same_classes((r[c], r[column]) for r in rows)), "")
        if not same:
            kept.append(column)
        elif _numbers(same, rows) and not _numbers(column, rows):
            kept[kept.index(same)] = column
    return kept


def same_classes(pairs: Iterable[tuple[str, str]]) -> bool:
    """Whether two labels of each image give the same classes under other names."""
    found = set(pairs)
    return len(found) == len({a for a, _ in found}) == len({b for _, b in found})


def _numbers(column: str, rows: Sequence[Row]) -> bool:
    return all(_number(row.get(column, "")) is not None for row in rows if row.get(column))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def several_labels(title: str, counts: Mapping[str, int], file: str) -> Doubt:
    """The doubt on columns that may be the labels, with their numbers of classes. `file` is that of
    the answers, empty if there is no need to name one."""
    answers = tuple(
        (f"column {c}: {count:,} classes", {"labels": f"{file}:{c}"})
        for c, count in list(counts.items())[:8]
    )
    return Doubt(f"Several columns of {title} may be the labels.", answers)


def _one_hot(columns: Sequence[str], rows: Sequence[Row]) -> tuple[str, ...]:
    """The columns that hold one 1 (or true) and else 0 in every row; rows may be empty."""
    hot = [c for c in columns if {_hot(row, c) for row in rows} <= {0.0, 1.0, None}]
    if len(hot) < 2:
        return ()
    for row in rows:
        values = [_hot(row, c) for c in hot]
        if sum(value or 0.0 for value in values) != 1 and any(v is not None for v in values):
            return ()
    return tuple(hot)


def _hot(row: Row, column: str) -> float | None:
    """1 or 0, None for an empty cell, -1 for anything else."""
    text = row.get(column, "").casefold()
    if text in NO_VALUE:
        return None
    found = {"true": 1.0, "false": 0.0}.get(text, _number(text))
    return -1.0 if found is None else found


def label_of(row: Row, columns: tuple[str, ...]) -> str:
    """The label that a row gives by these columns, "" if it gives none."""
    if len(columns) > 1:
        return next((c for c in columns if _hot(row, c) == 1), "")
    label = row.get(columns[0], "").strip()
    return "" if label.casefold() in NO_VALUE else label


def split_column_of(
    name: str, columns: Sequence[str], rows: Sequence[Row], wanted: str
) -> tuple[str, str]:
    """(the column of the split or "", what must be said of one that cannot be used) of the table
    `name`. Without `wanted`, a column with a usual name that holds names of training and other
    parts, or any column that holds nothing else. Raises DataError if a wanted one is not there, or
    has values that are no splits."""
    if wanted:
        values = {row.get(wanted, "") for row in rows} if wanted in columns else None
        if values is None or any(part_in(wanted, value) is None for value in values):
            raise no_split(wanted, name, values)
        return wanted, ""
    usual = [c for c in columns if called_split(c)]
    for column in usual:
        if _parts(column, {row.get(column, "") for row in rows}):
            return column, ""
    for column in columns:
        if _is_split(column, rows):
            return column, ""
    if not usual:
        return "", ""
    values = {row.get(usual[0], "") for row in rows}
    return "", f"Column {usual[0]} of {name} is no split: it holds {some(sorted(values))}."


def _is_split(column: str, rows: Sequence[Row]) -> bool:
    """Whether a column holds nothing but names of splits."""
    values: set[str] = set()
    for row in rows:
        values.add(row.get(column, ""))
        if len(values) > 10:
            return False
    named = all(part_in(column, value) is not None for value in values)
    return named and _parts(column, values)


def _parts(column: str, values: Iterable[str]) -> bool:
    """Whether the values of a column name the training part and another."""
    parts = {part_in(column, value) for value in values} - {None}
    return TRAIN in parts and len(parts) > 1


def no_split(column: str, title: str, values: Iterable[str] | None) -> DataError:
    """The error for a column that cannot be the split; `values` is None if it is not there."""
    holds = "is not there" if values is None else f"holds {some(sorted(values))}"
    return DataError(
        f"Split column (--split-column): {column} of {title} {holds}; a column with values such as"
        " train, validation and test is needed."
    )


def no_labels(title: str, columns: Sequence[str], column: str) -> str:
    """The sentence for a column of labels that is not there."""
    return (
        f"Labels (--labels): {title} has no column {column!r} of labels; its columns are"
        f" {some(columns)}."
    )
