"""The reference classifier of a data set. It is trained once on real training images and then
cached."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout

from dreamlab.classifiers.base import Classifier
from dreamlab.classifiers.networks import build, outputs
from dreamlab.data import catalog
from dreamlab.data.judge import MOST_IMAGES, cache_key, recipe_of
from dreamlab.fidelity.extractors import ClassifierExtractor
from dreamlab.store.cache import shipped
from dreamlab.tasks.classify.training import Fit, Recipe
from dreamlab.tasks.context import Stopped, TaskContext
from dreamlab.tasks.image_sources import JoinedImages

Event = dict[str, Any]


def spread_over(labels: np.ndarray, most: int) -> np.ndarray:
    """Sorted indices of about `most` images: the same share of each class, at least one image of
    each. All of them if there are no more."""
    if len(labels) <= most:
        return np.arange(len(labels))
    rng, chosen = np.random.default_rng(0), []
    for c in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == c))
        chosen.append(members[: max(1, len(members) * most // len(labels))])
    return np.sort(np.concatenate(chosen))


def reference_classifier(
    ctx: TaskContext, data: catalog.DataSet, data_dir: str = "", pool: np.ndarray | None = None
) -> Generator[Event, None, tuple[ClassifierExtractor, float]]:
    """Yields progress while it trains. Returns the extractor and its accuracy on the real test
    images, 0 to 1.

    `pool` are sorted indices of the training images that it may use; None for all. Raises Stopped.
    If several runs need the same classifier, one trains it and the others wait, so that all use the
    same network.
    """
    recipe = Recipe(**dataclasses.asdict(recipe_of(data.info)))
    key = cache_key(data, data_dir, pool)
    found = _known(ctx, key)
    if found is None:
        lock = FileLock(ctx.store.folders.engine / f"{key.replace('/', '-')}.lock")
        yield from _acquire(ctx, lock)
        try:
            found = _known(ctx, key)
            if found is None:
                found = yield from _train(ctx, data, recipe, pool)
                ctx.cache.put(key, **found)
        finally:
            lock.release()
    network = build(recipe.classifier, data.info.channels, data.info.size, len(data.info.classes))
    network.load_state_dict({k: torch.from_numpy(v) for k, v in found.items() if k != "accuracy"})
    network.to(ctx.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ClassifierExtractor(network.eval(), ctx.device), float(found["accuracy"])


def _known(ctx: TaskContext, key: str) -> dict[str, np.ndarray] | None:
    """A classifier that was trained in this runs folder before, or one that comes with the demo."""
    return ctx.cache.get(key) or shipped(key)


def _acquire(ctx: TaskContext, lock: FileLock) -> Generator[Event, None, None]:
    said = False
    while True:
        try:
            lock.acquire(timeout=0.2)
            return
        except Timeout:
            if ctx.stopping():
                raise Stopped from None
        if not said:
            said = True
            yield {
                "type": "message",
                "level": "info",
                "text": "Waiting for another run that trains the reference classifier.",
            }


def _train(
    ctx: TaskContext, data: catalog.DataSet, recipe: Recipe, pool: np.ndarray | None
) -> Generator[Event, None, dict[str, np.ndarray]]:
    allowed = np.arange(len(data.train_labels)) if pool is None else pool
    index = allowed[spread_over(data.train_labels[allowed], MOST_IMAGES)]
    images = JoinedImages([(data.train_images, index)])
    fit = Fit(recipe, images, data.train_labels[index], len(data.info.classes), 0, ctx.device)
    began, said = time.monotonic(), 0.0
    for step in fit:
        if ctx.stopping():
            raise Stopped
        now = time.monotonic()
        if now - said > 0.5:
            said = now
            yield {
                "type": "progress",
                "step": step,
                "total": recipe.steps,
                "unit": "steps",
                "eta_seconds": round((recipe.steps - step) * (now - began) / step, 1),
                "text": "training the reference classifier",
            }
    accuracy, tested = accuracy_on_test(fit.network, data, ctx.device)
    yield {
        "type": "message",
        "level": "info",
        "text": f"Reference classifier: {100 * accuracy:.1f} % on {tested:,} real test images.",
    }
    state = {k: v.detach().cpu().contiguous().numpy() for k, v in fit.network.state_dict().items()}
    return {**state, "accuracy": np.asarray(accuracy)}


def accuracy_on_test(network: Classifier, data: catalog.DataSet, device: str) -> tuple[float, int]:
    """Accuracy on the real test images, 0 to 1, and the number of these images (at most
    MOST_IMAGES)."""
    index = spread_over(data.test_labels, MOST_IMAGES)
    probabilities = outputs(network, JoinedImages([(data.test_images, index)]), device)
    predicted = torch.cat([p.argmax(1) for _, p in probabilities]).numpy()
    return float((predicted == data.test_labels[index]).mean()), len(index)
