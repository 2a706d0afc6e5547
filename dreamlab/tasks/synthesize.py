"""Task `synthesize`: a labelled image set from a trained generator, class by class."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dreamlab.data import imageset
from dreamlab.spec import SpecError, SynthesizeSpec
from dreamlab.spec.facts import check_sampling
from dreamlab.store import RunError, read_json, write_bytes, write_json
from dreamlab.tasks.context import Stopped, TaskContext, TaskError
from dreamlab.tasks.devices import prepare
from dreamlab.tasks.generator import Generator, load_generator

GRID, GRID_COLUMNS = "samples/grid.png", 16
PARTIAL, PARTIAL_DONE = "partial.npy", "partial.json"
SAVE_EVERY = 10.0
"""Seconds between two looks at the disk: what a killed worker loses."""


def synthesize(ctx: TaskContext) -> Iterator[dict[str, Any]]:
    """Samples images.npy and labels.npy; a stopped or killed run goes on after the images that it has."""
    spec = ctx.spec
    if not isinstance(spec, SynthesizeSpec):
        raise TaskError(f"{ctx.run.id} is not a synthesize run.")
    try:
        generator = load_generator(ctx.store.get(spec.source).path, prepare(ctx.device))
        check_sampling(spec.num_steps, spec.classes, generator.spec.num_train_timesteps, generator.classes)
    except (RunError, SpecError) as error:
        raise TaskError(str(error)) from None
    (ctx.run.path / "samples").mkdir(exist_ok=True)
    classes = spec.classes or tuple(range(generator.classes))
    labels = np.repeat(np.array(classes, np.int64), spec.per_class)
    indices = np.tile(np.arange(spec.per_class), len(classes))
    images, done, before = _open_partial(
        ctx.run.path, (len(labels), generator.image_size, generator.image_size, generator.channels)
    )
    start = saved = time.perf_counter()
    first = done
    while done < len(labels):
        if ctx.stopping():
            _save_partial(ctx.run.path, images, done, before + time.perf_counter() - start)
            raise Stopped
        part = slice(done, done + spec.batch_size)
        images[part] = _sample(generator, spec, labels[part], indices[part])
        done = min(done + spec.batch_size, len(labels))
        now = time.perf_counter()
        yield {
            "type": "progress", "step": done, "total": len(labels), "unit": "images", "text": "sampling",
            "eta_seconds": round((now - start) / (done - first) * (len(labels) - done), 1),
        }  # fmt: skip
        if now - saved > SAVE_EVERY:
            _save_partial(ctx.run.path, images, done, before + now - start)
            saved = now
    seconds = before + time.perf_counter() - start
    imageset.save(ctx.run.path, np.asarray(images), labels)
    for name in (PARTIAL, PARTIAL_DONE):
        (ctx.run.path / name).unlink(missing_ok=True)
    yield _grid(ctx.run.path, images, len(classes), spec.per_class)
    values = {
        "images": len(labels), "seconds": round(seconds, 3), "images_per_second": len(labels) / seconds,
        "guidance_weight": spec.guidance_weight, "guidance_scale": 1 + spec.guidance_weight, "num_steps": spec.num_steps,
        "sampler": spec.sampler, "network_calls": generator.network_calls(spec.guidance_weight, spec.num_steps), "grid": GRID,
    }  # fmt: skip
    yield {"type": "result", "values": values}


def _sample(generator: Generator, spec: SynthesizeSpec, labels: np.ndarray, indices: np.ndarray) -> np.ndarray:
    return generator.images(
        labels.tolist(), indices.tolist(), spec.seed,
        guidance_weight=spec.guidance_weight, num_steps=spec.num_steps, sampler=spec.sampler,
    )  # fmt: skip


def _open_partial(run: Path, shape: tuple[int, int, int, int]) -> tuple[np.ndarray, int, float]:
    """The images as a file in memory, how many of them are done, and the seconds they took."""
    known, path = read_json(run / PARTIAL_DONE), run / PARTIAL
    if isinstance(known, dict) and path.exists():
        images = np.load(path, mmap_mode="r+", allow_pickle=False)
        if images.shape == shape:
            return images, int(known["done"]), float(known["seconds"])
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape), 0, 0.0


def _save_partial(run: Path, images: np.ndarray, done: int, seconds: float) -> None:
    if isinstance(images, np.memmap):
        images.flush()
    write_json(run / PARTIAL_DONE, {"done": done, "seconds": seconds})


def _grid(run: Path, images: np.ndarray, classes: int, per_class: int) -> dict[str, Any]:
    """The first images of every class as a lossless grid, one class a row."""
    cols = min(GRID_COLUMNS, per_class)
    first = np.asarray(images).reshape(classes, per_class, *images.shape[1:])[:, :cols]
    write_bytes(run / GRID, imageset.png(imageset.sheet(first.reshape(-1, *images.shape[1:]), cols)))
    return {
        "type": "image", "step": len(images), "name": "grid", "path": GRID, "rows": classes, "cols": cols,
        "caption": f"the first {cols} of {per_class:,} images per class",
    }  # fmt: skip
