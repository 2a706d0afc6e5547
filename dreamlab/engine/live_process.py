"""Keeps one live-sampling process running, and makes it release memory that a run needs."""

from __future__ import annotations

import contextlib
import logging
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path

from dreamlab.engine.launcher import LIVE, Launcher, Notice, Request
from dreamlab.engine.slots import MOST_THREADS
from dreamlab.store import wire
from dreamlab.store.machine import Device, cores
from dreamlab.store.process import kill_group, started

LONGEST_SOCKET_PATH = 100  # the system allows 107
RESTART_AFTER = 5.0
RELEASE_TIMEOUT = 20.0
log = logging.getLogger("dreamlab.engine")


class LiveKeeper:
    """`socket` is the address for clients. It is in a private folder that is removed with the
    engine."""

    def __init__(self, device: Device):
        self._device = device
        folder = tempfile.mkdtemp(prefix="dreamlab-")  # mkdtemp makes it 0700
        if len(folder) > LONGEST_SOCKET_PATH - 10:
            Path(folder).rmdir()
            folder = tempfile.mkdtemp(prefix="dreamlab-", dir="/tmp")
        self.socket = Path(folder) / "live"
        self._pid, self._started = 0, 0.0
        self._asked = False
        self._not_before = 0.0

    def keep(self, launcher: Launcher) -> None:
        """Starts the process if it is not running. Cheap; called in every round."""
        if self._pid or self._asked or not launcher.ready or time.monotonic() < self._not_before:
            return
        self._asked = True
        threads = min(MOST_THREADS, cores())
        launcher.start(Request(LIVE, self.socket, threads, self._device.name, self._device.visible))

    def hear(self, notice: Notice) -> None:
        """Handles notices about the live process."""
        if notice.key == LIVE:
            self._asked = False
            if notice.what == "started":
                self._pid, self._started = notice.pid, started(notice.pid)
            else:
                self._not_before = time.monotonic() + RESTART_AFTER
        elif notice.what == "exited" and notice.pid == self._pid:
            log.warning("The live process has ended (%s) and is started again.", notice.status)
            self._pid, self._not_before = 0, time.monotonic() + RESTART_AFTER

    def look(self) -> None:
        """Notices that the process has ended when nobody reported it, because its fork
        server died."""
        if self._pid and not started(self._pid):
            self._pid, self._not_before = 0, time.monotonic() + RESTART_AFTER

    def release(self, device: Device) -> None:
        """Drops the models on a device where a run starts, in the background."""
        if self._pid and device.name == self._device.name and device.name != "cpu":
            threading.Thread(target=self._ask_release, daemon=True).start()

    def _ask_release(self) -> None:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(RELEASE_TIMEOUT)
                connection.connect(str(self.socket))
                wire.send(connection, {"release": True})
                wire.receive(connection)
        except OSError as error:
            log.warning("The live process did not release its models: %s", error)

    def close(self) -> None:
        """Ends the process and removes its socket."""
        if self._pid:
            kill_group(self._pid, self._started)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.socket.parent)
