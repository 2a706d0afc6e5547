"""The event log of a run: one JSON object a line, appended by its worker alone, read from a byte
cursor.

Every event has `t` (unix seconds), `attempt` (1, 2, ...) and `type`:
  state     state=running|stopping|stopped|done|failed, error=one sentence or ""
  progress  step, total, unit ("steps", "images", "cells"), eta_seconds (None if unknown),
            text (what is being done)
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
import time
from pathlib import Path
from typing import Any

Event = dict[str, Any]


class EventWriter:
    """Appends events; a torn last line left by a killed worker is cut off first."""

    def __init__(self, path: Path, attempt: int):
        self.path, self.attempt = path, attempt
        if path.exists():
            data = path.read_bytes()
            whole = data.rfind(b"\n") + 1
            if whole != len(data):
                os.truncate(path, whole)
        self._file = open(path, "ab", buffering=0)

    def write(self, type: str, **fields: Any) -> None:
        """Appends one event of the module's list. Raises OSError where the disk is full, with the
        log left whole."""
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
        written = self._file.write(line)  # one write call: lines do not interleave
        if written != len(line):  # a full disk may accept part of the line without an error
            os.truncate(self.path, start)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def close(self) -> None:
        self._file.close()


class EventReader:
    """Reads only whole lines, from a byte cursor; lines that are not JSON objects are passed
    over."""

    def __init__(self, path: Path, cursor: int = 0):
        self.path, self.cursor = path, cursor

    def read(self) -> list[Event]:
        """Events since the last call. A file that has shrunk (a torn line was cut) is read on from
        its new end."""
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
        events = []
        for line in data[:whole].splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and "type" in event:
                events.append(event)
        return events
