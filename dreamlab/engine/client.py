"""What other processes do with the engine of a runs folder: start it, keep it alive, end it, and
sample live."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dreamlab.engine.code_version import code_version
from dreamlab.engine.launcher import environment
from dreamlab.store import RunError, RunStore, read_json, wire, write_json
from dreamlab.store.process_ids import alive, host, kill_group, started

CODE = "engine-code.json"
START_PATIENCE = 30.0
LIVE_PATIENCE = 60.0
FRAME_PATIENCE = 120.0
"""Seconds to wait for the engine to start, for the live process to accept a connection, and for the
next frame."""


class EngineError(RuntimeError):
    """The engine cannot be started. The message is one sentence."""


@dataclasses.dataclass(frozen=True)
class EngineInfo:
    """The content of engine.json. `devices` are in order of preference: CUDA devices first, then
    the CPU. `started` is in unix seconds."""

    pid: int
    pid_started: float
    host: str
    started: float
    live_socket: str
    devices: tuple[str, ...]
    threads: int


def engine_info(runs: Path | str) -> EngineInfo | None:
    """The engine that serves this runs folder now; None if there is none."""
    value = read_json(RunStore(runs).folders.engine / "engine.json")
    try:
        info = (
            EngineInfo(**{**value, "devices": tuple(value["devices"])})
            if isinstance(value, dict)
            else None
        )
    except (TypeError, KeyError):
        return None
    return (
        info
        if info is not None and info.host == host() and alive(info.pid, info.pid_started)
        else None
    )


def engine_code(runs: Path | str, info: EngineInfo) -> str:
    """The code that an engine runs, as returned by `code_version`; "" if unknown. It is in its own
    file, because version 0.1 rejects an engine.json with further keys."""
    value = read_json(RunStore(runs).folders.engine / CODE)
    if not isinstance(value, dict) or value.get("pid") != info.pid:
        return ""
    return str(value.get("code", ""))


def announce_code(runs: Path | str) -> None:
    """Called by an engine: records which code this process runs."""
    write_json(RunStore(runs).folders.engine / CODE, {"pid": os.getpid(), "code": code_version()})


def replace_other_version(runs: Path | str) -> None:
    """Ends an engine that runs other code than this process. Its workers continue, and the next
    engine takes them over.

    Each client calls this once, when it starts. Two clients of different versions on one folder
    therefore replace the engine once each, and not forever.
    """
    info = engine_info(runs)
    if info is not None and engine_code(runs, info) != code_version():
        stop_engine(runs, workers=False)


def ensure_engine(runs: Path | str, *, linger: float = 60.0) -> EngineInfo:
    """The engine of the runs folder, of any version. If there is none, it is started in the
    background. Several processes may call this at the same time; a lock ensures that only one
    engine stays. `linger` only applies to an engine that this call starts. Raises EngineError."""
    info = engine_info(runs)
    if info is not None:
        return info
    store = RunStore(runs)
    store.prepare()
    log = store.folders.engine / "engine.log"
    command = [
        sys.executable,
        "-P",
        "-m",
        "dreamlab.engine",
        "--runs",
        str(store.folder),
        "--linger",
        str(linger),
    ]
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment(),
            start_new_session=True,
        )
    deadline = time.monotonic() + START_PATIENCE
    while time.monotonic() < deadline:
        info = engine_info(runs)
        if info is not None:
            _reap_later(process)
            return info
        if process.poll() not in (
            None,
            0,
            3,
        ):  # 3: another engine has the lock and is about to write engine.json
            break
        time.sleep(0.03)
    raise EngineError(f"The engine of {store.folder} does not start; the reason is in {log}.")


_started: list[subprocess.Popen[bytes]] = []


def _reap_later(process: subprocess.Popen[bytes]) -> None:
    """Keeps the handle of an engine process, which may end before this process, so that it does not
    stay a zombie and Python does not warn."""
    _started[:] = [p for p in _started if p.poll() is None] + [process]


def stop_engine(runs: Path | str, *, workers: bool = True, patience: float = 10.0) -> None:
    """Ends the engine of the runs folder and waits until it has ended. With `workers`, its workers
    are killed too."""
    info = engine_info(runs)
    if info is not None:
        os.kill(info.pid, signal.SIGTERM)
        deadline = time.monotonic() + patience
        while alive(info.pid, info.pid_started) and time.monotonic() < deadline:
            time.sleep(0.02)
        kill_group(info.pid, info.pid_started)
    for run in RunStore(runs) if workers else ():
        try:
            job = run.job()
        except RunError:
            continue
        if job.get("pid") and job.get("host") == host():
            kill_group(int(job["pid"]), float(job.get("pid_started") or 0.0))


def register_client(runs: Path | str) -> None:
    """Keeps the engine alive as long as this process lives. Call this before `ensure_engine`."""
    folder = _clients(runs)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / str(os.getpid()), {"pid_started": started(os.getpid()), "host": host()})


def unregister_client(runs: Path | str) -> None:
    """Undoes `register_client`."""
    (_clients(runs) / str(os.getpid())).unlink(missing_ok=True)


def living_clients(runs: Path | str) -> list[int]:
    """Pids of registered processes that are alive. The files of dead processes are removed."""
    found = []
    folder = _clients(runs)
    for file in folder.iterdir() if folder.is_dir() else ():
        if not file.name.isdigit():
            continue
        value = read_json(file)
        if not isinstance(value, dict) or value.get("host") != host():
            continue  # the client is on another machine, which has its own engine
        if alive(int(file.name), float(value.get("pid_started", 0.0))):
            found.append(int(file.name))
        else:
            file.unlink(missing_ok=True)
    return found


def _clients(runs: Path | str) -> Path:
    return RunStore(runs).folders.engine / "clients"


def live_frames(runs: Path | str, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields the frames of `dreamlab.tasks.synthesize.live.LiveSampler.frames`, where the request
    is described.

    In case of an error the last frame is {"error": one sentence, "done": True}. Closing the
    iterator cancels the sampling.
    """
    store = RunStore(runs)
    connection = _connect(store.folder)
    if connection is None:
        yield {"error": "Live sampling is not ready yet; try again in a moment.", "done": True}
        return
    with connection:
        try:
            wire.send(connection, request)
            while (frame := wire.receive(connection)) is not None:
                yield frame
                if frame.get("done"):
                    return
        except OSError as error:
            yield {"error": f"Live sampling was interrupted ({error}); try again.", "done": True}


def _connect(runs: Path) -> socket.socket | None:
    """A connection to the live process. Waits if it is still starting."""
    deadline = time.monotonic() + LIVE_PATIENCE
    while time.monotonic() < deadline:
        info = engine_info(runs)
        if info is None or not info.live_socket:
            return None
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(FRAME_PATIENCE)
        try:
            connection.connect(info.live_socket)
            return connection
        except OSError:
            connection.close()
            time.sleep(0.05)
    return None
