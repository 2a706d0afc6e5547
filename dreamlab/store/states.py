"""The states of a run."""

from __future__ import annotations

from typing import Literal

State = Literal["queued", "running", "stopping", "stopped", "done", "failed", "interrupted"]
ACTIVE: frozenset[str] = frozenset({"queued", "running", "stopping", "interrupted"})
