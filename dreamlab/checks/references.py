"""The runs and paths that a spec names: they must exist, be of the right kind, and be usable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dreamlab.checks.known import Known
from dreamlab.data.importing.opening import is_download
from dreamlab.settings import ImportSpec, Setting, Spec, SpecError, TrainSpec, make, settings_of
from dreamlab.settings.train import INHERITED
from dreamlab.store import Run, RunError, checkpoints
from dreamlab.store.states import ACTIVE, UNREADABLE


def usable(run: Run, state: str = "") -> bool:
    """Whether another run can use this one now: a generator needs a checkpoint, other runs must be
    done. `state` is the state of the run, if it is known."""
    state = state or run.status().state
    if run.kind == "train":
        return state in ("done", "stopped") and checkpoints.path_of(run.path).exists()
    return state == "done"


def is_of(run: Run, kinds: tuple[str, ...]) -> bool:
    """Whether a run is of one of these kinds. `import` means an imported data set; together with
    `synthesize` it means an imported synthetic set."""
    if run.kind != "import":
        return run.kind in kinds
    return "import" in kinds and (run.record.spec["role"] == "synthetic") == ("synthesize" in kinds)


def inherited(values: dict[str, Any], known: Known) -> dict[str, Any]:
    """Values of a training before validation, completed with the settings that it takes over from
    the run named by `init_from`. Values that are given are kept. Raises SpecError if that run is
    missing."""
    name = values.get("init_from")
    if not isinstance(name, str) or not name:
        return values
    try:
        source = known.spec(name)
    except RunError as error:
        raise SpecError(f"Fine-tune (--init-from): {error}", "init_from") from None
    if not isinstance(source, TrainSpec):
        return values
    return {**{field: getattr(source, field) for field in INHERITED}, **values}


def resolved(spec: Spec, known: Known) -> Spec:
    """The spec with full run ids and absolute paths, because the engine may have another working
    directory. Raises SpecError if a run is missing, of another kind, or not usable.
    """
    paths = (
        "data_dir",
        "inception_weights",
        "extractor_dir",
        *(("source",) if isinstance(spec, ImportSpec) else ()),
    )
    given = {name: getattr(spec, name, "") for name in paths}
    changes: dict[str, Any] = {
        name: str(Path(value).expanduser().absolute())
        for name, value in given.items()
        if value and not is_download(value)
    }
    for setting in settings_of(type(spec)):
        value = getattr(spec, setting.name)
        named = setting.runs_in(value)
        if not named:
            continue
        full = {name: _full_id(setting, name, known) for name in named}
        if len(set(full.values())) != len(named):
            raise SpecError(
                f"{setting.label} ({setting.flag}): the same run is named twice; name it once.",
                setting.name,
            )
        changes[setting.name] = (
            full[value] if isinstance(value, str) else tuple(full.get(v, v) for v in value)
        )
    changed = {k: v for k, v in changes.items() if v != getattr(spec, k)}
    return make(type(spec), {**spec.model_dump(), **changed}) if changed else spec


def _full_id(setting: Setting, name: str, known: Known) -> str:
    words = f"{setting.label} ({setting.flag})"
    try:
        run = known.get(name)
    except RunError as error:
        text = f"{name!r} cannot be used; it must be {setting.range}."
        raise SpecError(f"{words}: {text if setting.choices else error}", setting.name) from None
    state = known.state(run.id)
    if state == UNREADABLE:
        raise SpecError(f"{words}: {run.status().error}", setting.name)
    if not is_of(run, setting.run_kinds):
        imported = run.kind == "import"
        what = f"an import of role {run.record.spec['role']}" if imported else f"a {run.kind} run"
        wanted = " or ".join(setting.run_kinds)
        raise SpecError(f"{words}: {run.id} is {what}; a {wanted} run is needed.", setting.name)
    if state not in ACTIVE and not usable(run, state):
        raise SpecError(
            f"{words}: {run.id} is {state} and has nothing that can be used.", setting.name
        )
    return run.id
