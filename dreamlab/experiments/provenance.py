"""Which real images a generator was trained on, counted from image indices. It follows all runs
that the generator depends on."""

from __future__ import annotations

import dataclasses

import numpy as np

from dreamlab.data import mixing
from dreamlab.data.selection import selected
from dreamlab.experiments.children import Children
from dreamlab.experiments.mix.plan import ALL, ARM, OWN, TRAINED_HERE, training
from dreamlab.settings import (
    ImportSpec,
    MixSpec,
    RealData,
    SpecError,
    SynthesizeSpec,
    TrainSpec,
    make,
)
from dreamlab.store import Run, RunError, RunStore

MOST_STARTS = 1000
"""Longest chain of fine-tunings that is followed. A longer one must be a cycle in damaged runs."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """A source of the synthetic images of a mix. `saw` are the indices into the training split that
    the generator was trained on; None if unknown. `foreign` means that the images were made
    elsewhere. `seconds` is the training time; None if unknown."""

    key: str
    run: str
    name: str
    seconds: float | None
    saw: np.ndarray | None
    foreign: bool = False

    def leakage(self, data: RealData) -> mixing.Leakage | None:
        """Compares its training images with the real images that a classifier may use; None if they
        are unknown. A generator per arm was trained on exactly the images of its arm."""
        own = selected(data)
        if self.key == ARM:
            return mixing.leakage(own.pool, own.pool, own.validation)
        return None if self.saw is None else mixing.leakage(self.saw, own.pool, own.validation)

    @property
    def why(self) -> str:
        """The text to show if the training images are unknown."""
        return (
            "made elsewhere: its training images are not known"
            if self.foreign
            else "the training images of this generator are not known"
        )


def origin(spec: MixSpec, key: str, store: RunStore, children: Children) -> Origin:
    """The origin for one source of a mix. It works also if the run was deleted."""
    if key in TRAINED_HERE:
        run_id = children.ids.get(f"generator:{key}", "")
        trained = make(TrainSpec, training(spec, key)) if key in (OWN, ALL) else None
        result = children.result(f"generator:{key}") or {}
        saw = seen(trained, spec, store) if trained else None
        return Origin(key, run_id, TRAINED_HERE[key], result.get("seconds"), saw)
    try:
        run = store.get(key)
        made, name = run.spec, run.record.name
    except (RunError, SpecError):
        return Origin(key, "", f"{key} (deleted)", None, None)
    if isinstance(made, ImportSpec):
        return Origin(key, key, name, None, None, foreign=True)
    return Origin(key, key, name, _training_seconds(run, made, store), behind(made, spec, store))


def behind(made: object, data: RealData, store: RunStore) -> np.ndarray | None:
    """Indices of the real images that affect a generator or a synthetic set. For a set these
    include the training images of a guide, of super-resolution models and of the classifier that
    gave pseudo-labels. None if unknown."""
    if isinstance(made, TrainSpec):
        return seen(made, data, store)
    assert isinstance(made, SynthesizeSpec)
    names = [name for name in (made.source, made.guide, *made.upsample) if name]
    parts = []
    for name in names:
        try:
            trained = store.get(name).spec
        except (RunError, SpecError):
            return None
        found = seen(trained, data, store) if isinstance(trained, TrainSpec) else None
        if found is None:
            return None
        parts.append(found)
    if made.labeller == "all":
        parts.append(
            selected(make(RealData, {"dataset": data.dataset, "data_dir": data.data_dir})).pool
        )
    return np.unique(np.concatenate(parts))


def seen(trained: TrainSpec, data: RealData, store: RunStore) -> np.ndarray | None:
    """Indices into the training split that a generator was trained on, including those of the runs
    that it was fine-tuned from. None if they are unknown or if other data was used."""
    found: list[np.ndarray] = []
    while True:
        if trained.dataset != data.dataset or len(found) > MOST_STARTS:
            return None
        try:
            found.append(selected(trained.model_copy(update={"data_dir": data.data_dir})).pool)
            if not trained.init_from:
                return np.unique(np.concatenate(found))
            source = store.get(trained.init_from).spec
        except (RunError, SpecError):
            return None
        if not isinstance(source, TrainSpec):
            return None
        trained = source


def _training_seconds(run: Run, made: object, store: RunStore) -> float | None:
    try:
        run = store.get(made.source) if isinstance(made, SynthesizeSpec) else run
    except RunError:
        return None
    seconds = (run.result() or {}).get("seconds")
    return float(seconds) if seconds is not None else None
