"""Selections from a training split: the long tail of study S3, nested subsets, validation set
aside, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from dreamlab.data import catalog, mixing, selection, stratified
from dreamlab.settings import ClassifySpec, RealData, RealPart, SpecError, make

LABELS = np.tile(np.repeat(np.arange(3), [20, 30, 40]), 2)  # 40, 60 and 80 images


def _select(labels: np.ndarray = LABELS, classes: int = 3, **values: object) -> selection.Selected:
    return selection.select(labels, make(RealData, values), classes)


def _counts(roles: selection.Selected) -> list[int]:
    return np.bincount(LABELS[roles.pool], minlength=3).tolist()


def test_the_long_tail_of_study_s3() -> None:
    # equation 1 with 5,000 images a class and lambda = 0.1: imbalance factor 10 (Cui et al. 2019)
    counts = selection.long_tail_counts([5000] * 10, 0.1)
    assert (
        counts == [5000, 3871, 2997, 2320, 1796, 1391, 1077, 834, 645, 500]
        and sum(counts) == 20_431
    )
    for share in (0.0, 1.0):
        assert selection.long_tail_counts([5000] * 10, share) == [5000] * 10
    assert selection.long_tail_counts([100], 0.1) == [100]
    labels = np.repeat(np.arange(10), 5000)
    pool = selection.select(labels, make(RealData, {"long_tail": 0.1}), 10).pool
    assert np.bincount(labels[pool]).tolist() == counts


def test_all_images_are_taken_unless_less_is_asked_for() -> None:
    roles = _select()
    assert np.array_equal(roles.pool, np.arange(len(LABELS))) and len(roles.validation) == 0


def test_subsets_are_balanced_nested_and_depend_on_their_seed() -> None:
    labels = catalog.load("mnist5k").train_labels
    small, large, other = (
        _select(labels, 10, images_per_class=n, subset_seed=s).pool
        for n, s in ((10, 3), (30, 3), (10, 4))
    )
    assert (
        np.bincount(labels[small]).tolist() == [10] * 10
        and set(small) < set(large)
        and set(small) != set(other)
    )
    assert np.array_equal(small, np.sort(small)) and len(set(small)) == 100


def test_a_long_tail_and_a_share_lie_inside_what_they_thin() -> None:
    whole = _select(images_per_class=40)
    tail = _select(images_per_class=40, long_tail=0.25)
    part = _select(images_per_class=40, long_tail=0.25, share=0.5)
    assert (
        _counts(whole) == [40, 40, 40]
        and _counts(tail) == [40, 20, 10]
        and _counts(part) == [20, 10, 5]
    )
    assert set(part.pool) < set(tail.pool) < set(whole.pool)


def test_validation_is_set_aside_first_and_by_class() -> None:
    roles = _select(validation=0.25)
    assert _counts(roles) == [30, 45, 60] and np.bincount(LABELS[roles.validation]).tolist() == [
        10,
        15,
        20,
    ]
    assert not set(roles.pool) & set(roles.validation)
    # the same images, however little of the rest is used
    assert np.array_equal(
        _select(validation=0.25, images_per_class=5, share=0.4).validation, roles.validation
    )


@pytest.mark.parametrize(
    ("count", "share", "kept"),
    [(10, 1, 10), (10, 0.9, 9), (10, 0.01, 1), (3, 0.5, 1), (2, 0.9, 1), (1, 0.5, 1)],
)
def test_a_share_keeps_what_its_arm_does_not_replace(count: int, share: float, kept: int) -> None:
    assert selection.part_of(count, share) == kept


@pytest.mark.parametrize(
    ("values", "labels", "field", "says"),
    [
        (
            {"images_per_class": 41},
            LABELS,
            "images_per_class",
            "class 0 has 40 images, fewer than the 41 asked for",
        ),
        (
            {"images_per_class": 31, "validation": 0.25},
            LABELS,
            "images_per_class",
            "class 0 has 30 images after 10 were set aside for validation, fewer than the 31",
        ),
        ({}, LABELS[LABELS != 1], "dataset", "class 1 has no training images"),
        (
            {"long_tail": 0.01},
            LABELS,
            "long_tail",
            "leaves class 2 without images; give at least 0.013",
        ),
    ],
)
def test_a_selection_without_enough_images_is_refused(
    values: dict, labels: np.ndarray, field: str, says: str
) -> None:
    with pytest.raises(selection.SplitError, match=says) as error:
        _select(labels, **values)
    assert error.value.field == field


def test_the_least_tail_that_a_refusal_names_works() -> None:
    roles = _select(long_tail=0.013)
    assert np.bincount(LABELS[roles.pool]).min() == 1


def test_a_stratified_split_is_exact_and_fixed() -> None:
    train, test = stratified.stratified_split(LABELS, 45, seed=0)
    assert (
        np.bincount(LABELS[test]).tolist() == [10, 15, 20]
        and len(train) == 135
        and not set(train) & set(test)
    )
    assert np.array_equal(test, stratified.stratified_split(LABELS, 45, seed=0)[1])


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"long_tail": 0.5},
        {"share": 0.37},
        {"validation": 0.2, "share": 0.9, "subset_seed": 4},
        {"images_per_class": 37},
    ],
)
def test_an_arm_with_a_generator_of_its_own_holds_as_many_images_as_the_plain_arm(
    chosen: dict[str, object],
) -> None:
    sizes = [37] * 5 if "images_per_class" in chosen else [*range(7, 80), 999, 5000]
    if "long_tail" not in chosen:
        sizes = sizes[::-1]
    labels = np.repeat(np.arange(len(sizes)), sizes)
    classes, made = len(sizes), np.tile(np.arange(len(sizes)), 5000)
    whole = selection.select(labels, make(RealData, chosen), classes)
    held = np.bincount(labels[whole.pool], minlength=classes).tolist()
    shares = [*range(1, 100), 2.5, 33.3, 0.1, 99.9, 14.2857]
    for synthetic in shares:
        arm = mixing.parse(f"{100 - synthetic:.10g}/{synthetic}")
        plain = mixing.counts(arm.name, held)
        part = selection.select(labels, make(RealPart, {**chosen, "replaced": arm.amount}), classes)
        assert np.bincount(labels[part.pool], minlength=classes).tolist() == [c.real for c in plain]
        assert set(part.pool) <= set(whole.pool) and list(part.whole) == held
        if synthetic not in (1, 50, 99, 2.5):
            continue  # drawing takes long
        for seed in (0, 1):
            drawn = mixing.contents(
                arm.name, labels, part.pool, made, classes, seed, True, part.whole
            )
            assert np.array_equal(drawn.real, part.pool), "what its generator saw, for every seed"
            got = np.bincount(made[drawn.synthetic], minlength=classes).tolist()
            assert got == [c.synthetic for c in plain]


def test_an_arm_of_37_images_stays_one_of_37() -> None:
    data = make(RealPart, {"images_per_class": 37, "replaced": 0.99})
    assert selection.arm_counts("1/99", data) == [mixing.Counts(1, 36)] * 10
    assert selection.available(data) == [1] * 10


def test_a_replaced_share_goes_with_its_arm_alone() -> None:
    make(ClassifySpec, {"arm": "90/10", "replaced": 0.1, "synthetic": "x"})
    for arm in ("real", "50/50", "real+1x"):
        with pytest.raises(SpecError, match=r"arm .*; it goes with 90/10") as refused:
            make(ClassifySpec, {"arm": arm, "replaced": 0.1})
        assert refused.value.field == "replaced"
    with pytest.raises(selection.SplitError, match="class 1 has only one image"):
        selection.select(np.array([0, 0, 1]), make(RealPart, {"replaced": 0.5}), 2)
