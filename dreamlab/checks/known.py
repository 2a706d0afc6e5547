"""What the checks of a spec need to know: the runs that it names, and the machine."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

from dreamlab.experiments.children import train_run
from dreamlab.settings import Spec, TrainSpec
from dreamlab.store import Run, RunStatus, RunStore
from dreamlab.store.machine import Device, find_devices


@dataclasses.dataclass(frozen=True)
class Training:
    """A training that a spec builds on. `run` is None if an experiment has yet to create it."""

    name: str
    spec: TrainSpec
    run: Run | None


class Known:
    """Runs, states and devices for the checks of one submission. Each is looked up once.

    An experiment adds the runs that it will create as "@part". A part that needs another part is
    then checked by the same functions as a run that names a finished run.
    """

    def __init__(
        self,
        store: RunStore,
        status: Callable[[str], RunStatus] | None = None,
        devices: list[Device] | None = None,
    ):
        """`status` returns the status of a run by its id; by default its events are read. `devices`
        are those of the machine; by default of this one."""
        self.store, self._status, self._devices = store, status, devices
        self._runs: dict[str, Run] = {}
        self._states: dict[str, str] = {}
        self._planned: dict[str, Spec] = {}

    def get(self, name: str) -> Run:
        """A run by its id, or by a part of its id that fits only one run. Raises RunError."""
        if name not in self._runs:
            self._runs[name] = self.store.get(name)
        return self._runs[name]

    def state(self, name: str) -> str:
        """The current state of a run. Raises RunError."""
        run = self.get(name)
        if run.id not in self._states:
            self._states[run.id] = (self._status(run.id) if self._status else run.status()).state
        return self._states[run.id]

    def plan(self, part: str, spec: Spec) -> None:
        """Adds a run with this spec that is still to be created. "@part" names it from now on."""
        self._planned[f"@{part}"] = spec

    def spec(self, name: str) -> Spec:
        """The settings of a run or of a planned run. Raises RunError."""
        return self._planned[name] if name in self._planned else self.get(name).spec

    def folder(self, name: str) -> Path | None:
        """The folder of a run; None for a planned run. Raises RunError."""
        return None if name in self._planned else self.get(name).path

    def training(self, name: str, field: str, words: str = "Generator (--from)") -> Training:
        """A training, by the name of its run. Raises SpecError about the setting `field`; `words`
        is the name of that setting in the message."""
        planned = self._planned.get(name)
        if isinstance(planned, TrainSpec):
            return Training(name, planned, None)
        run, spec = train_run(self, name, field, words)
        return Training(run.id, spec, run)

    @functools.cached_property
    def devices(self) -> list[Device]:
        """The CUDA devices of the machine, followed by its CPU."""
        return self._devices or find_devices()
