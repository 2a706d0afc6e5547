"""Reads and checks the files of a run folder: `spec.json` (the record of the run), `job.json`
(written by the engine) and `result.json`.

Only `spec.json` must exist. A file that exists but cannot be read makes the run unreadable. The
error says which file it is, what is wrong, and what can be done.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from dreamlab.settings import EXPERIMENT_KINDS, KINDS, Spec, SpecError, make
from dreamlab.settings.base import SCHEMA_VERSION
from dreamlab.settings.setting import added_later

RECORD, JOB, RESULT = "spec.json", "job.json", "result.json"
WEIGHTS = "classifier.safetensors"
"""Weights of the first seed of a classify run with `keep_weights`."""


class RunError(ValueError):
    """A request about a run is not possible. The message is one sentence."""


RunName = Annotated[str, StringConstraints(pattern=r"^\w[\w.-]*$")]
"""Id of another run: a plain folder name, not a path."""


class Record(BaseModel):
    """The content of `spec.json`. It is written once, when the run is submitted. A name that is
    given later is in a file of its own, see `dreamlab.store.about`."""

    model_config = ConfigDict(extra="ignore")
    schema_version: int = SCHEMA_VERSION
    id: str
    kind: str
    name: str
    created: str
    hash: str
    hash_version: int = 1
    """Version of `hash`; records before version 2 do not have it."""
    contents: dict[str, str] = {}
    """Hashes of the images and weights that this run reads from files; part of `hash`."""
    parents: list[RunName] = []
    """Ids of runs whose files this run reads."""
    needs: list[RunName] = []
    """Ids of runs that must be done before this run may start."""
    group: Annotated[str, StringConstraints(pattern=r"^(\w[\w.-]*)?$")] = ""
    """Id of the experiment that this run was made for; empty if there is none."""
    children: list[RunName] = []
    """For an experiment: ids of the runs that it consists of. Some may be older than the
    experiment."""
    roles: dict[str, RunName] = {}
    """For an experiment: role of a child, such as "generator:own" or "arm:real" -> its id."""
    sets: list[RunName] = []
    """For a part of an experiment: ids of the finished synthetic sets that the classifiers of the
    experiment use. They are searched for near-copies before the first of them is trained."""
    demo: bool = False
    promised_steps: int | None = None
    """For a training: the number of steps that was estimated when it was submitted; None if there
    was no estimate."""
    command: str = ""
    spec: dict[str, Any]


class _Job(BaseModel):
    """The fields of job.json that are checked. Only the engine writes this file."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)
    state: Literal["queued", "running", "interrupted", "stopped", "failed", "done"] = "queued"
    attempt: int = 1
    pid: int | None = None
    pid_started: float | None = None
    host: str | None = None
    device: str = ""
    t: float = 0.0
    error: str = ""
    queued_at: float = 0.0
    strikes: int = 0
    best: int = -1
    interruptions: list[dict[str, Any]] = []


class _Metric(BaseModel):
    name: str
    value: float | None
    """None where there were too few images for one."""


class _Interval(BaseModel):
    mean: float
    low: float | None
    high: float | None


class _Verdict(BaseModel):
    text: str


class _TrainResult(BaseModel):
    loss: float | None
    steps: int
    images_per_second: float


class _SynthesizeResult(BaseModel):
    images: int
    guidance_weight: float
    sampler: str
    num_steps: int


class _FidelityResult(BaseModel):
    metrics: list[_Metric]
    images: int


class _ClassifyResult(BaseModel):
    interval: _Interval | None
    seeds: list[int]


class _ImportResult(BaseModel):
    train: int
    test: int
    images: int
    image_size: int
    left_out_counts: dict[str, int]


class _MixResult(BaseModel):
    verdict: _Verdict | None = None


class _Row(BaseModel):
    ours: Any


class _StudyResult(BaseModel):
    verdict: _Verdict | None = None
    rows: list[_Row]


class _Best(BaseModel):
    metric: str
    x: float


class _SweepResult(BaseModel):
    axis: str
    best: _Best | None = None


_RESULTS: dict[str, type[BaseModel]] = {
    "import": _ImportResult,
    "train": _TrainResult,
    "synthesize": _SynthesizeResult,
    "fidelity": _FidelityResult,
    "classify": _ClassifyResult,
    "mix": _MixResult,
    "study": _StudyResult,
    "sweep": _SweepResult,
}
"""The fields of a result that tables and estimates read. A result may have more fields."""


def read_record(folder: Path) -> tuple[Record, Spec]:
    """The record and the settings of a run. Raises RunError."""
    value = _object(folder, RECORD)
    if value is None:
        raise _unreadable(folder, RECORD, "is missing", _COPY)
    if "schema_version" not in value:
        raise _unreadable(folder, RECORD, "lacks schema_version", _COPY)
    if value["schema_version"] != SCHEMA_VERSION:
        raise _unreadable(folder, RECORD, "was written by another version of DreamLab", _VERSION)
    record = _checked(folder, RECORD, Record, value, _COPY)
    if record.kind not in KINDS:
        raise _unreadable(
            folder, RECORD, f"names an unknown kind of run, {record.kind!r}", _VERSION
        )
    kind = KINDS[record.kind]
    if unknown := sorted(record.spec.keys() - kind.model_fields.keys()):
        raise _unreadable(folder, RECORD, f"has an unknown setting, {unknown[0]!r}", _VERSION)
    try:
        spec = make(kind, added_later(kind) | record.spec)
    except (SpecError, OverflowError) as error:
        why = f"has a setting that is not valid ({str(error).rstrip('.')})"
        raise _unreadable(folder, RECORD, why, _COPY) from None
    named = (*record.parents, *record.needs, *record.children, record.group, *spec.references())
    if folder.name in named:
        raise _unreadable(folder, RECORD, "names the run itself as one that it needs", _COPY)
    if nested := [c for c in record.children if kind_in(c) in EXPERIMENT_KINDS]:
        raise _unreadable(folder, RECORD, f"names the experiment {nested[0]} as its part", _COPY)
    return record, spec


def kind_in(run_id: str) -> str:
    """The kind of run in an id such as 20261121-101503-train-digits-7f3a."""
    return "".join(run_id.split("-")[2:3])


def read_job(folder: Path) -> dict[str, Any]:
    """The content of job.json; empty if the file does not exist. Raises RunError."""
    value = _object(folder, JOB)
    if value is None:
        return {}
    _checked(folder, JOB, _Job, value, _ANEW)
    return value


def read_result(folder: Path, kind: str = "") -> dict[str, Any] | None:
    """The content of result.json; None if the file does not exist. With `kind`, the fields that a
    result of this kind must have are checked. Raises RunError."""
    value = _object(folder, RESULT)
    if value is not None and kind in _RESULTS:
        _checked(folder, RESULT, _RESULTS[kind], value, _COPY)
    return value


_COPY = "restore the file from a copy, or delete the run"
_VERSION = "open it with the version that made it, or delete the run"
_ANEW = "remove the file, which the engine will write again, or delete the run"
_M = TypeVar("_M", bound=BaseModel)


def _unreadable(folder: Path, file: str, why: str, mend: str) -> RunError:
    return RunError(f"{folder.name} cannot be read: its {file} {why}; {mend}.")


def _object(folder: Path, file: str) -> dict[str, Any] | None:
    """The JSON object in a file; None if the file does not exist. Raises RunError."""
    mend = _ANEW if file == JOB else _COPY
    try:
        data = (folder / file).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(folder, file, f"cannot be opened ({error.strerror})", mend) from None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        why = "is cut off or not JSON" if data.strip(b"\0 \n") else "is empty"
        raise _unreadable(folder, file, why, mend) from None
    if not isinstance(value, dict):
        raise _unreadable(folder, file, "is not a JSON object", mend)
    return value


def _checked(folder: Path, file: str, model: type[_M], value: dict[str, Any], mend: str) -> _M:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        what = "lacks" if first["type"] == "missing" else "has an unexpected value for"
        raise _unreadable(folder, file, f"{what} {where}", mend) from None
