"""The status of a run, computed from its events. Only new events are read, so that looking often is
cheap."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dreamlab.store.events import Event, EventReader
from dreamlab.store.run_files import JOB, RESULT, RunError, read_job, read_result
from dreamlab.store.states import ACTIVE, UNREADABLE


@dataclasses.dataclass
class RunStatus:
    """The status of a run. `metrics` has one dict per metric event: {"step": step, "t": unix
    seconds, "attempt": attempt, **values}."""

    state: str = "queued"
    attempt: int = 0
    step: int = 0
    total: int = 0
    unit: str = "steps"
    eta_seconds: float | None = None
    text: str = ""
    error: str = ""
    started: float | None = None
    ended: float | None = None
    metrics: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    images: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    messages: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    result: dict[str, Any] | None = None
    version: int = 0
    """Increases with every change, so that a page knows whether to draw again."""


class StatusReader:
    """Reads the status of one run folder. If a resumed attempt repeats steps, their new values
    replace the earlier ones. If job.json or result.json cannot be read, the state is unreadable."""

    def __init__(self, path: Path, kind: str = ""):
        self.path, self.kind = path, kind
        self.status = RunStatus()
        self._events = EventReader(path / "events.jsonl")
        self._worker_state, self._job_stamp, self._result_stamp = "", (0, 0), (0, 0)
        self._job: dict[str, Any] = {}
        self._job_problem = self._result_problem = self._error = ""

    def refresh(self) -> RunStatus:
        """Updates the status with everything that was written since the last call. Always returns
        the same object."""
        # job.json is read before the events: if a worker ends in between, the state is out of date
        # for one call, but there is never a final state with missing events
        if self.status.state == UNREADABLE:
            self.status.error = self._error  # the file may have been repaired
        changed = self._look_at_job()
        for event in self._events.read():
            self._fold(event)
            changed = True
        state = self._state()
        if state == "running" and (self.path / "stop").exists():
            state = "stopping"
        problem = self._job_problem or (self._look_at_result() if state not in ACTIVE else "")
        if problem:
            self._error = self.status.error
            state, self.status.error = UNREADABLE, problem
        if changed or state != self.status.state:
            self.status.state = state
            self.status.version += 1
        return self.status

    def _look_at_job(self) -> bool:
        stamp = _stamp(self.path / JOB)
        if stamp == self._job_stamp:
            return False
        self._job_stamp = stamp
        try:
            self._job, self._job_problem = read_job(self.path), ""
        except RunError as error:
            self._job, self._job_problem = {}, str(error)
        return True

    def _look_at_result(self) -> str:
        stamp = _stamp(self.path / RESULT)
        if stamp != self._result_stamp:
            self._result_stamp, self._result_problem = stamp, ""
            try:
                read_result(self.path, self.kind)
            except RunError as error:
                self._result_problem = str(error)
        return self._result_problem

    def _state(self) -> str:
        # job.json decides until the worker of this attempt has written a state; after that, only
        # for states that a worker cannot write itself
        job, s = self._job, self.status
        own, attempt = str(job.get("state", "")), int(job.get("attempt", 1))
        begun = bool(self._worker_state) and s.attempt >= attempt
        if not own or (begun and own in ("queued", "running")) or s.attempt > attempt:
            return self._worker_state or "queued"
        s.error = str(job.get("error", ""))
        s.ended = job.get("t", s.ended) if own in ("failed", "stopped") else None
        return own

    def _fold(self, e: Event) -> None:
        s = self.status
        attempt = int(e.get("attempt", 1))
        if attempt > s.attempt:
            s.attempt, s.error = attempt, ""
        kind = e["type"]
        if kind == "state":
            self._worker_state = str(e["state"])
            s.error = str(e.get("error", ""))
            if s.started is None:
                s.started = e["t"]
            s.ended = e["t"] if self._worker_state in ("done", "stopped", "failed") else None
        elif kind == "progress":
            s.step, s.total = int(e["step"]), int(e["total"])
            s.unit, s.eta_seconds, s.text = (
                e.get("unit", s.unit),
                e.get("eta_seconds"),
                e.get("text", ""),
            )
        elif kind == "metric":
            while (
                s.metrics
                and s.metrics[-1]["attempt"] < attempt
                and s.metrics[-1]["step"] >= e["step"]
            ):
                s.metrics.pop()
            s.metrics.append({"step": e["step"], "t": e["t"], "attempt": attempt, **e["values"]})
        elif kind == "image":
            while (
                s.images and s.images[-1]["attempt"] < attempt and s.images[-1]["step"] >= e["step"]
            ):
                s.images.pop()
            s.images.append(e)
        elif kind == "message":
            s.messages.append(e)
        elif kind == "result":
            s.result = e["values"]


def unreadable(problem: str) -> RunStatus:
    """The status of a run folder that cannot be read, for the reason `problem`."""
    return RunStatus(state=UNREADABLE, error=problem)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        info = path.stat()
    except OSError:
        return (0, 0)
    return (info.st_mtime_ns, info.st_ino)


def group_state(children: Iterable[str], own: RunStatus) -> str:
    """The state of an experiment, from the states of its children. `own` is the status of the
    experiment's own folder, which decides when all children are done."""
    states = list(children)
    if states and all(state == "queued" for state in states) and own.state in ("queued", "running"):
        return "queued"
    if any(state in ACTIVE for state in states):
        return "stopping" if own.state == "stopping" else "running"
    for end in ("failed", "stopped"):
        if end in states:
            return end
    return "running" if own.state == "queued" and states else own.state
