"""What this machine has, without torch."""

from __future__ import annotations

import functools

import psutil

from dreamlab.engine.devices import find_devices
from dreamlab.store.process import cores

__all__ = ["cores", "has_cuda", "memory"]


@functools.cache
def has_cuda() -> bool:
    """Whether there is a CUDA device; asked once, as the answer takes nvidia-smi and pages ask with every key."""
    return any(d.name != "cpu" for d in find_devices())


def memory() -> dict[str, int]:
    """Bytes used and in all, of the whole machine."""
    info = psutil.virtual_memory()
    return {"memory_used": info.total - info.available, "memory_total": info.total}
