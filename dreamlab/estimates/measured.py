"""Measures the cost of work on this machine (a probe): once per unit of work, in processes of their
own. Results are cached."""

from __future__ import annotations

import dataclasses
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dreamlab.engine.launcher import environment, exchange, kill_exchange
from dreamlab.estimates import machine
from dreamlab.estimates.work import C, Work
from dreamlab.store import ArtefactCache, RunStore

SETTLE = 1.5
"""Seconds without a new request before a probe begins, so that it does not start while a form is
still being filled in."""
PATIENCE = 180.0
"""Seconds per unit of work after which a probe is ended."""


class Prober:
    """Finds measurements, and makes new ones: at once (`measure`) or in the background (`wish`),
    one process at a time.

    `version` increases with every measurement that was made in the background.
    """

    def __init__(self, store: RunStore):
        self._store = store
        self._cache: ArtefactCache | None = None
        self._measured: dict[str, Any] = {}
        self._lock = threading.Condition()
        self._wish: Sequence[Work[Any]] = ()
        self._idle: Callable[[], bool] = lambda: True
        self._process: subprocess.Popen[str] | None = None
        self.under_way: tuple[str, ...] = ()
        """The keys of what is measured now; empty where nothing is."""
        self._thread: threading.Thread | None = None
        self._failed: set[str] = set()
        self.version = 0

    def known(self, work: Work[C]) -> C | None:
        """The measured cost of this work on this machine, or None."""
        key = self._key(work)
        if key in self._measured:
            found: C = self._measured[key]
            return found
        if not self._store.folders.cache.exists():  # opening the cache would create the folder
            return None
        kept = self._open().get(key)
        if kept is None:
            return None
        self._measured[key] = work.cost(**{name: array.item() for name, array in kept.items()})
        read: C = self._measured[key]
        return read

    def lacking(self, works: Sequence[Work[Any]]) -> list[Work[Any]]:
        """Those of the works that were not measured, each once, without those that cannot be."""
        lacks = {w.key: w for w in works if self._key(w) not in self._failed}
        return [w for w in lacks.values() if self.known(w) is None]

    def measure(self, works: Sequence[Work[Any]], keep: bool = True) -> None:
        """Measures those of the works that are not known, which takes some seconds for each. The
        costs are stored in the cache of the runs folder; with `keep=False` they are kept only in
        this process."""
        wanted = self.lacking(works)
        if not wanted:
            return
        if keep:
            self._probe(wanted, environment())
            for work in wanted:
                if (cost := self._measured.get(self._key(work))) is not None:
                    values = dataclasses.asdict(cost).items()
                    arrays = {name: np.array(value) for name, value in values}
                    self._open().put(self._key(work), **arrays)
            return
        with tempfile.TemporaryDirectory(prefix="dreamlab-") as cache:
            self._probe(wanted, {**environment(), "DREAMLAB_CACHE": cache})

    def _probe(self, works: Sequence[Work[Any]], variables: dict[str, str]) -> None:
        begun: list[subprocess.Popen[str]] = []

        def started(process: subprocess.Popen[str]) -> None:
            begun.append(process)
            self._process, self.under_way = process, tuple(w.key for w in works)

        request = {
            "works": [{"kind": w.kind, **w.request} for w in works],
            "runs": str(self._store.folder),
        }
        patience = PATIENCE * len(works)
        try:
            answers = exchange("dreamlab.processes.probe", request, patience, started, variables)
        finally:
            self.under_way = ()
        cancelled = (begun[0].returncode or 0) < 0  # a negative status: it was killed
        listed = answers if isinstance(answers, list) else [None] * len(works)
        for work, answer in zip(works, listed, strict=False):
            try:
                self._measured[self._key(work)] = work.cost(**answer)
            except TypeError:  # no answer, or another one
                if not cancelled:
                    self._failed.add(self._key(work))

    def wish(self, works: Sequence[Work[Any]], idle: Callable[[], bool]) -> None:
        """Requests measurements in the background. They start when there was no newer request for
        SETTLE seconds and `idle()` is true. Only the latest request counts."""
        wanted = self.lacking(works)
        if not wanted:
            return
        if self.under_way and not {w.key for w in wanted} & set(self.under_way):
            self._end()  # the older request is no longer needed
        with self._lock:
            self._wish, self._idle = wanted, idle
            self._lock.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, daemon=True, name="probe")
                self._thread.start()

    def cancel(self) -> None:
        """Drops the request and ends a running probe, because a run needs the machine."""
        with self._lock:
            self._wish = ()
        self._end()

    def _end(self) -> None:
        if self._process is not None:
            kill_exchange(self._process)

    def _serve(self) -> None:
        while True:
            with self._lock:
                while not self._wish:
                    self._lock.wait()
                while self._lock.wait(SETTLE):  # a new request: wait again
                    pass
                works, self._wish = self._wish, ()
            if works and self._idle():
                self.measure(works)
                self.version += any(self.known(w) is not None for w in works)

    def _key(self, work: Work[Any]) -> str:
        return f"probe/{machine.here().key(work.device)}/{work.key}"

    def _open(self) -> ArtefactCache:
        if self._cache is None:
            self._cache = ArtefactCache(self._store.folders.cache)
        return self._cache
