"""The states of a run."""

from __future__ import annotations

from typing import Literal

State = Literal[
    "queued", "running", "stopping", "stopped", "done", "failed", "interrupted", "unreadable"
]
UNREADABLE = "unreadable"
"""State shown for a run directory that cannot be read. It is never written."""
ACTIVE: frozenset[str] = frozenset({"queued", "running", "stopping", "interrupted"})
