"""Whether a synthetic set serves a classifier: its data, its labels, and how many it holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dreamlab.checks.known import Known
from dreamlab.data import catalog, imageset
from dreamlab.settings import ImportSpec, RealData, SpecError, SynthesizeSpec, TrainSpec
from dreamlab.store import RunError


def set_dataset(known: Known, name: str, field: str) -> tuple[str, bool]:
    """(data set that a synthetic set belongs to, whether its images have labels). Raises
    SpecError."""
    try:
        spec = known.spec(name)
        if isinstance(spec, SynthesizeSpec):
            trained = known.spec(spec.source)
            if isinstance(trained, TrainSpec):
                return trained.dataset, trained.conditional or spec.labeller != "none"
    except RunError as error:
        raise SpecError(f"Synthetic set: {error}", field) from None
    if not isinstance(spec, ImportSpec) or spec.role != "synthetic":
        raise SpecError(
            f"Synthetic set: {name} holds no synthetic images; name a synthesize run, or an"
            " import of role synthetic.",
            field,
        )
    return spec.dataset, True


def check_set(data: RealData, known: Known, name: str, needed: Sequence[int], field: str) -> None:
    """Raises SpecError where a synthetic set belongs to other data, has no labels, or holds too few
    images of a class. A set that is not there yet is left to wait."""
    dataset, labelled = set_dataset(known, name, field)
    if dataset != data.dataset:
        raise SpecError(
            f"Synthetic set: {name} holds {dataset} images; a set of {data.dataset} is needed.",
            field,
        )
    if not labelled:
        raise SpecError(
            f"Synthetic set: the images of {name} have no labels, its generator was trained"
            " without classes; sample it with --labeller, or choose a set of a conditional"
            " generator.",
            field,
        )
    folder = known.folder(name)
    if folder is None:
        return
    try:
        images, labels = imageset.load(folder)
    except (OSError, ValueError):
        return
    check_images(name, images, labels, needed, catalog.info(data.dataset), field)


def check_channels(name: str, images: np.ndarray, data: catalog.Info, field: str) -> None:
    """Raises SpecError where images (N, H, W, C) have other colours than the data."""
    if images.shape[3] != data.channels:
        raise SpecError(
            f"Synthetic set: {name} has {images.shape[3]} colour channels, {data.title} has"
            f" {data.channels}; choose a set of the same data.",
            field,
        )


def check_images(
    name: str,
    images: np.ndarray,
    labels: np.ndarray,
    needed: Sequence[int],
    data: catalog.Info,
    field: str,
) -> None:
    """Raises SpecError where images (N, H, W, C) with labels (N,) have other colours than the data,
    a class that the data have not, or fewer images of a class than `needed`, one per class."""
    words = f"Synthetic set: {name} has"
    check_channels(name, images, data, field)
    held, classes = np.bincount(labels, minlength=len(needed)), data.classes
    if len(held) > len(classes):
        raise SpecError(
            f"{words} images of class {len(held) - 1}, {data.title} has the classes 0 to"
            f" {len(classes) - 1}.",
            field,
        )
    lacking = [c for c, wanted in enumerate(needed) if held[c] < wanted]
    if lacking:
        c = lacking[0]
        more = f" (so it is with {len(lacking)} classes)" if len(lacking) > 1 else ""
        raise SpecError(
            f"{words} {held[c]:,} images of class {c} ({classes[c]}), {needed[c]:,} are"
            f" needed{more}; sample more, use fewer real images, or leave the largest arm out.",
            field,
        )
