"""Who a process is: a pid alone is used again by the system, a pid with its start time is not."""

from __future__ import annotations

import os
import signal
import socket

EXIT_HELD = 76
"""A worker's exit status: another worker holds the run directory."""
EXIT_DISK = 75
"""A worker's exit status: not even its last event could be written."""
CLOCK_SLACK = 2.0
"""Start times are computed from the boot time, which moves a little when the clock is set."""


def host() -> str:
    return socket.gethostname()


def started(pid: int) -> float:
    """Unix seconds at which the process began; 0 where there is none, or only its zombie."""
    import psutil

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            return 0.0 if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except (psutil.Error, ValueError, OverflowError):
        return 0.0


def alive(pid: int | None, pid_started: float) -> bool:
    """Whether this very process runs on this host. Zombies count as dead."""
    began = started(pid) if pid else 0.0
    return began > 0 and abs(began - pid_started) < CLOCK_SLACK


def kill_group(pid: int, pid_started: float) -> None:
    """Ends a worker and everything it has started; nothing happens where it is gone already."""
    if not alive(pid, pid_started):
        return
    try:
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it went in between


def detach_session() -> None:
    """Makes this process the leader of a group of its own, so that it can be ended with all it
    starts."""
    if os.getpgid(0) != os.getpid():
        os.setsid()


def kill_leftovers(group: int) -> None:
    """Ends what a dead group leader has left behind; its log's lock would keep the next worker
    out."""
    if started(group):
        return  # the number belongs to somebody else by now
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # nobody is left
