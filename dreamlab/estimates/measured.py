"""What a few steps on this machine cost: measured once per network and batch in a process of its
own, and remembered."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dreamlab.architecture.network import network_of
from dreamlab.engine.launcher import environment
from dreamlab.settings import TrainSpec
from dreamlab.store import ArtefactCache, RunStore
from dreamlab.store.machine import cores

SETTLE = 1.5
"""Seconds without another wish before a probe begins: a form is still being filled in."""
PATIENCE = 180.0
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Measurement:
    """`images` at once took `seconds_per_step` to train and `seconds_per_call` each to pass the
    network once, in `precision`; the process held at most `peak_memory_bytes`."""

    images: int
    seconds_per_step: float
    seconds_per_call: float
    peak_memory_bytes: int
    precision: str


def key(spec: TrainSpec) -> str:
    """What a measurement depends on: network, batch, arithmetic, optimiser, data held, machine."""
    about = [
        FORMAT,
        dataclasses.astuple(network_of(spec)),
        spec.batch_size,
        spec.accumulate,
        spec.optimizer,
        spec.precision,
        spec.device,
        spec.dataset,
        spec.images_per_class,
        platform.node(),
        cores(),
    ]
    return "probe-" + hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]


class Prober:
    """Looks measurements up, and makes them: at once (`measure`), or in the background (`wish`),
    one at a time."""

    def __init__(self, store: RunStore):
        self._store = store
        self._cache: ArtefactCache | None = None
        self._measured: dict[str, Measurement] = {}
        self._lock = threading.Condition()
        self._wish: TrainSpec | None = None
        self._idle: Callable[[], bool] = lambda: True
        self._process: subprocess.Popen[str] | None = None
        self.under_way = ""
        """The `key` of what is measured now; empty where nothing is."""
        self._thread: threading.Thread | None = None
        self._failed: set[str] = set()
        self.version = 0

    def known(self, spec: TrainSpec) -> Measurement | None:
        """What was measured for this network and batch on this machine, or None."""
        if key(spec) in self._measured:
            return self._measured[key(spec)]
        if not self._store.folders.cache.exists():  # looking makes no folder
            return None
        found = self._open().get(key(spec))
        if found is None:
            return None
        values = {name: array.item() for name, array in found.items()}
        return Measurement(**values)

    def measure(self, spec: TrainSpec, keep: bool = True) -> Measurement | None:
        """The known measurement, or a new one: takes some seconds. It is kept in the cache of the
        runs folder, or with `keep=False` only in this process. None where the probe could not be
        made."""
        if (found := self.known(spec)) is not None or key(spec) in self._failed:
            return found
        if keep:
            return self._probe(spec, self._store.folders.cache, keep)
        with tempfile.TemporaryDirectory(prefix="dreamlab-") as cache:
            return self._probe(spec, Path(cache), keep)

    def _probe(self, spec: TrainSpec, cache: Path, keep: bool) -> Measurement | None:
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "dreamlab.processes.probe"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(),
            start_new_session=True,
        ) as process:
            self._process, self.under_way = process, key(spec)
            folders = {"runs": str(self._store.folder), "cache": str(cache)}
            request = {"spec": spec.model_dump(mode="json"), **folders}
            try:
                out, _ = process.communicate(json.dumps(request), timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                out = ""
            finally:
                self.under_way = ""
                if process.poll() is None:
                    process.kill()
        try:
            answer = json.loads(out.splitlines()[-1])
            measurement = Measurement(**answer)
        except (IndexError, ValueError, TypeError):
            if (
                process.returncode is not None and process.returncode >= 0
            ):  # not one that was cancelled
                self._failed.add(key(spec))
            return None
        self._measured[key(spec)] = measurement
        if keep:
            self._open().put(
                key(spec), **{k: np.array(v) for k, v in dataclasses.asdict(measurement).items()}
            )
        return measurement

    def wish(self, spec: TrainSpec, idle: Callable[[], bool]) -> None:
        """Measures in the background once nothing else is wished for and `idle()`; the last wish
        wins."""
        if key(spec) in self._failed:
            return
        if self.under_way not in ("", key(spec)):
            self._end()  # nobody waits for that one any more
        with self._lock:
            self._wish, self._idle = spec, idle
            self._lock.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, daemon=True, name="probe")
                self._thread.start()

    def cancel(self) -> None:
        """Forgets the wish and ends a probe that is under way: the machine is wanted for a run."""
        with self._lock:
            self._wish = None
        self._end()

    def _end(self) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            process.kill()

    def _serve(self) -> None:
        while True:
            with self._lock:
                while self._wish is None:
                    self._lock.wait()
                while self._lock.wait(SETTLE):  # another wish: wait again
                    pass
                spec, self._wish = self._wish, None
            if spec is not None and self._idle() and self.measure(spec) is not None:
                self.version += 1

    def _open(self) -> ArtefactCache:
        if self._cache is None:
            self._cache = ArtefactCache(self._store.folders.cache)
        return self._cache
