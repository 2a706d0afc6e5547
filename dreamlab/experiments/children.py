"""The runs that an experiment consists of (its children), and their results so far."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from dreamlab.settings import KINDS, Spec, SpecError, TrainSpec, make
from dreamlab.store import Run, RunError, RunStatus, RunStore

Status = Callable[[str], RunStatus]


@dataclasses.dataclass(frozen=True)
class Child:
    """One run of an experiment. `values` are the settings of its spec. A value "@role" is replaced
    by the id of the child with this role."""

    role: str
    kind: str
    values: dict[str, Any]

    def made(self, ids: Mapping[str, str]) -> Spec:
        """Its spec, with the ids of the children that it names by their roles. Raises SpecError."""
        values = {
            name: ids[value[1:]] if isinstance(value, str) and value.startswith("@") else value
            for name, value in self.values.items()
        }
        return make(KINDS[self.kind], values)


def finished_sets(children: Iterable[Child]) -> list[str]:
    """The synthetic sets that the classifiers among the children use, without those that other
    children make."""
    named = (c.values.get("synthetic") for c in children if c.kind == "classify")
    return list(dict.fromkeys(name for name in named if name and not name.startswith("@")))


class Runs(Protocol):
    """Anything that finds runs by their id: a RunStore, or `dreamlab.checks.Known`."""

    def get(self, name: str) -> Run:
        """A run by its id. Raises RunError."""


class Children:
    """The children of an experiment by their roles. Each result and status is read when it is first
    needed."""

    def __init__(self, run: Run, store: RunStore, status: Status | None):
        self.ids, self.store = run.record.roles, store
        self._status = status or (lambda run_id: store.get(run_id).status())
        self._seen: dict[str, RunStatus] = {}

    def status(self, role: str) -> RunStatus | None:
        """The status of a child; None if its folder is missing or cannot be read."""
        if role not in self.ids:
            return None
        if role not in self._seen:
            try:
                self._seen[role] = self._status(self.ids[role])
            except (RunError, OSError):
                return None
        return self._seen[role]

    def result(self, role: str) -> dict[str, Any] | None:
        """The result of a child; None until it is done."""
        status = self.status(role)
        if status is None or status.state != "done":
            return None
        return status.result or Run(self.store.folder / self.ids[role]).result()


def train_run(
    runs: Runs, name: str, field: str, words: str = "Generator (--from)"
) -> tuple[Run, TrainSpec]:
    """A train run and its spec. Raises SpecError about the setting `field`; `words` is the name of
    that setting in the message."""
    try:
        run = runs.get(name)
        spec = run.spec
    except RunError as error:
        raise SpecError(f"{words}: {error}", field) from None
    if not isinstance(spec, TrainSpec):
        raise SpecError(f"{words}: {run.id} is a {run.kind} run; a train run is needed.", field)
    return run, spec
