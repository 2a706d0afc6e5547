"""Frechet distance and KID of a synthetic set against real images, with the same distances of other real images."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Iterator
from typing import Any, cast

import numpy as np
from threadpoolctl import threadpool_limits

from dreamlab.data import catalog, imageset
from dreamlab.fidelity.extractors import ClassifierExtractor, Extractor, ExtractorError, InceptionExtractor
from dreamlab.fidelity.frechet import Statistics, frechet_interval, statistics
from dreamlab.fidelity.kid import kid
from dreamlab.spec import FidelitySpec, SynthesizeSpec, TrainSpec
from dreamlab.store import RunError
from dreamlab.store.cache import array_hash
from dreamlab.tasks.context import Stopped, TaskContext, TaskError, resize_message
from dreamlab.tasks.reference import reference_classifier

Event = dict[str, Any]
NAMES = {"classifier": ("fd_classifier", "kid_classifier"), "inception": ("fid", "kid")}
FEWEST = 10
"""Images below which a distance says nothing."""


@dataclasses.dataclass(frozen=True)
class Sets:
    """What is compared: synthetic images with labels, and the real split that is the reference; `floor` is other real
    images. `made_at` is the side of the synthetic ones before they were resized to that of the real ones, `labelled`
    whether their labels are classes."""

    data: catalog.DataSet
    images: np.ndarray
    labels: np.ndarray
    reference: np.ndarray
    floor: np.ndarray
    made_at: int
    labelled: bool


def fidelity(ctx: TaskContext) -> Iterator[Event]:
    """Features come from the cache where the same images met the same extractor before."""
    began = time.monotonic()
    spec = cast(FidelitySpec, ctx.spec)
    sets = _sets(ctx, spec)
    if sets.made_at != sets.data.info.size:
        yield resize_message(sets.made_at, sets.data.info.size)
    extractor, accuracy = yield from _extractor(ctx, spec, sets.data)
    synthetic = yield from features(ctx, extractor, sets.images, "the synthetic images")
    reference = yield from features(ctx, extractor, sets.reference, "the reference")
    other = yield from features(ctx, extractor, sets.floor, "other real images")
    yield _progress(1, 2, "comparing", "distances")
    metrics = _metrics(ctx, extractor, synthetic, reference)
    for metric in metrics:
        yield {"type": "metric", "step": len(sets.images), "values": {metric["name"]: metric["value"]}}
    if ctx.stopping():
        raise Stopped
    real_floor = _metrics(ctx, extractor, other, reference)
    recognised = None
    if isinstance(extractor, ClassifierExtractor) and sets.labelled:
        recognised = float((extractor.predict(synthetic) == sets.labels).mean())
    yield {"type": "result", "values": {
        "metrics": metrics,
        "images": len(sets.images),
        "reference": {"dataset": sets.data.info.name, "split": spec.reference, "images": len(sets.reference)},
        "extractor": {"name": extractor.name, "accuracy": accuracy, "dimensions": extractor.dimensions, "id": extractor.id},
        "recognised": recognised,
        "real_floor": real_floor,
        "real_floor_images": len(sets.floor),
        "seconds": round(time.monotonic() - began, 3),
    }}  # fmt: skip


def _sets(ctx: TaskContext, spec: FidelitySpec) -> Sets:
    try:
        run = ctx.store.get(spec.images)
        made = run.spec
        if not isinstance(made, SynthesizeSpec):
            raise TaskError(f"{run.id} is a {run.kind} run; a synthetic set is needed.")
        trained = cast(TrainSpec, ctx.store.get(made.source).spec)
        data = catalog.load(trained.dataset, trained.data_dir)
        images, labels = imageset.load(run.path)
    except (RunError, catalog.DataError) as error:
        raise TaskError(str(error)) from None
    except (OSError, ValueError) as error:
        raise TaskError(f"The images of {spec.images} cannot be read: {error}.") from None
    if len(images) < FEWEST:
        raise TaskError(
            f"The synthetic set has {len(images)} images; a distance needs at least {FEWEST}, and says little below 1,000."
        )
    made_at = images.shape[1]
    images = np.asarray(imageset.resized(images, data.info.size))
    parts = {"test": data.test_images, "train": data.train_images}
    other = parts["train" if spec.reference == "test" else "test"]
    # as many as there are synthetic ones: a distance falls with the number of images, so only equal numbers compare
    drawn = np.random.default_rng(0).permutation(len(other))[: len(images)]
    floor = other[np.sort(drawn)]
    return Sets(data, images, labels, parts[spec.reference], floor, made_at, trained.conditional)


def _extractor(
    ctx: TaskContext, spec: FidelitySpec, data: catalog.DataSet
) -> Generator[Event, None, tuple[Extractor, float | None]]:
    if spec.extractor == "classifier":
        return (yield from reference_classifier(ctx, data))
    yield _progress(0, 1, "loading Inception-v3", "images")
    try:
        return InceptionExtractor(spec.inception_weights, ctx.device), None
    except ExtractorError as error:
        raise TaskError(str(error)) from None


def features(ctx: TaskContext, extractor: Extractor, images: np.ndarray, of: str) -> Generator[Event, None, np.ndarray]:
    """Features (n, dimensions) float32, cached under the extractor's id and the images' content. Raises Stopped."""
    key = f"features/{extractor.id}/{array_hash(images)}"
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
            yield _progress(
                done, len(images), f"features of {of}", "images", (len(images) - done) * (now - began) / done
            )
    together = np.concatenate(parts)
    if not np.isfinite(together).all():
        raise TaskError(f"The {extractor.name} gives features that are not finite for {of}.")
    ctx.cache.put(key, features=together)
    return together


def _kept_statistics(ctx: TaskContext, extractor: Extractor, reference: np.ndarray) -> Statistics:
    key = f"statistics/{extractor.id}/{array_hash(reference)}"
    found = ctx.cache.get(key)
    if found is not None:
        return Statistics(found["mean"], float(found["trace"]), found["root"])
    made = statistics(reference)
    ctx.cache.put(key, mean=made.mean, trace=np.asarray(made.trace), root=made.root)
    return made


def _metrics(ctx: TaskContext, extractor: Extractor, x: np.ndarray, y: np.ndarray) -> list[dict[str, Any]]:
    """Both distances with intervals; a pair of sets that was compared before is not compared again."""
    fd, mmd = NAMES[extractor.name]
    key = f"distances/{extractor.id}/{array_hash(x, y)}"
    found = ctx.cache.get(key)
    if found is None:
        with threadpool_limits(ctx.threads):  # numpy's own threads would fight those of other workers
            intervals = frechet_interval(x, y, of_y=_kept_statistics(ctx, extractor, y)), kid(x, y)
        found = {"values": np.array([[i.mean, i.low, i.high] for i in intervals])}
        ctx.cache.put(key, **found)
    rows = zip((fd, mmd), found["values"].tolist(), strict=True)
    return [{"name": name, "value": value, "low": low, "high": high, "unit": ""} for name, (value, low, high) in rows]


def _progress(step: int, total: int, text: str, unit: str, eta: float | None = None) -> Event:
    return {
        "type": "progress",
        "step": step,
        "total": total,
        "unit": unit,
        "eta_seconds": None if eta is None else round(eta, 1),
        "text": text,
    }
