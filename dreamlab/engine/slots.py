"""Slots of devices: how many each run takes, and how many threads its worker gets."""

from __future__ import annotations

from dreamlab.settings import EXPERIMENT_KINDS
from dreamlab.store.machine import Device, cores

MOST_THREADS = 16  # with more threads, networks of the usual size become slower
WHOLE_DEVICE = frozenset({"train", "synthesize", "fidelity"})
"""Kinds of run that take all slots of a device."""


def slots_needed(kind: str, device: Device) -> int:
    """Number of slots that a run of this kind takes on a device; 0 for an experiment."""
    if kind in EXPERIMENT_KINDS:
        return 0
    return device.slots if kind in WHOLE_DEVICE else 1


def threads_for(kind: str, device: Device, of: int = 0) -> int:
    """Number of CPU threads of a worker for a run of this kind on a machine with `of` cores; 0 is
    this machine."""
    share = slots_needed(kind, device) / device.slots
    return max(1, min(MOST_THREADS, int((of or cores()) * share)))


class Slots:
    """The slots that each run takes on each device."""

    def __init__(self, devices: list[Device]):
        self.devices = devices
        self._held: dict[str, dict[str, int]] = {}

    def free(self, device: Device) -> int:
        """Number of free slots of a device."""
        return device.slots - sum(held.get(device.name, 0) for held in self._held.values())

    def fitting(self, wanted: str) -> list[Device]:
        """The devices that the setting `device` (auto, cpu or cuda) allows, in order of
        preference."""
        cuda = [d for d in self.devices if d.name != "cpu"]
        cpu = [d for d in self.devices if d.name == "cpu"]
        if wanted == "auto":
            return cuda or cpu
        return cuda if wanted == "cuda" else cpu

    def take(self, run_id: str, devices: list[Device], kind: str) -> None:
        """Assigns slots of these devices to a run."""
        self._held[run_id] = {d.name: slots_needed(kind, d) for d in devices}

    def take_named(self, run_id: str, names: str, kind: str) -> None:
        """Assigns devices by name ("cuda:0,cuda:1") to a run whose worker is already running, even
        if they have no free slots."""
        self.take(run_id, [d for d in self.devices if d.name in names.split(",")], kind)

    def release(self, run_id: str) -> None:
        """Frees the slots of a run."""
        self._held.pop(run_id, None)
