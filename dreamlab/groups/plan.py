"""What the plans of all groups share: children by role, and looking at them while they run."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from dreamlab.data import catalog, splits
from dreamlab.spec import SpecError, TrainSpec
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


def generator(store: RunStore, name: str, field: str) -> tuple[Run, TrainSpec]:
    """A train run and its spec. Raises SpecError that names the field."""
    try:
        run = store.get(name)
        spec = run.spec
    except RunError as error:
        raise SpecError(f"Generator (--from): {error}", field) from None
    if not isinstance(spec, TrainSpec):
        raise SpecError(f"Generator (--from): {run.id} is a {run.kind} run; a train run is needed.", field)
    return run, spec


def train_labels(dataset: str, data_dir: str) -> np.ndarray:
    """Labels of the training split. Raises SpecError where the data cannot be read."""
    try:
        return catalog.load(dataset, data_dir).train_labels
    except catalog.DataError as error:
        raise SpecError(str(error), "data_dir") from None


@functools.lru_cache(maxsize=64)
def pool(dataset: str, data_dir: str, per_class: int, seed: int) -> np.ndarray:
    """Indices of the real training images that a spec may use. Raises SpecError where a class has too few."""
    try:
        return splits.subset(train_labels(dataset, data_dir), per_class, seed)
    except ValueError as error:
        raise SpecError(
            f"Real images per class (--images-per-class): {per_class} cannot be used; {error}.", "images_per_class"
        ) from None
