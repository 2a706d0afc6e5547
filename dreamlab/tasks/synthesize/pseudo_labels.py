"""Pseudo-labels for a generator without classes (Lee 2013; used in study S3). A classifier trained
on real images labels the samples. Those with a confident label are kept, until every class has
enough."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import torch

from dreamlab.checks.synthesize import check_pseudo_labels
from dreamlab.classifiers.networks import outputs
from dreamlab.data import catalog, imageset, selection
from dreamlab.fidelity.extractors import ClassifierExtractor
from dreamlab.settings import SpecError, SynthesizeSpec
from dreamlab.tasks.context import TaskContext, TaskError
from dreamlab.tasks.fidelity.reference_classifier import reference_classifier
from dreamlab.tasks.synthesize.image_set import TRAJECTORY_COLUMNS, Event, SampledSet

MOST_DRAWS = 20
"""Number of sampled images per wanted image after which the run fails."""


@dataclasses.dataclass
class Quota:
    """Decides which images of a stream are kept: the first `per_class` of each class whose label
    has a probability of at least `confidence`. `drawn` counts all images and `unsure` those with a
    less probable label."""

    per_class: int
    confidence: float
    labelled: list[int]
    """Number of images of each class with a probable label, including those that were not
    needed."""
    drawn: int = 0
    unsure: int = 0
    first: list[list[int]] = dataclasses.field(default_factory=list)
    """For each class, positions in the stream of the first few images that were kept."""

    @classmethod
    def of(cls, classes: int, per_class: int, confidence: float) -> Quota:
        """A quota before the first image."""
        return cls(per_class, confidence, [0] * classes, first=[[] for _ in range(classes)])

    @property
    def kept(self) -> list[int]:
        """Number of kept images of each class."""
        return [min(n, self.per_class) for n in self.labelled]

    @property
    def full(self) -> bool:
        """Whether every class has enough images."""
        return min(self.labelled) >= self.per_class

    def take(self, labels: np.ndarray, probability: np.ndarray) -> list[tuple[int, int]]:
        """(position in this batch, position in the set) of the images that are kept; the set is
        sorted by class. Images after the one that completes the set are not counted, so that the
        result does not depend on the batch size."""
        taken = []
        for position, (c, p) in enumerate(zip(labels.tolist(), probability.tolist(), strict=True)):
            if self.full:
                break
            if p < self.confidence:
                self.unsure += 1
            else:
                if self.labelled[c] < self.per_class:
                    taken.append((position, c * self.per_class + self.labelled[c]))
                    if len(self.first[c]) < TRAJECTORY_COLUMNS:
                        self.first[c].append(self.drawn)
                self.labelled[c] += 1
            self.drawn += 1
        return taken

    def lacking(self) -> str:
        """The missing images by class, in words."""
        few = [(c, self.per_class - n) for c, n in enumerate(self.kept) if n < self.per_class]
        words = [f"class {c} lacks {n:,}" for c, n in few[:5]]
        return ", ".join(words) + (
            f" and {len(few) - 5} more classes lack some" if len(few) > 5 else ""
        )


class LabelledSet(SampledSet):
    """A set whose labels come from a classifier. Image i of the stream depends only on the seed and
    i."""

    def __init__(self, ctx: TaskContext, spec: SynthesizeSpec):
        super().__init__(ctx, spec)
        kept = {f.name for f in dataclasses.fields(Quota)}
        known = {name: value for name, value in self.known.items() if name in kept}
        classes = len(self.classes)
        self.quota = (
            Quota(**known) if known else Quota.of(classes, spec.per_class, spec.label_confidence)
        )
        self.size, self.accuracy = self.pipeline.image_shape[0], 0.0

    def all_classes(self) -> tuple[int, ...]:
        """All classes of the data set. Raises TaskError if pseudo-labels cannot be used."""
        trained = self.pipeline.models[0].spec
        try:
            check_pseudo_labels(self.spec, trained)
        except SpecError as error:
            raise TaskError(str(error)) from None
        return tuple(range(len(catalog.info(trained.dataset).classes)))

    def sample(self) -> Iterator[Event]:
        """Samples batches until every class has enough images. Raises TaskError if that takes too
        many images."""
        labeller = yield from self.labeller()
        most = MOST_DRAWS * len(self.labels)
        self.start_clock()
        while not self.quota.full:
            drawn = self.quota.drawn
            if drawn >= most:
                raise TaskError(
                    f"After {most:,} images {self.quota.lacking()} of {self.spec.per_class:,}: too"
                    " few images have a confident label; give a --label-confidence below"
                    f" {self.spec.label_confidence:g}, or train the generator longer."
                )
            numbers = range(drawn, min(drawn + self.spec.batch_size, most))
            images = yield from self.batch(
                [0] * len(numbers), numbers, len(numbers) * self.done / drawn if drawn else 0.0
            )
            for position, place in self.quota.take(
                *_labels(labeller, imageset.resized(images, self.size))
            ):
                self.images[place] = images[position]
            yield from self.count(sum(self.quota.kept))

    def labeller(self) -> Generator[Event, None, ClassifierExtractor]:
        """The classifier. It is trained on the real images of the generator, or on the whole
        training split. Yields progress while it trains."""
        trained = self.pipeline.models[0].spec
        try:
            data = catalog.load(trained.dataset, trained.data_dir)
            pool = selection.select(data.train_labels, trained, len(data.info.classes)).pool
        except (catalog.DataError, selection.SplitError) as error:
            raise TaskError(f"{error}") from None
        self.size = data.info.size
        own = self.spec.labeller == "own" and len(pool) < len(data.train_labels)
        found = yield from reference_classifier(
            self.ctx, data, trained.data_dir, pool if own else None
        )
        extractor, self.accuracy = found
        return extractor

    def state(self) -> dict[str, Any]:
        """The quota, so that the next attempt can continue."""
        return dataclasses.asdict(self.quota)

    def firsts(self, cols: int) -> tuple[list[int], list[int]]:
        """Labels and positions in the stream of the first `cols` kept images of each class."""
        numbers = [number for first in self.quota.first for number in first[:cols]]
        return [0] * len(numbers), numbers

    def result(self) -> dict[str, Any]:
        """The content of result.json, with the counts of the labelling."""
        q = self.quota
        labelling = {
            "labeller": self.spec.labeller,
            "confidence": q.confidence,
            "accuracy": self.accuracy,
            "drawn": q.drawn,
            "kept": q.kept,
            "unsure": q.unsure,
            "surplus": sum(q.labelled) - sum(q.kept),
            "labelled": q.labelled,
        }
        return {**super().result(), "labelling": labelling}


def _labels(labeller: ClassifierExtractor, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The most probable class of each image and its probability, both (n,)."""
    probabilities = torch.cat([p for _, p in outputs(labeller.network, images, labeller.device)])
    best = probabilities.max(1)
    return best.indices.numpy(), best.values.numpy()
