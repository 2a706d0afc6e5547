"""Which runs use which images of a data set: generators and classifiers for training, and what is
kept for validation, testing and fidelity."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import numpy as np

from dreamlab.data import catalog, contents
from dreamlab.data.selection import arm_counts, places, real_data, real_part, selected, train_labels
from dreamlab.experiments import identity
from dreamlab.experiments.provenance import behind
from dreamlab.settings import (
    ClassifySpec,
    FidelitySpec,
    RealData,
    SpecError,
    SynthesizeSpec,
    TrainSpec,
)
from dreamlab.store import Run, RunError, RunStore

Role = Literal["generator", "classifier", "validation", "test", "fidelity"]
TRAINED: tuple[Role, ...] = ("generator", "classifier")
MOST_SEEDS = 4
"""Most seeds of selections among which a validation share is looked for."""


@dataclasses.dataclass(frozen=True)
class Use:
    """A part of a data set that some runs use in one role. `run` is the run, or the experiment that
    `count` of its runs belong to. `images` are sorted indices (n,) into the training split, or for
    `test` into the test split; None if it is not known which they are."""

    role: Role
    run: str
    count: int
    test: bool
    images: np.ndarray | None
    seed: int = 0
    """The seed of its selection."""


@dataclasses.dataclass(frozen=True)
class Aside:
    """Settings with which a run sets aside `images` that no run was trained on."""

    validation: float
    subset_seed: int
    images: int


@dataclasses.dataclass(frozen=True)
class Unseen:
    """Settings with which a run is trained on `images` that no generator was trained on."""

    skip_per_class: int
    subset_seed: int
    images: int


def uses(data: RealData, runs: Iterable[Run], store: RunStore) -> list[Use]:
    """All uses of the data set of `data`, whichever images of it that selects. Runs that read the
    same images from another folder or under another name count too. Raises DataError if the images
    cannot be read."""
    content = contents.images_of(data.dataset, data.data_dir)
    merged: dict[tuple[Role, str, bool, bytes], Use] = {}
    for run in runs:
        try:
            for use in _of_run(run, data, content, store):
                known = use.images.tobytes() if use.images is not None else b"?"
                key = (use.role, use.run, use.test, known)
                before = merged.get(key)
                merged[key] = dataclasses.replace(use, count=before.count + 1 if before else 1)
        except (RunError, SpecError, catalog.DataError):
            continue  # a run whose files are damaged or gone
    return list(merged.values())


def among(use: Use, shared: catalog.Info) -> Use | None:
    """The part of a use that is among the first images of a set, as many as `shared` has in the
    same split; None if there is none."""
    if use.images is None:
        return use
    images = use.images[use.images < (shared.test if use.test else shared.train)]
    return dataclasses.replace(use, images=images) if len(images) else None


def seen(found: Sequence[Use], *roles: Role) -> np.ndarray:
    """Sorted indices (n,) of the training images that any run of these roles uses."""
    known = [u.images for u in found if u.role in roles and not u.test and u.images is not None]
    return np.unique(np.concatenate([np.zeros(0, np.int64), *known]))


def aside(found: Sequence[Use], data: RealData) -> Aside | None:
    """The largest share that a new run can set aside (`validation`) of images that no generator and
    no classifier was trained on, in steps of 0.05 and with a seed of these runs; None if there is
    none."""
    taken, best = seen(found, *TRAINED), None
    for seed in list(dict.fromkeys(u.seed for u in found if u.role in TRAINED))[:MOST_SEEDS]:
        for step in range(10, 0, -1):
            share = round(0.05 * step, 2)
            whole = {"images_per_class": 0, "long_tail": 0.0, "share": 1.0}
            held = selected(real_data(data, validation=share, subset_seed=seed, **whole)).validation
            if best is not None and len(held) <= best.images:
                break
            if len(held) and not np.isin(held, taken).any():
                best = Aside(share, seed, len(held))
                break
    return best


def unseen(found: Sequence[Use], data: RealData) -> Unseen | None:
    """The settings with which a new run is trained on the most images that no generator was trained
    on, with a seed of these generators; None if there are none, or if some class has none."""
    taken, best = seen(found, "generator"), None
    labels = train_labels(data)
    classes = np.bincount(labels)
    for seed in list(dict.fromkeys(u.seed for u in found if u.role == "generator"))[:MOST_SEEDS]:
        skip = int(places(labels, seed)[taken].max()) + 1 if len(taken) else 0
        images = int((classes - skip).sum())
        if skip and classes.min() > skip and (best is None or images > best.images):
            best = Unseen(skip, seed, images)
    return best


def _of_run(run: Run, data: RealData, content: str, store: RunStore) -> Iterator[Use]:
    """The uses of one run."""
    spec, of = run.spec, run.record.group or run.id
    if isinstance(spec, TrainSpec):
        saw = behind(run, data, content, store)
        if saw is not None and len(saw.own):
            yield Use("generator", of, 1, False, saw.own, spec.subset_seed)
        elif saw is None and spec.dataset == data.dataset:
            yield Use("generator", of, 1, False, None)
    if isinstance(spec, (TrainSpec, ClassifySpec)) and _reads(run, spec.dataset, content):
        part = real_part(spec, dataset=data.dataset, data_dir=data.data_dir)
        own = selected(part)
        if len(own.validation):
            yield Use("validation", of, 1, False, own.validation, spec.subset_seed)
        if isinstance(spec, ClassifySpec):
            yield Use("test", of, 1, True, _all_test(data))
            if any(c.real for c in arm_counts(spec.arm, part)):
                yield Use("classifier", of, 1, False, own.pool, spec.subset_seed)
    if isinstance(spec, SynthesizeSpec) and spec.labeller != "none":
        yield from _labeller(run, spec, data, content, store)
    if isinstance(spec, FidelitySpec):
        yield from _reference(run, spec, data, content, store)


def _labeller(
    run: Run, spec: SynthesizeSpec, data: RealData, content: str, store: RunStore
) -> Iterator[Use]:
    """The images of the classifier that gave the labels of a synthetic set."""
    trained = store.get(spec.source).spec
    if isinstance(trained, TrainSpec) and _reads(run, trained.dataset, content):
        whole = {} if spec.labeller == "own" else RealData().model_dump()
        part = {**whole, "dataset": data.dataset, "data_dir": data.data_dir}
        pool = selected(real_part(trained, **part)).pool
        yield Use("classifier", run.record.group or run.id, 1, False, pool, trained.subset_seed)


def _reference(
    run: Run, spec: FidelitySpec, data: RealData, content: str, store: RunStore
) -> Iterator[Use]:
    """The real images that a synthetic set was compared with."""
    read = identity.data_of(spec, store)
    if read is None or not _reads(run, read[0], content):
        return
    of, images = run.record.group or run.id, np.zeros(0, np.int64)
    if spec.reference == "test":
        images = _all_test(data)
    elif spec.reference == "train":
        images = np.arange(catalog.info(data.dataset).train)
    else:
        made = store.get(spec.images).spec
        trained = store.get(made.source).spec if isinstance(made, SynthesizeSpec) else None
        if isinstance(trained, TrainSpec):
            there = real_data(trained, dataset=data.dataset, data_dir=data.data_dir)
            images = selected(there).validation
    if len(images):
        yield Use("fidelity", of, 1, spec.reference == "test", images)


def _reads(run: Run, dataset: str, content: str) -> bool:
    return identity.images_read(run, dataset) == content


def _all_test(data: RealData) -> np.ndarray:
    return np.arange(catalog.info(data.dataset).test)
