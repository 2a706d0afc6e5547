"""Whether a mix is possible with its real images, generators and synthetic sets."""

from __future__ import annotations

from dreamlab.checks.known import Known
from dreamlab.checks.leaked_images import check_copies, check_overlap
from dreamlab.checks.one_class import check_classes
from dreamlab.checks.synthetic_set import check_set
from dreamlab.data import contents
from dreamlab.data.selection import selected
from dreamlab.experiments.mix.plan import needed_images
from dreamlab.experiments.provenance import behind
from dreamlab.settings import MixSpec, SpecError, SynthesizeSpec, TrainSpec


def check_mix(spec: MixSpec, known: Known) -> None:
    """Raises SpecError if an arm is impossible, if a generator or set belongs to other data or has
    no labels, or if a set is too small or contains test images."""
    check_classes(spec.dataset, "dataset", "a mix, which trains classifiers,")
    selected(spec)
    check_overlap(spec)
    needed = needed_images(spec)
    for name in spec.sources:
        _check_generator(spec, known, name)
    for name in spec.sets:
        if f"set:{name}" in needed and name not in spec.sources:
            check_set(spec, known, name, needed[f"set:{name}"], "sets")
        check_copies(spec, known, name, "sets")
    for name in (*spec.sources, *spec.sets):
        _check_origin(spec, known, name, "sources" if name in spec.sources else "sets")


def _check_origin(spec: MixSpec, known: Known, name: str, field: str) -> None:
    """Raises SpecError if it cannot be known what a generator, or that of a set, was trained on.
    That of an imported set is never known, and the report says so."""
    made = known.get(name)
    if not isinstance(made.spec, TrainSpec | SynthesizeSpec):
        return
    images = contents.images_of(spec.dataset, spec.data_dir)
    if behind(made, spec, images, known.store) is None:
        raise SpecError(
            f"{made.id} cannot be used: what its generator was trained on is not known, because a"
            " run or a data set that it was made from was deleted, has changed or cannot be read,"
            " or because an older version did not record which images a folder held; restore it,"
            " or choose another run.",
            field,
        )


def _check_generator(spec: MixSpec, known: Known, name: str) -> None:
    training = known.training(name, "sources")
    if training.spec.dataset != spec.dataset:
        raise SpecError(
            f"Generator (--from): {training.name} was trained on {training.spec.dataset}; a"
            f" generator of {spec.dataset} is needed.",
            "sources",
        )
    if not training.spec.conditional:
        raise SpecError(
            f"Generator (--from): {training.name} was trained without classes, so its images have"
            " no labels; choose a conditional generator, or sample this one with --labeller and"
            " name that set (--set).",
            "sources",
        )
