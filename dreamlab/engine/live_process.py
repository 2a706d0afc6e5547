"""Keeps one live process running, and makes it unload its models when a run needs the memory."""

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
from dreamlab.store.process_ids import kill_group, started

LONGEST_SOCKET_PATH = 100  # the system allows 107
RESTART_AFTER = 5.0
RELEASE_TIMEOUT = 20.0
log = logging.getLogger("dreamlab.engine")


class LiveKeeper:
    """Starts the live process and restarts it when it has ended. `socket` is its address. The
    socket is in a private folder, which is removed when the engine ends."""

    def __init__(self, device: Device):
        self._device = device
        folder = tempfile.mkdtemp(prefix="dreamlab-")  # accessible to this user only
        if len(folder) > LONGEST_SOCKET_PATH - 10:
            Path(folder).rmdir()
            folder = tempfile.mkdtemp(prefix="dreamlab-", dir="/tmp")
        self.socket = Path(folder) / "live"
        self._pid, self._started = 0, 0.0
        self._asked = False
        self._not_before = 0.0

    def keep(self, launcher: Launcher) -> None:
        """Starts the process if it is not running. Called in every round of the engine."""
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
        """Notices that the process has ended if this was not reported because the fork server has
        ended too."""
        if self._pid and not started(self._pid):
            self._pid, self._not_before = 0, time.monotonic() + RESTART_AFTER

    def release(self, device: Device) -> None:
        """Makes the process unload its models if a run starts on its CUDA device. Does not wait for
        it."""
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
