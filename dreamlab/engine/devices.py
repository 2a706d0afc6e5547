"""Devices and their slots. Nothing here asks torch: the engine stays small and never touches CUDA."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess

from dreamlab.spec import GROUPS
from dreamlab.store.process import cores

CUDA_SLOTS = 4
MOST_THREADS = 16  # networks of this size get slower with more
WHOLE_DEVICE = frozenset({"train", "synthesize", "fidelity"})


@dataclasses.dataclass(frozen=True)
class Device:
    """`visible` is the CUDA_VISIBLE_DEVICES entry of a CUDA device, "" for the CPU."""

    name: str
    slots: int
    visible: str = ""


def find_devices() -> list[Device]:
    """CUDA devices (of CUDA_VISIBLE_DEVICES where that is set), then the CPU with one slot per core."""
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
        visible = parts or gpus  # a GPU that is cut into parts cannot be used as a whole
    elif gpus:
        visible = []
        for entry in asked.split(","):
            if not entry.strip() or entry.strip() == "-1":
                break  # as CUDA reads it: what follows an invalid entry is invisible
            visible.append(entry.strip())
    else:
        visible = []
    return [Device(f"cuda:{i}", CUDA_SLOTS, v) for i, v in enumerate(visible)]


def slots_needed(kind: str, device: Device) -> int:
    """Slots that a run of this kind takes on a device; groups take none."""
    if kind in GROUPS:
        return 0
    return device.slots if kind in WHOLE_DEVICE else 1


def threads_for(kind: str, device: Device) -> int:
    """CPU threads of a worker."""
    share = slots_needed(kind, device) / device.slots
    return max(1, min(MOST_THREADS, int(cores() * share)))


class Slots:
    """Which run holds how many slots of which device."""

    def __init__(self, devices: list[Device]):
        self.devices = devices
        self._held: dict[str, dict[str, int]] = {}

    def free(self, device: Device) -> int:
        return device.slots - sum(held.get(device.name, 0) for held in self._held.values())

    def fitting(self, wanted: str) -> list[Device]:
        """Devices that a spec's `device` (auto, cpu, cuda) allows, in order of preference."""
        cuda = [d for d in self.devices if d.name != "cpu"]
        cpu = [d for d in self.devices if d.name == "cpu"]
        if wanted == "auto":
            return cuda or cpu
        return cuda if wanted == "cuda" else cpu

    def take(self, run_id: str, devices: list[Device], kind: str) -> None:
        self._held[run_id] = {d.name: slots_needed(kind, d) for d in devices}

    def take_named(self, run_id: str, names: str, kind: str) -> None:
        """For a worker found running: it keeps its devices ("cuda:0,cuda:1") even where they have no slot left."""
        self.take(run_id, [d for d in self.devices if d.name in names.split(",")], kind)

    def release(self, run_id: str) -> None:
        self._held.pop(run_id, None)
