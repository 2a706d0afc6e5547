"""What all specs share: validation, error messages of one sentence, and the content hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from dreamlab.settings.setting import NONE, is_list, names_beside_numbers, settings_of

SCHEMA_VERSION = 1
HASH_VERSION = 2
"""Version of the content hash. Version 1 had the path of a data set in the place of its content."""
BOUNDS = {
    "less_than_equal": "of at most",
    "less_than": "below",
    "greater_than_equal": "of at least",
    "greater_than": "above",
}
"""Type of a Pydantic error -> words before the bound that a number does not keep."""


class SpecError(ValueError):
    """Settings that cannot be used. The message is one sentence that gives the field, its value and
    what would be right. `field` is the name of the field, or empty."""

    def __init__(self, message: str, field: str = ""):
        super().__init__(message)
        self.field = field


class Spec(BaseModel):
    """Base class for the settings of a run. A subclass sets `kind`, which is also the command-line
    verb, and `summary`, the help text of that verb. Instances are immutable."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False
    )
    kind: ClassVar[str] = ""
    summary: ClassVar[str] = ""

    @field_validator("*", mode="before")
    @classmethod
    def _split_lists(cls, value: Any, info: Any) -> Any:
        # forms and the command line give lists as "1, 2" or "none"
        if (
            isinstance(value, str)
            and info.field_name
            and is_list(cls.model_fields[info.field_name].annotation)
        ):
            parts = tuple(part.strip() for part in value.split(",") if part.strip())
            return () if [p.lower() for p in parts] == [NONE] else parts
        if isinstance(value, list):
            return tuple(value)
        return value

    def content_hash(
        self,
        resolve: Callable[[str], str] = lambda run: run,
        contents: Mapping[str, str] | None = None,
    ) -> str:
        """Content hash: 16 hex digits computed from all settings that affect the result. Two specs
        with the same hash describe the same work.

        `resolve` maps the id of a run that a setting names to what identifies its output.
        `contents` are hashes of what the run reads from files; their paths are not in the hash. A
        setting with `added` is left out while it has that value, so that hashes from before the
        setting existed stay the same.
        """
        settings: dict[str, Any] = {}
        for k in settings_of(type(self)):
            value = getattr(self, k.name)
            if not k.is_hashed(value):
                continue
            if named := k.runs_in(value):
                value = (
                    resolve(value)
                    if isinstance(value, str)
                    else [resolve(v) if v in named else v for v in value]
                )
            settings[k.name] = value
        about = [self.kind, HASH_VERSION, settings, dict(contents or {})]
        text = json.dumps(about, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def baseline(self) -> dict[str, Any]:
        """Name -> value of every setting that has a default, with the values of the preset or
        recipe in place of the defaults. The command line leaves out settings that have these
        values."""
        return {k.name: k.default for k in settings_of(type(self)) if not k.required}

    def references(self) -> list[str]:
        """Ids of the runs that this spec names."""
        return [run for k in settings_of(type(self)) for run in k.runs_in(getattr(self, k.name))]


def budget_given(values: Any, steps: str, *others: str) -> Any:
    """The values of a spec with `steps` at 0 if they name one of the `others`, which are budgets
    too, and not `steps`: whoever asks for a time or for epochs means it instead of the default."""
    if not isinstance(values, dict) or steps in values:
        return values
    asked = [name for name in others if str(values.get(name, 0)) not in ("0", "0.0")]
    return {**values, steps: 0} if asked else values


S = TypeVar("S", bound=Spec)


def explain(cls: type[Spec], error: ValidationError) -> SpecError:
    """Turns the first problem that pydantic found into one sentence with the field, its value and
    what would be right."""
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    by_name = {k.name: k for k in settings_of(cls)}
    if first["type"] == "extra_forbidden":
        return SpecError(
            f"{name} is not a setting of {cls.kind}; its settings are {', '.join(by_name)}.", name
        )
    if first["type"] == "value_error":
        return SpecError(str(first["ctx"]["error"]), getattr(first["ctx"]["error"], "field", name))
    k = by_name.get(name)
    if k is None:
        return SpecError(f"{first['msg']}.", name)
    if first["type"] == "missing" or (first["type"] == "string_too_short" and not first["input"]):
        return SpecError(f"{k.label} is missing ({k.flag}): {k.help}", name)
    value = first["input"]
    sort = {"int": "a whole number", "float": "a number", "bool": "yes or no"}.get(k.type, "")
    wanted = k.range or sort or first["msg"]
    if k.type == "int" and k.range and first["type"].startswith("int_"):
        wanted = f"{sort}, {k.range}"
    elif k.type == "list" and first["type"] in BOUNDS:
        bound = next(iter(first["ctx"].values()))
        wanted = f"a comma-separated list of numbers {BOUNDS[first['type']]} {bound:,g}"
    elif k.type == "list" and (names := names_beside_numbers(cls.model_fields[name].annotation)):
        wanted = f"a comma-separated list of numbers, or of {', '.join(names)}"
    elif k.type == "list":
        wanted = f"a comma-separated list. {k.help} ({first['msg']})"
    return SpecError(f"{k.label} ({k.flag}): {value!r} cannot be used; it must be {wanted}.", name)


def make(cls: type[S], values: dict[str, Any]) -> S:
    """Builds a validated spec from field values. Raises SpecError with one sentence."""
    try:
        return cls(**values)
    except ValidationError as error:
        raise explain(cls, error) from None
