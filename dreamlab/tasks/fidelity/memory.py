"""Memory of the training set: what a fidelity run measures of it, in pixels and in features."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Mapping
from typing import Any, cast

import numpy as np
from threadpoolctl import threadpool_limits

from dreamlab.data import memory, memory_report
from dreamlab.data.judge import MOST_IMAGES
from dreamlab.data.memory import PIXELS, Memory, Space
from dreamlab.data.nearest import Neighbours
from dreamlab.fidelity import memory as in_features
from dreamlab.fidelity.extractors import Extractor, cache_key
from dreamlab.fidelity.metrics import measured_on, row
from dreamlab.settings import FidelitySpec
from dreamlab.stats.intervals import Interval
from dreamlab.stats.left_out import NOTHING
from dreamlab.store.cache import array_hash
from dreamlab.tasks.context import Stopped, TaskContext
from dreamlab.tasks.fidelity.features import features, progress
from dreamlab.tasks.fidelity.measured import kept_arrays
from dreamlab.tasks.fidelity.reference_classifier import spread_over
from dreamlab.tasks.fidelity.sets import Sets
from dreamlab.tasks.memory import in_set, seen_by

Event = dict[str, Any]
MemoryFunction = Callable[[Memory], Mapping[str, Interval]]
"""The function of a metric against the training images: values by the names of metrics, without
those that cannot be said."""


def remembered(
    ctx: TaskContext, spec: FidelitySpec, extractor: Extractor, sets: Sets, synthetic: np.ndarray
) -> Generator[Event, None, tuple[list[dict[str, Any]], dict[str, Any]]]:
    """(metrics, {"memory"} for the result) of a set with the features `synthetic` (n, d); both
    empty if it is not to be measured. The neighbours of every image and a picture of the most
    suspicious ones are written into the folder of the run. Raises Stopped and TaskError."""
    if "memory" not in spec.metrics:
        return [], {}
    made = ctx.store.get(spec.images)
    pixels = yield from in_set(ctx, made, sets.data, sets.data_dir)
    pool, _ = seen_by(ctx, made, sets.data, sets.data_dir)
    space = yield from _space(ctx, extractor, sets, synthetic, pool)
    spaces = {PIXELS: pixels.spaces[PIXELS], extractor.name: space}
    found = dataclasses.replace(pixels, spaces=spaces)
    memory.save(ctx.run.path, found)
    memory_report.draw(ctx.run.path, found, sets.images, sets.data)
    return _rows(found, extractor, sets.data.info.name), {"memory": memory.summary(found)}


def _rows(found: Memory, extractor: Extractor, data: str) -> list[dict[str, Any]]:
    about = {"n": len(found.spaces[PIXELS].ratio), "reference": data, "role": "train"}
    wanted = measured_on(extractor.name, ("memory",), "training")
    values: dict[str, Interval] = {}
    for function in dict.fromkeys(metric.load() for metric in wanted):
        values |= cast(MemoryFunction, function)(found)
    listed = []
    for metric in wanted:
        if (value := values.get(metric.name)) is not None:
            pixels = metric.name == "memorised_pixels"
            of = (PIXELS, "") if pixels else (extractor.name, extractor.id)
            listed.append(row(metric, (value.mean, value.low, value.high), NOTHING, *of) | about)
    return listed


def _space(
    ctx: TaskContext, extractor: Extractor, sets: Sets, synthetic: np.ndarray, pool: np.ndarray
) -> Generator[Event, None, Space]:
    """The neighbours among the features of the training images `pool` (m,) and of the test
    images. Of a large data set, only a part of either is compared."""
    data = sets.data
    seen = pool[spread_over(data.train_labels[pool], MOST_IMAGES)]
    tested = spread_over(data.test_labels, MOST_IMAGES)
    some = memory.held(len(tested))

    def of(images: np.ndarray, words: str) -> Generator[Event, None, np.ndarray]:
        return (yield from features(ctx, extractor, np.ascontiguousarray(images), words))

    training = yield from of(_part(data.train_images, seen), "the training images")
    test = yield from of(_part(data.test_images, tested), "held-out images")
    mirrored = yield from of(sets.images[:, :, ::-1], "the mirrored images")
    held = data.test_images[tested[some]][:, :, ::-1]
    held_mirrored = yield from of(held, "mirrored held-out images")
    parts: list[Neighbours] = []
    for x, mirror, real in (
        (synthetic, mirrored, training),
        (synthetic, mirrored, test),
        (test[some], held_mirrored, training),
    ):
        yield progress(len(parts), 4, "comparing", "distances")
        if ctx.stopping():
            raise Stopped
        with threadpool_limits(ctx.threads):
            parts.append(in_features.neighbours(x, mirror, real))
    yield progress(3, 4, "comparing", "distances")
    key = f"own distances/{cache_key(extractor)}/{array_hash(training)}"
    with threadpool_limits(ctx.threads):
        own = kept_arrays(ctx, key, lambda: {"own": in_features.own_distances(training)})["own"]
        authentic = in_features.authentic(synthetic, training, own)
    return memory.space(
        dataclasses.replace(parts[0], index=seen[parts[0].index]),
        dataclasses.replace(parts[1], index=tested[parts[1].index]),
        tested[some],
        parts[2],
        authentic if len(training) > 1 else None,
    )


def _part(images: np.ndarray, index: np.ndarray) -> np.ndarray:
    return images if len(index) == len(images) else images[index]
