"""Which real images a run may use: selections as indices into the training split, made class by
class and determined by a seed."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from dreamlab.data import catalog, mixing
from dreamlab.settings import RealData, RealPart, SpecError, make, settings_of


class SplitError(ValueError):
    """A selection would leave a class with too few images. `field` is the setting that causes
    it."""

    def __init__(self, message: str, field: str):
        super().__init__(message)
        self.field = field


@dataclasses.dataclass(frozen=True)
class Selected:
    """Sorted indices into one training split: `pool` are the images that may be used for training,
    `validation` those that are set aside. `whole` is the number of images of each class before the
    share `replaced` was left out; arms are counted from it."""

    pool: np.ndarray
    validation: np.ndarray
    whole: tuple[int, ...]


def long_tail_counts(counts: list[int], share: float) -> list[int]:
    """Class i of K keeps N_i * share^(i / (K - 1)) images, rounded down (study S3, equation 1; Cui
    et al. 2019). A `share` of 0 or 1 changes nothing."""
    if share in (0.0, 1.0) or len(counts) < 2:
        return list(counts)
    # N_i * share^1 may be a whole number of which floating point yields slightly less, hence 1e-9
    return [int(n * share ** (i / (len(counts) - 1)) + 1e-9) for i, n in enumerate(counts)]


def part_of(count: int, share: float) -> int:
    """Number of images of a class that remain with the setting `share`. As many are left out as an
    arm with this share of real images replaces."""
    if share == 1.0 or count < 2:
        return count
    return count - mixing.replaced(count, 1 - share)


def select(labels: np.ndarray, data: RealData, classes: int) -> Selected:
    """Selects the images that a spec may use. Each class is permuted once. Validation images are
    taken from its end and the others from its beginning, so that with the same seed a smaller
    selection is a subset of a larger one.

    `labels` (N,) are in 0..classes-1. Raises SplitError if a class has too few images.
    """
    order, available, replaced = [], [], data.replaced if isinstance(data, RealPart) else 0.0
    validation: list[np.ndarray] = []
    for c in range(classes):
        members = np.flatnonzero(labels == c)
        if len(members) == 0:
            raise SplitError(
                f"class {c} has no training images; leave it out of the data set", "dataset"
            )
        if _draws(data) or replaced:
            members = _permuted(members, data.subset_seed, c)
        aside = min(round(data.validation * len(members)), len(members) - 1)
        validation.append(members[len(members) - aside :])
        members = members[: len(members) - aside]
        if data.skip_per_class >= len(members):
            raise SplitError(
                f"class {c} has only {len(members)} images to train on", "skip_per_class"
            )
        members = members[data.skip_per_class :]
        wanted = data.images_per_class or len(members)
        if wanted > len(members):
            left = f" after {aside} were set aside for validation" if aside else ""
            left += f" and {data.skip_per_class} skipped" if data.skip_per_class else ""
            raise SplitError(
                f"class {c} has {len(members)} images{left}, fewer than the {wanted} asked for",
                "images_per_class",
            )
        order.append(members)
        available.append(wanted)
    counts = long_tail_counts(available, data.long_tail)
    if min(counts) == 0:
        least = 1 / max(available[counts.index(0)], 1)
        raise SplitError(
            f"a long tail of {data.long_tail:g} leaves class {counts.index(0)} without images; give"
            f" at least {least:.2g}",
            "long_tail",
        )
    whole = [part_of(n, data.share) for n in counts]
    if replaced and min(whole) < 2:
        raise SplitError(f"class {whole.index(min(whole))} has only one image", "replaced")
    kept = [n - mixing.replaced(n, replaced) if replaced else n for n in whole]
    chosen = [members[:n] for members, n in zip(order, kept, strict=True)]
    return Selected(
        np.sort(np.concatenate(chosen)), np.sort(np.concatenate(validation)), tuple(whole)
    )


def _draws(data: RealData) -> bool:
    """Whether not all images are used in their order."""
    chosen = data.images_per_class or data.skip_per_class or data.long_tail or data.validation
    return bool(chosen) or data.share < 1


def _permuted(members: np.ndarray, seed: int, c: int) -> np.ndarray:
    found: np.ndarray = np.random.default_rng([seed, c]).permutation(members)
    return found


def places(labels: np.ndarray, seed: int) -> np.ndarray:
    """For each image of labels (N,), its place among those of its class in the order in which a
    selection with the seed `seed` draws them."""
    found = np.zeros(len(labels), np.int64)
    for c in np.unique(labels).tolist():
        members = _permuted(np.flatnonzero(labels == c), seed, c)
        found[members] = np.arange(len(members))
    return found


def train_labels(data: RealData) -> np.ndarray:
    """Labels (N,) of the training split. Raises SpecError if the data set cannot be read."""
    try:
        return catalog.load(data.dataset, data.data_dir).train_labels
    except catalog.DataError as error:
        raise SpecError(str(error), "data_dir") from None


def classes_of(data: RealData) -> tuple[str, ...]:
    """Names of the classes. Raises SpecError if the data set is not known."""
    try:
        return catalog.info(data.dataset).classes
    except catalog.DataError as error:
        raise SpecError(str(error), "dataset") from None


def selected(data: RealData) -> Selected:
    """The images that a run may be trained on, and those set aside. Raises SpecError if a class has
    too few images."""
    return _selected(real_part(data), _stamp(data))


def _stamp(data: RealData) -> catalog.Stamp:
    """Changes when the files of the data set change. Raises SpecError if they are missing."""
    try:
        return catalog.stamp(data.dataset, data.data_dir)
    except catalog.DataError as error:
        raise SpecError(str(error), "data_dir") from None


def real_data(data: RealData, **changes: Any) -> RealData:
    """The settings of `data` that select real images, with some of them changed."""
    return make(
        RealData, {**{name: getattr(data, name) for name in RealData.model_fields}, **changes}
    )


def real_part(data: RealData, **changes: Any) -> RealPart:
    """Like `real_data`, with the setting `replaced`."""
    names = [name for name in RealPart.model_fields if hasattr(data, name)]
    return make(RealPart, {**{name: getattr(data, name) for name in names}, **changes})


@functools.lru_cache(maxsize=64)
def _selected(data: RealPart, _: catalog.Stamp) -> Selected:
    try:
        return select(train_labels(data), data, len(classes_of(data)))
    except SplitError as error:
        label, flag = next(
            (k.label, k.flag) for k in settings_of(RealPart) if k.name == error.field
        )
        value = getattr(data, error.field)
        raise SpecError(
            f"{label} ({flag}): {value} cannot be used; {error}.", error.field
        ) from None


def available(data: RealData) -> list[int]:
    """Number of real images of each class that a run may use. Raises SpecError."""
    return list(_available(real_part(data), _stamp(data)))


@functools.lru_cache(maxsize=64)
def _available(data: RealPart, stamp: catalog.Stamp) -> tuple[int, ...]:
    # forms call this for every arm at every key press
    pool = _selected(data, stamp).pool
    found = np.bincount(train_labels(data)[pool], minlength=len(classes_of(data)))
    return tuple(int(n) for n in found)


def arm_counts(arm: str, data: RealData) -> list[mixing.Counts]:
    """Number of images of each class in an arm of these real images. Raises SpecError if they
    cannot be selected, and ValueError as `mixing.counts` does."""
    return mixing.counts(arm, selected(data).whole)
