"""The metrics of a synthetic set class by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from dreamlab.fidelity.metrics import LEVEL, Metric, compute, fewest_for_infinite
from dreamlab.fidelity.strata import UNKNOWN
from dreamlab.tasks.context import Stopped, TaskContext
from dreamlab.tasks.threads import for_features

FEWEST = 20
"""Fewest images of a class, synthetic and real, for its metrics."""


def needed(metric: Metric, dimensions: int) -> int:
    """Fewest images of a class for a metric: a Frechet distance needs one for each feature."""
    of_features = {"fd": dimensions, "fd_infinite": fewest_for_infinite(dimensions)}
    return max(FEWEST, of_features.get(metric.measure, 0))


def per_class(
    ctx: TaskContext,
    wanted: Sequence[Metric],
    x: np.ndarray,
    y: np.ndarray,
    labels: tuple[np.ndarray, np.ndarray],
    classes: Sequence[str],
) -> dict[str, list[dict[str, Any]]]:
    """Metric -> for each class its name, the numbers of synthetic (`n`) and real images
    (`reference_n`), and value, low and high; these are None where there are too few images.

    Of features x (n, d) against y (m, d) with the class numbers `labels` of both. Raises Stopped.
    """
    found: dict[str, list[dict[str, Any]]] = {m.name: [] for m in wanted}
    for c, name in enumerate(classes):
        own, real = x[labels[0] == c], y[labels[1] == c]
        few = min(len(own), len(real))
        able = [m for m in wanted if few >= needed(m, x.shape[1])]
        if ctx.stopping():
            raise Stopped
        with threadpool_limits(for_features(x.shape[1], ctx.threads)):
            values = compute(able, own, real, lambda _, make: make(), UNKNOWN)
        for metric in wanted:
            value = values.get(metric.name)
            found[metric.name].append(
                {
                    "class": name,
                    "n": len(own),
                    "reference_n": len(real),
                    "value": _finite(value.mean) if value else None,
                    "low": _finite(value.low) if value else None,
                    "high": _finite(value.high) if value else None,
                    "level": LEVEL,
                }
            )
    return found


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
