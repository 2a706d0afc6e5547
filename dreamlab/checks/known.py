"""What is known when a spec is checked: the runs that it names, its data, the machine."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

from dreamlab.experiments.children import train_run
from dreamlab.settings import Spec, TrainSpec
from dreamlab.store import Run, RunStore
from dreamlab.store.machine import Device, find_devices


@dataclasses.dataclass(frozen=True)
class Training:
    """A training that a spec builds on. `run` is None where an experiment is still to make it."""

    name: str
    spec: TrainSpec
    run: Run | None


class Known:
    """One record for the checks of one submission: every run, state and device is looked up once.

    An experiment adds the runs that it is going to make under "@part", so that a run that needs a
    sibling is checked by the same functions as one that names a finished run.
    """

    def __init__(self, store: RunStore):
        self.store = store
        self._runs: dict[str, Run] = {}
        self._states: dict[str, str] = {}
        self._planned: dict[str, Spec] = {}

    def get(self, name: str) -> Run:
        """A run by its id or a part of it that fits one run only. Raises RunError."""
        if name not in self._runs:
            self._runs[name] = self.store.get(name)
        return self._runs[name]

    def state(self, name: str) -> str:
        """The state of a run now. Raises RunError."""
        run = self.get(name)
        if run.id not in self._states:
            self._states[run.id] = run.status().state
        return self._states[run.id]

    def plan(self, part: str, spec: Spec) -> None:
        """From now on "@part" names a run of this spec that is still to be made."""
        self._planned[f"@{part}"] = spec

    def spec(self, name: str) -> Spec:
        """The settings of a run, or of one that is planned. Raises RunError."""
        return self._planned[name] if name in self._planned else self.get(name).spec

    def folder(self, name: str) -> Path | None:
        """The directory of a run; None where it is still to be made. Raises RunError."""
        return None if name in self._planned else self.get(name).path

    def training(self, name: str, field: str, words: str = "Generator (--from)") -> Training:
        """A training by the name of its run. Raises SpecError of `field`, which `words` name."""
        planned = self._planned.get(name)
        if isinstance(planned, TrainSpec):
            return Training(name, planned, None)
        run, spec = train_run(self, name, field, words)
        return Training(run.id, spec, run)

    @functools.cached_property
    def devices(self) -> list[Device]:
        """The CUDA devices of this machine, then its CPU."""
        return find_devices()
