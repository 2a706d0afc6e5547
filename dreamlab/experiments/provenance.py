"""Which real images a generator was trained on, counted from image indices. It follows all runs
that the generator depends on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import cast

import numpy as np

from dreamlab.data import catalog, contents, mixing, near_copies
from dreamlab.data.exporting import LABELLED_BY
from dreamlab.data.selection import real_part, selected
from dreamlab.experiments import identity
from dreamlab.experiments.children import Children
from dreamlab.experiments.mix.plan import ALL, ARM, OWN, TRAINED_HERE, cells, set_role, training
from dreamlab.settings import (
    ImportSpec,
    MixSpec,
    RealData,
    RealPart,
    SpecError,
    SynthesizeSpec,
    TrainSpec,
    make,
)
from dreamlab.store import Run, RunError, RunStore, read_json

MOST_STARTS = 1000
"""Longest chain of fine-tunings that is followed. A longer one must be a cycle in damaged runs."""


@dataclasses.dataclass(frozen=True)
class Seen:
    """The real images that a generator was trained on: indices into the training split of the data
    of the classifiers, and the number of images of other data: of other data sets, or of other
    content under the same name."""

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


def origin(spec: MixSpec, key: str, images: str, store: RunStore, children: Children) -> Origin:
    """The origin for one source of a mix, whose real images `images` identifies; empty if that is
    not known. It works also if the run was deleted."""
    roles = dict.fromkeys(set_role(cell) for cell in cells(spec) if cell.key == key)
    found = {role: copied_in(store.folder / children.ids.get(role, key), spec) for role in roles}
    return dataclasses.replace(
        _origin(spec, key, images, store, children),
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


def _origin(spec: MixSpec, key: str, images: str, store: RunStore, children: Children) -> Origin:
    if key in TRAINED_HERE:
        run_id = children.ids.get(f"generator:{key}", "")
        trained = make(TrainSpec, training(spec, key)) if key in (OWN, ALL) else None
        result = children.result(f"generator:{key}") or {}
        # a mix and the generators that it trains read the same images
        saw = Seen(selected(trained).pool) if trained else None
        return Origin(key, run_id, TRAINED_HERE[key], result.get("seconds"), saw)
    try:
        run = store.get(key)
        made, name = run.spec, run.record.name
    except (RunError, SpecError):
        return Origin(key, "", f"{key} (deleted)", None, None)
    if isinstance(made, ImportSpec):
        return Origin(key, key, name, None, None, foreign=True)
    saw = behind(run, spec, images, store)
    return Origin(key, key, name, _training_seconds(run, made, store), saw)


def behind(made: Run, data: RealData, images: str, store: RunStore) -> Seen | None:
    """The real images that affect a generator or a synthetic set. For a set these include the
    training images of a guide, of super-resolution models and of the classifier that gave
    pseudo-labels. None if unknown.

    `images` identifies the images of `data` (see `dreamlab.data.contents`): a run has seen these
    only if what it read had the same content, in whichever folder.
    """
    found = _Found(data, images)
    spec = made.spec
    if isinstance(spec, TrainSpec):
        return found.seen if _collect(made, store, found) else None
    if not isinstance(spec, SynthesizeSpec):
        return None
    for name in (spec.source, spec.guide, *spec.upsample):
        try:
            if name and not _collect(store.get(name), store, found):
                return None
        except (RunError, SpecError):
            return None
    if spec.labeller != "none":
        read = cast(TrainSpec, store.get(spec.source).spec)
        taught = (
            make(RealData, {"dataset": read.dataset, "data_dir": read.data_dir})
            if spec.labeller == "all"
            else read
        )
        # the classifier was trained when the set was made, and the folder may have changed since
        if not found.add(taught, identity.images_read(made, read.dataset), None):
            return None
    return found.seen


def labelled_by(made: Run) -> dict[str, str] | None:
    """The `labeller` of a synthetic set whose labels a classifier gave, and the `run` that it gave
    them in, which is another one for a set that was exported and imported again. None if the labels
    are others, or if nothing is known of them."""
    spec = made.spec
    if isinstance(spec, SynthesizeSpec):
        return None if spec.labeller == "none" else {"labeller": spec.labeller, "run": made.id}
    card = read_json(made.path / catalog.CARD) if isinstance(spec, ImportSpec) else None
    found = card.get(LABELLED_BY) if isinstance(card, dict) else None
    return found if isinstance(found, dict) else None


def _collect(run: Run, store: RunStore, found: _Found) -> bool:
    """Adds to `found` the images that a generator and the runs that it was fine-tuned from were
    trained on. False if a run or what it read is not known."""
    for _ in range(MOST_STARTS):
        try:
            trained = run.spec
            if not isinstance(trained, TrainSpec):
                return False
            count = (run.result() or {}).get("real_images")
            if not found.add(trained, identity.images_read(run, trained.dataset), count):
                return False
            if not trained.init_from:
                return True
            run = store.get(trained.init_from)
        except (RunError, SpecError):
            return False
    return False


class _Found:
    """Collects the training images of runs, each by what identifies the images that it read.
    `data` are the real images of the classifiers, which `images` identifies."""

    def __init__(self, data: RealData, images: str):
        self._data, self._images = data, images
        self._pools: dict[str, list[np.ndarray]] = {}
        self._gone: dict[str, tuple[RealPart, int]] = {}

    def add(self, read: RealData, content: str, count: int | None) -> bool:
        """Adds the images that a run selected among those with this content. `count` is their
        number as the run counted it, for images that cannot be read any more. False if it is not
        known which images or how many these are."""
        if not (self._images and content):
            return False
        part = real_part(read)
        if content == self._images:
            part = real_part(read, dataset=self._data.dataset, data_dir=self._data.data_dir)
        elif not _there(part, content):
            # the same selection among the same images adds nothing; another may overlap with it
            known = self._gone.setdefault(content, (part, count or 0))
            return bool(count) and known == (part, count)
        self._pools.setdefault(content, []).append(selected(part).pool)
        return True

    @property
    def seen(self) -> Seen | None:
        """All that was added; None if some images of a content could be read, and others not."""
        if self._gone.keys() & self._pools.keys():
            return None
        unique = {name: np.unique(np.concatenate(pools)) for name, pools in self._pools.items()}
        own = unique.pop(self._images, np.zeros(0, np.int64))
        other = sum(map(len, unique.values())) + sum(count for _, count in self._gone.values())
        return Seen(own, other)


def _there(data: RealData, content: str) -> bool:
    """Whether images can still be read, and have this content."""
    try:
        return contents.images_of(data.dataset, data.data_dir) == content
    except catalog.DataError:
        return False


def _training_seconds(run: Run, made: object, store: RunStore) -> float | None:
    try:
        run = store.get(made.source) if isinstance(made, SynthesizeSpec) else run
    except RunError:
        return None
    seconds = (run.result() or {}).get("seconds")
    return float(seconds) if seconds is not None else None
