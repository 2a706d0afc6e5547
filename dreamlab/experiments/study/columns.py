"""A study of several data sets at once: which column of the published table each of them is for,
and the parts and rows of each column."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dreamlab.data import catalog
from dreamlab.settings import SpecError, StudySpec
from dreamlab.studies.model import Measure, PublishedCell, Scale, StudyPart, in_column

COLUMN = "{column}"


def column_of(scale: Scale, title: str) -> str:
    """The key of the column that a data set of this title is for; empty if there is none."""
    return next((key for key, c in scale.columns.items() if c.word in title.lower()), "")


def assigned(spec: StudySpec, scale: Scale, named: Iterable[str]) -> dict[str, str]:
    """Key of a column -> the one of the `named` data sets that is for it. Raises SpecError if the
    scale has no columns, if a data set is for none of them, or if two are for the same one."""
    words = "Data (--dataset)"
    if not scale.columns:
        raise SpecError(
            f"{words}: {', '.join(named)} cannot be used together; {spec.study} at the"
            f" {spec.scale} scale takes one data set.",
            "dataset",
        )
    found: dict[str, str] = {}
    for name in named:
        title = title_of(name)
        key = column_of(scale, title) or column_of(scale, _first_title(name))
        if not key:
            wanted = ", ".join(c.word for c in scale.columns.values())
            rename = f"; `runs rename {name} --to NAME` gives it another name"
            raise SpecError(
                f"{words}: {name} ({title}) is for no column of {spec.study}; with several data"
                f" sets, the name of each must contain one of these words: {wanted}"
                f"{'' if name in catalog.INFO else rename}.",
                "dataset",
            )
        if key in found:
            raise SpecError(
                f"{words}: {found[key]} and {name} are both for the column"
                f" {scale.columns[key].name!r} of {spec.study}; name one of them.",
                "dataset",
            )
        found[key] = name
    return found


def title_of(dataset: str) -> str:
    """The title of a data set. Raises SpecError if it is missing."""
    try:
        return catalog.info(dataset).title
    except catalog.DataError as error:
        raise SpecError(str(error), "dataset") from None


def _first_title(dataset: str) -> str:
    """The title of an imported set before the user gave it a name, which may come after the study;
    empty for other data sets."""
    return "" if dataset in catalog.INFO else str(catalog.card(dataset).get("title", ""))


def repeated(scale: Scale, cells: Iterable[PublishedCell], sets: Mapping[str, str]) -> Scale:
    """The scale with its parts and rows once for each data set. `sets`: key of a column -> data
    set; `cells`: the published cells.

    A row of a published cell that is not of a column is measured on the first data set.
    """
    published = {cell.id for cell in cells}
    return dataclasses.replace(
        scale,
        parts=tuple(_part(p, key, name) for key, name in sets.items() for p in scale.parts),
        measures=tuple(m for row in scale.measures for m in _rows(row, scale, published, sets)),
    )


def _part(part: StudyPart, key: str, dataset: str) -> StudyPart:
    values: dict[str, Any] = {
        name: f"@{key}:{value[1:]}" if isinstance(value, str) and value.startswith("@") else value
        for name, value in part.values.items()
    }
    if part.kind == "train":
        values["dataset"] = dataset
    return StudyPart(f"{key}:{part.role}", part.kind, values)


def _rows(
    row: Measure, scale: Scale, published: set[str], sets: Mapping[str, str]
) -> Iterator[Measure]:
    for key in list(sets)[:1] if row.cell.id in published else sets:
        if COLUMN in row.cell.id:
            cell = dataclasses.replace(row.cell, id=row.cell.id.replace(COLUMN, key))
        elif row.cell.id in published:
            cell = row.cell
        else:
            cell = in_column(row.cell, key, scale.columns[key])
        yield dataclasses.replace(
            row,
            cell=cell,
            child=f"{key}:{row.child}",
            minus=f"{key}:{row.minus}" if row.minus else "",
        )
