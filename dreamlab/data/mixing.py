"""Arms: the number of real and synthetic images in each, and which images these are. Every arm is
compared with the arm `real`."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from dreamlab.settings.arm_names import ARM, check_arm


@dataclasses.dataclass(frozen=True)
class Arm:
    """The meaning of an arm's name.

    `form` is real, synthetic, augmented, replace, add, targeted, duplicated or noise. `amount` is
    the synthetic share (replace), the factor K (add, duplicated, noise) or the number of images per
    class (targeted). `classes` are those of a targeted arm.
    """

    name: str
    form: str
    amount: float = 0.0
    classes: tuple[int, ...] = ()

    @property
    def needs_set(self) -> bool:
        """Whether the arm has images of a synthetic set."""
        return self.form in ("replace", "add", "targeted", "synthetic")


@functools.lru_cache(maxsize=1024)  # forms call this for every arm at every key press
def parse(name: str) -> Arm:
    """The meaning of an arm's name. Raises SpecError if the name is not valid."""
    name = check_arm(name)
    found = ARM.fullmatch(name)
    assert found is not None
    if found["word"]:
        return Arm(name, found["word"])
    if found["synthetic"]:
        return Arm(name, "replace", float(found["synthetic"]) / 100)
    if found["classes"]:
        return Arm(
            name,
            "targeted",
            float(found["each"]),
            tuple(int(c) for c in found["classes"].split("+")),
        )
    return Arm(name, "add" if found["base"] == "real" else found["base"], float(found["times"]))


@dataclasses.dataclass(frozen=True)
class Counts:
    """Number of images of one class in one arm. `other` counts repeated real images or noise
    images."""

    real: int
    synthetic: int
    other: int = 0

    @property
    def total(self) -> int:
        """Number of images of all sorts."""
        return self.real + self.synthetic + self.other


def counts(arm: str, available: Sequence[int]) -> list[Counts]:
    """Number of images of each class in an arm, where `available[c]` = n real images of class c may
    be used.

    `real` and `augmented`: n real. `synthetic`: n synthetic. `R/S` (replace): n in total, S % of
    them synthetic (rounded). `real+Kx` (add): n real and K n synthetic. `real+N@C` (targeted): n
    real, and N synthetic for the classes C only. `duplicated+Kx` and `noise+Kx`: n real and K n
    repeated real images or noise images. There is at least one image of each sort that the arm
    names. Raises ValueError if n is too small for that, or if a class does not exist.
    """
    return list(_counts_of(arm, tuple(int(n) for n in available)))


@functools.lru_cache(maxsize=1024)
def _counts_of(arm: str, available: tuple[int, ...]) -> tuple[Counts, ...]:
    a = parse(arm)
    if a.form == "targeted" and max(a.classes) >= len(available):
        raise ValueError(
            f"arm {arm} names class {max(a.classes)}, the classes are 0 to {len(available) - 1}"
        )
    return tuple(_counts(a, c, n) for c, n in enumerate(available))


def _counts(a: Arm, c: int, n: int) -> Counts:
    if a.form in ("real", "augmented"):
        return Counts(n, 0)
    if a.form == "synthetic":
        return Counts(0, n)
    if a.form == "targeted":
        return Counts(n, int(a.amount) if c in a.classes else 0)
    added = max(1, round(a.amount * n))
    if a.form == "add":
        return Counts(n, added)
    if a.form in ("duplicated", "noise"):
        return Counts(n, 0, added)
    if n < 2:
        raise ValueError(f"arm {a.name} needs at least 2 real images per class, there is {n}")
    return Counts(n - replaced(n, a.amount), replaced(n, a.amount))


def replaced(n: int, share: float) -> int:
    """How many of n images, 2 or more, are replaced: the share `share`, rounded, but at least one
    and not all."""
    return min(max(round(n * share), 1), n - 1)


def label(arm: str, names: Sequence[str] = ()) -> str:
    """The name of an arm in texts and tables. `names` are the class names."""
    a = parse(arm)
    words = {"real": "Real only", "synthetic": "Synthetic only", "augmented": "Real, augmented"}
    if a.form in words:
        return words[a.form]
    if a.form == "targeted":
        which = ", ".join(names[c] if c < len(names) else str(c) for c in a.classes)
        return f"Real + {int(a.amount):,} synthetic of {which}"
    if a.form == "replace":
        return arm.replace("/", " / ")
    return f"Real + {a.amount:g}x {'synthetic' if a.form == 'add' else a.form}"


NONE = np.zeros(0, np.int64)
"""Indices of no images."""


def draw(
    labels: np.ndarray,
    per_class: Sequence[int],
    seed: int,
    nested: bool = True,
    left_out: np.ndarray = NONE,
) -> np.ndarray:
    """Sorted indices of `per_class[c]` images of each class c, drawn with this seed, without the
    images `left_out` (n,). If a class has no more images than that, all of them. With `nested`,
    fewer images of a class are a subset of more, and only others take the place of those that are
    left out."""
    parts = []
    for c, wanted in enumerate(per_class):
        members = np.flatnonzero(labels == c)
        kept = np.setdiff1d(members, left_out)
        if wanted < len(kept):
            chance = np.random.default_rng([seed, c, 1])
            if nested:
                order = chance.permutation(members)
                kept = order[np.isin(order, kept)][:wanted]
            else:
                kept = chance.choice(kept, wanted, replace=False)
        parts.append(kept)
    return np.sort(np.concatenate(parts)) if parts else NONE


def without(
    wanted: Sequence[Counts], labels: np.ndarray, left_out: np.ndarray = NONE
) -> list[Counts]:
    """These counts, with no more synthetic images of a class than a set with `labels` (M,) has
    beside the images `left_out` (n,). Raises ValueError if it has none of a class that needs
    some."""
    held = np.bincount(np.delete(labels, left_out), minlength=len(wanted))
    for c, count in enumerate(wanted):
        if count.synthetic and not held[c]:
            raise ValueError(f"all synthetic images of class {c} are near-copies and left out")
    return [
        dataclasses.replace(count, synthetic=min(count.synthetic, int(held[c])))
        for c, count in enumerate(wanted)
    ]


@dataclasses.dataclass(frozen=True)
class Contents:
    """The images of one arm for one seed. `real` and `duplicated` are indices into the training
    split, `synthetic` are indices into the synthetic set, and `noise` are the labels of the noise
    images."""

    real: np.ndarray
    synthetic: np.ndarray
    duplicated: np.ndarray
    noise: np.ndarray

    def __len__(self) -> int:
        return len(self.real) + len(self.synthetic) + len(self.duplicated) + len(self.noise)


def contents(
    arm: str,
    labels: np.ndarray,
    pool: np.ndarray,
    synthetic_labels: np.ndarray,
    classes: int,
    seed: int,
    nested: bool = True,
    whole: Sequence[int] = (),
    left_out: np.ndarray = NONE,
) -> Contents:
    """Chooses the images of an arm. `labels` (N,) are those of the training split, `pool` the
    indices into it that may be used, and `synthetic_labels` (M,) those of the synthetic set. With
    `nested`, the images of an arm with fewer of them are among those of an arm with more. `whole`
    is the number of real images of each class that the arm is counted from, if the pool lacks those
    that the arm replaces; all of the pool are then used. Of the synthetic images, those `left_out`
    (n,) are not used; where no others are left, the arm has fewer.

    Raises ValueError if the arm is impossible or the synthetic set has too few images of a class.
    """
    own = labels[pool]
    wanted = counts(arm, whole or np.bincount(own, minlength=classes).tolist())
    held = np.bincount(synthetic_labels, minlength=classes)
    for c, count in enumerate(wanted):
        if held[c] < count.synthetic:
            raise ValueError(
                f"arm {arm} needs {count.synthetic:,} synthetic images of class {c}, but the set"
                f" has {held[c]:,}"
            )
    wanted = without(wanted, synthetic_labels, left_out)
    form = parse(arm).form
    again = np.concatenate(
        [_repeated(pool[own == c], wanted[c].other, c, seed) for c in range(classes)]
    )
    other = np.repeat(np.arange(classes), [c.other for c in wanted])
    return Contents(
        real=pool[draw(own, [c.real for c in wanted], seed, nested)],
        synthetic=draw(synthetic_labels, [c.synthetic for c in wanted], seed, nested, left_out),
        duplicated=again if form == "duplicated" else again[:0],
        noise=other if form == "noise" else other[:0],
    )


def _repeated(members: np.ndarray, count: int, c: int, seed: int) -> np.ndarray:
    """Draws `count` of the images of a class with repetition. Each is drawn equally often, up to a
    random remainder."""
    return np.resize(np.random.default_rng([seed, c, 4]).permutation(members), count)


@dataclasses.dataclass(frozen=True)
class Leakage:
    """Number of real images that the generator was trained on, compared with those that the
    classifier of an arm may use. Counted from image indices."""

    generator_saw: int
    arm_real: int
    extra: int
    """Number of images that the generator was trained on but that the classifier may not use."""
    validation: int = 0
    """How many of `extra` are in the validation share."""
    other: int = 0
    """How many of `extra` are images of other data sets."""

    @property
    def badge(self) -> str:
        """What the generator was trained on, as a short label beside a result."""
        same, more = self.generator_saw - self.extra, self.extra - self.other
        if same == self.arm_real:
            said = [] if more else [f"the same {same:,} images"]
        else:
            said = [f"{same:,} of the same {self.arm_real:,} images"] if same else []
        if more:
            sort = "other images" if not same else "more real images" if not said else "more"
            said.append(f"{more:,} {sort}")
        if self.validation:
            said[-1] += f", {self.validation:,} of them set aside for validation"
        if self.other:
            further = "more " if same == self.arm_real and not more else ""
            said.append(f"{self.other:,} {further}images of other data")
        return f"generator trained on {' and '.join(said)}"


def leakage(
    generator: np.ndarray, arm: np.ndarray, validation: np.ndarray, other: int = 0
) -> Leakage:
    """Compares two sets of indices into one training split: those that the generator was trained
    on, and those that the arm may use. `other` is the number of images of other data sets that it
    was trained on before."""
    extra = np.setdiff1d(generator, arm)
    return Leakage(
        len(np.unique(generator)) + other,
        len(arm),
        len(extra) + other,
        len(np.intersect1d(extra, validation)),
        other,
    )


def copied(sets: Sequence[tuple[np.ndarray, np.ndarray]]) -> str:
    """What near-copies of training images in synthetic sets mean, as a part of the badge. For each
    set: the training images (n,) that it contains, and those (m,) that its classifier may use."""
    foreign = sum(int((~np.isin(of, arm)).sum()) for of, arm in sets)
    number = sum(len(of) for of, _ in sets)
    said = f"{number:,} of the synthetic images are real training images"
    if foreign == number:
        return f"{said}, which the classifier may not use"
    return f"{said}, {foreign:,} of which the classifier may not use" if foreign else said
