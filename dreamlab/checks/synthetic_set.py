"""Whether a classifier can use a synthetic set: its data set, its labels, and its number of
images."""

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
    """Raises SpecError if a synthetic set belongs to other data, has no labels, or has fewer images
    of a class c than `needed[c]`. The images of a set that does not exist yet are not checked."""
    dataset, labelled = set_dataset(known, name, field)
    if dataset != data.dataset:
        raise SpecError(
            f"Synthetic set: {name} holds {dataset} images; a set of {data.dataset} is needed.",
            field,
        )
    if not labelled:
        raise SpecError(
            f"Synthetic set: the images of {name} have no labels, because its generator was"
            " trained without classes; sample it with --labeller, or choose a set of a"
            " conditional generator.",
            field,
        )
    if (held := held_images(known, name)) is not None:
        check_images(name, *held, needed, catalog.info(data.dataset), field)


def held_images(known: Known, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """The images (N, H, W, C) uint8 and labels (N,) of a set; None if it is still to be made or
    cannot be read. Raises RunError if there is no such run."""
    folder = known.folder(name)
    if folder is None:
        return None
    try:
        return imageset.load(folder)
    except (OSError, ValueError):
        return None


def check_channels(name: str, images: np.ndarray, data: catalog.Info, field: str) -> None:
    """Raises SpecError if images (N, H, W, C) have another number of channels than the data set."""
    if images.shape[3] != data.channels:
        raise SpecError(
            f"Synthetic set: {name} has {images.shape[3]} colour channels, but {data.title} has"
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
    """Raises SpecError if images (N, H, W, C) with labels (N,) have another number of channels than
    the data set, have a class that it does not have, or are fewer than `needed[c]` in a class c."""
    words = f"Synthetic set: {name} has"
    check_channels(name, images, data, field)
    held, classes = np.bincount(labels, minlength=len(needed)), data.classes
    if len(held) > len(classes):
        raise SpecError(
            f"{words} images of class {len(held) - 1}, but {data.title} has the classes 0 to"
            f" {len(classes) - 1}; choose a set of the same data.",
            field,
        )
    lacking = [c for c, wanted in enumerate(needed) if held[c] < wanted]
    if lacking:
        c = lacking[0]
        more = f" ({len(lacking)} classes have too few)" if len(lacking) > 1 else ""
        raise SpecError(
            f"{words} {held[c]:,} images of class {c} ({classes[c]}), but {needed[c]:,} are"
            f" needed{more}; sample more, use fewer real images, or leave the largest arm out.",
            field,
        )
