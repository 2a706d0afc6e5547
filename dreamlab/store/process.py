"""Identifies processes by pid and start time. The system reuses a pid alone."""

from __future__ import annotations

import os
import signal
import socket

EXIT_HELD = 76
"""Exit status of a worker: another worker holds the run directory."""
EXIT_DISK = 75
"""Exit status of a worker: not even its last event could be written."""
CLOCK_SLACK = 2.0
"""Tolerance in seconds. Start times are computed from the boot time, which shifts a little when the
clock is set."""


def host() -> str:
    return socket.gethostname()


def started(pid: int) -> float:
    """Start time of a process in unix seconds; 0 if there is none, or only its zombie."""
    import psutil

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            return 0.0 if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except (psutil.Error, ValueError, OverflowError):
        return 0.0


def alive(pid: int | None, pid_started: float) -> bool:
    """Whether this process is running on this host. A zombie counts as dead."""
    began = started(pid) if pid else 0.0
    return began > 0 and abs(began - pid_started) < CLOCK_SLACK


def kill_group(pid: int, pid_started: float) -> None:
    """Kills a worker and every process that it started; does nothing if it has ended."""
    if not alive(pid, pid_started):
        return
    try:
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it has ended meanwhile


def detach_session() -> None:
    """Makes this process the leader of a process group of its own, so that it can be killed
    together with its children."""
    if os.getpgid(0) != os.getpid():
        os.setsid()


def kill_leftovers(group: int) -> None:
    """Kills the children of a group leader that has ended. They would hold the lock on its log and
    keep the next worker out."""
    if started(group):
        return  # the pid belongs to another process now
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # none is left
