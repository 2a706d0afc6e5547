"""Whether a set can be measured: it belongs to a data set and is large enough, and the weights of
the extractor exist."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dreamlab.checks.known import Known
from dreamlab.checks.one_class import check_classes
from dreamlab.checks.synthetic_set import check_channels, held_images, set_dataset
from dreamlab.data import catalog
from dreamlab.data.selection import selected
from dreamlab.settings import FidelitySpec, SpecError, SynthesizeSpec, TrainSpec
from dreamlab.settings.fidelity import FEWEST


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
    if spec.extractor == "classifier":
        check_classes(dataset, "extractor", "the extractor, a classifier,")
    if spec.reference == "validation" and validation_images(known, spec.images) is None:
        raise SpecError(
            f"Reference (--reference): the generator of {spec.images} set no images aside for"
            " validation, or is not known; choose test or train.",
            "reference",
        )
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


def validation_images(known: Known, name: str) -> np.ndarray | None:
    """Sorted indices of the training images that the generator of a set set aside; None if there
    are fewer than FEWEST, or if the generator is not known. Raises SpecError, and RunError if there
    is no such run."""
    made = known.spec(name)
    trained = known.spec(made.source) if isinstance(made, SynthesizeSpec) else None
    if not isinstance(trained, TrainSpec) or not trained.validation:
        return None
    aside = selected(trained).validation
    return aside if len(aside) >= FEWEST else None
