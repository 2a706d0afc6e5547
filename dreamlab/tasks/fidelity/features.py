"""Features of images by an extractor, cached by their content."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import numpy as np

from dreamlab.fidelity.extractors import Extractor, ExtractorError, InceptionExtractor, cache_key
from dreamlab.settings import FidelitySpec
from dreamlab.store.cache import array_hash
from dreamlab.tasks.context import Stopped, TaskContext, TaskError
from dreamlab.tasks.fidelity.reference_classifier import reference_classifier
from dreamlab.tasks.fidelity.sets import Sets

Event = dict[str, Any]


def extractor_of(
    ctx: TaskContext, spec: FidelitySpec, sets: Sets
) -> Generator[Event, None, tuple[Extractor, float | None]]:
    if spec.extractor == "classifier":
        return (yield from reference_classifier(ctx, sets.data, sets.data_dir))
    yield progress(0, 1, "loading Inception-v3", "images")
    try:
        return InceptionExtractor(spec.inception_weights, ctx.device), None
    except ExtractorError as error:
        raise TaskError(str(error)) from None


def features(
    ctx: TaskContext, extractor: Extractor, images: np.ndarray, of: str
) -> Generator[Event, None, np.ndarray]:
    """Features (n, dimensions) float32. They are cached under the key of the extractor and the
    content of the images. Raises Stopped, and TaskError if features are not finite."""
    key = f"features/{cache_key(extractor)}/{array_hash(images)}"
    found = ctx.cache.get(key)
    if found is not None:
        return found["features"]
    parts: list[np.ndarray] = []
    done, said, began = 0, 0.0, time.monotonic()
    for batch in extractor.batches(images):
        if ctx.stopping():
            raise Stopped
        parts.append(batch)
        done += len(batch)
        now = time.monotonic()
        if now - said > 0.5:
            said = now
            yield progress(
                done,
                len(images),
                f"features of {of}",
                "images",
                (len(images) - done) * (now - began) / done,
            )
    together = np.concatenate(parts)
    if not np.isfinite(together).all():
        raise TaskError(f"The {extractor.name} gives features that are not finite for {of}.")
    ctx.cache.put(key, features=together)
    return together


def progress(step: int, total: int, text: str, unit: str, eta: float | None = None) -> Event:
    return {
        "type": "progress",
        "step": step,
        "total": total,
        "unit": unit,
        "eta_seconds": None if eta is None else round(eta, 1),
        "text": text,
    }
