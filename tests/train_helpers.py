"""What the tests of training share: a tiny spec, and trainers of it."""

from __future__ import annotations

from typing import Any

from dreamlab.data import catalog
from dreamlab.settings import TrainSpec, make
from dreamlab.tasks.train.trainer import Trainer
from tests.task_helpers import CPU

TINY: dict[str, Any] = {
    "dataset": "digits",
    "base_width": 8,
    "batch_size": 16,
    "steps": 12,
    "precision": "fp32",
}


def trainer(
    *, ranks: Any = None, source: Any = None, resident: bool | None = None, **values: Any
) -> Trainer:
    """A trainer of a tiny spec on the 8x8 digits."""
    spec = make(TrainSpec, {**TINY, **values})
    return Trainer(
        spec, catalog.load(spec.dataset), CPU, source=source, ranks=ranks, resident=resident
    )


def steps(t: Trainer, n: int, precision: str = "fp32") -> list[float]:
    """Takes n steps of a run of 12; returns the losses."""
    return [float(t.step(t.step_count / 12, precision)) for _ in range(n)]
