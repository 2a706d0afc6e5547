"""Pseudo-labels for a generator without classes. A classifier trained on real images labels its
samples, and confident ones are kept until every class has enough (as in study S3; the term is from
Lee 2013)."""

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
"""Images sampled per wanted image before the run gives up."""


@dataclasses.dataclass
class Quota:
    """Which images of a stream are kept: the first `per_class` of every class whose label is
    probable enough."""

    per_class: int
    confidence: float
    labelled: list[int]
    """Number of images per class with a probable label, including those that were not needed."""
    drawn: int = 0
    unsure: int = 0
    first: list[list[int]] = dataclasses.field(default_factory=list)
    """Positions in the stream of the first few images kept of every class."""

    @classmethod
    def of(cls, classes: int, per_class: int, confidence: float) -> Quota:
        return cls(per_class, confidence, [0] * classes, first=[[] for _ in range(classes)])

    @property
    def kept(self) -> list[int]:
        return [min(n, self.per_class) for n in self.labelled]

    @property
    def full(self) -> bool:
        return min(self.labelled) >= self.per_class

    def take(self, labels: np.ndarray, probability: np.ndarray) -> list[tuple[int, int]]:
        """(position in this batch, place in the set) of the images that are kept. The set is sorted
        by class. Images after the last missing one are not counted, so that the result does not
        depend on the batch size."""
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
        """Which classes lack how many images, in words."""
        few = [(c, self.per_class - n) for c, n in enumerate(self.kept) if n < self.per_class]
        words = [f"class {c} lacks {n:,}" for c, n in few[:5]]
        return ", ".join(words) + (
            f" and {len(few) - 5} more classes lack some" if len(few) > 5 else ""
        )


class LabelledSet(SampledSet):
    """Image i of the stream depends only on the seed and i. Its label comes from a classifier."""

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
        trained = self.pipeline.models[0].spec
        try:
            check_pseudo_labels(self.spec, trained)
        except SpecError as error:
            raise TaskError(str(error)) from None
        return tuple(range(len(catalog.info(trained.dataset).classes)))

    def sample(self) -> Iterator[Event]:
        """Samples batch by batch until every class is full. Raises TaskError if one stays short."""
        labeller = yield from self.labeller()
        most = MOST_DRAWS * len(self.labels)
        self.start_clock()
        while not self.quota.full:
            drawn = self.quota.drawn
            if drawn >= most:
                raise TaskError(
                    f"After {most:,} images {self.quota.lacking()} of {self.spec.per_class:,}: too"
                    " few of them have a confident label; give a --label-confidence below"
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
        """The classifier: trained on the generator's own real images, or on the whole training
        split."""
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
        return dataclasses.asdict(self.quota)

    def firsts(self, cols: int) -> tuple[list[int], list[int]]:
        numbers = [number for first in self.quota.first for number in first[:cols]]
        return [0] * len(numbers), numbers

    def result(self) -> dict[str, Any]:
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
    """The most probable class of every image (n,), and its probability."""
    probabilities = torch.cat([p for _, p in outputs(labeller.network, images, labeller.device)])
    best = probabilities.max(1)
    return best.indices.numpy(), best.values.numpy()
