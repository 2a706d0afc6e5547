"""The status of a run, from its events. Only new events are read, so that a look without news is
cheap."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dreamlab.store.events import Event, EventReader
from dreamlab.store.files import read_json
from dreamlab.store.states import ACTIVE


@dataclasses.dataclass
class RunStatus:
    """What a page shows about a run. `metrics` holds one dict per metric event: {"step": n, "t":
    unix, **values}."""

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
    """Increases with every change: a page compares it to know whether to draw again."""


class StatusReader:
    """Follows one run directory. Steps that a resumed attempt did again replace the first ones."""

    def __init__(self, path: Path):
        self.path = path
        self.status = RunStatus()
        self._events = EventReader(path / "events.jsonl")
        self._worker_state, self._job_stamp = "", (0, 0)
        self._job: dict[str, Any] = {}

    def refresh(self) -> RunStatus:
        """The status with everything written since the last call; always the same object."""
        # the state is read before the events: a worker that ends in between leaves a state that is
        # too old, never a final state with events missing
        stamp = _stamp(self.path / "job.json")
        changed = stamp != self._job_stamp
        if changed:
            self._job_stamp, self._job = stamp, read_json(self.path / "job.json") or {}
        for event in self._events.read():
            self._fold(event)
            changed = True
        state = self._state()
        if state == "running" and (self.path / "stop").exists():
            state = "stopping"
        if changed or state != self.status.state:
            self.status.state = state
            self.status.version += 1
        return self.status

    def _state(self) -> str:
        # job.json holds until the worker of its attempt has written an event; after that it counts
        # only for the states that a worker cannot write itself
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


def _stamp(path: Path) -> tuple[int, int]:
    try:
        info = path.stat()
    except OSError:
        return (0, 0)
    return (info.st_mtime_ns, info.st_ino)


def group_state(children: Iterable[str], own: RunStatus) -> str:
    """The state of an experiment from the states of its children. `own` is the status of the
    experiment's own directory, which decides once all children are done."""
    states = list(children)
    if states and all(state == "queued" for state in states) and own.state in ("queued", "running"):
        return "queued"
    if any(state in ACTIVE for state in states):
        return "stopping" if own.state == "stopping" else "running"
    for end in ("failed", "stopped"):
        if end in states:
            return end
    return "running" if own.state == "queued" and states else own.state
