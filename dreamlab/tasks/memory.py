"""The search for the nearest real images of a synthetic set in pixels, in a worker: when it is
measured, and before the first classifier that leaves flagged images out."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any

import numpy as np
from filelock import FileLock

from dreamlab.checks import Known
from dreamlab.checks.synthetic_set import set_dataset
from dreamlab.data import imageset, memory, mixing, near_copies
from dreamlab.data.catalog import DataSet
from dreamlab.data.memory import PIXELS, Memory
from dreamlab.experiments.provenance import behind
from dreamlab.settings import ClassifySpec, RealData, make
from dreamlab.store import Run
from dreamlab.tasks.context import TaskContext, TaskError
from dreamlab.tasks.near_copies import searched

Event = dict[str, Any]


def seen_by(ctx: TaskContext, made: Run, data: DataSet, data_dir: str) -> tuple[np.ndarray, bool]:
    """(sorted indices (m,) of the training images that a synthetic set may have copied, whether
    these are known to be those of its generator). If they are not known, or of other data, all."""
    real = make(RealData, {"dataset": data.info.name, "data_dir": data_dir})
    saw = behind(made, real, near_copies.identity(data), ctx.store)
    if saw is None or not len(saw.own):
        return np.arange(len(data.train_labels)), False
    return saw.own, True


def in_set(
    ctx: TaskContext, made: Run, data: DataSet, data_dir: str
) -> Generator[Event, None, Memory]:
    """The neighbours of the images of a set in pixels. They are kept in its folder. Raises Stopped,
    and SpecError or OSError if it cannot be read."""
    found = memory.known(made.path, data)
    if found is not None:
        return found
    with FileLock(ctx.store.folders.engine / f"memory-{made.id}.lock"):
        found = memory.known(made.path, data)  # another worker may have searched meanwhile
        if found is not None:
            return found
        images, labels = imageset.load(made.path)
        _, labelled = set_dataset(Known(ctx.store), made.id, "images")
        pool, known = seen_by(ctx, made, data, data_dir)
        space = yield from searched(
            ctx,
            lambda: memory.in_pixels(images, data, pool),
            2 * len(images) + len(memory.held(len(data.test_labels))),
            "looking for the nearest real images",
        )
        found = Memory(
            near_copies.identity(data),
            labels if labelled else labels[:0],
            data.train_labels,
            data.test_labels,
            tuple(data.info.classes),
            len(pool),
            known,
            {PIXELS: space},
        )
        with contextlib.suppress(OSError):  # a folder that cannot be written is searched again
            memory.save(made.path, found)
    return found


def near_copies_of(
    ctx: TaskContext, spec: ClassifySpec, data: DataSet
) -> Generator[Event, None, np.ndarray]:
    """Sorted indices (n,) of the synthetic images that a classifier leaves out. Raises Stopped, and
    TaskError if the set cannot be read."""
    if not spec.without_near_copies:
        return mixing.NONE
    made = ctx.store.get(spec.synthetic)
    try:
        found = yield from in_set(ctx, made, data, spec.data_dir)
    except (OSError, ValueError) as error:
        raise TaskError(f"The synthetic set {made.id} cannot be read: {error}.") from None
    return found.left_out()
