"""The values of metrics between two sets of features, cached by their content."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from dreamlab.fidelity.extractors import Extractor, cache_key
from dreamlab.fidelity.metrics import LEVEL, Metric, NamedArrays, compute, measured_on
from dreamlab.fidelity.strata import UNKNOWN, Labels
from dreamlab.store.cache import array_hash
from dreamlab.tasks.context import TaskContext


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
    interval, None if there are too few images for one, its level, unit, direction, and extractor
    with its weights. What was measured before on the same
    two sets comes from the cache."""
    wanted, on = measured_on(extractor.name, measures), cache_key(extractor)
    content = array_hash(x, y, *(part for part in labels if part is not None))
    key = f"distances/{on}/{content}"
    known = _measured_before(ctx, key)
    if missing := [m for m in wanted if m.key not in known]:

        def kept(name: str, make: Callable[[], NamedArrays]) -> NamedArrays:
            return kept_arrays(ctx, f"{name}/{on}/{array_hash(y)}", make)

        # numpy would otherwise use all cores, also those of other workers
        with threadpool_limits(ctx.threads):
            found = compute(missing, x, y, kept, labels)
        for metric in missing:
            value = found[metric.name]
            known[metric.key] = [value.mean, value.low, value.high]
        ctx.cache.put(key, values=np.array(list(known.values())), keys=np.array(list(known)))
    return [row(m, known[m.key], extractor.name, extractor.id) for m in wanted]


def row(metric: Metric, value: Sequence[float], extractor: str, weights: str) -> dict[str, Any]:
    """A metric in a result, with its value and the ends of its interval."""
    names = ("value", "low", "high")
    return {
        "name": metric.name,
        **{k: v if np.isfinite(v) else None for k, v in zip(names, value, strict=True)},
        "unit": metric.unit,
        "level": LEVEL,
        "direction": metric.direction,
        "extractor": extractor,
        "weights": weights,
    }


def _measured_before(ctx: TaskContext, key: str) -> dict[str, list[float]]:
    """Metric.key -> [value, low, high] from the cache entry of a pair of sets."""
    found = ctx.cache.get(key)
    if found is None:
        return {}
    return dict(zip(found["keys"].tolist(), found["values"].tolist(), strict=True))


def kept_arrays(ctx: TaskContext, key: str, make: Callable[[], NamedArrays]) -> NamedArrays:
    """The arrays that `make()` computes, from the cache if they are known."""
    found: NamedArrays | None = ctx.cache.get(key)
    if found is None:
        found = make()
        ctx.cache.put(key, **{name: np.asarray(array) for name, array in found.items()})
    return found
