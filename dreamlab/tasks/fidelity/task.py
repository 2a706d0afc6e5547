"""Task fidelity: Frechet distance and KID between a synthetic set and real images. For comparison,
the same distances are computed for other real images."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, cast

import numpy as np
from threadpoolctl import threadpool_limits

from dreamlab.checks import Known
from dreamlab.checks.fidelity import check_fidelity, real_folder, validation_images
from dreamlab.checks.synthetic_set import set_dataset
from dreamlab.data import catalog, imageset
from dreamlab.data.judge import MOST_IMAGES
from dreamlab.experiments.provenance import labelled_by
from dreamlab.fidelity.extractors import (
    ClassifierExtractor,
    Extractor,
    ExtractorError,
    InceptionExtractor,
    cache_key,
)
from dreamlab.fidelity.metrics import LEVEL, OTHER_IMAGES, NamedArrays, compute, measured_on
from dreamlab.fidelity.strata import UNKNOWN, Labels
from dreamlab.settings import FidelitySpec
from dreamlab.store.cache import array_hash
from dreamlab.tasks.classify.training_set import set_images
from dreamlab.tasks.context import Stopped, TaskContext, TaskError, resize_message
from dreamlab.tasks.fidelity.per_class import per_class
from dreamlab.tasks.fidelity.reference_classifier import reference_classifier, spread_over

Event = dict[str, Any]
LUMA, AT_ONCE = np.array([0.299, 0.587, 0.114], np.float32), 4096
"""Weights of red, green and blue in the grey level (ITU-R BT.601), and number of images per
step."""


@dataclasses.dataclass(frozen=True)
class Sets:
    """The images to compare: synthetic ones with labels, and a real split as the reference.

    `floor` are images of the other real split, as many of each class as there are synthetic ones.
    There are none if it has too few of a class: `lacking` is then the class, their number in the
    set, and that in the other split.
    `made_at` is the side of the synthetic images before they were resized to that of the real ones.
    `labelled` says whether their labels are classes, `pseudo` whether a classifier gave them: it
    would recognise them all. `others` says that the generator was trained on other images than the
    real ones. Of a large data set, only a part of the real
    images is used (see `dreamlab.data.judge.MOST_IMAGES`).
    """

    data: catalog.DataSet
    data_dir: str
    images: np.ndarray
    labels: np.ndarray
    reference: np.ndarray
    reference_labels: np.ndarray
    floor: np.ndarray
    floor_labels: np.ndarray
    made_at: int
    labelled: bool
    pseudo: bool
    others: bool
    lacking: tuple[int, int, int] | None


def fidelity(ctx: TaskContext) -> Iterator[Event]:
    """Measures a synthetic set. Features are read from the cache if these images were measured with
    this extractor before."""
    began = time.monotonic()
    spec = cast(FidelitySpec, ctx.spec)
    sets = compared_sets(ctx, spec)
    if sets.made_at != sets.data.info.size:
        yield resize_message(sets.made_at, sets.data.info.size)
    if sets.others:
        yield {"type": "message", "level": "warning", "text": OTHER_IMAGES}
    extractor, accuracy = yield from _extractor(ctx, spec, sets)
    synthetic = yield from features(ctx, extractor, sets.images, "the synthetic images")
    reference = yield from features(ctx, extractor, sets.reference, "the reference")
    yield _progress(1, 2, "comparing", "distances")
    labels = Labels(sets.labels if sets.labelled else None, sets.reference_labels)
    found = measured(ctx, extractor, spec.metrics, synthetic, reference, labels)
    about = {"n": len(sets.images), "reference": sets.data.info.name, "role": spec.reference}
    metrics = [m | about for m in found]
    for metric in metrics:
        values = {metric["name"]: metric["value"]}
        yield {"type": "metric", "step": len(sets.images), "values": values}
    if spec.per_class and sets.labelled:
        yield _progress(1, 2, "comparing", "classes")
        classes = _each_class(ctx, spec, extractor.name, sets, synthetic, reference)
        metrics = [m | {"per_class": classes[m["name"]]} for m in metrics]
    if ctx.stopping():
        raise Stopped
    real_floor = yield from _floor(ctx, extractor, spec.metrics, sets, reference)
    recognised = None
    if isinstance(extractor, ClassifierExtractor) and sets.labelled and not sets.pseudo:
        recognised = float((extractor.predict(synthetic) == sets.labels).mean())
    yield {
        "type": "result",
        "values": {
            "metrics": metrics,
            "images": len(sets.images),
            "reference": {
                "dataset": sets.data.info.name,
                "split": spec.reference,
                "images": len(sets.reference),
                **({"other_images": True} if sets.others else {}),
            },
            "extractor": {
                "name": extractor.name,
                "accuracy": accuracy,
                "dimensions": extractor.dimensions,
                "id": extractor.id,
            },
            "recognised": recognised,
            "pseudo_labelled": sets.pseudo,
            "real_floor": real_floor,
            "real_floor_images": len(sets.floor),
            "real_floor_lacks": _lacks(sets),
            "appearance": {
                "real": appearance(sets.reference),
                "synthetic": appearance(sets.images),
            },
            "seconds": round(time.monotonic() - began, 3),
        },
    }


def _each_class(
    ctx: TaskContext,
    spec: FidelitySpec,
    extractor: str,
    sets: Sets,
    synthetic: np.ndarray,
    reference: np.ndarray,
) -> dict[str, list[dict[str, Any]]]:
    """Metric -> its values for each class, see `per_class`."""
    wanted, both = measured_on(extractor, spec.metrics), (sets.labels, sets.reference_labels)
    return per_class(ctx, wanted, synthetic, reference, both, sets.data.info.classes)


def compared_sets(ctx: TaskContext, spec: FidelitySpec) -> Sets:
    """What a spec compares: uint8 (N, H, W, C), all at the size of the real images; as many other
    real images of each class as there are synthetic ones, if there are so many. Raises SpecError
    where check_fidelity does, and TaskError where the set cannot be read."""
    known = Known(ctx.store)
    check_fidelity(spec, known)
    dataset, labelled = set_dataset(known, spec.images, "images")
    run, images, labels = set_images(ctx, spec.images)
    data_dir, replaced = real_folder(spec, known)
    data = catalog.load(dataset, data_dir)
    made_at = images.shape[1]
    images = np.asarray(imageset.resized(images, data.info.size))
    parts = {
        "test": (data.test_images, data.test_labels),
        "train": (data.train_images, data.train_labels),
    }
    if (aside := validation_images(known, spec.images, data_dir)) is not None:
        rest = np.setdiff1d(np.arange(len(data.train_labels)), aside)
        parts["validation"] = (data.train_images[aside], data.train_labels[aside])
        parts["rest"] = (data.train_images[rest], data.train_labels[rest])
    others = {"test": "train", "train": "test", "validation": "rest"}
    reference = bounded(*parts[spec.reference])
    other = bounded(*parts[others[spec.reference]])
    floor, lacking = like(labels if labelled else None, len(images), other[1])
    return Sets(
        data,
        data_dir,
        images,
        labels,
        *reference,
        other[0][floor],
        other[1][floor],
        made_at,
        labelled,
        pseudo=labelled_by(run) is not None,
        others=replaced,
        lacking=lacking,
    )


def _floor(
    ctx: TaskContext,
    extractor: Extractor,
    measures: Sequence[str],
    sets: Sets,
    reference: np.ndarray,
) -> Generator[Event, None, list[dict[str, Any]]]:
    """The metrics of the other real images; none without such images."""
    if not len(sets.floor):
        return []
    other = yield from features(ctx, extractor, sets.floor, "other real images")
    both = Labels(sets.floor_labels, sets.reference_labels)
    return measured(ctx, extractor, measures, other, reference, both)


def _lacks(sets: Sets) -> dict[str, Any] | None:
    """Why there are no other real images, for the result."""
    if sets.lacking is None:
        return None
    c, wanted, held = sets.lacking
    return {
        "class": sets.data.info.classes[c] if c < len(sets.data.info.classes) else str(c),
        "synthetic": wanted,
        "real": held,
    }


def like(
    labels: np.ndarray | None, size: int, available: np.ndarray
) -> tuple[np.ndarray, tuple[int, int, int] | None]:
    """Sorted indices of real images with the classes `available` (N,): as many of each class as
    `labels` (size,) has, so that a distance of them compares with one of the set, whose bias
    depends on the number of images. If there are too few of a class, none, and the class that lacks
    most with its wanted and its available number. If `labels` is None, `size` images of any class
    are drawn, or all."""
    rng = np.random.default_rng(0)
    order = rng.permutation(len(available))
    if labels is not None:
        wanted = np.bincount(labels, minlength=int(available.max()) + 1)
        held = np.bincount(available, minlength=len(wanted))
        if (wanted > held).any():
            c = int(np.argmax(wanted - held))
            return order[:0], (c, int(wanted[c]), int(held[c]))
        drawn = [order[available[order] == c][:n] for c, n in enumerate(wanted)]
        return np.sort(np.concatenate(drawn)), None
    return np.sort(order[:size]), None


def bounded(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The images (N, H, W, C) and labels (N,) themselves if there are at most MOST_IMAGES, else
    copies of the same share of every class, in their order."""
    if len(images) <= MOST_IMAGES:
        return images, labels
    part = spread_over(labels, MOST_IMAGES)
    return images[part], labels[part]


def _extractor(
    ctx: TaskContext, spec: FidelitySpec, sets: Sets
) -> Generator[Event, None, tuple[Extractor, float | None]]:
    if spec.extractor == "classifier":
        return (yield from reference_classifier(ctx, sets.data, sets.data_dir))
    yield _progress(0, 1, "loading Inception-v3", "images")
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
            yield _progress(
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


def appearance(images: np.ndarray) -> dict[str, dict[str, float]]:
    """Mean grey level (0 black to 1 white) of the whole images and of their border pixels, each
    with its standard error over the images. It shows whether backgrounds are too dark (study
    S3)."""
    means = np.empty((2, len(images)))
    for start in range(0, len(images), AT_ONCE):
        part = np.asarray(images[start : start + AT_ONCE], np.float32) / 255
        grey = part @ LUMA if part.shape[-1] == 3 else part[..., 0]
        border = np.concatenate(
            [grey[:, 0], grey[:, -1], grey[:, 1:-1, 0], grey[:, 1:-1, -1]], axis=1
        )
        means[:, start : start + len(part)] = grey.mean((1, 2)), border.mean(1)
    errors = means.std(axis=1, ddof=1) / np.sqrt(len(images))
    return {
        name: {"mean": float(mean), "error": float(error)}
        for name, mean, error in zip(
            ("brightness", "border"), means.mean(axis=1), errors, strict=True
        )
    }


def measured(
    ctx: TaskContext,
    extractor: Extractor,
    measures: Sequence[str],
    x: np.ndarray,
    y: np.ndarray,
    labels: Labels = UNKNOWN,
) -> list[dict[str, Any]]:
    """The metrics of these measures between features x (n, dimensions) of synthetic and y (m,
    dimensions) of real images with these classes: name, value, the low and high end of the
    interval, None if there are too few images for one, its level, unit, direction, and extractor
    with its weights. What was measured before on the same
    two sets comes from the cache."""
    wanted, on = measured_on(extractor.name, measures), cache_key(extractor)
    content = array_hash(x, y, *(part for part in labels if part is not None))
    key = f"distances/{on}/{content}"
    known = _measured_before(ctx, key)
    if missing := [m for m in wanted if m.key not in known]:

        def kept(name: str, make: Callable[[], NamedArrays]) -> NamedArrays:
            return _kept(ctx, f"{name}/{on}/{array_hash(y)}", make)

        # numpy would otherwise use all cores, also those of other workers
        with threadpool_limits(ctx.threads):
            found = compute(missing, x, y, kept, labels)
        for metric in missing:
            value = found[metric.name]
            known[metric.key] = [value.mean, value.low, value.high]
        ctx.cache.put(key, values=np.array(list(known.values())), keys=np.array(list(known)))
    names = ("value", "low", "high")
    return [
        {
            "name": m.name,
            **{k: v if np.isfinite(v) else None for k, v in zip(names, known[m.key], strict=True)},
            "unit": m.unit,
            "level": LEVEL,
            "direction": m.direction,
            "extractor": extractor.name,
            "weights": extractor.id,
        }
        for m in wanted
    ]


def _measured_before(ctx: TaskContext, key: str) -> dict[str, list[float]]:
    """Metric.key -> [value, low, high] from the cache entry of a pair of sets."""
    found = ctx.cache.get(key)
    if found is None:
        return {}
    return dict(zip(found["keys"].tolist(), found["values"].tolist(), strict=True))


def _kept(ctx: TaskContext, key: str, make: Callable[[], NamedArrays]) -> NamedArrays:
    found: NamedArrays | None = ctx.cache.get(key)
    if found is None:
        found = make()
        ctx.cache.put(key, **{name: np.asarray(array) for name, array in found.items()})
    return found


def _progress(step: int, total: int, text: str, unit: str, eta: float | None = None) -> Event:
    return {
        "type": "progress",
        "step": step,
        "total": total,
        "unit": unit,
        "eta_seconds": None if eta is None else round(eta, 1),
        "text": text,
    }
