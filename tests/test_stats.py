"""Intervals, paired tests, corrections and power: against known values, against scipy, and on
degenerate input."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats as reference

from dreamlab.stats import (
    cell,
    correct,
    detectable,
    holm,
    holm_levels,
    images_needed,
    macro_f1,
    mcnemar,
    mean_interval,
    paired,
    power,
    seeds_needed,
    seeds_range,
    sign_flip,
    t_interval,
)
from dreamlab.stats.student import degrees, limit, tail
from tests.stats_simulation import World, experiments


def arms(
    seeds: int = 5, images: int = 2000, gain: float = 0.02, random: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    right = next(experiments(World(0.9, 0.7), (0.0, gain), seeds, images, 1, random))
    return right[1].astype(float), right[0].astype(float)


def test_the_t_interval_is_scipys() -> None:
    values = [0.91, 0.93, 0.90, 0.94, 0.92]
    found = t_interval(values)
    low, high = reference.t.interval(0.95, 4, np.mean(values), reference.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high)) and found.mean == pytest.approx(
        0.92
    )
    with pytest.raises(ValueError, match="at least 2"):
        t_interval([0.9])


def test_the_error_is_made_of_mean_squares() -> None:
    a, b = arms()
    d = a - b
    s, n = d.shape
    rows, columns = d.mean(axis=1), d.mean(axis=0)
    ms_seed = n * rows.var(ddof=1)
    ms_image = s * columns.var(ddof=1)
    ms_rest = ((d - rows[:, None] - columns + d.mean()) ** 2).sum() / ((s - 1) * (n - 1))
    found = paired(a, b)
    assert found.error**2 == pytest.approx((ms_seed + ms_image - ms_rest) / (s * n))
    assert found.error**2 == pytest.approx(found.seed_variance / s + found.image_variance)
    assert found.mean == pytest.approx(d.mean()) and found.rest_variance == pytest.approx(
        ms_rest / n
    )
    assert (found.n, found.images) == (5, 2000) and found.df > 4


def test_where_only_seeds_differ_it_is_the_paired_t_of_their_means() -> None:
    # every image is alike: the seed decides how many of 1,000 exchangeable images are right
    shift = np.array([0.02, 0.05, 0.01, 0.04])
    rng = np.random.default_rng(0)
    a = np.stack([rng.permutation(np.arange(1000) < 900 + round(1000 * x)) for x in shift]).astype(
        float
    )
    b = np.stack([rng.permutation(np.arange(1000) < 900) for _ in shift]).astype(float)
    found = paired(a, b)
    assert found.p == pytest.approx(
        reference.ttest_rel(a.mean(axis=1), b.mean(axis=1)).pvalue, rel=0.35
    )
    assert found.share > 0.8


def test_p_and_interval_agree_at_every_level() -> None:
    for random in range(20):
        found = paired(*arms(3, 500, 0.01, random))
        if 1e-9 < found.p < 1:
            for level, excluded in ((1 - found.p * 1.001, True), (1 - found.p * 0.999, False)):
                low, high = found.interval(level).low, found.interval(level).high
                assert (low > 0 or high < 0) == excluded
    assert limit(0.95, 7.0, 7, 1.0) == pytest.approx(reference.t.ppf(0.975, 7))
    for share in (0.1, 0.5, 0.9):
        t = limit(0.99, degrees(share, 2, 900), 2, share)
        assert 2 * tail(t, degrees(share, 2, 900), 2, share) == pytest.approx(0.01)


def test_seeds_that_agree_by_chance_prove_nothing() -> None:
    same = np.tile(np.arange(2000) < 1800, (5, 1)).astype(float)
    equal = paired(same, same)
    assert equal.p == 1.0 and equal.mean == 0.0 and 0 < equal.error < 0.001
    one_more = same.copy()
    one_more[:, 1900] = 1.0  # one test image more, in every seed
    found = paired(one_more, same)
    assert found.p > 0.1 and found.interval().low < 0 < found.interval().high
    many = same.copy()
    many[:, 1800:1900] = 1.0
    assert paired(many, same).p < 1e-6


@pytest.mark.parametrize("seeds", [3, 5, 20])
def test_an_interval_reaches_as_far_as_the_exact_one_where_few_images_change(seeds: int) -> None:
    same = np.ones((seeds, 300))
    for lost, exact in ((0, 3.0), (1, 4.74), (2, 6.3), (4, 9.15)):  # Poisson, one-sided 95 %
        fewer = same.copy()
        fewer[:, :lost] = 0.0
        found = paired(fewer, same)
        low = found.interval().low
        assert -1.35 * exact <= 300 * low <= -0.99 * exact, (lost, 300 * low)
        assert found.p > 0.05 and found.interval().high > 0


def test_few_images_that_all_change_prove_no_more_than_mcnemar() -> None:
    for images in (2, 3, 5, 10):
        found = paired(np.ones((5, images)), np.zeros((5, images)))
        exact = mcnemar(np.ones(images), np.zeros(images))
        assert found.p >= 0.7 * exact and (found.interval().low > 0) == (found.p < 0.05)
    assert paired(np.ones((5, 2)), np.zeros((5, 2))).interval().low == -1.0


def test_an_interval_of_a_share_stays_within_its_bounds_and_keeps_a_width() -> None:
    perfect = mean_interval(np.ones((3, 300)))
    assert perfect.mean == perfect.high == 1.0 and 0.97 < perfect.low < 0.995
    none = mean_interval(np.zeros((1, 50)))
    assert none.low == none.mean == 0.0 and 0.02 < none.high < 0.15
    one = np.zeros((1, 400))
    one[0, :300] = 1
    found = mean_interval(one)
    wilson = reference.binomtest(300, 400).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((wilson.low, wilson.high), abs=2e-3)
    assert (
        cell(one) == {"mean": 0.75, "low": None, "high": None, "level": 0.95}
        and cell(np.zeros((0, 400))) is None
    )
    several = cell(arms()[0])
    assert several is not None and 0 < several["low"] < several["mean"] < several["high"] < 1


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: paired(np.ones((1, 9)), np.ones((1, 9))), "at least 2 seeds"),
        (lambda: paired(np.ones((2, 9)), np.ones((2, 8))), "cannot be paired"),
        (lambda: paired(np.ones((2, 1)), np.ones((2, 1))), "at least 2 images"),
        (lambda: paired(np.full((2, 9), np.nan), np.ones((2, 9))), "finite"),
        (lambda: mean_interval(np.full((2, 9), 3.0)), "between 0 and 1"),
        (lambda: mean_interval(np.full((2, 9), np.inf)), "finite"),
        (lambda: correct(np.zeros((2, 9)), np.zeros(8)), "labels"),
        (lambda: macro_f1(np.full((1, 4), 7), np.zeros(4, int), 5), "0 to 4"),
        (lambda: mcnemar(np.ones(4), np.ones(5)), "compared"),
        (lambda: sign_flip([]), "finite"),
        (lambda: sign_flip([0.1, math.nan]), "finite"),
    ],
)
def test_bad_input_is_a_sentence(call: object, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        call()  # type: ignore[operator]


def _f1(guess: np.ndarray, truth: np.ndarray, classes: int, weight: np.ndarray) -> float:
    scores = []
    for c in range(classes):
        hit = weight[(guess == c) & (truth == c)].sum()
        total = weight[guess == c].sum() + weight[truth == c].sum()
        if total > 0:
            scores.append(2 * hit / total)
    return float(np.mean(scores))


def test_pseudo_values_of_macro_f1_are_its_derivative_and_average_to_it() -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 4, 300)
    guess = np.where(rng.random((3, 300)) < 0.7, truth, rng.integers(0, 4, (3, 300)))
    values = macro_f1(guess, truth, 6)  # classes 4 and 5 never occur
    even = np.ones(300)
    for row, predicted in zip(values, guess, strict=True):
        assert row.mean() == pytest.approx(_f1(predicted, truth, 6, even), abs=1e-12)
        for i in (0, 17, 299):
            more = even.copy()
            more[i] += 1e-6
            slope = (_f1(predicted, truth, 6, more) - _f1(predicted, truth, 6, even)) / 1e-6
            assert row[i] - row.mean() == pytest.approx(300 * slope, abs=1e-3)
    assert mean_interval(values).low < values.mean() < mean_interval(values).high


def test_macro_f1_is_that_of_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.classification")
    rng = np.random.default_rng(5)
    truth, guess = rng.integers(0, 5, 200), rng.integers(0, 5, 200)
    theirs = functional.multiclass_f1_score(
        torch.tensor(guess), torch.tensor(truth), 7, average="macro"
    )
    assert macro_f1(guess, truth, 7).mean() == pytest.approx(float(theirs), abs=1e-6)


def test_mcnemar_is_the_exact_binomial() -> None:
    a = np.array([1] * 10 + [0] * 3 + [1] * 50)
    b = np.array([0] * 10 + [1] * 3 + [1] * 50)
    assert mcnemar(a, b) == pytest.approx(reference.binomtest(3, 13).pvalue)
    assert mcnemar(a, a) == 1.0 and mcnemar(a, b) == mcnemar(b, a)


def test_sign_flip_counts_all_patterns_and_samples_where_there_are_too_many() -> None:
    assert (
        sign_flip([0.1, 0.2, 0.3]) == 0.25
        and sign_flip([0.1, -0.1]) == 1.0
        and sign_flip([0.0]) == 1.0
    )
    rng = np.random.default_rng(0)
    d = rng.normal(0.3, 1.0, 16)
    exact, sampled = sign_flip(d), sign_flip([*d, 1e-9])
    assert sampled == pytest.approx(exact, abs=0.015)
    whole = [(rng.choice([-1, 1], (4000, 16)) @ d), d.sum()]
    assert np.mean(np.abs(whole[0]) >= abs(whole[1])) == pytest.approx(exact, abs=0.03)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    # 0.01 is judged at 0.05 / 3; 0.03 fails at 0.05 / 2, and 0.04 is not looked at any more
    assert holm_levels([0.01, 0.04, 0.03]) == pytest.approx([1 - 0.05 / 3, 0.975, 0.975])
    assert holm_levels([0.001, 0.002]) == pytest.approx([0.975, 0.95])
    assert (
        holm([0.5]) == [0.5] and holm_levels([0.5]) == [0.95] and holm([]) == [] == holm_levels([])
    )


def test_power_of_seeds_alone_is_the_noncentral_t() -> None:
    edge = reference.t.ppf(0.975, 9)
    assert power(0.8, 1.0, 0.0, 10) == pytest.approx(
        reference.nct.sf(edge, 9, 0.8 * math.sqrt(10)), abs=3e-3
    )
    assert power(1.0, 0.0, 0.25, 5) == pytest.approx(
        reference.norm.cdf(2 - 1.96), abs=2e-3
    )  # images alone: z
    assert power(0.0, 0.0, 0.0, 5) == 0.05 and power(0.1, 0.0, 0.0, 5) == 1.0


def test_power_is_what_simulation_gives() -> None:
    world, found, pairs = World(0.9, 0.7), 0, []
    for right in experiments(world, (0.0, 0.015), 5, 2000, 400, 8):
        pairs.append(paired(right[1], right[0]))
        found += pairs[-1].p <= 0.05
    seed, image = (
        float(np.mean([getattr(x, k) for x in pairs])) for k in ("seed_variance", "image_variance")
    )
    assert power(0.015, seed, image, 5) == pytest.approx(found / 400, abs=0.06)


def test_detectable_seeds_and_images_turn_power_around() -> None:
    pair = paired(*arms(5, 2000, 0.005))
    effect = detectable(pair, 0.01)
    assert power(effect, pair.seed_variance, pair.image_variance, 5, 0.01) == pytest.approx(
        0.8, abs=0.01
    )
    needed = seeds_needed(pair)
    assert (
        needed is None or power(pair.mean, pair.seed_variance, pair.image_variance, needed) >= 0.8
    )
    none = paired(np.eye(3, 50), np.eye(3, 50))
    assert seeds_needed(none) is None and images_needed(none, 5) is None


def test_the_range_of_seeds_holds_the_number_for_the_observed_difference() -> None:
    for random in range(6):
        pair = paired(*arms(5, 2000, 0.005, random))
        low, high = seeds_range(pair)
        point = seeds_needed(pair)
        assert low is not None and 3 <= low <= (1000 if point is None else point)
        assert high is None or (point is not None and point <= high)
    # an effect and variances that many seeds and images tell exactly give a narrow range
    sure = dataclasses.replace(
        pair, mean=0.01, n=2000, seed_variance=4e-4, image_variance=1e-8, image_df=1e6
    )
    low, high = seeds_range(sure)
    assert low is not None and high is not None and low <= (seeds_needed(sure) or 0) <= high
    assert high - low <= 0.3 * high


def test_what_no_image_shows_is_not_detectable() -> None:
    same = np.ones((20, 300))
    # power 80 % needs (1.96 + 0.84)^2 = 7.8 images that change
    assert 5 <= 300 * detectable(paired(same, same)) <= 9


def test_more_seeds_do_not_help_where_the_images_are_too_few() -> None:
    rng = np.random.default_rng(1)
    fixed = (rng.random(200) < 0.9).astype(float)
    moved = fixed.copy()
    moved[rng.choice(200, 30, replace=False)] = 1.0
    moved[rng.choice(200, 12, replace=False)] = 0.0  # the arm moves the same images in every seed
    pair = paired(np.tile(moved, (5, 1)), np.tile(fixed, (5, 1)))
    assert pair.share < 0.01 and 0.01 < pair.p
    assert seeds_needed(pair) is None
    images = images_needed(pair, 5)
    assert images is not None and images > 200
    scale = 200 / images
    assert power(pair.mean, pair.seed_variance, pair.image_variance * scale, 5) == pytest.approx(
        0.8, abs=0.02
    )
