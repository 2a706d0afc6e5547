"""Task fidelity: Frechet distance and KID between a synthetic set and real images. For comparison,
the same distances are computed for other real images."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from typing import Any, cast

import numpy as np

from dreamlab.fidelity.extractors import ClassifierExtractor, Extractor
from dreamlab.fidelity.metrics import measured_on
from dreamlab.fidelity.strata import Labels
from dreamlab.fidelity.wording import NO_CLASSIFIER, OTHER_IMAGES
from dreamlab.settings import FidelitySpec
from dreamlab.tasks.context import Stopped, TaskContext, TaskError, resize_message
from dreamlab.tasks.fidelity import beside_real
from dreamlab.tasks.fidelity.cas import cas_rows
from dreamlab.tasks.fidelity.features import described, extractor_of, features, progress
from dreamlab.tasks.fidelity.measured import measured
from dreamlab.tasks.fidelity.memory import remembered
from dreamlab.tasks.fidelity.per_class import per_class
from dreamlab.tasks.fidelity.sets import Sets, compared_sets, lacks

Event = dict[str, Any]


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
    extractor, accuracy = yield from extractor_of(ctx, spec, sets)
    synthetic = yield from features(ctx, extractor, sets.images, "the synthetic images")
    reference = yield from features(ctx, extractor, sets.reference, "the reference")
    yield progress(1, 2, "comparing", "distances")
    labels = Labels(sets.labels if sets.labelled else None, sets.reference_labels)
    found = measured(ctx, extractor, spec.metrics, synthetic, reference, labels)
    about = {"n": len(sets.images), "reference": sets.data.info.name, "role": spec.reference}
    metrics = [m | about for m in found]
    if without_classifier(spec, found):
        yield {"type": "message", "level": "warning", "text": NO_CLASSIFIER}
    for metric in (m for m in metrics if m["value"] is not None):
        values = {metric["name"]: metric["value"]}
        yield {"type": "metric", "step": len(sets.images), "values": values}
    if spec.per_class and sets.labelled:
        yield progress(1, 2, "comparing", "classes")
        classes = _each_class(ctx, spec, extractor.name, sets, synthetic, reference)
        metrics = [
            m | ({"per_class": classes[m["name"]]} if m["name"] in classes else {}) for m in metrics
        ]
    classified, missing = yield from cas_rows(ctx, spec, sets)
    copied, memory = yield from remembered(ctx, spec, extractor, sets, synthetic)
    if ctx.stopping():
        raise Stopped
    floor = yield from _floor_features(ctx, extractor, sets)
    yield progress(1, 2, "comparing", "real images")
    real_floor: list[dict[str, Any]] = []
    gap = None
    if len(floor):
        both = Labels(sets.floor_labels, sets.reference_labels)
        real_floor = measured(ctx, extractor, spec.metrics, floor, reference, both)
        gap = beside_real.memory_gap(ctx, sets, spec.reference, synthetic, reference, floor)
    recognised = None
    # the classifier of a user has the same classes, or check_fidelity has refused it
    if isinstance(extractor, ClassifierExtractor) and sets.labelled and not sets.pseudo:
        recognised = float((extractor.predict(synthetic) == sets.labels).mean())
    yield {
        "type": "result",
        "values": {
            "metrics": metrics + copied + classified,
            "real_floor": real_floor,
            "recognised": recognised,
            **memory,
            **missing,
            **_about(spec, sets, extractor, accuracy),
            "fdr": beside_real.fdr(metrics, real_floor),
            "gap": gap,
            "appearance": beside_real.looks(sets),
            "seconds": round(time.monotonic() - began, 3),
        },
    }


def without_classifier(spec: FidelitySpec, found: list[dict[str, Any]]) -> bool:
    """Whether an Inception Score was asked for that the weights do not allow. Raises TaskError if
    nothing else was."""
    if spec.extractor != "inception" or "inception_score" not in spec.metrics:
        return False
    if any(m["name"] == "inception_score" for m in found):
        return False
    if spec.metrics == ("inception_score",):
        raise TaskError(NO_CLASSIFIER)
    return True


def _about(
    spec: FidelitySpec, sets: Sets, extractor: Extractor, accuracy: float | None
) -> dict[str, Any]:
    """What the result says of the sets that were compared, and of the extractor."""
    return {
        "images": len(sets.images),
        "reference": {
            "dataset": sets.data.info.name,
            "split": spec.reference,
            "images": len(sets.reference),
            **({"other_images": True} if sets.others else {}),
        },
        "extractor": described(extractor, spec, accuracy),
        "pseudo_labelled": sets.pseudo,
        "real_floor_images": len(sets.floor),
        "real_floor_lacks": lacks(sets),
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


def _floor_features(
    ctx: TaskContext, extractor: Extractor, sets: Sets
) -> Generator[Event, None, np.ndarray]:
    """Features of the other real images (k, dimensions); none without such images."""
    if not len(sets.floor):
        return np.empty((0, extractor.dimensions), np.float32)
    return (yield from features(ctx, extractor, sets.floor, "other real images"))
