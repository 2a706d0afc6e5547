"""The states of a run."""

from __future__ import annotations

from typing import Literal

State = Literal[
    "queued", "running", "stopping", "stopped", "done", "failed", "interrupted", "unreadable"
]
UNREADABLE = "unreadable"
"""A run directory that cannot be read: shown, never written."""
ACTIVE: frozenset[str] = frozenset({"queued", "running", "stopping", "interrupted"})
