"""What the plans of all groups share: children by role, and looking at them while they run."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from dreamlab.data import catalog, splits
from dreamlab.spec import RealData, SpecError, TrainSpec, knobs, make
from dreamlab.store import Run, RunError, RunStatus, RunStore

Status = Callable[[str], RunStatus]


@dataclasses.dataclass(frozen=True)
class Child:
    """A run that a group is made of. `values` are settings of its spec; "@role" stands for a sibling's id."""

    role: str
    kind: str
    values: dict[str, Any]


class Children:
    """A group's children by role; results and events are read when asked, once per report."""

    def __init__(self, run: Run, store: RunStore, status: Status | None):
        self.ids, self.store = run.record.roles, store
        self._status = status or (lambda run_id: store.get(run_id).status())
        self._seen: dict[str, RunStatus] = {}

    def status(self, role: str) -> RunStatus | None:
        """None where the child's directory is gone or cannot be read."""
        if role not in self.ids:
            return None
        if role not in self._seen:
            try:
                self._seen[role] = self._status(self.ids[role])
            except (RunError, OSError):
                return None
        return self._seen[role]

    def result(self, role: str) -> dict[str, Any] | None:
        """The child's result once it is done."""
        status = self.status(role)
        if status is None or status.state != "done":
            return None
        return status.result or Run(self.store.folder / self.ids[role]).result()


def generator(store: RunStore, name: str, field: str, words: str = "Generator (--from)") -> tuple[Run, TrainSpec]:
    """A train run and its spec. Raises SpecError of the field, which `words` name."""
    try:
        run = store.get(name)
        spec = run.spec
    except RunError as error:
        raise SpecError(f"{words}: {error}", field) from None
    if not isinstance(spec, TrainSpec):
        raise SpecError(f"{words}: {run.id} is a {run.kind} run; a train run is needed.", field)
    return run, spec


def train_labels(data: RealData) -> np.ndarray:
    """Labels of the training split. Raises SpecError where the data cannot be read."""
    try:
        return catalog.load(data.dataset, data.data_dir).train_labels
    except catalog.DataError as error:
        raise SpecError(str(error), "data_dir") from None


def classes_of(data: RealData) -> tuple[str, ...]:
    """Names of the classes. Raises SpecError."""
    try:
        return catalog.info(data.dataset).classes
    except catalog.DataError as error:
        raise SpecError(str(error), "dataset") from None


def roles(data: RealData) -> splits.Roles:
    """Indices of the real training images that a spec may use. Raises SpecError where a class has too few."""
    return _roles(real_data(data))


def real_data(data: RealData, **changes: Any) -> RealData:
    """The selection of real images that a spec makes, changed."""
    return make(RealData, {**{name: getattr(data, name) for name in RealData.model_fields}, **changes})


@functools.lru_cache(maxsize=64)
def _roles(data: RealData) -> splits.Roles:
    try:
        return splits.select(train_labels(data), data, len(classes_of(data)))
    except splits.SplitError as error:
        label, flag = next((k.label, k.flag) for k in knobs(RealData) if k.name == error.field)
        value = getattr(data, error.field)
        raise SpecError(f"{label} ({flag}): {value} cannot be used; {error}.", error.field) from None


def available(data: RealData) -> list[int]:
    """Real images of every class that a spec may use. Raises SpecError."""
    return list(_available(real_data(data)))


@functools.lru_cache(maxsize=64)
def _available(data: RealData) -> tuple[int, ...]:
    # a form asks for it with every key press, once per arm
    found = np.bincount(train_labels(data)[_roles(data).pool], minlength=len(classes_of(data)))
    return tuple(int(n) for n in found)
