"""What is known from a machine before a run: its measured costs, and finished runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from dreamlab.engine.slots import threads_for
from dreamlab.estimates.machine import Machine
from dreamlab.estimates.work import FindCost
from dreamlab.settings import Spec
from dreamlab.store import Run, RunStore

PROCESS_BYTES = 550 * 2**20
"""Memory of a worker before it works."""
START_SECONDS, CUDA_START_SECONDS = 0.5, 3.0
"""Time until a worker works: on a CPU, and on a CUDA device, which it has to initialise (2 to 3
seconds on an H100)."""


@dataclasses.dataclass(frozen=True)
class Knowledge:
    """What is known from a machine. `find` returns measured costs, `history` are finished runs, the
    newest first, and `done` returns the id of a finished run of the same spec, or None."""

    store: RunStore
    find: FindCost
    history: Sequence[Run]
    machine: Machine
    done: Callable[[Spec], str | None] = lambda spec: None

    def start(self, device: str) -> float:
        """Seconds until the worker of a run with this setting of `device` works."""
        return CUDA_START_SECONDS if self.machine.uses_cuda(device) else START_SECONDS

    def guess(self, seconds: float, device: str) -> float | None:
        """A time by arithmetic, from that on two CPU cores; None for a run on a CUDA device, of
        which only measurements know anything."""
        return None if self.machine.uses_cuda(device) else seconds

    def threads(self, kind: str, device: str) -> int:
        """CPU threads of a worker for this kind of run, as the engine gives them; 0 on a CUDA
        device, where its time hardly depends on them."""
        if self.machine.uses_cuda(device):
            return 0
        on = next(d for d in self.machine.devices if d.name == "cpu")
        return threads_for(kind, on, self.machine.cores)


def added(*seconds: float | None) -> float | None:
    """The sum; None if one of them is not known."""
    return None if None in seconds else sum(s for s in seconds if s is not None)
