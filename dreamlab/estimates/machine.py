"""The machine that an estimate is for: this one, or one that is described."""

from __future__ import annotations

import dataclasses
import functools
import json
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from dreamlab.settings import SpecError
from dreamlab.store.machine import CUDA_SLOTS, Device, cores, find_devices, memory

STORED = Path(__file__).with_name("stored.json")
"""Measurements of other machines: name of the machine -> key of the work -> cost. Made by
`python -m tests.make_stored_costs`."""
MOST_CORES, MOST_MEMORY, MOST_GPUS = 1024, 100_000, 64
EXAMPLE = "cores=16,memory=128,gpu=h100"


@dataclasses.dataclass(frozen=True)
class Machine:
    """Cores, memory in bytes and devices. `name` says which described machine it is; empty for this
    one. `gpu` is the name of its GPUs in lower case; empty without one."""

    cores: int
    memory_bytes: int
    devices: tuple[Device, ...]
    gpu: str = ""
    name: str = ""

    def uses_cuda(self, device: str) -> bool:
        """Whether a run with this setting of `device` is computed on a CUDA device here."""
        return device != "cpu" and bool(self.gpu)

    def key(self, device: str) -> str:
        """Under what measurements of this machine are kept."""
        part = self.gpu if self.uses_cuda(device) else f"{self.cores} cores"
        return part if self.name else f"{platform.node()}, {part}"

    def memory_warning(self, needed: int, device: str) -> str:
        """The warning that a run with this setting of `device` needs more memory than there is;
        empty if there is enough. On a GPU, a training whose batch does not fit is split until it
        does, so nothing is said."""
        if needed <= self.memory_bytes or self.uses_cuda(device):
            return ""
        there = f"{self.memory_bytes / 1e9:,.0f} GB"
        return f"This needs about {needed / 1e9:,.0f} GB of memory, but this machine has {there}."


@functools.cache
def here() -> Machine:
    """This machine. It is looked at once, because that takes a call of nvidia-smi."""
    devices = tuple(find_devices())
    gpu = _gpu_name() if len(devices) > 1 else ""
    return Machine(cores(), memory()["memory_total"], devices, gpu)


def _gpu_name() -> str:
    try:
        listing = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return "cuda"
    return gpu_name(listing.split("\n")[0]) or "cuda"


def gpu_name(said: str) -> str:
    """The short name of a GPU in lower case: "NVIDIA H100 80GB HBM3" is "h100", and "NVIDIA GeForce
    RTX 4090" is "rtx 4090"."""
    words = [
        w for w in re.split(r"[\s-]+", said.lower()) if w not in ("nvidia", "tesla", "geforce", "")
    ]
    last = next((i for i, word in enumerate(words) if re.search(r"\d", word)), 0)
    return " ".join(words[: last + 1])


def described(text: str) -> Machine:
    """The machine of a text such as EXAMPLE: cores, memory in GB, name of the GPU, and the number
    of GPUs. Raises SpecError."""
    limits = {"cores": MOST_CORES, "memory": MOST_MEMORY, "gpus": MOST_GPUS}
    found: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, _, value = (p.strip().lower() for p in part.partition("="))
        whole = value.isascii() and value.isdigit() and 1 <= int(value) <= limits.get(name, 0)
        if name in found or not (whole or name == "gpu" and value):
            raise _wrong(part)
        found[name] = value
    if not {"cores", "memory"} <= found.keys() or "gpus" in found and "gpu" not in found:
        raise _wrong(text)
    gpu = gpu_name(found.get("gpu", ""))
    count = int(found.get("gpus", "1")) if gpu else 0
    gpus = [Device(f"cuda:{i}", CUDA_SLOTS, str(i)) for i in range(count)]
    of = int(found["cores"])
    parts = [f"{of} cores", f"{found['memory']} GB", *([f"{count} x {gpu}"] if gpu else [])]
    return Machine(
        of, int(found["memory"]) * 10**9, (*gpus, Device("cpu", of)), gpu, ", ".join(parts)
    )


def _wrong(part: str) -> SpecError:
    return SpecError(
        f"Machine (--as-if): {part!r} cannot be used; give cores, memory in GB and, where there is"
        f" one, gpu (and gpus, their number), such as {EXAMPLE}.",
        "as_if",
    )


@functools.cache
def stored() -> dict[str, dict[str, dict[str, Any]]]:
    """The measurements of other machines."""
    if not STORED.exists():
        return {}
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(STORED.read_text(encoding="utf-8"))
    return found
