"""Whether a set can be measured: it belongs to a data set and is large enough, and the weights of
the extractor exist."""

from __future__ import annotations

from pathlib import Path

from dreamlab.checks.known import Known
from dreamlab.checks.synthetic_set import check_channels, held_images, set_dataset
from dreamlab.data import catalog
from dreamlab.settings import FidelitySpec, SpecError

FEWEST = 10
"""Smallest number of images for a distance."""


def check_fidelity(spec: FidelitySpec, known: Known) -> None:
    """Raises SpecError if the run holds no synthetic images, too few, or images with another number
    of channels than its data set, or if the extractor is Inception-v3 and its weight file does not
    exist. A set that is still to be made is not looked into."""
    weights = spec.inception_weights
    if spec.extractor == "inception" and not (weights and Path(weights).expanduser().is_file()):
        raise SpecError(
            f"Inception weights (--inception-weights): {weights!r} is not a file; give the file"
            " weights-inception-2015-12-05-6726825d.pth that torch-fidelity and torchmetrics use.",
            "inception_weights",
        )
    dataset, _ = set_dataset(known, spec.images, "images")
    if (held := held_images(known, spec.images)) is None:
        return
    images, _ = held
    if len(images) < FEWEST:
        raise SpecError(
            f"Synthetic set: {spec.images} has {len(images)}"
            f" image{'' if len(images) == 1 else 's'}; a distance needs at least {FEWEST}, and is"
            " imprecise below 1,000.",
            "images",
        )
    check_channels(spec.images, images, catalog.info(dataset), "images")
