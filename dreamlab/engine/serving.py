"""The engine as a process: its lock, its `engine.json`, how long it stays, and how it ends."""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path
from types import FrameType

import filelock

from dreamlab.engine.client import announce_code, engine_info, living_clients
from dreamlab.engine.core import Engine
from dreamlab.store import RunStore, write_json
from dreamlab.store.machine import cores
from dreamlab.store.process_ids import host, started

ROUND = 0.1
LOOK_AROUND = 1.0
TRASH_DAYS = 7.0
LOCK_PATIENCE = 10.0
log = logging.getLogger("dreamlab.engine")


class LockHeld(RuntimeError):
    """Another engine serves the folder."""


def serve(runs: Path, linger: float, engine: Engine | None = None) -> None:
    """Runs an engine until there is no active run and no client for `linger` seconds, until
    SIGTERM, or until the runs folder is removed. Raises LockHeld if another engine serves the
    folder."""
    folder = RunStore(runs).folders.engine
    lock = _acquire(runs, folder / "lock")
    try:
        engine = engine or Engine(runs)
        try:
            engine.store.empty_trash(TRASH_DAYS)
            _EngineLoop(engine, linger).run()
        finally:
            (folder / "engine.json").unlink(missing_ok=True)
            engine.close()
    finally:
        lock.release()


def _acquire(runs: Path, path: Path) -> filelock.BaseFileLock:
    """Takes the lock of the runs folder. Waits a little, because an earlier engine may be
    ending."""
    lock = filelock.FileLock(str(path))
    deadline = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            lock.acquire(timeout=0.2)
            return lock
        except filelock.Timeout:
            if engine_info(runs) is not None or time.monotonic() > deadline:
                raise LockHeld(f"Another engine serves {runs}.") from None


class _EngineLoop:
    """The rounds of an engine process, and the decision when to end."""

    def __init__(self, engine: Engine, linger: float):
        self.engine, self.linger = engine, linger
        self.ending = False
        self.needed = time.monotonic()
        self.lock_file = engine.store.folders.engine / "lock"

    def run(self) -> None:
        """Calls `Engine.tick` until there is no active run and no client for `linger` seconds."""
        signal.signal(signal.SIGTERM, self._end)
        self._announce()
        looked = 0.0
        while not self.ending:
            try:
                self.engine.tick()
            except Exception:
                log.exception("A round failed; the engine continues.")
                time.sleep(1.0)
            if time.monotonic() - looked > LOOK_AROUND:
                looked = time.monotonic()
                if not self._wanted():
                    return
            self.engine.wake.wait(ROUND)
            self.engine.wake.clear()

    def _wanted(self) -> bool:
        if not self.engine.store.folder.is_dir() or not self.lock_file.exists():
            log.info("The runs folder was removed.")
            return False
        if self._busy():
            self.needed = time.monotonic()
        if time.monotonic() - self.needed < self.linger:
            return True
        # from now on, a new client finds no engine.json and starts an engine, which waits for the
        # lock; a client that came just before is found by the check below
        (self.engine.store.folders.engine / "engine.json").unlink(missing_ok=True)
        self.engine.tick()
        if self._busy():
            self.needed = time.monotonic()
            self._announce()
            return True
        log.info("This engine was not needed for %.0f s and ends.", self.linger)
        return False

    def _busy(self) -> bool:
        return bool(self.engine.active) or bool(living_clients(self.engine.store.folder))

    def _announce(self) -> None:
        keeper = self.engine.keeper
        info = {
            "pid": os.getpid(),
            "pid_started": started(os.getpid()),
            "host": host(),
            "started": time.time(),
            "live_socket": str(keeper.socket) if keeper else "",
            "devices": [d.name for d in self.engine.devices],
            "threads": cores(),
        }
        announce_code(self.engine.store.folder)
        write_json(self.engine.store.folders.engine / "engine.json", info)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.ending = True
        self.engine.wake.set()
