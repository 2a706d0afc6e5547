"""Task classify: trains one classifier per seed on one arm. The predictions of each seed are
cached."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import time
from collections.abc import Generator, Iterator
from typing import Any, cast

import numpy as np
import torch
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_confusion_matrix,
    multiclass_f1_score,
)

from dreamlab.classifiers.base import Classifier
from dreamlab.classifiers.networks import build, outputs, parameters
from dreamlab.data import catalog, mixing
from dreamlab.data.imageset import ImageSource
from dreamlab.settings import ClassifySpec
from dreamlab.stats import cell, correct, macro_f1
from dreamlab.store import write_bytes
from dreamlab.store.cache import array_hash
from dreamlab.tasks.classify.kept import keep, kept_file
from dreamlab.tasks.classify.training import Fit, Recipe
from dreamlab.tasks.classify.training_set import Drawn, TrainingSet, mixed
from dreamlab.tasks.context import Stopped, TaskContext, TaskError, resize_message
from dreamlab.tasks.image_sources import JoinedImages
from dreamlab.tasks.memory import near_copies_of
from dreamlab.tasks.near_copies import before_classifiers

Event = dict[str, Any]
RECIPE_VERSION = 2
"""Part of every cache key. Increase it when the training loop or the stored values change."""
TOP = 5
"""Number of most probable classes that are stored, if there are more classes than this."""


@dataclasses.dataclass(frozen=True)
class PreparedArm:
    """Everything that all seeds of a run share."""

    spec: ClassifySpec
    data: catalog.DataSet
    mix: TrainingSet
    recipe: Recipe

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.data.info.classes)


def classify(ctx: TaskContext) -> Iterator[Event]:
    """Trains the seeds that are not cached, one after the other. A stop takes effect after the
    current step; finished seeds are kept."""
    began = time.monotonic()
    spec = cast(ClassifySpec, ctx.spec)
    try:
        data = catalog.load(spec.dataset, spec.data_dir)
        yield from before_classifiers(ctx, spec, data)
        copies = yield from near_copies_of(ctx, spec, data)
        mix = mixed(ctx, spec, data, copies)
    except catalog.DataError as error:
        raise TaskError(str(error)) from None
    if mix.made_at:
        yield resize_message(mix.made_at, data.info.size)
    work = PreparedArm(spec, data, mix, Recipe.of(spec, mix.size))
    done: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}
    cached = 0
    for seed in range(spec.seeds):
        drawn = mix.draw(seed)
        key = seed_key(work, seed, drawn)
        found = ctx.cache.get(key)
        # the weights are not cached, so a seed whose weights are wanted is trained for them
        if seed == 0 and spec.keep_weights and not kept_file(ctx.run).exists():
            found = None
        cached += found is not None
        if found is None:
            found = yield from _fit(ctx, work, seed, drawn)
            if found is None:
                break
            ctx.cache.put(key, **found)
        scores = score(found, data.test_labels, work.classes)
        done.append(scores)
        arrays |= {
            f"seed_{seed}_{name}": found[name]
            for name in ("class", "probability", "top5")
            if name in found
        }
        values = {name: scores[name] for name in ("accuracy", "macro_f1", "seconds")}
        yield {"type": "metric", "step": seed, "values": values}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(ctx.run.path / "predictions.npz", buffer.getvalue())
    yield {"type": "result", "values": _result(work, done, cached, time.monotonic() - began)}
    if len(done) < spec.seeds:
        raise Stopped


def seed_key(work: PreparedArm, seed: int, drawn: Drawn) -> str:
    """The cache key of one seed. It is computed from everything that the predictions depend on;
    images enter by their content."""
    aside = array_hash(work.mix.roles.validation)
    settings = [RECIPE_VERSION, dataclasses.asdict(work.recipe), seed, drawn.identity, aside]
    return (
        "classify/" + hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:32]
    )


def score(found: dict[str, np.ndarray], labels: np.ndarray, classes: int) -> dict[str, Any]:
    """Metrics of one seed on the test images, 0 to 1, and the confusion matrix with true classes in
    its rows. `labels` is (n,). `top5` and `validation` are None if they do not apply."""
    p, y = torch.from_numpy(found["class"].astype(np.int64)), torch.from_numpy(np.array(labels))
    top5 = float((found["top5"] == labels[:, None]).any(1).mean()) if "top5" in found else None
    return {
        "accuracy": float((p == y).double().mean()),
        "macro_f1": float(multiclass_f1_score(p, y, num_classes=classes, average="macro")),
        "per_class": [
            float(a) for a in multiclass_accuracy(p, y, num_classes=classes, average=None)
        ],
        "confusion": multiclass_confusion_matrix(p, y, num_classes=classes).numpy(),
        "top5": top5,
        "validation": float(found["validation"]) if "validation" in found else None,
        "seconds": float(found["seconds"]),
        "class": found["class"],
    }


def _fit(
    ctx: TaskContext, work: PreparedArm, seed: int, drawn: Drawn
) -> Generator[Event, None, dict[str, np.ndarray] | None]:
    """Trains one seed and returns its predictions, or None if the run was stopped."""
    steps, seeds = work.recipe.steps, work.spec.seeds
    began, said = time.monotonic(), 0.0
    fit = Fit(work.recipe, drawn.images, drawn.labels, work.classes, seed, ctx.device)
    for step in fit:
        if ctx.stopping():
            return None
        now = time.monotonic()
        if now - said > 0.5 or step == steps:
            said = now
            left = (seeds - seed) * steps - step
            yield {
                "type": "progress",
                "step": seed * steps + step,
                "total": seeds * steps,
                "unit": "steps",
                "eta_seconds": round(left * (now - began) / step, 1),
                "text": f"seed {seed + 1} of {seeds}",
            }
    if seed == 0 and work.spec.keep_weights:
        keep(ctx.run, fit.network, work.spec, work.data.info)
    found = _predictions(fit.network, work.data.test_images, ctx.device)
    aside = work.mix.roles.validation
    if len(aside):
        guessed = _predictions(
            fit.network, JoinedImages([(work.data.train_images, aside)]), ctx.device
        )["class"]
        found["validation"] = np.asarray((guessed == work.data.train_labels[aside]).mean())
    return {**found, "seconds": np.asarray(time.monotonic() - began)}


def _predictions(network: Classifier, images: ImageSource, device: str) -> dict[str, np.ndarray]:
    """For each image: the predicted class, its probability, and the five most probable classes if
    there are more than five."""
    at_once = (
        500 if parameters(network) < 10**6 else 100
    )  # deep networks need much more memory per image
    probabilities = torch.cat([p for _, p in outputs(network, images, device, at_once)])
    best, classes = probabilities.max(1), probabilities.shape[1]
    small = np.uint8 if classes <= 256 else np.int16
    found = {
        "class": best.indices.numpy().astype(small),
        "probability": best.values.numpy().astype(np.float16),
    }
    if classes > TOP:
        found["top5"] = probabilities.topk(TOP).indices.numpy().astype(small)
    return found


def _left_out(spec: ClassifySpec, mix: TrainingSet) -> dict[str, Any]:
    """Which images of the synthetic set were left out as near-copies, if that was asked for."""
    if not spec.without_near_copies:
        return {}
    images = {"images": mix.left_out.tolist(), "of": len(mix.synthetic_labels)}
    return {"left_out": {"run": spec.synthetic, **images}}


def _result(
    work: PreparedArm, done: list[dict[str, Any]], cached: int, seconds: float
) -> dict[str, Any]:
    spec, mix, recipe, info = work.spec, work.mix, work.recipe, work.data.info
    of_each = {
        name: [s[name] for s in done] for name in ("accuracy", "macro_f1", "top5", "validation")
    }
    truth, predicted = work.data.test_labels, np.array([s["class"] for s in done])
    with torch.device("meta"):
        network = build(recipe.classifier, info.channels, info.size, work.classes)
    per_class = {sort: mix.total(sort) for sort in ("real", "synthetic", "other")}
    return {
        "arm": spec.arm,
        "label": mixing.label(spec.arm, info.classes),
        "counts": {sort: sum(counts) for sort, counts in per_class.items()},
        "counts_per_class": per_class,
        **_left_out(spec, mix),
        "seeds": list(range(len(done))),
        "accuracies": of_each["accuracy"],
        "macro_f1": of_each["macro_f1"],
        "top5": of_each["top5"] if work.classes > TOP else None,
        "validation": of_each["validation"] if len(mix.roles.validation) else None,
        "interval": cell(correct(predicted, truth)) if done else None,
        "macro_f1_interval": cell(macro_f1(predicted, truth, work.classes)) if done else None,
        "per_class": (
            [float(x) for x in np.mean([s["per_class"] for s in done], axis=0)] if done else []
        ),
        "confusion": (
            sum(
                (s["confusion"] for s in done), np.zeros((work.classes, work.classes), np.int64)
            ).tolist()
        ),
        "parameters": parameters(network),
        "test_images": len(truth),
        "steps": recipe.steps,
        "epochs": recipe.steps * recipe.batch_size / mix.size,
        "train_seconds": round(sum(s["seconds"] for s in done), 3),
        "seconds": round(seconds, 3),
        "cached_seeds": cached,
    }
