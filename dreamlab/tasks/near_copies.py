"""The search for near-copies of real images, in a worker: when a set is made or imported, and
before the first classifier for sets and data that were not searched yet."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from filelock import FileLock
from threadpoolctl import threadpool_limits

from dreamlab.checks import leaked_images
from dreamlab.data import catalog, imageset, near_copies, near_copies_report
from dreamlab.data.imageset import DataError
from dreamlab.data.near_copies import Copies, Limit, Search, T
from dreamlab.settings import ClassifySpec
from dreamlab.store.cache import user_cache
from dreamlab.tasks.context import Stopped, TaskContext

Event = dict[str, Any]


def search_set(
    ctx: TaskContext, folder: Path, dataset: str, data_dir: str
) -> Generator[Event, None, None]:
    """Searches a synthetic set, and writes what was found into its folder. Without the images of
    its data set, that is left to the first run that has them. Raises Stopped."""
    try:
        data = catalog.load(dataset, data_dir)
    except DataError as error:
        yield said(
            f"Near-copies of real images will be looked for before the first classifier: {error}",
            False,
        )
        return
    found = yield from _in_set(ctx, folder, data)
    yield said(near_copies_report.of_set(found, data.info.classes), found.leaks)


def said(text: str, warning: bool) -> Event:
    """The event that reports what was found."""
    return {"type": "message", "level": "warning" if warning else "info", "text": text}


def search_data(ctx: TaskContext, data: catalog.DataSet) -> Generator[Event, None, Copies]:
    """Searches within a data set. What was found is kept in the cache of the user. Raises
    Stopped."""
    found = near_copies.within(data)
    if found is not None:
        return found
    limit = yield from _limit(ctx, data, min(data.info.size, near_copies.LARGEST))

    def make() -> Search[Copies]:
        return near_copies.in_data(data, limit)

    images = (2 if len(data.test_images) > 1 else 1) * len(data.test_images)
    found = yield from searched(ctx, make, images, "looking for test images in the data")
    user_cache().put(near_copies.cache_key(data), **near_copies.packed(found))
    return found


def before_classifiers(
    ctx: TaskContext, spec: ClassifySpec, data: catalog.DataSet
) -> Generator[Event, None, None]:
    """Searches the data set, the synthetic set of a classifier, and the other finished sets of its
    experiment, unless that was done before. Raises SpecError if they contain too many near-copies
    of test images: no part of an experiment is trained if one of its sets leaks. Raises Stopped."""
    leaked_images.check_split(data, (yield from search_data(ctx, data)))
    for name in dict.fromkeys((*ctx.run.record.sets, *filter(None, (spec.synthetic,)))):
        run = ctx.store.get(name)
        found = yield from _in_set(ctx, run.path, data)
        leaked_images.check_found(found, run.id, "synthetic", data.info.classes)


def _in_set(
    ctx: TaskContext, folder: Path, data: catalog.DataSet
) -> Generator[Event, None, Copies]:
    found = near_copies.known(folder, data)
    if found is not None:
        return found
    with FileLock(ctx.store.folders.engine / f"near-copies-{folder.name}.lock"):
        found = near_copies.known(folder, data)  # another worker may have searched meanwhile
        if found is not None:
            return found
        images, labels = imageset.load(folder)
        limit = yield from _limit(ctx, data, near_copies.side_of(images, data))
        found = yield from searched(
            ctx,
            lambda: near_copies.in_set(images, data, limit, labels),
            2 * len(images),
            "looking for copies of real images",
        )
        with contextlib.suppress(OSError):  # a folder that cannot be written is searched again
            near_copies.save(folder, found)
            near_copies_report.draw_set(folder, found, images, data)
    return found


def _limit(ctx: TaskContext, data: catalog.DataSet, side: int) -> Generator[Event, None, Limit]:
    """The limit of a data set, from the cache of the user if it is known."""
    key, cache = f"{near_copies.cache_key(data)}/{side}", user_cache()
    known = cache.get(key)
    if known is not None:
        return near_copies.limit_of(known["limit"])
    found = yield from searched(
        ctx,
        lambda: near_copies.calibrated(data.train_images, data.test_images, side),
        4 * near_copies.HELD,
        "measuring how near real images are",
    )
    cache.put(key, limit=near_copies.limit_array(found))
    return found


def searched(
    ctx: TaskContext, make: Callable[[], Search[T]], images: int, text: str
) -> Generator[Event, None, T]:
    """Runs a search of about this number of images with the threads of the worker. Raises
    Stopped."""
    done, work = 0, make()
    while True:
        try:
            # numpy would otherwise use all cores, also those of other workers
            with threadpool_limits(ctx.threads):
                done += next(work)
        except StopIteration as end:
            result: T = end.value
            return result
        if ctx.stopping():
            work.close()
            raise Stopped
        yield {
            "type": "progress",
            "step": min(done, images),
            "total": images,
            "unit": "images",
            "eta_seconds": None,
            "text": text,
        }
