"""The reference classifier of a data set: trained here once on all its real training images, then kept in the cache."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from filelock import FileLock, Timeout
from torch import Tensor

from dreamlab.classifiers.networks import CLASSIFIERS, Classifier, outputs
from dreamlab.data import catalog
from dreamlab.fidelity.extractors import ClassifierExtractor
from dreamlab.store.cache import array_hash
from dreamlab.tasks.context import Stopped, TaskContext
from dreamlab.tasks.fitting import Fit, Recipe

Event = dict[str, Any]
VERSION = 1
"""Part of the cache key: raised when the training below changes."""
RECIPES = {"cifar10": Recipe("cnn", 4000, 64, 4e-3)}
DEFAULT_RECIPE = Recipe("cnn", 600, 64, 4e-3)


def shift(x: Tensor, noise: torch.Generator) -> Tensor:
    """Moves every image (N, C, H, W) by up to 2 pixels (1 below 16 pixels) each way; the edge is repeated."""
    most = 2 if x.shape[-1] >= 16 else 1
    padded = F.pad(x, (most, most, most, most), mode="replicate")
    moves = torch.randint(0, 2 * most + 1, (len(x), 2), generator=noise, device=x.device)
    rows = torch.arange(x.shape[2], device=x.device)[None] + moves[:, :1]
    columns = torch.arange(x.shape[3], device=x.device)[None] + moves[:, 1:]
    each = torch.arange(len(x), device=x.device)[:, None, None]
    # indexing channels-last memory gathers whole pixels and keeps the layout
    return padded.permute(0, 2, 3, 1)[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def shift_and_flip(x: Tensor, noise: torch.Generator) -> Tensor:
    """For photographs: `shift`, and half of the images mirrored."""
    flipped = torch.rand(len(x), generator=noise, device=x.device) < 0.5
    return torch.where(flipped[:, None, None, None], shift(x, noise).flip(3), shift(x, noise))


AUGMENTS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {"cifar10": shift_and_flip}


def reference_classifier(
    ctx: TaskContext, data: catalog.DataSet
) -> Generator[Event, None, tuple[ClassifierExtractor, float]]:
    """Yields progress while it trains; returns the extractor and its accuracy on the real test images.

    Raises Stopped. One run trains, others of the same folder wait for it: all must compare with the same network.
    """
    name = data.info.name
    recipe = RECIPES.get(name, DEFAULT_RECIPE)
    content = json.dumps([VERSION, name, repr(recipe), array_hash(data.train_images, data.train_labels)])
    key = "reference/" + hashlib.sha256(content.encode()).hexdigest()[:32]
    found = ctx.cache.get(key)
    if found is None:
        lock = FileLock(ctx.store.folders.engine / f"{key.replace('/', '-')}.lock")
        yield from _acquire(ctx, lock)
        try:
            found = ctx.cache.get(key)
            if found is None:
                found = yield from _train(ctx, data, recipe)
                ctx.cache.put(key, **found)
        finally:
            lock.release()
    network = CLASSIFIERS[recipe.classifier](data.info.channels, data.info.size, len(data.info.classes))
    network.load_state_dict({k: torch.from_numpy(v) for k, v in found.items() if k != "accuracy"})
    network.to(ctx.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ClassifierExtractor(network.eval(), ctx.device), float(found["accuracy"])


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


def _train(ctx: TaskContext, data: catalog.DataSet, recipe: Recipe) -> Generator[Event, None, dict[str, np.ndarray]]:
    augment = AUGMENTS.get(data.info.name, shift)
    fit = Fit(recipe, data.train_images, data.train_labels, len(data.info.classes), 0, ctx.device, augment)
    began, said = time.monotonic(), 0.0
    for step in fit:
        if ctx.stopping():
            raise Stopped
        now = time.monotonic()
        if now - said > 0.5:
            said = now
            yield {
                "type": "progress", "step": step, "total": recipe.steps, "unit": "steps",
                "eta_seconds": round((recipe.steps - step) * (now - began) / step, 1), "text": "training the reference classifier",
            }  # fmt: skip
    accuracy = accuracy_on_test(fit.network, data, ctx.device)
    yield {
        "type": "message",
        "level": "info",
        "text": f"Reference classifier: {100 * accuracy:.1f} % on {len(data.test_labels):,} real test images.",
    }
    state = {k: v.detach().cpu().contiguous().numpy() for k, v in fit.network.state_dict().items()}
    return {**state, "accuracy": np.asarray(accuracy)}


def accuracy_on_test(network: Classifier, data: catalog.DataSet, device: str) -> float:
    """Share of the real test images that it gets right."""
    predicted = torch.cat([p.argmax(1) for _, p in outputs(network, data.test_images, device)]).numpy()
    return float((predicted == data.test_labels).mean())
