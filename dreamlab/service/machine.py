"""What this machine has, without torch."""

from __future__ import annotations

import psutil

from dreamlab.store.process import cores

__all__ = ["cores", "memory"]


def memory() -> dict[str, int]:
    """Bytes used and in all, of the whole machine."""
    info = psutil.virtual_memory()
    return {"memory_used": info.total - info.available, "memory_total": info.total}
