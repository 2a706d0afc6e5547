"""Task import: images from a folder, a ZIP, an .npz or a download become an image set that other
runs can use."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from typing import Any, cast

from dreamlab.data import catalog, near_copies, near_copies_report
from dreamlab.data.imageset import DataError
from dreamlab.data.importing.opening import check_source, open_source
from dreamlab.data.importing.source import Source
from dreamlab.data.importing.write import GRID, Progress, clean, import_images
from dreamlab.settings import ImportSpec
from dreamlab.tasks.context import Stopped, TaskContext, TaskError
from dreamlab.tasks.importing import downloads, hub
from dreamlab.tasks.near_copies import said, search_data, search_set

Event = dict[str, Any]


def import_task(ctx: TaskContext) -> Iterator[Event]:
    """Writes images.npy, labels.npy, card.json and samples/grid.png. A stopped import leaves none
    of them, and starts from the beginning when it is resumed."""
    spec = cast(ImportSpec, ctx.spec)
    try:
        clean(ctx.run.path)
        source = yield from _source(ctx, spec)
        found = len(source.listing.names)
        text = (
            f"{source.listing.title}: {found:,} files in {len(source.listing.classes):,} classes."
        )
        yield {"type": "message", "level": "info", "text": text}
        yield from _imported(ctx, spec, source)
    except DataError as error:
        raise TaskError(str(error)) from None


def _source(ctx: TaskContext, spec: ImportSpec) -> Generator[Event, None, Source]:
    """Opens the source that the spec names, after downloading it if necessary."""
    check_source(spec.source)
    scheme, _, name = spec.source.partition(":")
    if scheme == "torchvision":
        return (yield from downloads.torchvision(name, ctx.store.folders.cache, ctx.stopping))
    if scheme == "huggingface":
        return (
            yield from hub.huggingface(spec, ctx.store.folders.cache / "downloads", ctx.stopping)
        )
    return open_source(spec)


def _imported(ctx: TaskContext, spec: ImportSpec, source: Source) -> Iterator[Event]:
    began, text = time.monotonic(), ""
    work = import_images(source, spec, ctx.run.path, ctx.threads)
    try:
        while True:
            step = next(work)
            if ctx.stopping():
                raise Stopped
            if step.text != text:
                began, text = time.monotonic(), step.text
            yield _grid(step) if step.grid else _progress(step, time.monotonic() - began)
    except StopIteration as done:
        result = done.value
    finally:
        work.close()
    try:
        yield from _copies(ctx, spec)
    except Stopped:
        (ctx.run.path / catalog.CARD).unlink(missing_ok=True)
        clean(ctx.run.path)
        raise
    taken = result["images"]
    left = sum(result["left_out_counts"].values())
    if left:
        reasons = ", ".join(
            f"{count:,} {reason}" for reason, count in result["left_out_counts"].items()
        )
        yield {
            "type": "message",
            "level": "info",
            "text": f"{taken:,} images taken, {left:,} left out: {reasons}.",
        }
    yield {"type": "result", "values": result}


def _copies(ctx: TaskContext, spec: ImportSpec) -> Iterator[Event]:
    """Looks for near-copies of real images, and writes what it finds beside the images."""
    if spec.role == "synthetic":
        yield from search_set(ctx, ctx.run.path, spec.dataset, "")
    else:
        data = catalog.load(ctx.run.id)
        found = yield from search_data(ctx, data)
        near_copies.save(ctx.run.path, found)
        near_copies_report.draw_data(ctx.run.path, found, data)
        yield said(near_copies_report.of_data(found), found.splits_leak)


def _progress(step: Progress, seconds: float) -> Event:
    left = seconds / step.done * (step.total - step.done) if step.done else None
    return {
        "type": "progress",
        "step": step.done,
        "total": step.total,
        "unit": "images",
        "text": step.text,
        "eta_seconds": None if left is None else round(left, 1),
    }


def _grid(step: Progress) -> Event:
    rows, cols = step.grid or (0, 0)
    return {
        "type": "image",
        "step": step.total,
        "name": "grid",
        "path": GRID,
        "rows": rows,
        "cols": cols,
        "caption": f"the first {cols} training images of {rows} classes",
    }
