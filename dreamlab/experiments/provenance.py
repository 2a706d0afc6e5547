"""Which real images a set of synthetic ones was made from: counted from the indices, along every
run that it goes back to."""

from __future__ import annotations

import dataclasses

import numpy as np

from dreamlab.data import mixing
from dreamlab.data.available import selected
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
"""Trainings that started from one another at most; more are a circle of damaged runs."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where the synthetic images of a mix come from. `saw` are indices into the training split,
    None where they cannot be told; `foreign` where they were made elsewhere; `seconds` of training,
    where that is known."""

    key: str
    run: str
    name: str
    seconds: float | None
    saw: np.ndarray | None
    foreign: bool = False

    def leakage(self, data: RealData) -> mixing.Leakage | None:
        """Against what a classifier may use. A generator per arm saw exactly its arm's images."""
        own = selected(data)
        if self.key == ARM:
            return mixing.leakage(own.pool, own.pool, own.validation)
        return None if self.saw is None else mixing.leakage(self.saw, own.pool, own.validation)

    @property
    def why(self) -> str:
        """What the badge says where the leakage is not known."""
        return (
            "made elsewhere: what its generator saw is not known"
            if self.foreign
            else "it is not known what this generator saw"
        )


def origin(spec: MixSpec, key: str, store: RunStore, children: Children) -> Origin:
    """The origin behind one key of a mix; its run may be gone, then its settings are read from
    nowhere."""
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
    """What the generator of a set, or a generator, saw; its labeller counts as well."""
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
    """Indices into the training split that a generator was trained on; a fine-tuned one saw what
    the run it started from saw, too. None where that cannot be counted, or where it was other data.
    """
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
