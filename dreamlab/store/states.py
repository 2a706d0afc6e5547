"""The states of a run."""

from __future__ import annotations

from typing import Literal

State = Literal[
    "queued", "running", "stopping", "stopped", "done", "failed", "interrupted", "unreadable"
]
UNREADABLE = "unreadable"
"""The state that is shown for a run folder that cannot be read. It is never written to a file."""
ACTIVE: frozenset[str] = frozenset({"queued", "running", "stopping", "interrupted"})
"""States of a run that has not ended."""
