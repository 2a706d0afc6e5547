"""The values of metrics between two sets of features, cached by their content."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from dreamlab.fidelity.extractors import Classifying, Extractor, cache_key
from dreamlab.fidelity.jackknife import Resampled
from dreamlab.fidelity.metrics import NamedArrays, compute, measured_on, row
from dreamlab.fidelity.strata import UNKNOWN, Labels
from dreamlab.stats.left_out import NOTHING, LeftOut
from dreamlab.store.cache import array_hash
from dreamlab.tasks.context import TaskContext
from dreamlab.tasks.threads import for_features


def measured(
    ctx: TaskContext,
    extractor: Extractor,
    measures: Sequence[str],
    x: np.ndarray,
    y: np.ndarray,
    labels: Labels = UNKNOWN,
) -> list[dict[str, Any]]:
    """The metrics of these measures between features x (n, dimensions) of synthetic and y (m,
    dimensions) of real images with these classes: name, value, the low and high end of the
    interval, None if there are too few images for one, its level, unit, direction, its values
    without groups of images (`stats.left_out`), and extractor with its weights. What was measured
    before on the same two sets comes from the cache."""
    wanted, on = measured_on(extractor.name, measures), cache_key(extractor)
    of_classes = measured_on(extractor.name, measures, "classes")
    said = extractor.probabilities(x) if isinstance(extractor, Classifying) and of_classes else None
    wanted += of_classes if said is not None else []
    content = array_hash(x, y, *(part for part in labels if part is not None))
    key = f"values/{on}/{content}"
    known = _measured_before(ctx, key)
    if missing := [m for m in wanted if m.key not in known]:

        def kept(name: str, make: Callable[[], NamedArrays]) -> NamedArrays:
            return kept_arrays(ctx, f"{name}/{on}/{array_hash(y)}", make)

        # numpy would otherwise use all cores, also those of other workers
        with threadpool_limits(for_features(x.shape[1], ctx.threads)):
            found = compute([m for m in missing if m not in of_classes], x, y, kept, labels)
            if said is not None:
                found |= compute([m for m in missing if m in of_classes], said, y, kept, labels)
        for metric in missing:
            value = found[metric.name]
            left = value.left if isinstance(value, Resampled) else NOTHING
            known[metric.key] = np.array([value.mean, value.low, value.high]), left
        ctx.cache.put(key, **_packed(known))
    return [row(m, known[m.key][0], known[m.key][1], extractor.name, extractor.id) for m in wanted]


Known = dict[str, tuple[np.ndarray, LeftOut]]
"""Metric.key -> value with the ends of its interval (3,), and its values without groups of images
(`stats.left_out`)."""


def _packed(known: Known) -> dict[str, np.ndarray]:
    """As arrays for the cache; the values without groups are filled up with NaN."""
    longest = max(len(left[0]) for _, left in known.values())
    without = np.full((len(known), 2, longest), np.nan)
    for i, (_, left) in enumerate(known.values()):
        without[i, :, : len(left[0])] = left
    values = np.array([value for value, _ in known.values()])
    return {"keys": np.array(list(known)), "values": values, "left_out": without}


def _measured_before(ctx: TaskContext, key: str) -> Known:
    """What the cache holds of a pair of sets."""
    found = ctx.cache.get(key)
    if found is None:
        return {}
    left = [without[:, np.isfinite(without[0])] for without in found["left_out"]]
    return {
        name: (value, (without[0], without[1]))
        for name, value, without in zip(found["keys"].tolist(), found["values"], left, strict=True)
    }


def kept_arrays(ctx: TaskContext, key: str, make: Callable[[], NamedArrays]) -> NamedArrays:
    """The arrays that `make()` computes, from the cache if they are known."""
    found: NamedArrays | None = ctx.cache.get(key)
    if found is None:
        found = make()
        ctx.cache.put(key, **{name: np.asarray(array) for name, array in found.items()})
    return found
