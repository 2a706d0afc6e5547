"""An unfinished run as the engine sees it: its record, its `job.json` and a summary of its
events."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any, Literal

from dreamlab.settings import EXPERIMENT_KINDS
from dreamlab.store import EventReader, Run, write_json
from dreamlab.store.events import Event, parse
from dreamlab.store.process_ids import alive, host
from dreamlab.store.run_files import read_job

FINAL = frozenset({"done", "failed", "stopped"})
Phase = Literal["queued", "launching", "running", "interrupted"]
log = logging.getLogger("dreamlab.engine")


def final_state(path: Path) -> str:
    """ "done", "failed" or "stopped" for the folder of a finished run, "" for any other. It reads
    only job.json and the end of the event log. Raises RunError if job.json is damaged."""
    job = read_job(path)
    state, attempt = _last_state(path / "events.jsonl")
    job_attempt = int(job.get("attempt", 1))
    if job.get("state") in ("failed", "stopped") and job_attempt >= attempt:
        return str(job["state"])
    return state if state in FINAL and attempt >= job_attempt else ""


def _last_state(path: Path, tail: int = 2**16) -> tuple[str, int]:
    """State and attempt of the last state event. It reads the end of the log first, and more of it
    if necessary."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - tail))
            data = file.read()
    except OSError:
        return "", 0
    for line in reversed(data[: data.rfind(b"\n") + 1].splitlines()):
        if b'"state"' in line and (event := parse(line)) and event["type"] == "state":
            return str(event["state"]), int(event.get("attempt", 1))
    return _last_state(path, 8 * tail) if size > tail else ("", 0)


class Entry:
    """An unfinished run. `job` is the content of job.json, which only this class writes. `best` is
    the largest step that any attempt has reached."""

    def __init__(self, run: Run):
        self.run, self.id, self.record = run, run.id, run.record
        self.kind, self.is_group = self.record.kind, self.record.kind in EXPERIMENT_KINDS
        self.device_wanted = str(
            self.record.spec.get("device", "cpu")
        )  # imports do not have this setting
        self.devices_wanted = int(self.record.spec.get("devices", 1))
        self.seen = time.monotonic()
        self.submitted = (run.path / "spec.json").stat().st_mtime
        self.job: dict[str, Any] = {"state": "queued", "attempt": 1, **run.job()}
        self.phase: Phase = "queued"
        self.until = 0.0
        """Monotonic time: when an interrupted run is queued again, or when a worker that wrote its
        final event is killed."""
        self.exit_status: int | None = None
        self.best = -1
        self.events_state, self.events_attempt = "", 0
        self._events_pid: tuple[int, float] = (0, 0.0)
        self._events = EventReader(run.path / "events.jsonl")
        self._unwritten = False
        self.read_events()

    @property
    def attempt(self) -> int:
        """Number of the attempt, from 1."""
        return int(self.job["attempt"])

    @property
    def queued_at(self) -> float:
        """Unix time that decides its place in the queue."""
        return float(self.job.get("queued_at", self.submitted))

    @property
    def outward(self) -> str:
        """The state as others see it. Does not read the disk."""
        if self.phase == "running":
            return (
                self.events_state
                if self.events_attempt >= self.attempt and self.events_state
                else "running"
            )
        return "queued" if self.phase == "launching" else str(self.job["state"])

    def read_events(self) -> None:
        """Reads the events since the last call."""
        for event in self._events.read():
            self._fold(event)

    def _fold(self, event: Event) -> None:
        if event["type"] == "state":
            self.events_state, self.events_attempt = (
                str(event["state"]),
                int(event.get("attempt", 1)),
            )
            if event.get("pid"):
                self._events_pid = (int(event["pid"]), float(event.get("pid_started", 0.0)))
        elif event["type"] in ("progress", "metric"):
            self.best = max(self.best, int(event["step"]))

    def final(self) -> str:
        """The final state that the worker of this or a later attempt has written, or ""."""
        return (
            self.events_state
            if self.events_state in FINAL and self.events_attempt >= self.attempt
            else ""
        )

    def living_worker(self) -> tuple[int, float] | None:
        """Pid and start time of the worker of this run, if it is alive. They are taken from
        job.json or from the worker's own events, because an engine may have ended before it could
        record the worker."""
        if self.job.get("host", host()) != host():
            return None
        known = (int(self.job.get("pid") or 0), float(self.job.get("pid_started") or 0.0))
        for pid, started in (known, self._events_pid):
            if alive(pid, started):
                return pid, started
        return None

    def write_job(self, state: str, **fields: Any) -> None:
        """Changes job.json. If the disk is full, it is written later by `flush`."""
        self.job = {**self.job, "state": state, "error": "", "t": round(time.time(), 3), **fields}
        self._unwritten = True
        self.flush()

    def flush(self) -> None:
        """Writes job.json if it has changes that are not written yet."""
        if not self._unwritten:
            return
        try:
            write_json(self.run.path / "job.json", self.job)
            self._unwritten = False
        except OSError as error:
            log.error("%s: job.json cannot be written yet: %s", self.id, error)

    def asked_to_stop(self) -> str | None:
        """The content of the stop file, "" or "now"; None if there is no stop request."""
        try:
            return (self.run.path / "stop").read_text().strip()
        except FileNotFoundError:
            return None
