"""Counts of every arm, nested subsets, draws per seed, and what a generator saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dreamlab.data import catalog, mixing, splits
from dreamlab.groups.mix import leakage
from dreamlab.spec import MixSpec, SpecError, TrainSpec, make
from dreamlab.spec.evidence import check_arm
from dreamlab.store import RunStore
from tests.evidence_helpers import new_run


@pytest.mark.parametrize(
    ("arm", "per_class", "real", "synthetic"),
    [
        ("real", 10, 10, 0), ("synthetic", 10, 0, 10), ("50/50", 10, 5, 5), ("90/10", 10, 9, 1), ("10/90", 10, 1, 9),
        ("90/10", 2, 1, 1), ("10/90", 3, 1, 2), ("real+1x", 10, 10, 10), ("real+3x", 10, 10, 30), ("real+0.5x", 1, 1, 1), ("real+2.5x", 10, 10, 25),
    ],
)  # fmt: skip
def test_counts(arm: str, per_class: int, real: int, synthetic: int) -> None:
    found = mixing.counts(arm, per_class)
    assert (found.real, found.synthetic) == (real, synthetic)
    if "/" in arm:
        assert found.real + found.synthetic == per_class
    assert found.synthetic_fraction == pytest.approx(synthetic / (real + synthetic))


def test_impossible_arms_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        mixing.counts("50/50", 1)
    for name in ("70/20", "0/100", "real+0x", "real+x", "half"):
        with pytest.raises(SpecError, match="cannot be used"):
            check_arm(name)


def test_subsets_are_balanced_nested_and_depend_on_their_seed() -> None:
    labels = catalog.load("digits").train_labels
    small, large = splits.subset(labels, 10, 3), splits.subset(labels, 40, 3)
    assert set(small) < set(large) and set(np.bincount(labels[large])) == {40}
    assert set(small) != set(splits.subset(labels, 10, 4))
    assert len(splits.subset(labels, 0, 3)) == len(labels)


def test_a_draw_is_balanced_and_new_for_every_seed() -> None:
    labels = np.repeat(np.arange(3), 20)
    first, again, other = (mixing.draw(labels, 5, s) for s in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert np.array_equal(np.bincount(labels[first]), [5, 5, 5]) and len(np.unique(first)) == 15
    assert len(mixing.draw(labels, 50, 0)) == 60


@pytest.mark.parametrize(
    ("saw", "seed", "extra", "badge"),
    [
        (10, 0, 0, "generator saw the same 100 images"), (0, 0, 2900, "generator saw 2,900 more real images"),
        (20, 0, 100, "generator saw 100 more real images"), (5, 0, 0, "generator saw the same 50 images"),
    ],
)  # fmt: skip
def test_leakage_comes_from_the_index_sets(tmp_path: Path, saw: int, seed: int, extra: int, badge: str) -> None:
    mix = make(MixSpec, {"images_per_class": 10})
    found = leakage(mix, make(TrainSpec, {"images_per_class": saw, "subset_seed": seed}), RunStore(tmp_path))
    assert found is not None
    assert (found.extra, found.arm_real, found.badge) == (extra, 100, badge)


def test_a_fine_tuned_generator_saw_what_its_source_saw(tmp_path: Path) -> None:
    store, mix = RunStore(tmp_path), make(MixSpec, {"images_per_class": 10})
    wide, other = new_run(store, "train", {}), new_run(store, "train", {"dataset": "digits"})
    tuned = new_run(store, "train", {"images_per_class": 10, "init_from": wide.id})
    again = leakage(mix, make(TrainSpec, {"images_per_class": 10, "init_from": tuned.id}), store)
    assert again is not None and (again.generator_saw, again.extra) == (3000, 2900)
    for gone in (other.id, "20261121-000000-train-gone-0000"):
        assert leakage(mix, make(TrainSpec, {"images_per_class": 10, "init_from": gone}), store) is None


def test_another_subset_of_the_same_size_leaks(tmp_path: Path) -> None:
    mix = make(MixSpec, {"images_per_class": 10})
    found = leakage(mix, make(TrainSpec, {"images_per_class": 10, "subset_seed": 1}), RunStore(tmp_path))
    assert found is not None
    labels = catalog.load("mnist5k").train_labels
    shared = np.intersect1d(splits.subset(labels, 10, 0), splits.subset(labels, 10, 1))
    assert found.extra == 100 - len(shared) > 80
