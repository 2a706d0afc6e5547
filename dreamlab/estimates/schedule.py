"""When the runs of an experiment end, if they are started as the engine does."""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Sequence

from dreamlab.engine.slots import Slots, slots_needed
from dreamlab.store.machine import Device


@dataclasses.dataclass(frozen=True)
class Job:
    """A run that takes `seconds` on `count` devices of a sort ("auto", "cpu" or "cuda"), after the
    jobs `needs` (places in the list) have ended."""

    kind: str
    seconds: float
    memory_bytes: int = 0
    device: str = "auto"
    needs: tuple[int, ...] = ()
    count: int = 1


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Seconds until the last job has ended, seconds that CUDA devices are in use (summed over
    them), and the most memory that jobs use at the same time."""

    seconds: float
    gpu_seconds: float
    memory_bytes: int


def outcome(jobs: Sequence[Job], devices: Sequence[Device]) -> Outcome:
    """Starts the jobs in their order on these devices, as `Engine._schedule` does: a job that does
    not fit now keeps its devices for itself, so that no later job gets them."""
    slots, now, most = Slots(list(devices)), 0.0, 0
    waiting, ended = list(range(len(jobs))), set[int]()
    running: list[tuple[float, int]] = []
    busy: dict[str, list[tuple[float, float]]] = {}
    while waiting or running:
        taken: set[str] = set()
        for i in list(waiting):
            job = jobs[i]
            if not ended.issuperset(job.needs):
                continue
            allowed = slots.fitting(job.device)
            fits = [
                d
                for d in allowed
                if d.name not in taken and slots.free(d) >= slots_needed(job.kind, d)
            ]
            count = job.count if fits and fits[0].name != "cpu" else 1
            if len(fits) < count:
                taken |= {d.name for d in allowed}
                continue
            slots.take(str(i), fits[:count], job.kind)
            for device in fits[:count]:
                busy.setdefault(device.name, []).append((now, now + job.seconds))
            heapq.heappush(running, (now + job.seconds, i))
            waiting.remove(i)
        most = max(most, sum(jobs[i].memory_bytes for _, i in running))
        if not running:
            break  # a job needs one that is not in the list, or a device that is not there
        now, last = heapq.heappop(running)
        slots.release(str(last))
        ended.add(last)
    gpu = sum(union(spans) for name, spans in busy.items() if name != "cpu")
    return Outcome(now, gpu, most)


def union(spans: Sequence[tuple[float, float]]) -> float:
    """Length of the union of intervals, given by start and end."""
    total, end = 0.0, 0.0
    for start, stop in sorted(spans):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total
