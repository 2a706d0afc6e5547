"""Slots of devices: how many each run holds, and how many threads its worker gets."""

from __future__ import annotations

from dreamlab.settings import EXPERIMENT_KINDS
from dreamlab.store.machine import Device, cores

MOST_THREADS = 16  # with more, networks of this size become slower
WHOLE_DEVICE = frozenset({"train", "synthesize", "fidelity"})


def slots_needed(kind: str, device: Device) -> int:
    """Slots that a run of this kind takes on a device; 0 for an experiment."""
    if kind in EXPERIMENT_KINDS:
        return 0
    return device.slots if kind in WHOLE_DEVICE else 1


def threads_for(kind: str, device: Device) -> int:
    """CPU threads of a worker."""
    share = slots_needed(kind, device) / device.slots
    return max(1, min(MOST_THREADS, int(cores() * share)))


class Slots:
    """How many slots each run holds on each device."""

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
        """For a worker found running: it keeps its devices ("cuda:0,cuda:1") even if they have no
        free slot."""
        self.take(run_id, [d for d in self.devices if d.name in names.split(",")], kind)

    def release(self, run_id: str) -> None:
        self._held.pop(run_id, None)
