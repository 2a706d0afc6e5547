"""Whether a synthetic set or a generator serves an experiment on some data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dreamlab.checks.sampling import check_sampling
from dreamlab.data import imageset
from dreamlab.data.selection import classes_of
from dreamlab.experiments.children import train_run
from dreamlab.settings import (
    ImportSpec,
    MixSpec,
    RealData,
    SpecError,
    SynthesizeSpec,
    TrainSpec,
    make,
)
from dreamlab.store import RunError, RunStore


def _check_generator(spec: MixSpec, store: RunStore, name: str) -> None:
    run, trained = train_run(store, name, "sources")
    if trained.dataset != spec.dataset:
        raise SpecError(
            f"Generator (--from): {run.id} was trained on {trained.dataset}; a generator of"
            f" {spec.dataset} is needed.",
            "sources",
        )
    if not trained.conditional:
        raise SpecError(
            f"Generator (--from): {run.id} was trained without classes, so its images have no"
            " labels; choose a conditional one, or sample it with --labeller and name that set"
            " (--set).",
            "sources",
        )
    values = {
        "source": run.id,
        "num_steps": spec.num_steps,
        "guidance_weight": spec.guidance_weight,
        "sampler": spec.sampler,
    }
    check_sampling(make(SynthesizeSpec, values), trained, len(classes_of(spec)))


def set_dataset(store: RunStore, name: str, field: str) -> tuple[str, bool]:
    """(data set that a synthetic set belongs to, whether its images have labels). Raises
    SpecError."""
    try:
        run = store.get(name)
        spec = run.spec
        if isinstance(spec, SynthesizeSpec):
            trained = store.get(spec.source).spec
            if isinstance(trained, TrainSpec):
                return trained.dataset, trained.conditional or spec.labeller != "none"
    except RunError as error:
        raise SpecError(f"Synthetic set: {error}", field) from None
    if not isinstance(spec, ImportSpec) or spec.role != "synthetic":
        raise SpecError(
            f"Synthetic set: {run.id} holds no synthetic images; name a synthesize run, or an"
            " import of role synthetic.",
            field,
        )
    return spec.dataset, True


def check_set(
    data: RealData, store: RunStore, name: str, needed: Sequence[int], field: str
) -> None:
    """Raises SpecError where a synthetic set belongs to other data, has no labels, or holds too few
    images of a class. A set that is not there yet is left to wait."""
    dataset, labelled = set_dataset(store, name, field)
    if dataset != data.dataset:
        raise SpecError(
            f"Synthetic set: {name} holds {dataset} images; a set of {data.dataset} is needed.",
            field,
        )
    if not labelled:
        raise SpecError(
            f"Synthetic set: the images of {name} have no labels, its generator was trained without"
            " classes; sample it with --labeller, or choose a set of a conditional generator.",
            field,
        )
    try:
        _, labels = imageset.load(store.get(name).path)
    except (OSError, ValueError):
        return
    held = np.bincount(labels, minlength=len(needed))
    for c, (there, wanted) in enumerate(zip(held, needed, strict=False)):
        if there < wanted:
            raise SpecError(
                f"Synthetic set: {name} has {there:,} images of class {c} ({classes_of(data)[c]}),"
                f" the arms need {wanted:,}; sample more, use fewer real images, or leave the"
                " largest arm out.",
                field,
            )
