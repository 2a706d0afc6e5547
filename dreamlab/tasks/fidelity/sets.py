"""The images that a fidelity run compares."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from dreamlab.checks import Known
from dreamlab.checks.fidelity import check_fidelity, real_folder, validation_images
from dreamlab.checks.synthetic_set import set_dataset
from dreamlab.data import catalog, imageset
from dreamlab.data.judge import MOST_IMAGES
from dreamlab.experiments.provenance import labelled_by
from dreamlab.settings import FidelitySpec
from dreamlab.tasks.classify.training_set import set_images
from dreamlab.tasks.context import TaskContext
from dreamlab.tasks.fidelity.reference_classifier import spread_over


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


def lacks(sets: Sets) -> dict[str, Any] | None:
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
