"""Reads study files, fills in their templates, and merges blocks of settings. Every error names the
file.

- An entry of a scale's `parts` or `rows` may have `for`, the names of lists in `[lists]`. The entry
  is then repeated for every combination, and "{name}" in its texts is replaced. A text that is only
  "{name}" gets the value itself, which need not be a text. An item of a list may be a table; it
  then sets several names at once.
- The settings of a part override the scale's `defaults` for its kind. These override the blocks
  named by `like`, which are in `shared.toml`.
- `extends` names another scale, of this file or of another one (`s0-mnist/paper`), which provides
  everything that the scale does not set.
- `grid` in a row for a result that the study did not publish is its place on a grid of settings:
  { axis = value, ... } with two or three axes. All rows with a place have the same axes.
- `synthetic` names the synthetic set of a scale that a set of the user's own may replace;
  `generator_assumptions` are then those that fall away with it. A scale with `assumptions` of its
  own does not take them over from the scale that it extends.
- "@name" as a value of `settings` is the map of classes with this name, in words.
- `described` names the data sets that a scale without `dataset` is meant for, as `shared.toml`
  describes them.
- "{column}" in a row is replaced according to the data set; see `Scale.columns`.
"""

from __future__ import annotations

import functools
import itertools
import re
import tomllib
import typing
from collections.abc import Mapping
from typing import Any

from dreamlab.paths import STUDIES
from dreamlab.settings import exact, label_maps
from dreamlab.settings.names import ScaleName, StudyName
from dreamlab.studies.model import (
    Check,
    Column,
    Comparison,
    Measure,
    PublishedCell,
    Scale,
    SetDescription,
    Study,
    StudyPart,
)
from dreamlab.studies.published import cells_of, step_of

SHARED = "shared"
KEYS = {
    "study",
    "title",
    "question",
    "source",
    "settings",
    "notes",
    "published",
    "flags",
    "derived",
    "checks",
    "lists",
    "scale",
}
SCALE_KEYS = {
    "extends",
    "summary",
    "data",
    "dataset",
    "assumptions",
    "generator_assumptions",
    "synthetic",
    "lists",
    "stand_in",
    "defaults",
    "parts",
    "rows",
    "compare",
    "columns",
    "described",
}
NAME = re.compile(r"\{(\w+)\}")


def names() -> tuple[str, ...]:
    """Ids of all studies, S0 first."""
    return typing.get_args(StudyName)


@functools.cache
def load(name: str) -> Study:
    """The study with this id. Raises KeyError if there is none, and ValueError with the name of the
    file if the file is malformed."""
    if name not in names():
        raise KeyError(f"There is no study {name!r}; there are {', '.join(names())}.")
    return study_of(name, read(name))


@functools.cache
def read(name: str) -> dict[str, Any]:
    """What `name`.toml holds, unchecked and before templates are filled. Every call gives the same
    object, which nobody changes. Raises ValueError that names the file if it is missing or is no
    TOML."""
    file = STUDIES / f"{name}.toml"
    if not file.is_file():
        raise ValueError(f"{name}.toml: the file is missing")
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:  # of TOML and of UTF-8
        raise ValueError(f"{name}.toml: {error}") from error


def study_of(name: str, raw: dict[str, Any]) -> Study:
    """The study that a file of this name with this content is, templates filled and checked; `raw`
    as `read` gives it. Raises ValueError that names the file if it contradicts itself."""
    try:
        return _study(name, raw)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{name}.toml: {error}") from error


def _study(name: str, raw: dict[str, Any]) -> Study:
    _known(raw, KEYS, "the file")
    cells = {
        cell.id: cell
        for block in raw.get("published", [])
        for cell in cells_of(block, raw.get("flags", {}), raw.get("derived", {}))
    }
    for table in ("flags", "derived"):
        if unknown := set(raw.get(table, {})) - set(cells):
            raise ValueError(f"{table} name no published cell: {sorted(unknown)}")
    lists = raw.get("lists", {})
    scales = {
        s: _scale(s, _extended(raw, s), cells)
        for s in typing.get_args(ScaleName)
        if s in raw["scale"]
    }
    checks = [_check(e) for entry in raw.get("checks", []) for e in _repeated(entry, lists)]
    if lost := {
        c for check in checks for c in (*check.cells, *check.ends, *check.difference)
    } - set(cells):
        raise ValueError(f"checks name no published cell: {sorted(lost)}")
    return Study(
        name,
        raw["study"],
        raw["title"],
        raw["question"],
        raw["source"],
        {name: _words(value) for name, value in raw["settings"].items()},
        tuple(raw["notes"]),
        tuple(cells.values()),
        tuple(checks),
        scales,
    )


def _words(value: str) -> str:
    """A value of `settings`; "@name" is a map of classes. Raises KeyError if there is no such
    map."""
    return label_maps.text(value[1:]) if value.startswith("@") else value


def _check(entry: Mapping[str, Any]) -> Check:
    if entry.get("x") and len(entry["x"]) != len(entry["cells"]):
        raise ValueError(f"a check has {len(entry['cells'])} cells and {len(entry['x'])} places")
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
    return Check(**values)


def _extended(raw: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A scale merged with the scale that it extends, and with the lists that it may use."""
    own = raw["scale"][name]
    _known(own, SCALE_KEYS, f"scale {name}")
    own = {**own, "lists": {**raw.get("lists", {}), **own.get("lists", {})}}
    if "extends" not in own:
        return own
    file, _, scale = own["extends"].rpartition("/")
    base = _extended(read(file) if file else raw, scale)
    defaults = {
        kind: {**base.get("defaults", {}).get(kind, {}), **v}
        for kind, v in own.get("defaults", {}).items()
    }
    if "assumptions" in own:  # these go with the assumptions of the scale that has them
        base = {k: v for k, v in base.items() if k not in ("synthetic", "generator_assumptions")}
    # a list of the extended scale overrides a list of this file with the same name
    lists = {**raw.get("lists", {}), **base["lists"], **raw["scale"][name].get("lists", {})}
    return {**base, **own, "defaults": {**base.get("defaults", {}), **defaults}, "lists": lists}


def _scale(name: str, raw: dict[str, Any], cells: Mapping[str, PublishedCell]) -> Scale:
    lists = raw["lists"]
    columns = {key: Column(**value) for key, value in raw.get("columns", {}).items()}
    parts = [
        _part(e, raw.get("defaults", {})) for entry in raw["parts"] for e in _repeated(entry, lists)
    ]
    roles = [p.role for p in parts]
    if len(set(roles)) < len(roles):
        raise ValueError(
            f"scale {name} has two parts of one role:"
            f" {sorted(r for r in roles if roles.count(r) > 1)[0]}"
        )
    rows = [e for entry in raw["rows"] for e in _repeated(entry, lists)]
    measures = [_measure(e, cells, raw.get("stand_in", ""), columns) for e in rows]
    if len({tuple(m.cell.place) for m in measures if m.cell.place}) > 1:
        raise ValueError(f"scale {name} has places on grids with different axes")
    compared = [e for entry in raw.get("compare", []) for e in _repeated(entry, lists)]
    comparisons = [
        Comparison(c["control"], _listed(c["treatments"]), _listed(c.get("controls", [])))
        for c in compared
    ]
    read = {m.child for m in measures} | {m.minus for m in measures if m.minus}
    read |= {role for c in comparisons for role in (c.control, *c.treatments, *c.controls)}
    read |= {raw["synthetic"]} if raw.get("synthetic") else set()
    if absent := read - set(roles):
        raise ValueError(f"scale {name} reads parts that it lacks: {sorted(absent)}")
    if columns and any(p.kind == "classify" for p in parts):
        # their test images would be of several data sets
        raise ValueError(f"scale {name} trains classifiers and has columns; it cannot have both")
    return Scale(
        name,
        raw["summary"],
        raw["data"],
        raw.get("dataset", ""),
        (*raw.get("generator_assumptions", []), *raw.get("assumptions", [])),
        tuple(parts),
        tuple(measures),
        tuple(comparisons),
        columns,
        raw.get("synthetic", ""),
        tuple(raw.get("generator_assumptions", [])),
        _described(raw),
    )


def _described(raw: Mapping[str, Any]) -> tuple[SetDescription, ...]:
    known = read(SHARED)["described"]
    return tuple(SetDescription(name, **known[name]) for name in raw.get("described", ()))


def _part(entry: dict[str, Any], defaults: Mapping[str, Any]) -> StudyPart:
    role, kind = entry.pop("role"), entry.pop("kind")
    own = dict(defaults.get(kind, {}))
    likes = (*_listed(own.pop("like", [])), *_listed(entry.pop("like", [])))
    every = read(SHARED)["defaults"].get(kind, {})
    return StudyPart(role, kind, {**every, **_merged(likes), **own, **entry})


def _merged(likes: tuple[str, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for like in likes:
        block = dict(read(SHARED)["blocks"][like])
        values |= {**_merged(_listed(block.pop("like", []))), **block}
    return values


def _measure(
    entry: dict[str, Any],
    cells: Mapping[str, PublishedCell],
    stand_in: str,
    columns: Mapping[str, Column],
) -> Measure:
    """A row for a published cell. With `arm`, `metric` and `unit` it is a row for a result that the
    study did not publish."""
    name = entry["cell"]
    if "arm" in entry and name in cells:
        raise ValueError(f"row {name} is a published cell, it has an arm already")
    meant = [name.replace("{column}", c) for c in columns] if "{column}" in name else [name]
    if "arm" not in entry and (unknown := [c for c in meant if c not in cells]):
        raise ValueError(f"row {unknown[0]} is no published cell")
    cell = cells.get(name) or PublishedCell(
        name,
        entry.get("arm", ""),
        entry.get("metric", ""),
        entry.get("unit", ""),
        step=step_of(entry),
        place=_place(entry),
    )
    return Measure(
        cell,
        entry["child"],
        entry["value"],
        entry.get("minus", ""),
        entry.get("stand_in", stand_in),
    )


def _place(entry: Mapping[str, Any]) -> Mapping[str, float] | None:
    """The place on a grid of settings that a row defines; None if it has none."""
    place = entry.get("grid")
    if place is None:
        return None
    if not 2 <= len(place) <= 3:
        raise ValueError(f"row {entry['cell']} has a grid of {len(place)} axes, not of 2 or 3")
    return {axis: float(value) for axis, value in place.items()}


def _repeated(entry: Mapping[str, Any], lists: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One copy of an entry for each combination of the lists that its `for` names."""
    plain = {k: v for k, v in entry.items() if k != "for"}
    wanted = _listed(entry.get("for", []))
    choices = [
        [item if isinstance(item, dict) else {name: item} for item in lists[name]]
        for name in wanted
    ]
    found = []
    for combination in itertools.product(*choices):
        names = {k: v for item in combination for k, v in item.items()}
        found.append({k: _filled(v, names) for k, v in plain.items()})
    return found


def _filled(value: Any, names: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_filled(v, names) for v in value]
    if isinstance(value, dict):
        return {k: _filled(v, names) for k, v in value.items()}
    if not isinstance(value, str):
        return value
    whole = NAME.fullmatch(value)
    if whole and whole[1] in names:
        return names[whole[1]]
    return NAME.sub(lambda m: exact(names[m[1]]) if m[1] in names else m[0], value)


def _listed(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _known(raw: Mapping[str, Any], keys: set[str], where: str) -> None:
    if unknown := set(raw) - keys:
        raise ValueError(f"{where} has entries that mean nothing: {sorted(unknown)}")
