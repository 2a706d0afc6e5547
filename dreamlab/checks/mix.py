"""Whether a mix is possible with its real images, generators and synthetic sets."""

from __future__ import annotations

from dreamlab.checks.known import Known
from dreamlab.checks.leaked_images import check_copies, check_overlap
from dreamlab.checks.synthetic_set import check_set
from dreamlab.data.selection import selected
from dreamlab.experiments.mix.plan import needed_images
from dreamlab.settings import MixSpec, SpecError


def check_mix(spec: MixSpec, known: Known) -> None:
    """Raises SpecError if an arm is impossible, if a generator or set belongs to other data or has
    no labels, or if a set is too small or contains test images."""
    selected(spec)
    check_overlap(spec)
    needed = needed_images(spec)
    for name in spec.sources:
        _check_generator(spec, known, name)
    for name in spec.sets:
        if f"set:{name}" in needed and name not in spec.sources:
            check_set(spec, known, name, needed[f"set:{name}"], "sets")
        check_copies(spec, known, name, "sets")


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
