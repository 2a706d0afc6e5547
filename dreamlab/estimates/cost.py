"""What a run costs: time, memory and disk space, and how they are written."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Literal

Source = Literal["probe", "history", "arithmetic"]
SOURCES: dict[Source, str] = {
    "probe": "from a few steps measured on this machine",
    "history": "from a similar finished run on this machine",
    "arithmetic": "from the size of the network; not measured on this machine yet",
}
"""Where the time of an estimate comes from, the most reliable first, and in words."""
GUESSED = 0.1
"""Share of the time of an experiment that may be a guess before the whole is called one."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Estimated seconds, bytes, parameters, steps and images; None if unknown. `source` is "probe",
    "history" (a finished run) or "arithmetic", which is a guess. `sure_bytes` is the part of
    `disk_bytes` that rests on no guess; only this part may refuse a run."""

    seconds: float | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    parameters: int | None = None
    steps: int | None = None
    images_seen: int | None = None
    source: Source = "arithmetic"
    sure_bytes: int = 0
    gpu_seconds: float | None = None
    """Seconds that CUDA devices are in use, summed over them; None if unknown or without one."""
    seed_seconds: float | None = None
    """For an experiment with classifiers: seconds of one more seed of each; None if unknown."""
    machine: str = ""
    """The machine that was described, if it is not this one."""
    on_gpu: bool = False
    """Whether it runs on a CUDA device; `memory_bytes` is then memory of that device."""

    @property
    def images_per_second(self) -> float | None:
        """Images per second; None if either number is unknown."""
        return self.images_seen / self.seconds if self.images_seen and self.seconds else None

    @property
    def text(self) -> str:
        """Time, speed, memory, disk space and parameters as far as they are known, in one line."""
        parts = []
        if self.seconds is not None:
            parts.append(f"about {duration(self.seconds)}")
        if self.steps and self.images_per_second:
            rate = self.images_per_second
            parts.append(
                f"{self.steps:,} steps at {rate:,.0f} images/s"
                if rate >= 10
                else f"{self.steps:,} steps at {rate:.2g} images/s"
            )
        if self.memory_bytes is not None:
            of = "GPU memory" if self.on_gpu else "memory"
            parts.append(f"{self.memory_bytes / 1e9:.1f} GB {of}")
        if self.disk_bytes is not None:
            parts.append(f"{max(self.disk_bytes / 1e6, 1):,.0f} MB disk")
        if self.gpu_seconds:
            parts.append(f"{self.gpu_seconds / 3600:.2g} GPU-hours")
        if self.seed_seconds is not None:
            parts.append(f"one more seed about {duration(self.seed_seconds)}")
        text = ", ".join(parts)
        text += f"; {self.parameters:,} parameters" if self.parameters is not None else ""
        return text + (f"; {self.doubt}" if text and self.doubt else "")

    @property
    def origin(self) -> str:
        """Where the time comes from, in words."""
        if not self.machine:
            return SOURCES[self.source]
        known = self.seconds is not None and self.source != "arithmetic"
        return f"{'stored measurements' if known else 'not measured'}: {self.machine}"

    @property
    def doubt(self) -> str:
        """What the time lacks: "not measured here" for a guess, and which machine it is of;
        empty for a measured time of this machine."""
        if self.machine:
            return self.origin
        return "not measured here" if self.source == "arithmetic" else ""

    def as_dict(self) -> dict[str, Any]:
        """The estimate under the keys that result files use, for the command line."""
        return {
            "parameters": self.parameters,
            "steps": self.steps,
            "images_seen": self.images_seen,
            "seconds": self.seconds,
            "images_per_second": self.images_per_second,
            "peak_memory_bytes": self.memory_bytes,
            "disk_bytes": self.disk_bytes,
            "gpu_hours": None if self.gpu_seconds is None else self.gpu_seconds / 3600,
            "seconds_of_one_more_seed": self.seed_seconds,
            "source": self.source,
            **({"machine": self.machine} if self.machine else {}),
        }


def weakest(parts: Iterable[tuple[float | None, Source]]) -> Source:
    """The source of a sum of times, from (seconds, source) of its parts: a guess if more than the
    share GUESSED of it is one, or if a part is not known."""
    listed = list(parts)
    if any(seconds is None for seconds, _ in listed):
        return "arithmetic"
    total = {s: sum(t or 0.0 for t, of in listed if of == s) for s in SOURCES}
    whole = sum(total.values())
    if total["arithmetic"] > GUESSED * whole:
        return "arithmetic"
    return "history" if total["history"] > GUESSED * whole else "probe"


def duration(seconds: float) -> str:
    """A time in words: '40 s', '3 min 20 s', '2 h 5 min' or '3 days 4 h'."""
    s = max(1, round(seconds))
    if s < 100:
        return f"{s} s"
    if s < 3600:
        return f"{s // 60} min" + (f" {s % 60} s" if s % 60 and s < 600 else "")
    if s < 48 * 3600:
        return f"{s // 3600} h {s % 3600 // 60} min"
    return f"{s // 86400} days {s % 86400 // 3600} h"
