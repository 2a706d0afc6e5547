"""Arms: their names, counts and images; what a generator was trained on."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dreamlab.data import mixing
from dreamlab.settings import SpecError


@pytest.mark.parametrize(
    ("name", "form", "amount", "classes"),
    [
        ("real", "real", 0, ()),
        ("synthetic", "synthetic", 0, ()),
        ("augmented", "augmented", 0, ()),
        ("90/10", "replace", 0.1, ()),
        ("97.5/2.5", "replace", 0.025, ()),
        (" Real + 2.5X ", "add", 2.5, ()),
        ("real+500@8+9", "targeted", 500, (8, 9)),
        ("duplicated+1x", "duplicated", 1, ()),
        ("noise+0.5x", "noise", 0.5, ()),
    ],
)
def test_an_arm_is_what_its_name_says(
    name: str, form: str, amount: float, classes: tuple[int, ...]
) -> None:
    arm = mixing.parse(name)
    assert (arm.form, arm.classes) == (form, classes) and arm.amount == pytest.approx(amount)
    assert mixing.parse(arm.name) == arm and arm.name == name.strip().lower().replace(" ", "")
    assert arm.needs_set == (form in ("replace", "add", "targeted", "synthetic"))


@pytest.mark.parametrize(
    "name",
    [
        "70/20",
        "0/100",
        "100/0",
        "real+0x",
        "real+101x",
        "real+x",
        "half",
        "real+0@1",
        "real+5@",
        "synthetic+1x",
        "",
    ],
)
def test_a_name_without_a_meaning_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match="cannot be used; it must be real, synthetic, R/S"):
        mixing.parse(name)


@pytest.mark.parametrize(
    ("arm", "per_class", "real", "synthetic", "other"),
    [
        ("real", 10, 10, 0, 0),
        ("augmented", 10, 10, 0, 0),
        ("synthetic", 10, 0, 10, 0),
        ("50/50", 10, 5, 5, 0),
        ("90/10", 10, 9, 1, 0),
        ("10/90", 10, 1, 9, 0),
        ("90/10", 2, 1, 1, 0),
        ("10/90", 3, 1, 2, 0),
        ("88/12", 5000, 4400, 600, 0),
        ("real+1x", 10, 10, 10, 0),
        ("real+3x", 10, 10, 30, 0),
        ("real+0.5x", 1, 1, 1, 0),
        ("real+2.5x", 10, 10, 25, 0),
        ("duplicated+1x", 10, 10, 0, 10),
        ("noise+0.5x", 10, 10, 0, 5),
        ("real+7@0", 10, 10, 7, 0),
        ("real+7@1", 10, 10, 0, 0),
    ],
)
def test_counts(arm: str, per_class: int, real: int, synthetic: int, other: int) -> None:
    found = mixing.counts(arm, [per_class, per_class])[0]
    assert (
        found == mixing.Counts(real, synthetic, other) and found.total == real + synthetic + other
    )
    if "/" in arm:
        assert found.total == per_class


def test_every_class_counts_for_itself() -> None:
    tail = [500, 50, 5]
    assert mixing.counts("80/20", tail) == [
        mixing.Counts(400, 100),
        mixing.Counts(40, 10),
        mixing.Counts(4, 1),
    ]
    assert mixing.counts("real+2x", tail) == [
        mixing.Counts(500, 1000),
        mixing.Counts(50, 100),
        mixing.Counts(5, 10),
    ]
    assert mixing.counts("real+45@2", tail) == [
        mixing.Counts(500, 0),
        mixing.Counts(50, 0),
        mixing.Counts(5, 45),
    ]


def test_impossible_arms_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 real images per class, there is 1"):
        mixing.counts("50/50", [10, 1])
    with pytest.raises(ValueError, match="names class 9, the classes are 0 to 1"):
        mixing.counts("real+5@1+9", [10, 10])


@pytest.mark.parametrize(
    ("arm", "label"),
    [
        ("real", "Real only"),
        ("synthetic", "Synthetic only"),
        ("augmented", "Real, augmented"),
        ("90/10", "90 / 10"),
        ("real+2.5x", "Real + 2.5x synthetic"),
        ("duplicated+1x", "Real + 1x duplicated"),
        ("noise+1x", "Real + 1x noise"),
        ("real+1500@0+2", "Real + 1,500 synthetic of cat, 2"),
    ],
)
def test_labels(arm: str, label: str) -> None:
    assert mixing.label(arm, ("cat", "dog")) == label


def test_a_draw_is_exact_by_class_and_new_for_every_seed() -> None:
    labels = np.repeat(np.arange(3), 20)
    first, again, other = (mixing.draw(labels, [5, 0, 7], s) for s in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert (
        np.bincount(labels[first], minlength=3).tolist() == [5, 0, 7]
        and len(np.unique(first)) == 12
    )
    assert np.array_equal(first, np.sort(first)) and len(mixing.draw(labels, [50] * 3, 0)) == 60
    assert mixing.draw(labels, [], 0).dtype == np.int64


def test_arms_of_one_seed_are_nested() -> None:
    """Fewer images are a subset of more: synthetic ones from 90/10 to 10/90 and from 1x to 2x, real
    ones from 10/90 to 90/10. Another seed draws others."""
    labels, pool = np.repeat(np.arange(3), 40), np.arange(0, 120, 2)
    synthetic = np.repeat(np.arange(3), 100)

    def held(arm: str, seed: int = 0, nested: bool = True) -> mixing.Contents:
        return mixing.contents(arm, labels, pool, synthetic, 3, seed, nested)

    replaced = [held(arm) for arm in ("90/10", "50/50", "25/75", "10/90")]
    added = [held(arm) for arm in ("real+0.5x", "real+1x", "real+2x")]
    for smaller, larger in [*itertools.pairwise(replaced), *itertools.pairwise(added)]:
        assert set(smaller.synthetic) < set(larger.synthetic)
    for larger, smaller in itertools.pairwise(replaced):
        assert set(smaller.real) < set(larger.real)
    assert set(held("50/50", 1).synthetic) != set(held("50/50", 0).synthetic)
    before = [held(arm, nested=False) for arm in ("50/50", "25/75")]
    assert not set(before[0].synthetic) < set(before[1].synthetic)


def test_the_contents_of_an_arm_come_from_its_pool_and_the_set() -> None:
    labels, pool, synthetic = (
        np.repeat(np.arange(2), 50),
        np.r_[0:10, 50:60],
        np.repeat(np.arange(2), 30),
    )
    mix = mixing.contents("50/50", labels, pool, synthetic, 2, seed=0)
    assert set(mix.real) < set(pool) and np.bincount(labels[mix.real]).tolist() == [5, 5]
    assert np.bincount(synthetic[mix.synthetic]).tolist() == [5, 5] and len(mix) == 20
    twice = mixing.contents("duplicated+1.5x", labels, pool, synthetic, 2, seed=0)
    assert (
        np.array_equal(twice.real, pool)
        and set(twice.duplicated) == set(pool)
        and len(twice.duplicated) == 30
    )
    noise = mixing.contents("noise+1x", labels, pool, synthetic, 2, seed=0)
    assert (
        np.bincount(noise.noise).tolist() == [10, 10]
        and len(noise.duplicated) == len(noise.synthetic) == 0
    )
    with pytest.raises(
        ValueError, match="needs 40 synthetic images of class 0, but the set has 30"
    ):
        mixing.contents("real+4x", labels, pool, synthetic, 2, seed=0)


ARM, ASIDE = np.arange(100), np.arange(200, 220)


@pytest.mark.parametrize(
    ("saw", "other", "extra", "aside", "badge"),
    [
        (np.arange(100), 0, 0, 0, "the same 100 images"),
        (np.repeat(np.arange(100), 2), 0, 0, 0, "the same 100 images"),
        (np.arange(50), 0, 0, 0, "50 of the same 100 images"),
        (np.arange(200), 0, 100, 0, "100 more real images"),
        (
            np.arange(3000),
            0,
            2900,
            20,
            "2,900 more real images, 20 of them set aside for validation",
        ),
        (np.arange(90, 190), 0, 90, 0, "10 of the same 100 images and 90 more"),
        (np.arange(150, 190), 0, 40, 0, "40 other images"),
        (np.arange(200, 210), 0, 10, 10, "10 other images, 10 of them set aside for validation"),
        (np.arange(100), 1200, 1200, 0, "the same 100 images and 1,200 more images of other data"),
        (np.arange(200), 1200, 1300, 0, "100 more real images and 1,200 images of other data"),
        (np.arange(50), 1200, 1200, 0, "50 of the same 100 images and 1,200 images of other data"),
        (np.arange(0), 1200, 1200, 0, "1,200 images of other data"),
    ],
)
def test_leakage_is_counted_from_the_indices(
    saw: np.ndarray, other: int, extra: int, aside: int, badge: str
) -> None:
    found = mixing.leakage(saw, ARM, ASIDE, other)
    assert (found.extra, found.arm_real, found.validation) == (extra, 100, aside)
    assert found.badge == f"generator trained on {badge}"


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (np.arange(60), "60 of the synthetic images are real training images"),
        (
            np.arange(80, 130),
            "50 of the synthetic images are real training images, 30 of which the classifier may",
        ),
        (
            np.arange(500, 504),
            "4 of the synthetic images are real training images, which the classifier may not",
        ),
    ],
)
def test_copies_of_training_images_are_part_of_the_badge(of: np.ndarray, said: str) -> None:
    assert mixing.copied([(of, ARM)]).startswith(said)


def test_copies_in_several_sets_are_counted_each_for_its_own_classifier() -> None:
    said = mixing.copied([(np.arange(10), np.arange(8)), (np.arange(10), np.arange(5))])
    assert said == (
        "20 of the synthetic images are real training images, 7 of which the classifier may not use"
    )


@pytest.mark.parametrize("nested", [True, False])
def test_images_that_are_left_out_are_replaced_and_the_others_stay(nested: bool) -> None:
    labels, synthetic = np.repeat([0, 1], 20), np.repeat([0, 1], 12)
    out = np.array([0, 3, 7, 13])

    def drawn(arm: str, left_out: np.ndarray) -> set[int]:
        pool = np.arange(40)
        held = mixing.contents(arm, labels, pool, synthetic, 2, 1, nested, left_out=left_out)
        return set(held.synthetic.tolist())

    whole, rest = drawn("50/50", mixing.NONE), drawn("50/50", out)
    assert len(rest) == 9 + 10 and not rest & set(out.tolist())  # 9 of class 0 are left
    assert not nested or whole - set(out.tolist()) <= rest
    counts = mixing.without(mixing.counts("50/50", [20, 20]), synthetic, out)
    assert [c.synthetic for c in counts] == [9, 10] and [c.real for c in counts] == [10, 10]
    with pytest.raises(ValueError, match="all synthetic images of class 1"):
        drawn("50/50", np.arange(12, 24))
    targeted = mixing.contents(
        "real+5@0", labels, np.arange(40), synthetic, 2, 1, left_out=np.arange(12, 24)
    )
    assert len(targeted.synthetic) == 5
