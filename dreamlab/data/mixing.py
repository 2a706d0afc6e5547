"""Arms: how many real and synthetic images each mix holds, and which ones. `real` is the control of every arm."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Counts:
    """Images per class of one arm."""

    real: int
    synthetic: int

    @property
    def synthetic_fraction(self) -> float:
        return self.synthetic / (self.real + self.synthetic)


def counts(arm: str, per_class: int) -> Counts:
    """Images per class of an arm where `per_class` real ones may be used.

    `real` n + 0; `synthetic` 0 + n; `R/S` (replace) keeps the total n and rounds the synthetic part down to leave real
    images; `real+Kx` (add) keeps all n real ones and adds K n synthetic ones. At least one image of each kind that the
    arm names. Raises ValueError where n is too small for that.
    """
    if arm == "real":
        return Counts(per_class, 0)
    if arm == "synthetic":
        return Counts(0, per_class)
    if arm.startswith("real+"):
        return Counts(per_class, max(1, round(float(arm[5:-1]) * per_class)))
    if per_class < 2:
        raise ValueError(f"arm {arm} needs at least 2 real images per class, there is {per_class}")
    synthetic = min(max(round(per_class * int(arm.split("/")[1]) / 100), 1), per_class - 1)
    return Counts(per_class - synthetic, synthetic)


def label(arm: str) -> str:
    """The arm's name on a page."""
    if arm == "real":
        return "Real only"
    if arm == "synthetic":
        return "Synthetic only"
    return f"Real + {arm[5:-1]}x synthetic" if arm.startswith("real+") else arm.replace("/", " / ")


def draw(labels: np.ndarray, per_class: int, seed: int) -> np.ndarray:
    """Sorted indices of `per_class` images of every class, drawn anew for every seed (all of them where there are no more)."""
    parts = []
    for c in np.unique(labels):
        members = np.flatnonzero(labels == c)
        parts.append(
            members
            if len(members) <= per_class
            else np.random.default_rng([seed, int(c), 1]).choice(members, per_class, replace=False)
        )
    return np.sort(np.concatenate(parts)) if parts else np.zeros(0, dtype=np.int64)


@dataclasses.dataclass(frozen=True)
class Leakage:
    """What the generator saw, against what an arm's classifier may use: counts of real images."""

    generator_saw: int
    arm_real: int
    extra: int
    """Images the generator saw and the arm's classifier never does."""

    @property
    def badge(self) -> str:
        if self.extra == 0:
            return f"generator saw the same {self.generator_saw:,} images"
        if self.generator_saw > self.extra:
            return f"generator saw {self.extra:,} more real images"
        return f"generator saw {self.generator_saw:,} others"


def leakage(generator_indices: np.ndarray, arm_indices: np.ndarray) -> Leakage:
    """From the actual indices into one training split."""
    extra = np.setdiff1d(generator_indices, arm_indices)
    return Leakage(len(np.unique(generator_indices)), len(arm_indices), len(extra))
