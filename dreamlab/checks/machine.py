"""Whether this machine has the devices, cores and disk space that a spec needs."""

from __future__ import annotations

import shutil

from dreamlab.checks.known import Known
from dreamlab.settings import Spec, SpecError, TrainSpec
from dreamlab.store import RunStore
from dreamlab.store.machine import cores

SPARE_DISK = 200 * 2**20
"""Bytes that must stay free on the disk in addition to what a run needs."""


def check_device(spec: Spec, known: Known) -> None:
    """Raises SpecError if CUDA is requested and there is no CUDA device."""
    if getattr(spec, "device", "") == "cuda" and all(d.name == "cpu" for d in known.devices):
        raise SpecError(
            "Device (--device): 'cuda' cannot be used, no CUDA device was found; use auto or cpu.",
            "device",
        )


def check_devices(spec: TrainSpec, known: Known) -> None:
    """Raises SpecError if a training requests more devices than there are. On a CPU a device is a
    process; more processes than cores would slow each other down."""
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
    """Raises SpecError unless `needed` bytes and SPARE_DISK are free. `needed` must not be a
    guess."""
    free = _free(store)
    if free < needed + SPARE_DISK:
        raise SpecError(
            f"Too little free disk space for this run: it needs about {_size(needed)}, and"
            f" {_size(SPARE_DISK)} must stay free, but {_size(free)} are free in {store.folder};"
            " delete runs or give another folder with --runs."
        )


def disk_warning(store: RunStore, guessed: int) -> str:
    """The warning that a run may fill the disk, by an estimate that is no reason to refuse it;
    empty if `guessed` bytes and SPARE_DISK are free."""
    free = _free(store)
    if free >= guessed + SPARE_DISK:
        return ""
    return (
        f"This may need about {_size(guessed)} of disk space, but {_size(free)} are free in"
        f" {store.folder}; the need was not measured here."
    )


def _free(store: RunStore) -> int:
    there = next(p for p in (store.folder, *store.folder.parents) if p.is_dir())
    return shutil.disk_usage(there).free


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"
