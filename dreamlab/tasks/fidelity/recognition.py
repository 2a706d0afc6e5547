"""How many samples of a set the reference classifier recognises, and how many held-out real images.
It decides whether a verdict on the set says that its generator is under-trained (see
`dreamlab.stats.generator_quality`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from typing import Any

import numpy as np

from dreamlab.data import catalog, contents, imageset
from dreamlab.data.judge import MOST_IMAGES
from dreamlab.experiments.identity import images_read
from dreamlab.experiments.provenance import behind, labelled_by
from dreamlab.settings import RealData, SynthesizeSpec, TrainSpec, make
from dreamlab.stats import generator_quality
from dreamlab.stats.generator_quality import PSEUDO_LABELLED
from dreamlab.store import Run
from dreamlab.store.run_files import kind_in
from dreamlab.tasks.context import TaskContext, TaskError
from dreamlab.tasks.fidelity.features import features
from dreamlab.tasks.fidelity.reference_classifier import reference_classifier, spread_over
from dreamlab.tasks.fidelity.sets import bounded

Event = dict[str, Any]


def for_mix(
    ctx: TaskContext, spec: SynthesizeSpec, images: np.ndarray, labels: np.ndarray
) -> Generator[Event, None, dict[str, Any]]:
    """{"recognition"} for the result of a synthetic set that was made for a mix; empty for another
    set, which needs no reference classifier. Empty, too, if the images of the generator are no
    longer in its folder: the mix then measures the set on its own. Raises Stopped and TaskError."""
    source = ctx.store.get(spec.source)
    trained = source.spec
    if kind_in(ctx.run.record.group) != "mix" or not isinstance(trained, TrainSpec):
        return {}
    data = (trained.dataset, trained.data_dir)
    try:
        if contents.images_of(*data) != (images_read(source, trained.dataset) or None):
            return {}
    except catalog.DataError:
        return {}
    return {"recognition": (yield from recognised(ctx, ctx.run, *data, images, labels))}


def recognised(
    ctx: TaskContext, made: Run, dataset: str, data_dir: str, images: np.ndarray, labels: np.ndarray
) -> Generator[Event, None, dict[str, Any]]:
    """The fields of a `generator_quality.Recognition`, or {"reason"} if the set cannot be judged;
    and `images`, what identifies the images of the data set.

    `made` is the run of the set, and `dataset` with `data_dir` the data that its classes belong
    to; images uint8 (N, H, W, C) with labels (N,). Yields progress if the reference classifier must
    be trained. Raises Stopped and TaskError.
    """
    try:
        data, content = catalog.load(dataset, data_dir), contents.images_of(dataset, data_dir)
    except catalog.DataError as error:
        raise TaskError(str(error)) from None
    found = yield from _on(ctx, made, data, data_dir, content, images, labels)
    return {**found, "images": content}


def _on(
    ctx: TaskContext,
    made: Run,
    data: catalog.DataSet,
    data_dir: str,
    content: str,
    images: np.ndarray,
    labels: np.ndarray,
) -> Generator[Event, None, dict[str, Any]]:
    """What `recognised` says, without `images`."""
    if labelled_by(made):
        return {"reason": PSEUDO_LABELLED}
    held_out = spread_over(data.test_labels, MOST_IMAGES)
    real = data.test_labels[held_out]
    # a class without held-out images says nothing about the judge, and is left out of both shares
    used = np.intersect1d(labels, real)
    count = int(np.isin(real, used).sum())
    if lacking := generator_quality.judge_lacks(count):
        return {"reason": lacking}
    chosen = np.flatnonzero(np.isin(labels, used))
    chosen = chosen[spread_over(labels[chosen], MOST_IMAGES)]
    samples = np.asarray(imageset.resized(np.asarray(images[chosen]), data.info.size))
    judge, _ = yield from reference_classifier(ctx, data, data_dir)
    test, _ = bounded(data.test_images, data.test_labels)
    right_real = judge.predict((yield from features(ctx, judge, test, "real test images"))) == real
    found = yield from features(ctx, judge, samples, "the synthetic images")
    right = judge.predict(found) == labels[chosen]
    accuracy = sum(right_real[real == c].mean() * (labels[chosen] == c).mean() for c in used)
    shared, seen = _shared(ctx, made, data, data_dir, content)
    return dataclasses.asdict(
        generator_quality.recognition(
            int(right.sum()), len(right), float(accuracy), count, judge.id, shared, seen
        )
    )


def _shared(
    ctx: TaskContext, made: Run, data: catalog.DataSet, data_dir: str, content: str
) -> tuple[int | None, int | None]:
    """(number of real images that generator and judge were both trained on, number that the
    generator was trained on); None if unknown."""
    real = make(RealData, {"dataset": data.info.name, "data_dir": data_dir})
    saw = behind(made, real, content, ctx.store)
    if saw is None:
        return None, None
    taught = spread_over(data.train_labels, MOST_IMAGES)
    return len(np.intersect1d(saw.own, taught)), len(saw.own) + saw.other
