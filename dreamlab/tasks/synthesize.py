"""Task `synthesize`: a labelled image set from a trained generator, class by class."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dreamlab.data import imageset
from dreamlab.spec import SynthesizeSpec
from dreamlab.store import RunError, read_json, write_bytes, write_json
from dreamlab.tasks.context import Stopped, TaskContext, TaskError
from dreamlab.tasks.devices import prepare
from dreamlab.tasks.generator import to_uint8
from dreamlab.tasks.sampling import Picture, Pipeline, load_pipeline, spread

GRID, GRID_COLUMNS = "samples/grid.png", 16
TRAJECTORY_COLUMNS = 8
PARTIAL, PARTIAL_DONE = "partial.npy", "partial.json"
SAVE_EVERY, REPORT_EVERY = 10.0, 0.5
"""Seconds between two looks at the disk, what a killed worker loses; and between two reports within a batch."""


def synthesize(ctx: TaskContext) -> Iterator[dict[str, Any]]:
    """Samples images.npy and labels.npy; a stopped or killed run goes on after the images that it has."""
    if not isinstance(ctx.spec, SynthesizeSpec):
        raise TaskError(f"{ctx.run.id} is not a synthesize run.")
    work = _Set(ctx, ctx.spec)
    yield from work.sample()
    if ctx.spec.trajectory:
        yield from work.trajectory()
    yield from work.finish()


class _Set:
    """The images of one run, those that are done, and the seconds that they took."""

    def __init__(self, ctx: TaskContext, spec: SynthesizeSpec):
        self.ctx, self.spec = ctx, spec
        try:
            paths = {name: ctx.store.get(name).path for name in spec.references()}
        except RunError as error:
            raise TaskError(str(error)) from None
        self.pipeline: Pipeline = load_pipeline(paths.__getitem__, spec, prepare(ctx.device), ctx.cache)
        (ctx.run.path / "samples").mkdir(exist_ok=True)
        self.classes = spec.classes or tuple(range(self.pipeline.classes))
        self.labels = np.repeat(np.array(self.classes, np.int64), spec.per_class)
        self.indices = np.tile(np.arange(spec.per_class), len(self.classes))
        self.images, self.done, self.seconds = _open_partial(
            ctx.run.path, (len(self.labels), *self.pipeline.image_shape)
        )

    def sample(self) -> Iterator[dict[str, Any]]:
        """All images that are not done yet, a batch at a time. A stop ends within a batch, whose images are lost."""
        began = saved = reported = time.perf_counter()
        before, first = self.seconds, self.done
        while self.done < len(self.labels):
            part = slice(self.done, self.done + self.spec.batch_size)
            labels, indices = self.labels[part].tolist(), self.indices[part].tolist()
            for step in self.pipeline.frames(labels, indices):
                now = time.perf_counter()
                if self.ctx.stopping():
                    self.save()
                    raise Stopped
                share = len(labels) * step.index / step.total
                if now - reported > REPORT_EVERY and 0 < step.index < step.total:
                    reported = now
                    yield self.progress(share, (now - began) / (self.done + share - first))
            self.images[part] = to_uint8(step.x)
            self.done += len(labels)
            now = reported = time.perf_counter()
            self.seconds = before + now - began
            yield self.progress(0, (now - began) / (self.done - first))
            if now - saved > SAVE_EVERY:
                saved = now
                self.save()

    def progress(self, more: float, seconds_each: float) -> dict[str, Any]:
        """`more` images' worth of work beyond those that are done."""
        reached = self.done + more
        return {
            "type": "progress", "step": int(reached), "total": len(self.labels), "unit": "images", "text": "sampling",
            "eta_seconds": round(seconds_each * (len(self.labels) - reached), 1),
        }  # fmt: skip

    def save(self) -> None:
        """Keeps what is done for the next attempt."""
        if isinstance(self.images, np.memmap):
            self.images.flush()
        write_json(self.ctx.run.path / PARTIAL_DONE, {"done": self.done, "seconds": self.seconds})

    def trajectory(self) -> Iterator[dict[str, Any]]:
        """x_t and the predicted x0 of the first images of every class, sampled once more: they are the same images."""
        self.save()
        cols = min(TRAJECTORY_COLUMNS, self.spec.per_class)
        labels = [c for c in self.classes for _ in range(cols)]
        indices = [i for _ in self.classes for i in range(cols)]
        wanted = spread(0, self.pipeline.total, self.spec.trajectory)
        for picture in self.pipeline.pictures(labels, indices, wanted):
            if self.ctx.stopping():
                raise Stopped
            if picture is not None:
                yield self.picture(picture, "x_t", picture.x, cols)
                yield self.picture(picture, "x0", picture.x0, cols)

    def picture(self, picture: Picture, name: str, images: np.ndarray, cols: int) -> dict[str, Any]:
        """Writes one frame of the trajectory; returns its event."""
        path = f"samples/{name}-{picture.index:03d}.png"
        write_bytes(self.ctx.run.path / path, imageset.png(imageset.sheet(images, cols)))
        shown = "x_t" if name == "x_t" else "predicted x0"
        caption = f"{shown} after step {picture.index} of {picture.total}, t = {picture.t}"
        if not picture.index:
            caption = f"x_T, pure noise, t = {picture.t}" if name == "x_t" else "nothing is predicted yet"
        return {
            "type": "image", "step": picture.index, "name": name, "path": path, "rows": len(self.classes), "cols": cols,
            "caption": caption + (f", stage {picture.stage + 1}" if picture.stage else ""),
        }  # fmt: skip

    def finish(self) -> Iterator[dict[str, Any]]:
        """The set itself, its grid and the result."""
        run, spec, p = self.ctx.run.path, self.spec, self.pipeline
        imageset.save(run, np.asarray(self.images), self.labels)
        for name in (PARTIAL, PARTIAL_DONE):
            (run / name).unlink(missing_ok=True)
        yield _grid(run, self.images, len(self.classes), spec.per_class)
        images = len(self.labels)
        values = {
            "images": images, "seconds": round(self.seconds, 3), "images_per_second": images / self.seconds,
            "guidance_weight": spec.guidance_weight, "guidance_scale": 1 + spec.guidance_weight, "num_steps": spec.num_steps,
            "sampler": spec.sampler, "network_calls": p.network_calls, "grid": GRID, "image_size": p.image_shape[0],
            "channels": p.image_shape[2], "stages": len(p.models), "precision": p.precision, "device": str(p.models[0].device),
        }  # fmt: skip
        yield {"type": "result", "values": values}


def _open_partial(run: Path, shape: tuple[int, int, int, int]) -> tuple[np.ndarray, int, float]:
    """The images as a file in memory, how many of them are done, and the seconds they took."""
    known, path = read_json(run / PARTIAL_DONE), run / PARTIAL
    if isinstance(known, dict) and path.exists():
        images = np.load(path, mmap_mode="r+", allow_pickle=False)
        if images.shape == shape:
            return images, int(known["done"]), float(known["seconds"])
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape), 0, 0.0


def _grid(run: Path, images: np.ndarray, classes: int, per_class: int) -> dict[str, Any]:
    """The first images of every class as a lossless grid, one class a row."""
    cols = min(GRID_COLUMNS, per_class)
    first = np.asarray(images).reshape(classes, per_class, *images.shape[1:])[:, :cols]
    write_bytes(run / GRID, imageset.png(imageset.sheet(first.reshape(-1, *images.shape[1:]), cols)))
    return {
        "type": "image", "step": len(images), "name": "grid", "path": GRID, "rows": classes, "cols": cols,
        "caption": f"the first {cols} of {per_class:,} images per class",
    }  # fmt: skip
