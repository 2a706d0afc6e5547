"""What a fidelity run says of a set beside real images: the ratio to their distance, whether the
set is closer to the training images, and how it looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from dreamlab.fidelity.appearance import appearance, differences, look_of
from dreamlab.fidelity.gap import gap
from dreamlab.fidelity.metrics import METRICS
from dreamlab.fidelity.ratio import ratio
from dreamlab.stats import left_out
from dreamlab.stats.intervals import Interval
from dreamlab.tasks.context import TaskContext
from dreamlab.tasks.fidelity.sets import Sets
from dreamlab.tasks.threads import for_features

Rows = Sequence[dict[str, Any]]


def fdr(rows: Rows, floor: Rows) -> dict[str, Any] | None:
    """The Frechet distance among the metrics of a set, as a multiple of that among the metrics of
    as many real images; None if it was not measured on both."""
    real = {row["name"]: row for row in floor}
    for row in rows:
        if METRICS[row["name"]].measure == "fd" and row["name"] in real:
            other = real[row["name"]]
            left = [left_out.loaded(m["left_out"]) for m in (row, other)]
            found = ratio(row["value"], left[0], other["value"], left[1])
            return {"name": f"{row['name']} / real", **_stored(found)}
    return None


def memory_gap(
    ctx: TaskContext,
    sets: Sets,
    split: str,
    x: np.ndarray,
    reference: np.ndarray,
    floor: np.ndarray,
) -> dict[str, Any]:
    """How much closer the features x (n, d) are to those of training images than to those of
    held-out ones, which are the reference, of this split, and the other real images."""
    held_out, training = (reference, sets.reference_labels), (floor, sets.floor_labels)
    if split == "train":
        held_out, training = training, held_out
    labels = sets.labels if sets.labelled else None
    with threadpool_limits(for_features(x.shape[1], ctx.threads)):
        found = gap(x, held_out[0], training[0], (labels, held_out[1], training[1]))
    return _stored(found)


def looks(sets: Sets) -> dict[str, Any]:
    """How the images of the set and the real ones look, and the differences, each with what says
    how sure it is."""
    synthetic, real = look_of(sets.images), look_of(sets.reference)
    both = (sets.labels, sets.reference_labels) if sets.labelled else None
    differing = differences(synthetic, real, both)
    return {
        "real": appearance(real),
        "synthetic": appearance(synthetic),
        "difference": {name: _stored(found) for name, found in differing.items()},
    }


def _stored(found: Interval) -> dict[str, Any]:
    values = {"value": found.mean, "low": found.low, "high": found.high}
    return {k: v if np.isfinite(v) else None for k, v in values.items()} | {"level": found.level}
