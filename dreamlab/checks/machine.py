"""Whether this machine has what a spec asks for: devices, cores, disk."""

from __future__ import annotations

import shutil

from dreamlab.checks.known import Known
from dreamlab.settings import Spec, SpecError, TrainSpec
from dreamlab.store import RunStore
from dreamlab.store.machine import cores

SPARE_DISK = 200 * 2**20
"""Bytes that must stay free beside what a run needs."""


def check_device(spec: Spec, known: Known) -> None:
    """Raises SpecError where CUDA is asked for and there is none."""
    if getattr(spec, "device", "") == "cuda" and all(d.name == "cpu" for d in known.devices):
        raise SpecError(
            "Device (--device): 'cuda' cannot be used, no CUDA device was found; use auto or cpu.",
            "device",
        )


def check_devices(spec: TrainSpec, known: Known) -> None:
    """Raises SpecError where a training asks for more devices than there are. On a CPU devices are
    processes: more than cores would only wait for each other."""
    if spec.devices == 1:
        return
    cuda = [] if spec.device == "cpu" else [d for d in known.devices if d.name != "cpu"]
    words = f"Devices (--devices): {spec.devices} cannot be used, this machine has"
    if cuda and len(cuda) < spec.devices:
        raise SpecError(
            f"{words} {len(cuda)} CUDA device{'s' if len(cuda) > 1 else ''}; use {len(cuda)}, or"
            " --device cpu.",
            "devices",
        )
    if not cuda and cores() < spec.devices:
        many = cores() > 1
        raise SpecError(
            f"{words} {cores()} CPU core{'s' if many else ''}; use"
            f" {'at most ' if many else ''}{cores()}.",
            "devices",
        )


def check_disk(store: RunStore, needed: int) -> None:
    """Raises SpecError where `needed` bytes do not fit beside SPARE_DISK."""
    there = next(p for p in (store.folder, *store.folder.parents) if p.is_dir())
    free = shutil.disk_usage(there).free
    if free < needed + SPARE_DISK:
        raise SpecError(
            f"Too little free disk for this run: it needs about {_size(needed)} and"
            f" {_size(SPARE_DISK)} to spare, {_size(free)} are free in {store.folder}; delete runs"
            " or give another folder with --runs."
        )


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"
