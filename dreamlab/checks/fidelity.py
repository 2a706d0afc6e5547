"""Whether a set can be measured: it belongs to a data set and is large enough, the real images are
those that they are said to be, and the weights of the extractor exist."""

from __future__ import annotations

import numpy as np

from dreamlab.checks.cas import check_cas
from dreamlab.checks.inception_weights import check_weights
from dreamlab.checks.known import Known, Training
from dreamlab.checks.one_class import check_classes
from dreamlab.checks.own_classifier import check_own_classifier
from dreamlab.checks.pretrained_folder import check_folder
from dreamlab.checks.synthetic_set import check_channels, held_images, set_dataset
from dreamlab.data import catalog, contents
from dreamlab.data.selection import real_data, selected
from dreamlab.experiments.identity import PRETRAINED, images_read
from dreamlab.settings import FidelitySpec, SpecError, SynthesizeSpec, TrainSpec
from dreamlab.settings.fidelity import FEWEST


def check_fidelity(spec: FidelitySpec, known: Known) -> None:
    """Raises SpecError if the run holds no synthetic images, too few, or images with another number
    of channels than its data set, if the weights of the extractor cannot be used, if classes are
    wanted of images without any, or if the real images are not those of its generator although they
    are said to be. A set that is still to be made is not looked into. Raises DataError if the real
    images cannot be read."""
    if spec.extractor == "inception":
        check_weights(spec.inception_weights)
    if spec.extractor in PRETRAINED:
        check_folder(spec.extractor, spec.extractor_dir)
    dataset, labelled = set_dataset(known, spec.images, "images")
    if spec.per_class and not labelled:
        raise SpecError(
            f"Each class (--per-class): the images of {spec.images} have no classes; leave it out.",
            "per_class",
        )
    if spec.extractor == "classifier":
        check_classes(dataset, "extractor", "the extractor, a classifier,")
    check_own_classifier(spec, known, dataset)
    check_cas(spec, known)
    folder, others = real_folder(spec, known)
    if others:
        check_reference(spec.reference, folder or dataset, f"the generator of {spec.images}")
    if spec.reference == "validation" and validation_images(known, spec.images, folder) is None:
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


def real_folder(spec: FidelitySpec, known: Known) -> tuple[str, bool]:
    """(data folder of the real images that a set is compared with, whether its generator is known
    to have been trained on other images than are there now). Raises SpecError if the spec names a
    folder with other images than those of the generator, and DataError if it cannot be read."""
    made = known.spec(spec.images)
    if not isinstance(made, SynthesizeSpec):
        return spec.data_dir, False
    source = known.training(made.source, "images")
    trained = source.spec
    if not spec.data_dir:
        return trained.data_dir, trained_on_others(source)
    try:
        wanted = (images_read(source.run, trained.dataset) if source.run else "") or (
            contents.images_of(trained.dataset, trained.data_dir)
        )
    except catalog.DataError:
        wanted = ""
    if contents.images_of(trained.dataset, spec.data_dir) != wanted:
        what = "does not hold" if wanted else "is not known to hold"
        raise SpecError(
            f"Data folder (--data-dir): {spec.data_dir!r} {what} the images that the generator of"
            f" {spec.images} was trained on; give a folder that does, or leave it out to use that"
            " of the generator.",
            "data_dir",
        )
    return spec.data_dir, False


def trained_on_others(source: Training) -> bool:
    """Whether a generator is known to have been trained on other images than its data folder holds
    now. Raises DataError if they cannot be read."""
    read = images_read(source.run, source.spec.dataset) if source.run else ""
    return bool(read) and read != contents.images_of(source.spec.dataset, source.spec.data_dir)


def check_reference(reference: str, place: str, generator: str) -> None:
    """Raises SpecError if the reference is a part of the training images of a generator, whose data
    in `place` have changed. Test images are compared with anyway, and the result says it."""
    if reference != "test":
        raise SpecError(
            f"Reference (--reference): the images of {place} have changed since {generator} was"
            f" trained, so its {reference} images are not there; bring the former images back, or"
            " choose test.",
            "reference",
        )


def validation_images(known: Known, name: str, data_dir: str = "") -> np.ndarray | None:
    """Sorted indices of the training images that the generator of a set set aside; None if there
    are fewer than FEWEST, or if the generator is not known. They are read from `data_dir`, by
    default from the folder of the generator. Raises SpecError, and RunError if there is no such
    run."""
    made = known.spec(name)
    trained = known.spec(made.source) if isinstance(made, SynthesizeSpec) else None
    if not isinstance(trained, TrainSpec) or not trained.validation:
        return None
    aside = selected(real_data(trained, data_dir=data_dir or trained.data_dir)).validation
    return aside if len(aside) >= FEWEST else None
