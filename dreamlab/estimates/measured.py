"""Measures the cost of a few training steps on this machine (a probe): once per network and batch,
in its own process. Results are cached."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
import subprocess
import tempfile
import threading
from collections.abc import Callable

import numpy as np

from dreamlab.architecture.network import network_of
from dreamlab.engine.launcher import environment, exchange
from dreamlab.settings import TrainSpec
from dreamlab.store import ArtefactCache, RunStore
from dreamlab.store.machine import cores

SETTLE = 1.5
"""Seconds without a new request before a probe begins, so that it does not start while a form is
still being filled in."""
PATIENCE = 180.0
"""Seconds after which a probe is ended."""
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Measurement:
    """The result of a probe. A training step with `images` images took `seconds_per_step`. One
    network evaluation without gradients took `seconds_per_call` per image. `precision` is the
    number format, and `peak_memory_bytes` the peak memory of the process."""

    images: int
    seconds_per_step: float
    seconds_per_call: float
    peak_memory_bytes: int
    precision: str


def key(spec: TrainSpec) -> str:
    """The cache key of a measurement: everything that it depends on (network, batch, arithmetic,
    optimiser, data, machine)."""
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
    """Finds measurements, and makes new ones: at once (`measure`) or in the background (`wish`),
    one at a time.

    `version` increases with every measurement that was made in the background.
    """

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
        """The measurement for this network and batch on this machine, or None."""
        if key(spec) in self._measured:
            return self._measured[key(spec)]
        if not self._store.folders.cache.exists():  # opening the cache would create the folder
            return None
        found = self._open().get(key(spec))
        if found is None:
            return None
        values = {name: array.item() for name, array in found.items()}
        return Measurement(**values)

    def measure(self, spec: TrainSpec, keep: bool = True) -> Measurement | None:
        """The known measurement, or a new one, which takes some seconds. A new one is stored in the
        cache of the runs folder; with `keep=False` it is kept only in this process. None if the
        probe failed."""
        if (found := self.known(spec)) is not None or key(spec) in self._failed:
            return found
        if keep:
            measurement = self._probe(spec, environment())
            if measurement is not None:
                values = dataclasses.asdict(measurement).items()
                self._open().put(key(spec), **{name: np.array(value) for name, value in values})
            return measurement
        with tempfile.TemporaryDirectory(prefix="dreamlab-") as cache:
            return self._probe(spec, {**environment(), "DREAMLAB_CACHE": cache})

    def _probe(self, spec: TrainSpec, variables: dict[str, str]) -> Measurement | None:
        begun: list[subprocess.Popen[str]] = []

        def started(process: subprocess.Popen[str]) -> None:
            begun.append(process)
            self._process, self.under_way = process, key(spec)

        request = {"spec": spec.model_dump(mode="json"), "runs": str(self._store.folder)}
        try:
            answer = exchange("dreamlab.processes.probe", request, PATIENCE, started, variables)
        finally:
            self.under_way = ""
        try:
            measurement = Measurement(**answer)
        except TypeError:  # no answer, or another one
            if (begun[0].returncode or 0) >= 0:  # a negative status means that it was cancelled
                self._failed.add(key(spec))
            return None
        self._measured[key(spec)] = measurement
        return measurement

    def wish(self, spec: TrainSpec, idle: Callable[[], bool]) -> None:
        """Requests a measurement in the background. It starts when there was no newer request for
        SETTLE seconds and `idle()` is true. Only the latest request counts."""
        if key(spec) in self._failed:
            return
        if self.under_way not in ("", key(spec)):
            self._end()  # the older request is no longer needed
        with self._lock:
            self._wish, self._idle = spec, idle
            self._lock.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, daemon=True, name="probe")
                self._thread.start()

    def cancel(self) -> None:
        """Drops the request and ends a running probe, because a run needs the machine."""
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
                while self._lock.wait(SETTLE):  # a new request: wait again
                    pass
                spec, self._wish = self._wish, None
            if spec is not None and self._idle() and self.measure(spec) is not None:
                self.version += 1

    def _open(self) -> ArtefactCache:
        if self._cache is None:
            self._cache = ArtefactCache(self._store.folders.cache)
        return self._cache
