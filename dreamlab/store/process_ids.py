"""Identifies a process by its pid and start time, because the system reuses pids. Also ends
processes."""

from __future__ import annotations

import os
import signal
import socket

EXIT_HELD = 76
"""Exit status of a worker if another worker already executes the run."""
EXIT_DISK = 75
"""Exit status of a worker if it could not even write its last event."""
CLOCK_SLACK = 2.0
"""Tolerance in seconds. Start times are computed from the boot time, which changes a little when
the clock is set."""


def host() -> str:
    """Name of this machine."""
    return socket.gethostname()


def started(pid: int) -> float:
    """Start time of a process in unix seconds; 0 if there is no such process or if it is a
    zombie."""
    import psutil

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            return 0.0 if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except (psutil.Error, ValueError, OverflowError):
        return 0.0


def alive(pid: int | None, pid_started: float) -> bool:
    """Whether the process with this pid and start time is running on this machine. A zombie is
    not."""
    began = started(pid) if pid else 0.0
    return began > 0 and abs(began - pid_started) < CLOCK_SLACK


def kill_group(pid: int, pid_started: float) -> None:
    """Kills a worker and all processes that it started. Does nothing if the worker has ended."""
    if not alive(pid, pid_started):
        return
    try:
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it has just ended


def detach_session() -> None:
    """Makes this process the leader of its own process group, so that it can be killed together
    with its children."""
    if os.getpgid(0) != os.getpid():
        os.setsid()


def kill_leftovers(group: int) -> None:
    """Kills the remaining children of a group leader that has ended. Otherwise they would keep its
    log locked, and the next worker could not start."""
    if started(group):
        return  # the pid now belongs to another process
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # none is left
