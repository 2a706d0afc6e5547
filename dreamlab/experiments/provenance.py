"""Which real images a generator was trained on, counted from image indices. It follows all runs
that the generator depends on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from dreamlab.data import catalog, mixing, near_copies
from dreamlab.data.selection import real_part, selected
from dreamlab.experiments.children import Children
from dreamlab.experiments.mix.plan import ALL, ARM, OWN, TRAINED_HERE, cells, set_role, training
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
class Seen:
    """The real images that a generator was trained on: indices into the training split of the data
    of the classifiers, and the number of images of other data sets."""

    own: np.ndarray
    other: int = 0


@dataclasses.dataclass(frozen=True)
class Origin:
    """A source of the synthetic images of a mix. `saw` are the real images that the generator was
    trained on; None if unknown. `foreign` means that the images were made elsewhere. `seconds` is
    the training time; None if unknown. `copied` are, for each role of a set of this source, the
    training images (n,) of which the set contains near-copies, if these are more than chance
    explains."""

    key: str
    run: str
    name: str
    seconds: float | None
    saw: Seen | None
    foreign: bool = False
    copied: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def badge(self, data: RealData, role: str = "") -> str:
        """What is known of its training images and of the near-copies of real ones in its sets, or
        in the set with this role, as a short label. `data` are those of the classifier."""
        leak = self.leakage(data)
        said = [leak.badge if leak else self.why]
        sets = [
            (of, selected(self._part(data, name) if not role else data).pool)
            for name, of in self.copied.items()
            if role in ("", name)
        ]
        return "; ".join(said + ([mixing.copied(sets)] if sets else []))

    def _part(self, data: RealData, role: str) -> RealData:
        """The real images of the classifier that uses a set of a generator per arm."""
        if self.key != ARM:
            return data
        return real_part(data, replaced=mixing.parse(role.rsplit(":", 1)[1]).amount)

    def leakage(self, data: RealData) -> mixing.Leakage | None:
        """Compares its training images with the real images that a classifier may use; None if they
        are unknown. A generator per arm was trained on exactly the images of its arm."""
        own = selected(data)
        if self.key == ARM:
            return mixing.leakage(own.pool, own.pool, own.validation)
        return None if self.saw is None else leakage_of(self.saw, data)

    @property
    def why(self) -> str:
        """The text to show if the training images are unknown."""
        return (
            "made elsewhere: its training images are not known"
            if self.foreign
            else "the training images of this generator are not known"
        )


def leakage_of(saw: Seen, data: RealData) -> mixing.Leakage:
    """Compares the training images of a generator with the real images that a classifier may
    use."""
    own = selected(data)
    return mixing.leakage(saw.own, own.pool, own.validation, saw.other)


def origin(spec: MixSpec, key: str, store: RunStore, children: Children) -> Origin:
    """The origin for one source of a mix. It works also if the run was deleted."""
    roles = dict.fromkeys(set_role(cell) for cell in cells(spec) if cell.key == key)
    found = {role: copied_in(store.folder / children.ids.get(role, key), spec) for role in roles}
    return dataclasses.replace(
        _origin(spec, key, store, children),
        copied={role: of for role, of in found.items() if len(of)},
    )


def copied_in(folder: Path, data: RealData) -> np.ndarray:
    """The training images (n,) of which the set in a folder is known to contain near-copies; none
    if these are not more than chance explains."""
    found = near_copies.load(folder)
    if found is None or not found.repeats:
        return np.zeros(0, np.int64)
    same = found.data == near_copies.identity(catalog.load(data.dataset, data.data_dir))
    return found.training.of if same else np.zeros(0, np.int64)


def _origin(spec: MixSpec, key: str, store: RunStore, children: Children) -> Origin:
    if key in TRAINED_HERE:
        run_id = children.ids.get(f"generator:{key}", "")
        trained = make(TrainSpec, training(spec, key)) if key in (OWN, ALL) else None
        result = children.result(f"generator:{key}") or {}
        saw = behind(trained, spec, store) if trained else None
        return Origin(key, run_id, TRAINED_HERE[key], result.get("seconds"), saw)
    try:
        run = store.get(key)
        made, name = run.spec, run.record.name
    except (RunError, SpecError):
        return Origin(key, "", f"{key} (deleted)", None, None)
    if isinstance(made, ImportSpec):
        return Origin(key, key, name, None, None, foreign=True)
    return Origin(key, key, name, _training_seconds(run, made, store), behind(made, spec, store))


def behind(made: object, data: RealData, store: RunStore) -> Seen | None:
    """The real images that affect a generator or a synthetic set. For a set these include the
    training images of a guide, of super-resolution models and of the classifier that gave
    pseudo-labels. None if unknown."""
    found: dict[str, list[np.ndarray]] = {data.dataset: []}
    if isinstance(made, TrainSpec):
        return _seen(found, data) if _collect(made, data, store, found) else None
    assert isinstance(made, SynthesizeSpec)
    for name in (made.source, made.guide, *made.upsample):
        try:
            trained = store.get(name).spec if name else None
        except (RunError, SpecError):
            return None
        if name and not (isinstance(trained, TrainSpec) and _collect(trained, data, store, found)):
            return None
    if made.labeller == "all":
        whole = make(RealData, {"dataset": data.dataset, "data_dir": data.data_dir})
        found[data.dataset].append(selected(whole).pool)
    return _seen(found, data)


def _collect(
    trained: TrainSpec, data: RealData, store: RunStore, found: dict[str, list[np.ndarray]]
) -> bool:
    """Adds to `found`, a list of index arrays per data set, the images that a generator and the
    runs that it was fine-tuned from were trained on. False if a run or a data set among them cannot
    be read."""
    for _ in range(MOST_STARTS):
        here = {"data_dir": data.data_dir} if trained.dataset == data.dataset else {}
        try:
            pool = selected(trained.model_copy(update=here)).pool
            found.setdefault(trained.dataset, []).append(pool)
            if not trained.init_from:
                return True
            source = store.get(trained.init_from).spec
        except (RunError, SpecError):
            return False
        if not isinstance(source, TrainSpec):
            return False
        trained = source
    return False


def _seen(found: dict[str, list[np.ndarray]], data: RealData) -> Seen:
    unique = {name: np.unique(np.concatenate(pools)) for name, pools in found.items() if pools}
    own = unique.pop(data.dataset, np.zeros(0, np.int64))
    return Seen(own, sum(len(pool) for pool in unique.values()))


def _training_seconds(run: Run, made: object, store: RunStore) -> float | None:
    try:
        run = store.get(made.source) if isinstance(made, SynthesizeSpec) else run
    except RunError:
        return None
    seconds = (run.result() or {}).get("seconds")
    return float(seconds) if seconds is not None else None
