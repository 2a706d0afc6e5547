"""The classes of the images of arrays: which array holds the labels, and what they mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.array_files import ArrayFile
from dreamlab.data.importing.array_values import labels_of, numbered
from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.listing import Doubt, LeftOut, some
from dreamlab.data.importing.matching import as_setting, below_zero, class_map
from dreamlab.data.importing.table_columns import no_labels
from dreamlab.settings import ImportSpec

NAMES = ("classes", "class_names", "label_names")
"""Arrays of the names of classes, in the order of their numbers."""


@dataclasses.dataclass(frozen=True)
class Labels:
    """`rows` (n,) of all images have the classes `codes` (n,), numbers of `classes`. `numbers`:
    they are numbers without names; `named`: the file holds their names."""

    rows: np.ndarray
    codes: np.ndarray
    classes: tuple[str, ...]
    numbers: bool = False
    named: bool = False
    notes: frozenset[str] = frozenset()
    doubts: tuple[Doubt, ...] = ()


def wanted_array(file: ArrayFile, spec: ImportSpec) -> str:
    """The array that the setting `labels` names as :KEY or FILE:KEY, or "". Raises DataError if it
    is not there."""
    name, _, key = spec.labels.rpartition(":") if ":" in spec.labels else ("", "", spec.labels)
    if key and (key not in file.keys or name not in ("", file.name)):
        raise DataError(no_labels(file.name, file.keys, spec.labels))
    return key


def labels_in(
    file: ArrayFile, arrays: Sequence[tuple[str, int]], spec: ImportSpec, limits: Limits
) -> tuple[Labels, LeftOut]:
    """The labels in these arrays, each with the number of its images, one after the other, and what
    is left out. Raises DataError if they are no labels."""
    left, notes, parts = LeftOut(), set(), []
    for key, count in arrays:
        y, said = labels_of(file.shown(key), file.small(key, limits, limits.files), count)
        parts.append(y)
        notes |= {said} - {""}
    y, names = np.concatenate(parts), _names(file, limits)
    doubts: tuple[Doubt, ...] = ()
    mapped = class_map(spec)
    asked = spec.role == "real" and spec.layout == "auto" and not mapped
    below = False
    if y.dtype.kind == "U":
        names = None
    elif names is not None and y.min() >= 1 and y.max() == len(names):
        if asked or mapped:
            doubts = (_from_one(names),) if asked else ()
            names = None
    elif names is None and y.min() < 0:
        below = any(str(v) in mapped for v in np.unique(y[y < 0]))
        doubts = (below_zero(list(map(str, y))),) if asked else ()
    rows, codes, classes = numbered(y, names, left, below)
    numbers = names is None and y.dtype.kind != "U"
    found = Labels(rows, codes, classes, numbers, names is not None, frozenset(notes), doubts)
    return found, left


def several(file: ArrayFile, keys: Sequence[str], limits: Limits) -> tuple[Doubt, ...]:
    """The doubt on arrays that may all be the labels, unless they hold the same."""
    held = [file.small(key, limits, limits.files).reshape(-1) for key in keys]
    if all(np.array_equal(held[0], other) for other in held[1:]):
        return ()
    answers = tuple((f"the array {key}", {"labels": f":{key}"}) for key in keys)
    return (Doubt(f"Several arrays of {file.name} may be the labels.", answers),)


def unread(file: ArrayFile, others: Sequence[str], count: int) -> tuple[Doubt, ...]:
    """The doubt on images without labels, if one of the `others` holds a value for each."""
    alike = [k for k in others if file.header(k)[0] in ((count,), (count, 1))]
    if not alike:
        return ()
    answers = tuple((f"they are those of {key}", {"labels": f":{key}"}) for key in alike[:8])
    return (
        Doubt(
            f"No array of {file.name} is called like labels, but {some(alike)} may be.",
            (*answers, ("the images have no labels", {"layout": "unlabelled"})),
        ),
    )


def _names(file: ArrayFile, limits: Limits) -> np.ndarray | None:
    key = next((k for k in NAMES if k in file.keys), "")
    if not key:
        return None
    names = file.small(key, limits, limits.classes).reshape(-1)
    return np.char.decode(names, "utf-8") if names.dtype.kind == "S" else names


def _from_one(names: np.ndarray) -> Doubt:
    shown = [str(name) for name in names]
    return Doubt(
        f"The labels go from 1 to {len(shown)}, but names of classes are given for 0 to"
        f" {len(shown) - 1}.",
        (
            ("they count from 1", {"classes": as_setting(dict(_from(shown, 1)))}),
            (f"they count from 0, and {len(shown)} is no class", {"layout": "table"}),
        ),
    )


def _from(names: Sequence[str], start: int) -> list[tuple[str, str]]:
    return [(str(i), name) for i, name in enumerate(names, start)]
