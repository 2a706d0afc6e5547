"""Features of images by an extractor, cached by their content."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np

from dreamlab.fidelity.extractors import Extractor, ExtractorError, cache_key
from dreamlab.fidelity.loading import load
from dreamlab.settings import FidelitySpec
from dreamlab.store.cache import array_hash
from dreamlab.tasks.context import Stopped, TaskContext, TaskError
from dreamlab.tasks.fidelity.own_classifier import own_extractor
from dreamlab.tasks.fidelity.reference_classifier import reference_classifier
from dreamlab.tasks.fidelity.sets import Sets

Event = dict[str, Any]


BLOCK = 1024
"""Images whose features are stored at once, so that a stopped extraction goes on from there.
Batches end with a block, stopped or not, so that both give the same features."""


def extractor_of(
    ctx: TaskContext, spec: FidelitySpec, sets: Sets
) -> Generator[Event, None, tuple[Extractor, float | None]]:
    """The extractor of a spec, and its accuracy on the real test images, 0 to 1, if it is a
    classifier and this is known. Raises Stopped, and TaskError if its weights cannot be used."""
    if spec.extractor == "classifier":
        return (yield from reference_classifier(ctx, sets.data, sets.data_dir))
    if spec.extractor == "own":
        return (yield from own_extractor(ctx, spec, sets))
    yield progress(0, 1, f"loading the extractor {spec.extractor}", "images")
    path = spec.inception_weights if spec.extractor == "inception" else spec.extractor_dir
    try:
        return load(spec.extractor, path, ctx.device), None
    except ExtractorError as error:
        raise TaskError(str(error)) from None


def described(extractor: Extractor, spec: FidelitySpec, accuracy: float | None) -> dict[str, Any]:
    """An extractor in a result. `resize` is empty where images keep their size; `run` is there for
    a classifier of the user."""
    return {
        "name": extractor.name,
        "accuracy": accuracy,
        "dimensions": extractor.dimensions,
        "id": extractor.id,
        "resize": extractor.resize,
        **({"run": spec.classifier} if spec.extractor == "own" else {}),
    }


def features(
    ctx: TaskContext, extractor: Extractor, images: np.ndarray, of: str
) -> Generator[Event, None, np.ndarray]:
    """Features (n, dimensions) float32. They are cached under the key of the extractor and the
    content of the images, and block by block until all are there. Raises Stopped, and TaskError if
    features are not finite."""
    key = f"features/{cache_key(extractor)}/{array_hash(images)}"
    found = ctx.cache.get(key)
    if found is not None:
        return found["features"]
    starts = range(0, len(images), BLOCK)
    clock = _Clock(len(images), f"features of {of}")
    parts = []
    for start in starts:
        kept = ctx.cache.get(f"{key}/{start}")
        if kept is None:
            part = yield from _block(ctx, extractor, images[start : start + BLOCK], clock)
            if not np.isfinite(part).all():
                raise TaskError(
                    f"The {extractor.name} gives features that are not finite for {of}."
                )
            if len(starts) > 1:
                ctx.cache.put(f"{key}/{start}", features=part)
        else:
            part = kept["features"]
            clock.known(len(part))
        parts.append(part)
    together = np.concatenate(parts)
    ctx.cache.put(key, features=together)
    for start in starts:
        ctx.cache.remove(f"{key}/{start}")
    return together


def _block(
    ctx: TaskContext, extractor: Extractor, images: np.ndarray, clock: _Clock
) -> Generator[Event, None, np.ndarray]:
    parts: list[np.ndarray] = []
    for batch in extractor.batches(images):
        if ctx.stopping():
            raise Stopped
        parts.append(batch)
        yield from clock.computed(len(batch))
    return np.concatenate(parts)


class _Clock:
    """Says how far an extraction is, twice a second."""

    def __init__(self, total: int, text: str):
        self.total, self.text = total, text
        self.done, self.own, self.said, self.began = 0, 0, 0.0, time.monotonic()

    def known(self, images: int) -> None:
        """These images were done before."""
        self.done += images

    def computed(self, images: int) -> Iterator[Event]:
        """These images are done now. Yields progress."""
        self.done, self.own, now = self.done + images, self.own + images, time.monotonic()
        if now - self.said > 0.5:
            self.said = now
            left = (self.total - self.done) * (now - self.began) / self.own
            yield progress(self.done, self.total, self.text, "images", left)


def progress(step: int, total: int, text: str, unit: str, eta: float | None = None) -> Event:
    return {
        "type": "progress",
        "step": step,
        "total": total,
        "unit": unit,
        "eta_seconds": None if eta is None else round(eta, 1),
        "text": text,
    }
