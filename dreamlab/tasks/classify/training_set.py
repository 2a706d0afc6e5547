"""The training set of a classifier: sources of images and indices into them. Images are not
copied."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from dreamlab.checks.synthetic_set import check_images
from dreamlab.data import catalog, imageset, mixing, selection
from dreamlab.data.imageset import ImageSource
from dreamlab.settings import ClassifySpec, ImportSpec, SpecError, SynthesizeSpec, TrainSpec
from dreamlab.store import Run, RunError
from dreamlab.store.cache import array_hash
from dreamlab.tasks.context import TaskContext, TaskError
from dreamlab.tasks.image_sources import JoinedImages, NoiseImages, at_size, data_hash, set_hash


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
    the real ones, or 0. `hashes` identify the content of the sources.
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
            self.arm.name, self.real_labels, self.roles.pool, self.synthetic_labels, classes, seed
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


def mixed(ctx: TaskContext, spec: ClassifySpec, data: catalog.DataSet) -> TrainingSet:
    """The image sources and counts of an arm. Raises TaskError if the synthetic set does not fit or
    is too small."""
    classes, arm = len(data.info.classes), mixing.parse(spec.arm)
    try:
        roles = selection.select(data.train_labels, spec, classes)
        counts = mixing.counts(
            spec.arm, np.bincount(data.train_labels[roles.pool], minlength=classes).tolist()
        )
    except ValueError as error:
        raise TaskError(f"{data.info.title}: {error}.") from None
    synthetic, labels = data.train_images[:0], data.train_labels[:0]
    hashes = [data_hash(spec.dataset, spec.data_dir)]
    if arm.needs_set:
        if not spec.synthetic:
            raise TaskError(
                f"Arm {spec.arm} needs synthetic images: name a synthetic set (--synthetic)."
            )
        run, synthetic, labels = synthetic_set(ctx, spec.synthetic)
        try:
            needed = [c.synthetic for c in counts]
            check_images(spec.synthetic, synthetic, labels, needed, data.info, "synthetic")
        except SpecError as error:
            raise TaskError(str(error)) from None
        hashes.append(set_hash(ctx, run))
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
    )


def synthetic_set(ctx: TaskContext, run_id: str) -> tuple[Run, np.ndarray, np.ndarray]:
    """The run of a labelled synthetic set, its images (memory-mapped) and its labels. Raises
    TaskError."""
    try:
        run = ctx.store.get(run_id)
        made = run.spec
        if not isinstance(made, SynthesizeSpec) and not (
            isinstance(made, ImportSpec) and made.role == "synthetic"
        ):
            raise TaskError(
                f"{run_id} is not a synthetic set: name a synthesize run, or an import with the"
                " role synthetic."
            )
        if isinstance(made, SynthesizeSpec) and not has_labels(ctx, made):
            raise TaskError(
                f"The images of {run_id} have no labels, because its generator has no classes:"
                " sample it with --labeller own or all."
            )
        return run, *imageset.load(run.path)
    except TaskError:
        raise
    except RunError as error:
        raise TaskError(str(error)) from None
    except (OSError, ValueError) as error:
        raise TaskError(f"The synthetic set {run_id} cannot be read: {error}.") from None


def has_labels(ctx: TaskContext, made: SynthesizeSpec) -> bool:
    """Whether a sampled set has class labels. This is assumed if its generator has been deleted."""
    try:
        trained = ctx.store.get(made.source).spec
    except RunError:
        return True
    return made.labeller != "none" or not isinstance(trained, TrainSpec) or trained.conditional
