"""Changes of state: when a worker dies, when a run is resumed, and when a run that another one
needs has ended."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

from dreamlab.engine.entry import Entry
from dreamlab.store.process_ids import EXIT_DISK, EXIT_HELD
from dreamlab.store.states import UNREADABLE

MOST_STRIKES = 3
"""Number of interruptions in a row without progress after which a run has failed."""
INTERRUPTED_FOR = 2.0
"""Seconds from an interruption until the run is queued again."""
GRACE = 5.0
"""Seconds for which a run that another one needs may be missing, because it may not have been
written yet."""
StateOf = Callable[[str], str]
"""Run id -> state; "missing" if there is no such run."""


def interrupt(entry: Entry) -> bool:
    """Records that a worker died without a final event. Returns whether the run has failed for
    good."""
    job = entry.job
    gone_on = entry.best > int(job.get("best", -1))
    strikes = 0 if gone_on and entry.best > 0 else int(job.get("strikes", 0)) + 1
    interruption = {
        "t": round(time.time(), 3),
        "attempt": entry.attempt,
        "step": max(entry.best, 0),
    }
    fields: dict[str, Any] = {
        "interruptions": [*job.get("interruptions", []), interruption],
        "strikes": strikes,
        "best": max(entry.best, int(job.get("best", -1))),
        "pid": None,
        "pid_started": 0.0,
    }
    if strikes >= MOST_STRIKES:
        error = (
            f"The worker ended {strikes} times without progress{_reason(entry.exit_status)};"
            " worker.log may say more."
        )
        entry.write_job("failed", **fields, error=error)
        return True
    entry.write_job("interrupted", **fields)
    entry.phase, entry.until = "interrupted", time.monotonic() + INTERRUPTED_FOR
    return False


def _reason(status: int | None) -> str:
    if status is None or status == 0:
        return ""
    if status == -signal.SIGKILL:
        return " (killed by the system or by hand; too little memory is the usual reason)"
    if status < 0:
        return f" (ended by signal {-status})"
    return (
        " (another process uses its folder)" if status == EXIT_HELD else f" (exit status {status})"
    )


def disk_failed(entry: Entry) -> bool:
    """Whether the worker could not write its final event. If so, records that the run has
    failed."""
    if entry.exit_status != EXIT_DISK:
        return False
    error = (
        "The run could not write to its folder (is the disk full?); free some space and resume this"
        " run."
    )
    entry.write_job("failed", error=error, pid=None)
    return True


def requeue(entry: Entry, *, by_hand: bool) -> None:
    """Queues the next attempt. A run that is resumed by hand goes to the end of the queue, and its
    interruptions are no longer counted."""
    fields: dict[str, Any] = {
        "attempt": max(entry.attempt, entry.events_attempt) + 1,
        "pid": None,
        "pid_started": 0.0,
    }
    if by_hand:
        fields |= {"queued_at": time.time(), "strikes": 0}
        (entry.run.path / "stop").unlink(missing_ok=True)
        (entry.run.path / "resume").unlink(missing_ok=True)
    entry.write_job("queued", **fields)
    entry.phase, entry.exit_status = "queued", None


def readiness(entry: Entry, state_of: StateOf) -> tuple[bool, str, str]:
    """(may start, final state or "", sentence) of a queued run, from the states of the runs that it
    needs."""
    waiting = False
    for need in entry.record.needs:
        state = state_of(need)
        if state == "missing" and time.monotonic() - entry.seen < GRACE:
            state = "queued"
        if state == "missing":
            return False, "failed", f"It needs {need}, which does not exist any more."
        if state == UNREADABLE:
            return False, "failed", f"It needs {need}, which cannot be read."
        if state == "failed":
            return False, "failed", f"It needs {need}, which failed."
        if state == "stopped":
            return False, "stopped", f"It needs {need}, which was stopped."
        waiting |= state != "done"
    return not waiting, "", ""


def order(entries: list[Entry], group_of: Callable[[str], Entry | None]) -> list[Entry]:
    """The queued runs in the order in which they may start: first come, first served. The children
    of an experiment take its place, in the order of its plan."""

    def key(entry: Entry) -> tuple[float, str, int, str]:
        group = group_of(entry.record.group) if entry.record.group else None
        if group is None or entry.id not in group.record.children:
            return entry.queued_at, entry.id, 0, entry.id
        return group.queued_at, group.id, group.record.children.index(entry.id), entry.id

    return sorted(entries, key=key)
