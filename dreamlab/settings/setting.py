"""One setting: a pydantic field with bounds, a unit and a help text. Forms, command-line options
and docs/settings.md are made from it."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from typing import Any, Literal

from pydantic import BaseModel, Field
from pydantic_core import PydanticUndefined

NONE = "none"
"""How forms and the command line write an empty list."""
ALWAYS: Any = object()
"""Default of `added`: the setting has existed as long as its kind of run, so it is always in the
content hash."""


def setting(
    default: Any,
    help: str,
    *,
    detail: str = "",
    label: str = "",
    unit: str = "",
    flag: str = "",
    section: str = "",
    advanced: bool = False,
    affects_result: bool = True,
    run_kind: str = "",
    path: bool = False,
    choices: tuple[str, ...] = (),
    step: float | None = None,
    log: bool = False,
    added: Any = ALWAYS,
    **bounds: Any,
) -> Any:
    """A field of a spec.

    help: one sentence of at most 60 characters that stands alone. detail: further sentences.
    label: its name on a page; made from the field's name if empty. unit: such as "s" or "images".
    flag: the option's name if it is not the field's name.
    section: heading in the form; the setting is then collapsed at first, as with `advanced`.
    affects_result: False keeps the field out of the content hash. A path of images or weights has
    it too: their content is in the hash, see `dreamlab.experiments.identity`.
    run_kind: the setting names a run of this kind, or of one of several ("synthesize|import");
    `choices` may then list values that are not runs.
    path: the setting names a file or a folder.
    step: step width of a slider. log: a number box instead of a slider, for a wide range.
    added: for a setting that was added after its kind of run: the value that reproduces the
    earlier behaviour. At this value it is left out of the content hash, so that the hashes of
    earlier runs do not change.
    bounds: as in pydantic.Field (ge, le, min_length, ...).
    """
    extra: dict[str, Any] = {
        "detail": detail,
        "label": label,
        "unit": unit,
        "flag": flag,
        "section": section,
        "advanced": advanced or bool(section),
        "affects_result": affects_result,
        "run_kind": run_kind,
        "path": path,
        "choices": choices,
        "step": step,
        "log": log,
    }
    if added is not ALWAYS:
        extra["added"] = added
    return Field(default, description=help, json_schema_extra={"setting": extra}, **bounds)


@dataclasses.dataclass(frozen=True)
class Setting:
    """One field of a spec, as forms, options and documents need it. `low` and `high` are the bounds
    in `unit`, or None."""

    name: str
    label: str
    help: str
    """One sentence of at most 60 characters that stands alone."""
    detail: str
    """Further sentences, or empty."""
    unit: str
    flag: str
    type: Literal["str", "int", "float", "bool", "list"]
    default: Any
    required: bool
    choices: tuple[str, ...]
    low: float | None
    high: float | None
    step: float | None
    log: bool
    section: str
    advanced: bool
    affects_result: bool
    run_kind: str
    path: bool

    is_positional: bool = False
    """Whether the command line takes the value without an option name, as in `study s1-cas`."""
    low_open: bool = False
    high_open: bool = False
    """Whether the bounds themselves are excluded."""
    added: Any = ALWAYS

    @property
    def full_help(self) -> str:
        """Help and detail as one text."""
        return f"{self.help} {self.detail}".strip()

    @property
    def run_kinds(self) -> tuple[str, ...]:
        """The kinds of run that this setting may name."""
        return tuple(self.run_kind.split("|")) if self.run_kind else ()

    def runs_in(self, value: Any) -> list[str]:
        """The ids of the runs that a value of this setting names."""
        if not self.run_kind or not value:
            return []
        return [v for v in ([value] if isinstance(value, str) else value) if v not in self.choices]

    @property
    def range(self) -> str:
        """The allowed values in words, for help texts and error messages."""
        if self.choices:
            return (
                "one of "
                + ", ".join(self.choices)
                + (f", or {_a(self.run_kinds)} run" if self.run_kind else "")
            )
        if self.low is not None and self.high is not None:
            unit = f" {self.unit}" if self.unit else ""
            if not (self.low_open or self.high_open):
                return f"{_short(self.low)} to {_short(self.high)}{unit}"
            least = f"{'above' if self.low_open else 'at least'} {_short(self.low)}"
            most = f"{'below' if self.high_open else 'at most'} {_short(self.high)}"
            return f"{least}, {most}{unit}"
        return ""

    def is_hashed(self, value: Any) -> bool:
        """Whether this setting is part of the content hash if it has this value."""
        return self.affects_result and (self.added is ALWAYS or value != self.added)


@functools.cache
def settings_of(cls: type[BaseModel]) -> tuple[Setting, ...]:
    """The fields of a spec class in the order of their declaration. The result is cached."""
    found = []
    kind_of = getattr(cls, "kind", "")
    for name, field in cls.model_fields.items():
        extra = typing.cast(dict[str, Any], (field.json_schema_extra or {})).get("setting", {})
        bounds = {type(m).__name__.lower(): m for m in field.metadata}
        low = next((getattr(bounds[b], b) for b in ("ge", "gt") if b in bounds), None)
        high = next((getattr(bounds[b], b) for b in ("le", "lt") if b in bounds), None)
        choices, kind = _shape(field.annotation)
        choices = choices or extra.get("choices", ())
        found.append(
            Setting(
                name=name,
                label=extra.get("label") or name.replace("_", " ").capitalize(),
                help=field.description or "",
                detail=extra.get("detail", ""),
                unit=extra.get("unit", ""),
                flag=(
                    name.upper()
                    if name == kind_of
                    else "--" + (extra.get("flag") or name).replace("_", "-")
                ),
                type=kind,
                default=None if field.default is PydanticUndefined else field.default,
                required=field.is_required(),
                choices=choices,
                low=low,
                high=high,
                step=extra.get("step"),
                log=extra.get("log", False),
                section=extra.get("section", ""),
                advanced=extra.get("advanced", False),
                affects_result=extra.get("affects_result", True),
                run_kind=extra.get("run_kind", ""),
                path=extra.get("path", False),
                is_positional=name == kind_of,
                low_open="gt" in bounds,
                high_open="lt" in bounds,
                added=extra.get("added", ALWAYS),
            )
        )
    return tuple(found)


@functools.cache
def added_later(cls: type[BaseModel]) -> dict[str, Any]:
    """Name -> value of each setting that was added after its kind of run. The records of earlier
    runs lack these settings, and mean these values."""
    return {k.name: k.added for k in settings_of(cls) if k.added is not ALWAYS}


def exact(value: Any) -> str:
    """A value as text that parses back to the same value. Numbers are as short as possible (`1` for
    1.0). A list has commas between its items; an empty list is `none`."""
    if isinstance(value, tuple):
        return ",".join(exact(v) for v in value) or NONE
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return str(value)


def _a(kinds: tuple[str, ...]) -> str:
    words = " or ".join(kinds)
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def _short(x: float) -> str:
    return f"{x:,.0f}" if float(x).is_integer() else f"{x:g}"


def is_list(annotation: Any) -> bool:
    return typing.get_origin(annotation) is tuple


def names_beside_numbers(annotation: Any) -> tuple[str, ...]:
    """The names that a list of this type may hold where it also takes numbers."""
    inner = typing.get_args(annotation)[0] if is_list(annotation) else None
    union = typing.get_origin(inner) in (types.UnionType, typing.Union)
    parts = typing.get_args(inner) if union else ()
    literals = [typing.get_args(part) for part in parts if typing.get_origin(part) is Literal]
    return tuple(str(name) for names in literals for name in names)


def _shape(
    annotation: Any,
) -> tuple[tuple[str, ...], Literal["str", "int", "float", "bool", "list"]]:
    if typing.get_origin(annotation) is Literal:
        return tuple(typing.get_args(annotation)), "str"
    if is_list(annotation):
        inner = typing.get_args(annotation)[0]
        return (
            tuple(typing.get_args(inner)) if typing.get_origin(inner) is Literal else ()
        ), "list"
    names: dict[Any, Literal["str", "int", "float", "bool", "list"]] = {
        int: "int",
        float: "float",
        bool: "bool",
    }
    return (), names.get(annotation, "str")
