"""What every spec shares: a knob is a pydantic field with bounds, a unit and one sentence of help.

Forms, command-line options, documentation and validation are all made from `knobs(SpecClass)`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shlex
import typing
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticUndefined

SCHEMA_VERSION = 1

DatasetName = Literal["mnist5k", "digits", "mnist", "fashion_mnist", "cifar10"]
ScheduleName = Literal["cosine", "linear", "linear_scaled", "quadratic", "sigmoid"]
TargetName = Literal["x0", "eps", "v"]
WeightingName = Literal["sqrt_snr", "simple", "min_snr"]
OptimizerName = Literal["muon", "adamw", "adam", "adafactor", "sgd"]
LearningRateName = Literal["cosine", "constant"]
WiringName = Literal["compact", "ddpm"]
ActivationName = Literal["silu", "gelu"]
PartName = Literal["stem", "condition", "down", "middle", "up", "head"]
PresetName = Literal["small", "tiny", "medium", "s0", "s2", "s2-1222", "s2-112244", "s4"]
SamplerName = Literal["dpmpp_2m", "ddim", "ddpm", "heun"]
VarianceName = Literal["posterior", "beta", "interpolated", "learned"]
ClipName = Literal["static", "dynamic", "none"]
ClassifierName = Literal[
    "small_cnn", "cnn", "mlp", "unet_encoder", "unet_encoder_small", "resnet18", "resnet50", "resnet101", "resnet152", "vgg16",
    "vit_s", "vit_b", "swin_t",
]  # fmt: skip
RecipeName = Literal["fast", "strong", "s0", "s2", "s3", "s4"]
ControlName = Literal["duplicated", "augmented", "synthetic", "noise"]
StudyName = Literal[
    "s0-mnist", "s0-cifar", "s0-guidance", "s1-cas", "s1-models", "s1-scaling", "s1-fid", "s2-mlp", "s2-cnn", "s2-schedules",
    "s2-epochs", "s3-tail", "s3-targeted", "s3-replacement", "s3-background", "s4-tsweep", "s4-classify",
]  # fmt: skip
ScaleName = Literal["laptop", "middle", "corrected", "paper"]
ExtractorName = Literal["classifier", "inception"]
DeviceName = Literal["auto", "cpu", "cuda"]
PrecisionName = Literal["auto", "fp32", "bf16", "fp16"]
State = Literal["queued", "running", "stopping", "stopped", "done", "failed", "interrupted"]
ACTIVE: frozenset[str] = frozenset({"queued", "running", "stopping", "interrupted"})


class SpecError(ValueError):
    """A spec that cannot run: one sentence that names the field, the value and what would be right."""

    def __init__(self, message: str, field: str = ""):
        super().__init__(message)
        self.field = field


def knob(
    default: Any,
    help: str,
    *,
    label: str = "",
    unit: str = "",
    flag: str = "",
    section: str = "",
    advanced: bool = False,
    affects_result: bool = True,
    run_kind: str = "",
    choices: tuple[str, ...] = (),
    step: float | None = None,
    log: bool = False,
    **bounds: Any,
) -> Any:
    """A spec field. `run_kind` marks a reference to a run of that kind (or of kinds, as "synthesize|import"), beside which
    `choices` may name things that are no runs; `affects_result=False` keeps
    the field out of the content hash; `advanced` folds it away in forms, under its `section`; `flag` renames the option;
    `log` asks a form for a number box instead of a slider (the range spans orders of magnitude)."""
    extra: dict[str, Any] = {
        "label": label, "unit": unit, "flag": flag, "section": section, "advanced": advanced, "affects_result": affects_result,
        "run_kind": run_kind, "choices": choices, "step": step, "log": log,
    }  # fmt: skip
    return Field(default, description=help, json_schema_extra={"knob": extra}, **bounds)


@dataclasses.dataclass(frozen=True)
class Knob:
    """One field as forms, options and documents see it. `type` is one of str, int, float, bool, list."""

    name: str
    label: str
    help: str
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

    is_positional: bool = False
    """On the command line: a word of its own behind the verb, as the name of a study."""

    @property
    def run_kinds(self) -> tuple[str, ...]:
        """The kinds of run that this knob may name."""
        return tuple(self.run_kind.split("|")) if self.run_kind else ()

    def runs_in(self, value: Any) -> list[str]:
        """The runs that a value of this knob names."""
        if not self.run_kind or not value:
            return []
        return [v for v in ([value] if isinstance(value, str) else value) if v not in self.choices]

    @property
    def range(self) -> str:
        """The allowed values in words, for help texts and refusals."""
        if self.choices:
            return "one of " + ", ".join(self.choices) + (f", or {_a(self.run_kinds)} run" if self.run_kind else "")
        if self.low is not None and self.high is not None:
            return f"{_short(self.low)} to {_short(self.high)}" + (f" {self.unit}" if self.unit else "")
        return ""


class Spec(BaseModel):
    """Base of every kind of run. Subclasses set `kind` (the verb) and `summary` (its help)."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)
    kind: ClassVar[str] = ""
    summary: ClassVar[str] = ""

    @field_validator("*", mode="before")
    @classmethod
    def _split_lists(cls, value: Any, info: Any) -> Any:
        # forms and the command line give lists as "1, 2": one rule for every tuple field
        if isinstance(value, str) and info.field_name and _is_tuple(cls.model_fields[info.field_name].annotation):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        if isinstance(value, list):
            return tuple(value)
        return value

    def content_hash(self, resolve: Callable[[str], str] = lambda run: run) -> str:
        """16 hex digits over the settings that change results; runs referred to count by their own hash."""
        settings: dict[str, Any] = {}
        for k in knobs(type(self)):
            if not k.affects_result:
                continue
            value = getattr(self, k.name)
            if named := k.runs_in(value):
                value = resolve(value) if isinstance(value, str) else [resolve(v) if v in named else v for v in value]
            settings[k.name] = value
        text = json.dumps([self.kind, SCHEMA_VERSION, settings], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def baseline(self) -> dict[str, Any]:
        """The values that need not be said: what a spec of this kind has when nothing but its preset is given."""
        return {k.name: k.default for k in knobs(type(self)) if not k.required}

    def references(self) -> list[str]:
        """Ids of the runs that this spec names."""
        return [run for k in knobs(type(self)) for run in k.runs_in(getattr(self, k.name))]


S = TypeVar("S", bound=Spec)


def knobs(cls: type[Spec]) -> list[Knob]:
    """The fields of a spec class in the order in which they are declared."""
    found = []
    for name, field in cls.model_fields.items():
        extra = typing.cast(dict[str, Any], (field.json_schema_extra or {})).get("knob", {})
        bounds = {type(m).__name__.lower(): m for m in field.metadata}
        low = next((getattr(bounds[b], b) for b in ("ge", "gt") if b in bounds), None)
        high = next((getattr(bounds[b], b) for b in ("le", "lt") if b in bounds), None)
        choices, kind = _shape(field.annotation)
        choices = choices or extra.get("choices", ())
        found.append(
            Knob(
                name=name, label=extra.get("label") or name.replace("_", " ").capitalize(),
                help=field.description or "", unit=extra.get("unit", ""),
                flag=name.upper() if name == cls.kind else "--" + (extra.get("flag") or name).replace("_", "-"), type=kind,
                default=None if field.default is PydanticUndefined else field.default,
                required=field.is_required(), choices=choices, low=low, high=high, step=extra.get("step"),
                log=extra.get("log", False), section=extra.get("section", ""), advanced=extra.get("advanced", False),
                affects_result=extra.get("affects_result", True), run_kind=extra.get("run_kind", ""),
                is_positional=name == cls.kind,
            )
        )  # fmt: skip
    return found


def explain(cls: type[Spec], error: ValidationError) -> SpecError:
    """The first problem of a validation as one sentence: the field, the value, what would be right."""
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    by_name = {k.name: k for k in knobs(cls)}
    if first["type"] == "extra_forbidden":
        return SpecError(f"{name} is not a setting of {cls.kind}; its settings are {', '.join(by_name)}.", name)
    if first["type"] == "value_error":
        return SpecError(str(first["ctx"]["error"]), getattr(first["ctx"]["error"], "field", name))
    k = by_name.get(name)
    if k is None:
        return SpecError(f"{first['msg']}.", name)
    if first["type"] == "missing" or (first["type"] == "string_too_short" and not first["input"]):
        return SpecError(f"{k.label} is missing ({k.flag}): {k.help}", name)
    value = first["input"]
    wanted = k.range or {"int": "a whole number", "float": "a number", "bool": "yes or no"}.get(k.type, first["msg"])
    if k.type == "list":
        wanted = f"a comma-separated list. {k.help} ({first['msg']})"
    return SpecError(f"{k.label} ({k.flag}): {value!r} cannot be used; it must be {wanted}.", name)


def make(cls: type[S], values: dict[str, Any]) -> S:
    """Validates; raises SpecError with one sentence."""
    try:
        return cls(**values)
    except ValidationError as error:
        raise explain(cls, error) from None


def _a(kinds: tuple[str, ...]) -> str:
    words = " or ".join(kinds)
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def _short(x: float) -> str:
    return f"{x:,.0f}" if float(x).is_integer() else f"{x:g}"


def _is_tuple(annotation: Any) -> bool:
    return typing.get_origin(annotation) is tuple


def _shape(annotation: Any) -> tuple[tuple[str, ...], Literal["str", "int", "float", "bool", "list"]]:
    if typing.get_origin(annotation) is Literal:
        return tuple(typing.get_args(annotation)), "str"
    if _is_tuple(annotation):
        inner = typing.get_args(annotation)[0]
        return (tuple(typing.get_args(inner)) if typing.get_origin(inner) is Literal else ()), "list"
    names: dict[Any, Literal["str", "int", "float", "bool", "list"]] = {int: "int", float: "float", bool: "bool"}
    return (), names.get(annotation, "str")


def command(spec: Spec) -> str:
    """The command line that makes the same run: only what differs from the defaults, or from the preset that is named."""
    parts, baseline = [f"python -m dreamlab {spec.kind}"], spec.baseline()
    for k in knobs(type(spec)):
        value = getattr(spec, k.name)
        if not k.required and value == (k.default if k.name == "preset" else baseline[k.name]):
            continue
        if k.is_positional:
            parts.append(shlex.quote(value))
        elif k.type == "bool":
            parts.append(k.flag if value else k.flag.replace("--", "--no-", 1))
        else:
            parts.append(f"{k.flag} {shlex.quote(_joined(value))}")
    return " ".join(parts)


def _joined(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(_joined(v) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def differences(specs: Iterable[Spec]) -> list[tuple[str, list[Any]]]:
    """Rows (label, one value per spec) of the settings in which the specs are not all alike."""
    rows: dict[str, list[Any]] = {}
    listed = list(specs)
    for i, spec in enumerate(listed):
        for k in knobs(type(spec)):
            rows.setdefault(k.label, [None] * len(listed))[i] = getattr(spec, k.name)
    return [(label, values) for label, values in rows.items() if any(v != values[0] for v in values)]
