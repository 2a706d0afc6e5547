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
START_SECONDS = 0.5
"""Time until a worker works."""


@dataclasses.dataclass(frozen=True)
class Knowledge:
    """What is known from a machine. `find` returns measured costs, `history` are finished runs, the
    newest first, and `done` returns the id of a finished run of the same spec, or None."""

    store: RunStore
    find: FindCost
    history: Sequence[Run]
    machine: Machine
    done: Callable[[Spec], str | None] = lambda spec: None

    def guess(self, seconds: float, device: str) -> float | None:
        """A time by arithmetic, from that on two CPU cores; None for a run on a CUDA device, of
        which only measurements know anything."""
        return None if self.machine.uses_cuda(device) else seconds

    def threads(self, kind: str, device: str) -> int:
        """CPU threads of a worker for this kind of run, as the engine gives them."""
        cuda = self.machine.uses_cuda(device)
        on = next(d for d in self.machine.devices if (d.name != "cpu") == cuda)
        return threads_for(kind, on, self.machine.cores)


def added(*seconds: float | None) -> float | None:
    """The sum; None if one of them is not known."""
    return None if None in seconds else sum(s for s in seconds if s is not None)
