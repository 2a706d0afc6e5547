"""The image set of one synthesize run: progress, resuming, preview images and the result."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dreamlab.data import imageset
from dreamlab.settings import SynthesizeSpec, TrainSpec
from dreamlab.store import RunError, read_json, write_bytes, write_json
from dreamlab.tasks.context import Stopped, TaskContext, TaskError
from dreamlab.tasks.generator import to_uint8
from dreamlab.tasks.near_copies import search_set
from dreamlab.tasks.synthesize.pipeline import Picture, Pipeline, load_pipeline, spread
from dreamlab.tasks.torch_device import prepare

Event = dict[str, Any]
GRID, GRID_COLUMNS = "samples/grid.png", 16
TRAJECTORY_COLUMNS = 8
PARTIAL, PARTIAL_DONE = "partial.npy", "partial.json"
SAVE_EVERY, REPORT_EVERY = 10.0, 0.5
"""Seconds between two saves, and between two progress reports within a batch. A killed worker loses
what it sampled since the last save."""


class SampledSet:
    """The images of one run, sorted by class. `done` is the number of finished images and `seconds`
    the time that they took. `found` are further values of the result, measured on the images."""

    def __init__(self, ctx: TaskContext, spec: SynthesizeSpec):
        self.ctx, self.spec = ctx, spec
        try:
            paths = {name: ctx.store.get(name).path for name in spec.references()}
        except RunError as error:
            raise TaskError(str(error)) from None
        known = read_json(ctx.run.path / PARTIAL_DONE)
        formats = known.get("formats", ()) if isinstance(known, dict) else ()
        self.pipeline: Pipeline = load_pipeline(
            paths.__getitem__, spec, prepare(ctx.device), formats=formats
        )
        (ctx.run.path / "samples").mkdir(exist_ok=True)
        self.found: dict[str, Any] = {}
        self.classes = self.all_classes()
        self.labels = np.repeat(np.array(self.classes, np.int64), spec.per_class)
        self.images, self.known = _open_partial(
            ctx.run.path, known, (len(self.labels), *self.pipeline.image_shape)
        )
        self.done, self.seconds = (
            int(self.known.get("done", 0)),
            float(self.known.get("seconds", 0.0)),
        )
        self._before, self._first = self.seconds, self.done
        self._began = self._saved = self._reported = time.perf_counter()

    def all_classes(self) -> tuple[int, ...]:
        """The classes of the set, in their order."""
        return self.spec.classes or tuple(range(self.pipeline.classes))

    def sample(self) -> Iterator[Event]:
        """Samples all images that are not finished, batch by batch. A stop takes effect within a
        batch; the images of that batch are lost."""
        indices = np.tile(np.arange(self.spec.per_class), len(self.classes))
        self.start_clock()
        while self.done < len(self.labels):
            part = slice(self.done, self.done + self.spec.batch_size)
            labels = self.labels[part].tolist()
            self.images[part] = yield from self.batch(labels, indices[part].tolist(), len(labels))
            yield from self.count(self.done + len(labels))

    def start_clock(self) -> None:
        """Starts measuring the sampling time."""
        self._began = self._saved = self._reported = time.perf_counter()

    def batch(
        self, labels: Sequence[int], indices: Sequence[int], worth: float
    ) -> Generator[Event, None, np.ndarray]:
        """Samples images, uint8 (N, H, W, C). `worth` is the number of them that are expected to be
        kept, for the progress report. Raises Stopped after saving."""
        for step in self.pipeline.frames(labels, indices):
            if self.ctx.stopping():
                self.save()
                raise Stopped
            if time.perf_counter() - self._reported > REPORT_EVERY and 0 < step.index < step.total:
                yield self.progress(worth * step.index / step.total)
        return to_uint8(step.x)

    def count(self, done: int) -> Iterator[Event]:
        """Sets the number of finished images, yields progress, and saves every few seconds."""
        self.done = done
        now = time.perf_counter()
        self.seconds = self._before + now - self._began
        yield self.progress(0)
        if now - self._saved > SAVE_EVERY:
            self._saved = now
            self.save()

    def progress(self, more: float) -> Event:
        """The progress event. `more` is the work on unfinished images, in images."""
        self._reported = time.perf_counter()
        reached, new = self.done + more, self.done + more - self._first
        left = (len(self.labels) - reached) * (self._reported - self._began) / new if new else None
        return {
            "type": "progress",
            "step": int(reached),
            "total": len(self.labels),
            "unit": "images",
            "text": "sampling",
            "eta_seconds": None if left is None else round(left, 1),
        }

    def save(self) -> None:
        """Saves the number of finished images, so that the next attempt can continue."""
        if isinstance(self.images, np.memmap):
            self.images.flush()
        write_json(
            self.ctx.run.path / PARTIAL_DONE,
            {
                "done": self.done,
                "seconds": self.seconds,
                "formats": self.pipeline.formats,
                **self.state(),
            },
        )

    def state(self) -> dict[str, Any]:
        """Further values that the next attempt needs."""
        return {}

    def firsts(self, cols: int) -> tuple[list[int], list[int]]:
        """Labels and indices of the first `cols` images of each class."""
        return [c for c in self.classes for _ in range(cols)], [
            i for _ in self.classes for i in range(cols)
        ]

    def trajectory(self) -> Iterator[Event]:
        """Yields pictures of x_t and of the predicted x0 for the first images of each class. These
        images are sampled once more, with the same result."""
        self.save()
        cols = min(TRAJECTORY_COLUMNS, self.spec.per_class)
        wanted = spread(0, self.pipeline.total, self.spec.trajectory)
        for picture in self.pipeline.pictures(*self.firsts(cols), wanted):
            if self.ctx.stopping():
                raise Stopped
            if picture is not None:
                yield self.picture(picture, "x_t", picture.x, cols)
                yield self.picture(picture, "x0", picture.x0, cols)

    def picture(self, picture: Picture, name: str, images: np.ndarray, cols: int) -> Event:
        """Writes one frame of the trajectory and returns its event."""
        path = f"samples/{name}-{picture.index:03d}.png"
        write_bytes(self.ctx.run.path / path, imageset.png(imageset.sheet(images, cols)))
        shown = "x_t" if name == "x_t" else "predicted x0"
        caption = f"{shown} after step {picture.index} of {picture.total}, t = {picture.t}"
        if not picture.index:
            caption = (
                f"x_T, pure noise, t = {picture.t}" if name == "x_t" else "nothing is predicted yet"
            )
        return {
            "type": "image",
            "step": picture.index,
            "name": name,
            "path": path,
            "rows": len(self.classes),
            "cols": cols,
            "caption": caption + (f", stage {picture.stage + 1}" if picture.stage else ""),
        }

    def finish(self) -> Iterator[Event]:
        """Writes the image set and its preview grid, and yields the result."""
        run = self.ctx.run.path
        imageset.save(run, np.asarray(self.images), self.labels)
        generator = self.ctx.store.get(self.spec.source).spec
        if isinstance(generator, TrainSpec):
            yield from search_set(self.ctx, run, generator.dataset, generator.data_dir)
        for name in (PARTIAL, PARTIAL_DONE):
            (run / name).unlink(missing_ok=True)
        yield _grid(run, self.images, len(self.classes), self.spec.per_class)
        yield {"type": "result", "values": {**self.result(), **self.found}}

    def result(self) -> dict[str, Any]:
        """The content of result.json."""
        spec, p, images = self.spec, self.pipeline, len(self.labels)
        return {
            "images": images,
            "seconds": round(self.seconds, 3),
            "images_per_second": images / self.seconds,
            "guidance_weight": spec.guidance_weight,
            "guidance_scale": 1 + spec.guidance_weight,
            "num_steps": spec.num_steps,
            "sampler": spec.sampler,
            "network_calls": p.network_calls,
            "grid": GRID,
            "image_size": p.image_shape[0],
            "channels": p.image_shape[2],
            "stages": len(p.models),
            "precision": p.precision,
            "device": str(p.models[0].device),
        }


def _open_partial(
    run: Path, known: Any, shape: tuple[int, int, int, int]
) -> tuple[np.ndarray, dict[str, Any]]:
    """The images as a memory-mapped file, and the values `known` of an earlier attempt if its
    images are still there."""
    path = run / PARTIAL
    if isinstance(known, dict) and path.exists():
        images = np.load(path, mmap_mode="r+", allow_pickle=False)
        if images.shape == shape:
            return images, known
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape), {}


def _grid(run: Path, images: np.ndarray, classes: int, per_class: int) -> Event:
    """Writes the first images of each class as one PNG, one class per row, and returns its
    event."""
    cols = min(GRID_COLUMNS, per_class)
    first = np.asarray(images).reshape(classes, per_class, *images.shape[1:])[:, :cols]
    write_bytes(
        run / GRID, imageset.png(imageset.sheet(first.reshape(-1, *images.shape[1:]), cols))
    )
    return {
        "type": "image",
        "step": len(images),
        "name": "grid",
        "path": GRID,
        "rows": classes,
        "cols": cols,
        "caption": f"the first {cols} of {per_class:,} images per class",
    }
