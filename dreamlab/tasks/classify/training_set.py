"""The training set of a classifier: sources of images and indices into them. Images are not
copied."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from dreamlab.checks import Known
from dreamlab.checks.classify import check_classify
from dreamlab.data import catalog, contents, imageset, mixing, selection
from dreamlab.data.imageset import ImageSource
from dreamlab.settings import ClassifySpec
from dreamlab.store import Run
from dreamlab.store.cache import array_hash
from dreamlab.tasks.context import TaskContext, TaskError
from dreamlab.tasks.image_sources import JoinedImages, NoiseImages, at_size, set_hash


@dataclasses.dataclass(frozen=True)
class Drawn:
    """The training set of one seed: images, labels (N,) int64, and values that identify its
    content."""

    images: JoinedImages
    labels: np.ndarray
    identity: list[Any]


@dataclasses.dataclass(frozen=True)
class TrainingSet:
    """The image sources of an arm, and its number of images per class.

    `real` and `synthetic` are sources with labels (N,) int64. `roles.pool` are the real images that
    may be used. `made_at` is the original side of synthetic images that are resized to the size of
    the real ones, or 0. `hashes` identify the content of the sources. `nested` and `left_out`
    are those of `mixing.contents`.
    """

    arm: mixing.Arm
    real: ImageSource
    real_labels: np.ndarray
    roles: selection.Selected
    synthetic: ImageSource
    synthetic_labels: np.ndarray
    counts: list[mixing.Counts]
    hashes: tuple[str, ...]
    made_at: int = 0
    nested: bool = True
    left_out: np.ndarray = dataclasses.field(default_factory=lambda: mixing.NONE)

    @property
    def size(self) -> int:
        """Number of images in the arm."""
        return sum(c.total for c in self.counts)

    def total(self, sort: str) -> list[int]:
        """Number of images of one sort (real, synthetic or other) in each class."""
        return [getattr(c, sort) for c in self.counts]

    def draw(self, seed: int) -> Drawn:
        """The training set for one seed."""
        classes = len(self.counts)
        held = mixing.contents(
            self.arm.name,
            self.real_labels,
            self.roles.pool,
            self.synthetic_labels,
            classes,
            seed,
            self.nested,
            self.roles.whole,
            self.left_out,
        )
        parts = [(self.real, held.real), (self.synthetic, held.synthetic)]
        if len(held.duplicated):
            parts.append((self.real, held.duplicated))
        if len(held.noise):
            parts.append((NoiseImages(self.real.shape[1:], seed), np.arange(len(held.noise))))
        real, again = self.real_labels[held.real], self.real_labels[held.duplicated]
        drawn = np.concatenate([real, self.synthetic_labels[held.synthetic], again, held.noise])
        identity = [
            *self.hashes,
            self.arm.form == "noise",
            array_hash(*(i for _, i in parts), drawn),
        ]
        return Drawn(JoinedImages(parts), drawn, identity)


def mixed(
    ctx: TaskContext, spec: ClassifySpec, data: catalog.DataSet, left_out: np.ndarray = mixing.NONE
) -> TrainingSet:
    """The image sources and counts of an arm, without the synthetic images `left_out` (n,). Raises
    SpecError if `check_classify` refuses the run, and TaskError if the synthetic set cannot be
    read or nothing is left of a class."""
    check_classify(spec, Known(ctx.store))
    classes, arm = len(data.info.classes), mixing.parse(spec.arm)
    roles = selection.select(data.train_labels, spec, classes)
    counts = mixing.counts(spec.arm, roles.whole)
    synthetic, labels = data.train_images[:0], data.train_labels[:0]
    hashes = [contents.images_of(spec.dataset, spec.data_dir)]
    if arm.needs_set:
        run, synthetic, labels = set_images(ctx, spec.synthetic)
        hashes.append(set_hash(ctx, run))
        try:
            counts = mixing.without(counts, labels, left_out)
        except ValueError as error:
            raise TaskError(f"The arm {spec.arm} cannot be made: {error}.") from None
    made_at = 0 if synthetic.shape[1] == data.info.size else synthetic.shape[1]
    return TrainingSet(
        arm,
        data.train_images,
        data.train_labels,
        roles,
        at_size(synthetic, data.info.size),
        labels,
        counts,
        tuple(hashes),
        made_at,
        spec.nested,
        left_out,
    )


def set_images(ctx: TaskContext, run_id: str) -> tuple[Run, np.ndarray, np.ndarray]:
    """The run of a synthetic set, its images (N, H, W, C) uint8, memory-mapped, and its labels (N,)
    int64. Raises TaskError if they cannot be read, RunError if there is no such run."""
    run = ctx.store.get(run_id)
    try:
        return run, *imageset.load(run.path)
    except (OSError, ValueError) as error:
        raise TaskError(f"The synthetic set {run.id} cannot be read: {error}.") from None
