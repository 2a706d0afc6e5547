"""The event log of a run: one JSON object per line. Only the worker of the run appends to it.
Readers remember a byte position and read what was added.

Every event has `t` (unix seconds), `attempt` (1, 2, ...) and `type`:
  state     state=running|stopping|stopped|done|failed, error=one sentence or ""
  progress  step, total, unit ("steps", "images", "cells"), eta_seconds (None if unknown),
            text (what the task is doing)
  metric    step, values={name: finite number}; NaN or infinity becomes a message of level "error"
  image     step, path (relative to the run), name ("preview"), rows, cols, caption
  message   level=info|warning|error, text
  result    values=the content of result.json
"""

from __future__ import annotations

import errno
import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

Event = dict[str, Any]


class EventWriter:
    """Appends events. It first removes an incomplete last line, which a killed worker may have
    left."""

    def __init__(self, path: Path, attempt: int):
        self.path, self.attempt = path, attempt
        if path.exists():
            data = path.read_bytes()
            whole = data.rfind(b"\n") + 1
            if whole != len(data):
                os.truncate(path, whole)
        self._file = open(path, "ab", buffering=0)

    def write(self, type: str, **fields: Any) -> None:
        """Appends one event. Metrics that are not finite are left out and reported in a message
        event. Raises OSError if the disk is full; the log then contains only complete lines."""
        if type == "metric":
            bad = sorted(
                name for name, value in fields["values"].items() if not math.isfinite(value)
            )
            if bad:
                self.write(
                    "message",
                    level="error",
                    text=f"{', '.join(bad)} is not a finite number at step {fields['step']}.",
                )
                fields["values"] = {n: v for n, v in fields["values"].items() if n not in bad}
        event = {"t": round(time.time(), 3), "attempt": self.attempt, "type": type, **fields}
        line = json.dumps(event, allow_nan=False).encode() + b"\n"
        start = os.fstat(self._file.fileno()).st_size
        written = self._file.write(line)  # a single write call, so that lines are not mixed
        if written != len(line):  # on a full disk, a part may be written without an error
            os.truncate(self.path, start)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def close(self) -> None:
        """Closes the log."""
        self._file.close()


class EventReader:
    """Reads new complete lines from a byte position. Lines that are not valid events are
    skipped."""

    def __init__(self, path: Path, cursor: int = 0):
        self.path, self.cursor = path, cursor

    def read(self) -> list[Event]:
        """Events since the last call; only complete lines are read."""
        try:
            size = os.stat(self.path).st_size
            if size <= self.cursor:
                return []
            with open(self.path, "rb") as file:
                file.seek(self.cursor)
                data = file.read()
        except OSError:
            return []
        whole = data.rfind(b"\n") + 1
        self.cursor += whole
        events = (parse(line) for line in data[:whole].splitlines())
        return [event for event in events if event is not None]


_Kinds = type | tuple[type, ...]
_NUMBER: _Kinds = (int, float)
_NEEDED: dict[str, dict[str, _Kinds]] = {
    "state": {"state": str, "t": _NUMBER},
    "progress": {"step": int, "total": int},
    "metric": {"step": int, "t": _NUMBER, "values": dict},
    "image": {"step": int, "path": str},
    "message": {"text": str},
    "result": {"values": dict},
}
_MAY: dict[str, _Kinds] = {
    "attempt": int,
    "pid": int,
    "pid_started": _NUMBER,
    "error": str,
    "text": str,
    "unit": str,
    "eta_seconds": (int, float, type(None)),
}
STATES = frozenset({"running", "stopping", "stopped", "done", "failed"})
"""States that a worker may write."""


def parse(line: bytes) -> Event | None:
    """The event in a line. None if the line is not JSON, or if a key is missing or has another
    type."""
    try:
        event = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        return None
    needed = _NEEDED.get(event["type"], {})
    fits = all(isinstance(event.get(key), kinds) for key, kinds in needed.items()) and all(
        isinstance(event[key], kinds) for key, kinds in _MAY.items() if key in event
    )
    if not fits or not _is_number(event.get("t", 0)):
        return None
    if event["type"] == "state" and event["state"] not in STATES:
        return None
    if event["type"] == "metric" and not all(map(_is_number, event["values"].values())):
        return None
    return event


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and abs(value) <= sys.float_info.max


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
