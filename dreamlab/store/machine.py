"""CPU cores, memory and CUDA devices of this machine, found without torch."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psutil

CUDA_SLOTS = 4
"""Number of runs that may share a CUDA device, if their kind allows it."""


def cores() -> int:
    """Number of CPU cores that this process may use. It respects CPU affinity and, in a container,
    the CPU quota."""
    count = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return count
    return count if quota == "max" else max(1, min(count, math.ceil(int(quota) / int(period))))


def can_fork() -> bool:
    """Whether forking after imports is safe: yes on Linux, no on macOS."""
    return sys.platform == "linux"


@dataclasses.dataclass(frozen=True)
class Device:
    """A device with `slots` places for runs. `visible` is its entry for CUDA_VISIBLE_DEVICES; ""
    for the CPU."""

    name: str
    slots: int
    visible: str = ""


def find_devices() -> list[Device]:
    """The CUDA devices (those of CUDA_VISIBLE_DEVICES if it is set), followed by the CPU with one
    slot per core."""
    return [*_cuda_devices(), Device("cpu", cores())]


def _cuda_devices() -> list[Device]:
    if shutil.which("nvidia-smi") is None:
        return []
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return []
    if listing.returncode != 0:
        return []
    gpus = re.findall(r"^GPU \d+:.*\(UUID: (GPU-[^)]+)\)", listing.stdout, re.MULTILINE)
    parts = re.findall(r"^\s+MIG .*\(UUID: (MIG-[^)]+)\)", listing.stdout, re.MULTILINE)
    asked = os.environ.get("CUDA_VISIBLE_DEVICES")
    if asked is None:
        visible = parts or gpus  # a GPU with MIG partitions cannot be used as a whole
    elif gpus:
        visible = []
        for entry in asked.split(","):
            if not entry.strip() or entry.strip() == "-1":
                break  # as in CUDA, entries after an invalid one are ignored
            visible.append(entry.strip())
    else:
        visible = []
    return [Device(f"cuda:{i}", CUDA_SLOTS, v) for i, v in enumerate(visible)]


@functools.cache
def has_cuda() -> bool:
    """Whether there is a CUDA device. The result is cached, because it takes a call of
    nvidia-smi."""
    return any(d.name != "cpu" for d in find_devices())


def memory() -> dict[str, int]:
    """Used and total memory of the machine, in bytes."""
    info = psutil.virtual_memory()
    return {"memory_used": info.total - info.available, "memory_total": info.total}
