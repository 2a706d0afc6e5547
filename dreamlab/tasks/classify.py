"""One classifier recipe on one mix over several seeds; every seed's predictions are kept under a key of their own."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import time
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_f1_score

from dreamlab.classifiers.networks import outputs
from dreamlab.data import catalog, imageset, mixing, splits
from dreamlab.spec import ClassifySpec
from dreamlab.stats import over_seeds
from dreamlab.store import write_bytes
from dreamlab.store.cache import array_hash
from dreamlab.tasks.context import Stopped, TaskContext, TaskError, resize_message
from dreamlab.tasks.fitting import Fit, Recipe

Event = dict[str, Any]
RECIPE_VERSION = 1
"""Part of every cache key: raised when the training loop changes what it computes."""


@dataclasses.dataclass(frozen=True)
class Mix:
    """What an arm may draw from, and how many of each class. Images uint8 (N, H, W, C), labels int64 (N,). `made_at` is
    the side of the synthetic images before they were resized to that of the real ones; 0 where they were not."""

    real_images: np.ndarray
    real_labels: np.ndarray
    synthetic_images: np.ndarray
    synthetic_labels: np.ndarray
    counts: list[mixing.Counts]
    made_at: int = 0

    def draw(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The training images and labels of one seed, real ones first, in the order of the sources."""
        real = _draw(self.real_labels, [c.real for c in self.counts], seed)
        synthetic = _draw(self.synthetic_labels, [c.synthetic for c in self.counts], seed)
        images = np.concatenate([self.real_images[real], np.asarray(self.synthetic_images[synthetic])])
        return images, np.concatenate([self.real_labels[real], self.synthetic_labels[synthetic]])

    @property
    def size(self) -> int:
        return sum(c.real + c.synthetic for c in self.counts)


def _draw(labels: np.ndarray, per_class: list[int], seed: int) -> np.ndarray:
    parts = []
    for c, wanted in enumerate(per_class):
        members = np.flatnonzero(labels == c)
        parts.append(members[mixing.draw(labels[members], wanted, seed)] if wanted else members[:0])
    return np.sort(np.concatenate(parts))


def classify(ctx: TaskContext) -> Iterator[Event]:
    """Trains the missing seeds, one after the other; a stop ends after the step, and finished seeds are kept."""
    began = time.monotonic()
    spec = cast(ClassifySpec, ctx.spec)
    try:
        data = catalog.load(spec.dataset, spec.data_dir)
        mix = mixed(ctx, spec, data)
    except catalog.DataError as error:
        raise TaskError(str(error)) from None
    if mix.made_at:
        yield resize_message(mix.made_at, data.info.size)
    recipe = Recipe(spec.classifier, _steps(spec, mix.size), spec.batch_size, spec.learning_rate)
    test = array_hash(data.test_images, data.test_labels)
    done: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}
    cached = 0
    for seed in range(spec.seeds):
        images, labels = mix.draw(seed)
        key = seed_key(recipe, seed, test, images, labels)
        found = ctx.cache.get(key)
        cached += found is not None
        if found is None:
            found = yield from _fit(ctx, recipe, seed, spec.seeds, images, labels, data)
            if found is None:
                break
            ctx.cache.put(key, **found)
        scores = score(found["predicted"], data.test_labels, len(data.info.classes))
        done.append(scores)
        arrays[f"seed_{seed}_class"] = found["predicted"]
        arrays[f"seed_{seed}_probability"] = found["probability"]
        values = {"accuracy": scores["accuracy"], "macro_f1": scores["macro_f1"], "seconds": float(found["seconds"])}
        yield {"type": "metric", "step": seed, "values": values}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(ctx.run.path / "predictions.npz", buffer.getvalue())
    yield {"type": "result", "values": _result(spec, mix, recipe, data, done, cached, time.monotonic() - began)}
    if len(done) < spec.seeds:
        raise Stopped


def mixed(ctx: TaskContext, spec: ClassifySpec, data: catalog.DataSet) -> Mix:
    """The pools and counts of an arm. Raises TaskError where the synthetic set does not fit or is too small."""
    classes = len(data.info.classes)
    try:
        pool = splits.subset(data.train_labels, spec.images_per_class, spec.subset_seed)
        labels = data.train_labels[pool]
        counts = [mixing.counts(spec.arm, int(n)) for n in np.bincount(labels, minlength=classes)]
    except ValueError as error:
        raise TaskError(f"{data.info.title}: {error}.") from None
    synthetic_images = data.train_images[:0]
    synthetic_labels = data.train_labels[:0]
    made_at = 0
    if any(c.synthetic for c in counts):
        if not spec.synthetic:
            raise TaskError(f"Arm {spec.arm} needs synthetic images: name a synthetic set (--synthetic).")
        try:
            synthetic_images, synthetic_labels = imageset.load(ctx.store.get(spec.synthetic).path)
        except (OSError, ValueError) as error:
            raise TaskError(f"The synthetic set {spec.synthetic} cannot be read: {error}.") from None
        if synthetic_images.shape[3] != data.info.channels:
            raise TaskError(
                f"The synthetic set {spec.synthetic} has {synthetic_images.shape[3]} colour channels, {data.info.title} has"
                f" {data.info.channels}; choose a set of the same data."
            )
        made_at = 0 if synthetic_images.shape[1] == data.info.size else synthetic_images.shape[1]
        synthetic_images = imageset.resized(synthetic_images, data.info.size)
        for c, held in enumerate(np.bincount(synthetic_labels, minlength=classes)[:classes]):
            if held < counts[c].synthetic:
                raise TaskError(
                    f"The synthetic set {spec.synthetic} has {held} images of class {c}, arm {spec.arm} needs {counts[c].synthetic}."
                )
    return Mix(data.train_images[pool], labels, synthetic_images, synthetic_labels, counts, made_at)


def seed_key(recipe: Recipe, seed: int, test: str, images: np.ndarray, labels: np.ndarray) -> str:
    """The cache key of one seed: everything that its predictions depend on, the images by their content."""
    settings = [RECIPE_VERSION, dataclasses.asdict(recipe), seed, test, array_hash(images, labels)]
    return "classify/" + hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:32]


def score(predicted: np.ndarray, labels: np.ndarray, classes: int) -> dict[str, Any]:
    """Accuracy, macro-F1 and the accuracy of every class, 0 to 1."""
    p, y = torch.from_numpy(predicted.astype(np.int64)), torch.from_numpy(labels.copy())
    return {
        "accuracy": float((p == y).double().mean()),
        "macro_f1": float(multiclass_f1_score(p, y, num_classes=classes, average="macro")),
        "per_class": [float(a) for a in multiclass_accuracy(p, y, num_classes=classes, average=None)],
    }


def _steps(spec: ClassifySpec, images: int) -> int:
    return spec.steps if spec.budget == "steps" else max(1, round(spec.epochs * images / spec.batch_size))


def _fit(
    ctx: TaskContext,
    recipe: Recipe,
    seed: int,
    seeds: int,
    images: np.ndarray,
    labels: np.ndarray,
    data: catalog.DataSet,
) -> Iterator[Event]:
    """Trains one seed and gives its predictions, or None where a stop came first."""
    classes, began, said = len(data.info.classes), time.monotonic(), 0.0
    fit = Fit(recipe, images, labels, classes, seed, ctx.device)
    for step in fit:
        if ctx.stopping():
            return None
        now = time.monotonic()
        if now - said > 0.5 or step == recipe.steps:
            said = now
            left = (seeds - seed) * recipe.steps - step
            yield {
                "type": "progress", "step": seed * recipe.steps + step, "total": seeds * recipe.steps, "unit": "steps",
                "eta_seconds": round(left * (now - began) / step, 1), "text": f"seed {seed + 1} of {seeds}",
            }  # fmt: skip
    probabilities = torch.cat([p for _, p in outputs(fit.network, data.test_images, ctx.device)])
    best = probabilities.max(1)
    return {
        "predicted": best.indices.numpy().astype(np.uint8 if classes <= 256 else np.int16),
        "probability": best.values.numpy().astype(np.float16),
        "seconds": np.asarray(time.monotonic() - began),
    }


def _result(
    spec: ClassifySpec, mix: Mix, recipe: Recipe, data: catalog.DataSet, done: list[dict[str, Any]], cached: int, seconds: float
) -> dict[str, Any]:  # fmt: skip
    accuracies, macro = [s["accuracy"] for s in done], [s["macro_f1"] for s in done]
    images = len(data.test_labels)
    return {
        "arm": spec.arm,
        "label": mixing.label(spec.arm),
        "counts": {"real": sum(c.real for c in mix.counts), "synthetic": sum(c.synthetic for c in mix.counts)},
        "counts_per_class": {"real": [c.real for c in mix.counts], "synthetic": [c.synthetic for c in mix.counts]},
        "seeds": list(range(len(done))),
        "accuracies": accuracies,
        "macro_f1": macro,
        "interval": over_seeds(accuracies, images),
        "macro_f1_interval": over_seeds(macro, images),
        "per_class": [float(x) for x in np.mean([s["per_class"] for s in done], axis=0)] if done else [],
        "test_images": images,
        "steps": recipe.steps,
        "epochs": recipe.steps * recipe.batch_size / mix.size,
        "seconds": round(seconds, 3),
        "cached_seeds": cached,
    }
