"""Starts workers: by the fork server, which has imported torch, or as new processes where forking
is not safe."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

from dreamlab.paths import python_path

log = logging.getLogger("dreamlab.engine")
ALLOCATOR = {
    "MALLOC_TOP_PAD_": "67108864",
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
}
"""Settings of glibc's allocator: it keeps freed memory for the next step instead of returning it to
the system."""
THREADING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "100"}
"""Waiting threads check for less than a microsecond in a busy loop, then sleep, so that trainings
that share the cores do not slow each other down (measured in docs/bench.md)."""
MOST_FAILURES = 3
RESTART_AFTER = 1.0
LIVE = "live"


@dataclasses.dataclass(frozen=True)
class Request:
    """A worker to start. `key` is the id of the run, or LIVE; then `path` is the path of the
    socket. `device` is one name or a list such as "cuda:0,cuda:1". `visible` are the entries for
    CUDA_VISIBLE_DEVICES."""

    key: str
    path: Path
    threads: int
    device: str
    visible: str = ""
    attempt: int = 1


@dataclasses.dataclass(frozen=True)
class Notice:
    """News from a launcher. started: process `pid` works on `key`. exited: process `pid` has ended
    with `status` (negative: the signal). refused: `key` could not be started; `text` is the
    reason."""

    what: Literal["started", "exited", "refused"]
    key: str = ""
    pid: int = 0
    status: int = 0
    text: str = ""


class Launcher(Protocol):
    """Starts workers for the engine."""

    @property
    def ready(self) -> bool:
        """Whether a worker can be started now."""

    @property
    def cuda(self) -> bool:
        """Whether workers can use CUDA."""

    @property
    def broken(self) -> bool:
        """Whether this launcher cannot start workers at all."""

    def start(self, request: Request) -> None:
        """Requests a worker. A notice reports whether it was started."""

    def notices(self) -> list[Notice]:
        """The notices since the last call."""

    def close(self) -> None:
        """Releases resources. Workers continue."""


def environment() -> dict[str, str]:
    """The environment for a child process: it can import this package from any folder, and has the
    settings for memory and threads above."""
    return {**ALLOCATOR, **THREADING, **os.environ, "PYTHONPATH": python_path()}


def exchange(
    module: str,
    request: dict[str, Any],
    patience: float,
    started: Callable[[subprocess.Popen[str]], None],
    variables: dict[str, str] | None = None,
) -> Any:
    """Runs `python -m module` with a JSON object on its stdin, and returns the JSON value in the
    last line of its stdout. None if there is none, as after `patience` seconds, or if the process
    was killed. `started` gets the process; `variables` are its environment."""
    with subprocess.Popen(
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=variables or environment(),
        start_new_session=True,
    ) as process:
        started(process)
        try:
            out, _ = process.communicate(json.dumps(request), timeout=patience)
            return json.loads(out.splitlines()[-1])
        except (subprocess.TimeoutExpired, OSError, IndexError, ValueError):
            return None
        finally:
            kill_exchange(process)


def kill_exchange(process: subprocess.Popen[str]) -> None:
    """Kills a process that `exchange` has started, with the processes that it has forked. Does
    nothing if it has ended."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


class ForkLauncher:
    """Starts workers by `python -m dreamlab.processes.forkserver`, with which it exchanges JSON
    lines. A thread reads the answers. `wake` is called when there is a notice."""

    def __init__(self, wake: Callable[[], None] = lambda: None):
        self._wake = wake
        self._notices: queue.SimpleQueue[Notice] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting: set[str] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = self._cuda = False
        self._failures, self._not_before = 0, 0.0
        self._closed = False
        self._begin()

    @property
    def ready(self) -> bool:
        """Whether the fork server is ready. Starts it again if it has ended."""
        if self._process is None and not self.broken and time.monotonic() >= self._not_before:
            self._begin()
        return self._ready

    @property
    def cuda(self) -> bool:
        """Whether torch was built with CUDA. Known when the fork server is ready."""
        return self._cuda

    @property
    def broken(self) -> bool:
        """Whether the fork server failed to start several times, for example because torch cannot
        be imported."""
        return self._failures >= MOST_FAILURES

    @property
    def pid(self) -> int:
        """Pid of the fork server; 0 if it is not running."""
        return self._process.pid if self._process else 0

    def start(self, request: Request) -> None:
        """Requests a worker. A notice reports whether it was started."""
        line = (
            json.dumps({**dataclasses.asdict(request), "path": str(request.path)}).encode() + b"\n"
        )
        with self._lock:
            self._waiting.add(request.key)
            process = self._process
        try:
            if process is None or process.stdin is None:
                raise BrokenPipeError("the fork server is not running")
            process.stdin.write(line)
            process.stdin.flush()
        except OSError as error:
            self._refuse(request.key, str(error))

    def notices(self) -> list[Notice]:
        """The notices since the last call."""
        found = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._notices.get_nowait())
        return found

    def close(self) -> None:
        """Ends the fork server. Workers continue."""
        self._closed = True
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
            if self._process is not None and self._process.poll() is None:
                self._process.kill()

    def _begin(self) -> None:
        command = [sys.executable, "-P", "-m", "dreamlab.processes.forkserver"]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            start_new_session=True,
        )
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            try:
                self._hear(json.loads(line))
            except (ValueError, KeyError, TypeError):
                log.exception("The fork server said %r", line)
            self._wake()
        status = process.wait()
        self._ready, self._process = False, None
        if not self._closed:
            self._failures += 1
            self._not_before = time.monotonic() + RESTART_AFTER
            log.error("The fork server has ended (%s).", status)
        for key in list(self._waiting):
            self._refuse(key, "the fork server has ended")
        self._wake()

    def _hear(self, said: dict[str, Any]) -> None:
        if "ready" in said:
            self._cuda, self._ready, self._failures = bool(said["cuda"]), True, 0
            log.info("The fork server is ready after %.1f s.", said["ready"])
        elif "exited" in said:
            self._notices.put(Notice("exited", pid=int(said["exited"]), status=int(said["status"])))
        elif "pid" in said:
            with self._lock:
                self._waiting.discard(said["key"])
            self._notices.put(Notice("started", said["key"], int(said["pid"])))
        else:
            self._refuse(said["key"], str(said["error"]))

    def _refuse(self, key: str, why: str) -> None:
        with self._lock:
            known = key in self._waiting
            self._waiting.discard(key)
        if known:
            self._notices.put(Notice("refused", key, text=why))


def worker_command(request: Request) -> list[str]:
    """The command line that starts a worker or the live process."""
    base = [sys.executable, "-P", "-m"]
    if request.key == LIVE:
        return [
            *base,
            "dreamlab.processes.live",
            str(request.path),
            "--threads",
            str(request.threads),
            "--device",
            request.device,
        ]
    return [
        *base,
        "dreamlab.processes.worker",
        str(request.path),
        "--threads",
        str(request.threads),
        "--device",
        request.device,
        "--attempt",
        str(request.attempt),
    ]


class SpawnLauncher:
    """Starts every worker as a new Python process. `command` returns its command line."""

    ready, broken = True, False
    cuda = sys.platform == "linux"

    def __init__(self, command: Callable[[Request], list[str]] = worker_command):
        self._command = command
        self._children: list[subprocess.Popen[bytes]] = []
        self._notices: list[Notice] = []

    def start(self, request: Request) -> None:
        """Starts the worker at once. A notice reports whether that worked."""
        env = environment()
        if request.device != "cpu":  # in the worker, visible devices are numbered from 0
            env["CUDA_VISIBLE_DEVICES"] = request.visible
            names = ",".join(f"cuda:{i}" for i in range(len(request.device.split(","))))
            request = dataclasses.replace(request, device=names)
        try:
            child = subprocess.Popen(
                self._command(request), stdin=subprocess.DEVNULL, env=env, start_new_session=True
            )
        except OSError as error:
            self._notices.append(Notice("refused", request.key, text=str(error)))
            return
        self._children.append(child)
        self._notices.append(Notice("started", request.key, child.pid))

    def notices(self) -> list[Notice]:
        """The notices since the last call."""
        found, self._notices = self._notices, []
        for child in list(self._children):
            status = child.poll()
            if status is not None:
                self._children.remove(child)
                found.append(Notice("exited", pid=child.pid, status=status))
        return found

    def close(self) -> None:
        """Does nothing. Workers continue."""
