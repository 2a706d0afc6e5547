"""Statistics on simulated truth: coverage, the error of the whole family, and decisions that agree with intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as reference

from dreamlab.stats import detectable, holm, holm_levels, paired_t, power, seeds_needed, t_interval
from dreamlab.stats.verdict import Generator, Treatment, differences, judge

SAME = Generator("own", "trained here", saw=100, extra=0, pool=100)
WIDE = Generator("wide", "demo", saw=3000, extra=2900, pool=100)


def test_the_t_interval_is_scipys() -> None:
    values = [0.91, 0.93, 0.90, 0.94, 0.92]
    found = t_interval(values)
    low, high = reference.t.interval(0.95, 4, np.mean(values), reference.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high)) and found.mean == pytest.approx(0.92)


def test_the_paired_t_is_scipys_and_covers_the_truth() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(2000):
        control = rng.normal(0.9, 0.01, 5)
        treatment = control + rng.normal(0.004, 0.006, 5)
        found = paired_t(treatment, control)
        interval = found.interval()
        covered += interval.low <= 0.004 <= interval.high
    assert found.p == pytest.approx(reference.ttest_rel(treatment, control).pvalue)
    assert 0.935 < covered / 2000 < 0.965


@pytest.mark.parametrize("seeds", [2, 5])
def test_without_an_effect_holm_errs_in_five_percent_of_mixes_and_intervals_agree(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    errors = 0
    for _ in range(1200):
        control = rng.normal(0.9, 0.006, seeds)
        arms = [Treatment("own", f"real+{k}x", 100, 100 * k, rng.normal(0.9, 0.008, seeds)) for k in range(1, 7)]
        found = differences(arms, control, 0.0)
        for d in found:
            assert (d.kind != "undecided") == (d.low > 0 or d.high < 0), d
        errors += any(d.kind != "undecided" for d in found)
    assert errors / 1200 < 0.065


def test_decision_and_interval_agree_where_effects_are_mixed() -> None:
    rng = np.random.default_rng(7)
    kinds = set()
    for _ in range(300):
        control = rng.normal(0.9, 0.006, 5)
        arms = [
            Treatment("own", f"real+{k}x", 100, 100, control + rng.normal(m, 0.006, 5))
            for k, m in enumerate((0.02, 0.01, 0, -0.01, -0.04))
        ]
        for d in differences(arms, control):
            assert (d.p_holm <= 0.05) == (d.low > 0 or d.high < 0)
            kinds.add(d.kind)
    assert kinds == {"helps", "hurts", "undecided"}


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    # 0.01 is judged at 0.05 / 3; 0.03 fails at 0.05 / 2, and 0.04 is not looked at any more
    assert holm_levels([0.01, 0.04, 0.03]) == pytest.approx([1 - 0.05 / 3, 0.975, 0.975])
    assert holm_levels([0.001, 0.002]) == pytest.approx([0.975, 0.95])
    assert holm([0.5]) == [0.5] and holm_levels([0.5]) == [0.95]


def test_power_is_the_noncentral_t_and_what_simulation_gives() -> None:
    limit = reference.t.ppf(0.975, 9)
    assert power(0.8, 1.0, 10) == pytest.approx(reference.nct.sf(limit, 9, 0.8 * math.sqrt(10)), abs=1e-3)
    rng = np.random.default_rng(3)
    draws = rng.normal(1.5, 1.0, (4000, 5))
    rejected = np.abs(draws.mean(1) / (draws.std(1, ddof=1) / math.sqrt(5))) > reference.t.ppf(0.975, 4)
    assert power(1.5, 1.0, 5) == pytest.approx(rejected.mean(), abs=0.025)


def test_detectable_and_seeds_needed_turn_power_around() -> None:
    for n, alpha in ((2, 0.05), (3, 0.05 / 8), (5, 0.05 / 8), (30, 0.05)):
        effect = detectable(0.4, n, alpha)
        assert power(effect, 0.4, n, alpha) == pytest.approx(0.8, abs=5e-3)
    needed = seeds_needed(0.3, 0.6)
    assert needed is not None and power(0.3, 0.6, needed) >= 0.8 > power(0.3, 0.6, needed - 1)
    assert seeds_needed(0.0, 0.6) is None and seeds_needed(0.001, 0.6) is None
    assert detectable(0.0, 5) == 0.0 and seeds_needed(0.1, 0.0) == 2


def test_seeds_that_agree_by_chance_prove_nothing() -> None:
    equal = paired_t([0.9, 0.9], [0.9, 0.9], 1 / 2000)
    assert equal.p == 1.0 and equal.mean == 0.0
    one_image_more = paired_t([0.9005, 0.9105], [0.9, 0.91], 1 / 2000)  # twice one test image: a coincidence
    assert one_image_more.p > 0.1 and one_image_more.interval().low < 0 < one_image_more.interval().high
    unknown_step = paired_t([0.91, 0.92], [0.90, 0.91])
    assert unknown_step.p > 0.1
    large = paired_t([0.95] * 5, [0.90] * 5, 1 / 2000)
    assert large.p < 0.001 and math.isfinite(large.interval(0.999).high)
    with pytest.raises(ValueError, match="at least 2"):
        paired_t([0.9], [0.8])
    with pytest.raises(ValueError, match="paired"):
        paired_t([0.9, 0.8], [0.8])


CONTROL = [0.895, 0.9005, 0.8985, 0.8905, 0.9035]


def arm(generator: str, name: str, shift: float, spread: float = 0.004) -> Treatment:
    wiggle = spread * np.array([0.4, -1.2, 0.9, -0.7, 0.6])
    real, synthetic = {"real+1x": (100, 100), "real+3x": (100, 300), "50/50": (50, 50), "synthetic": (0, 100)}[name]
    return Treatment(
        generator, name, real, synthetic, [c + shift + float(w) for c, w in zip(CONTROL, wiggle, strict=True)]
    )


def test_help_is_one_sentence_with_effect_interval_and_mix() -> None:
    found = judge(
        [arm("own", "real+1x", 0.01), arm("own", "real+3x", 0.036), arm("own", "50/50", -0.04)],
        CONTROL,
        [SAME],
        test_images=2000,
        noun="digits",
    )
    v = found.overall
    assert (v.kind, v.arm, v.generator) == ("helps", "real+3x", "own") and v.effect == pytest.approx(3.6)
    assert (
        v.text
        == f"Synthetic data helps: +3.6 points (95 % interval {v.low:+.1f} to {v.high:+.1f}) when 300 synthetic digits are added to all 100 real ones."
    )
    assert any("50/50 -4.0 points" in note for note in found.notes) and any(
        "3 comparisons" in note for note in found.notes
    )
    assert found.seeds_needed is None and found.by_generator["own"] == v


def test_the_headline_names_the_generator_that_knows_more() -> None:
    arms = [
        arm("own", "real+1x", 0.001),
        arm("own", "synthetic", -0.08),
        arm("wide", "real+1x", 0.03),
        arm("wide", "synthetic", -0.03),
    ]
    found = judge(arms, CONTROL, [SAME, WIDE], test_images=2000, noun="digits")
    assert found.overall.kind == "helps" and found.overall.generator == "wide"
    assert found.overall.text.startswith(
        "Synthetic data helps where the generator knows more than the classifier: +3.0 points (95 % interval "
    )
    assert found.overall.text.endswith("no gain is shown with the one that saw the same 100.")
    assert "that saw 3,000 real images" in found.overall.text
    assert found.by_generator["own"].kind == "undecided" and "four times in five" in found.by_generator["own"].text
    # all four arms are corrected together: the smallest p counts four times
    smallest = min(found.differences, key=lambda d: d.p)
    assert smallest.p_holm == pytest.approx(4 * smallest.p) and smallest.level == pytest.approx(1 - 0.05 / 4)


def test_the_same_gain_from_a_generator_that_saw_no_more_is_not_called_knowledge() -> None:
    other = Generator("wide", "demo", saw=50, extra=0, pool=100)
    found = judge([arm("own", "real+1x", 0.0), arm("wide", "real+1x", 0.03)], CONTROL, [SAME, other], test_images=2000)
    assert found.overall.text.startswith("Synthetic data helps with 1 of 2 generators: +3.0 points")
    assert "knows more" not in found.overall.text and "that saw 50 of the same 100" in found.overall.text


def test_hurt_is_said_only_where_every_mix_is_shown_to_lose() -> None:
    losing = judge([arm("own", "50/50", -0.03), arm("own", "synthetic", -0.08)], CONTROL, [SAME], test_images=2000)
    assert (
        losing.overall.kind == "hurts"
        and losing.overall.arm == "50/50"
        and "in every mix: -3.0 points" in losing.overall.text
    )
    unclear = judge([arm("own", "real+1x", 0.0005), arm("own", "synthetic", -0.08)], CONTROL, [SAME], test_images=2000)
    assert unclear.overall.kind == "undecided" and unclear.overall.text.startswith("Undecided: +0.0 points")
    assert unclear.overall.arm == "real+1x" and any("synthetic -8.0" in note for note in unclear.notes)
    assert unclear.detectable > 0 and (unclear.seeds_needed is None or unclear.seeds_needed > 5)


@pytest.mark.parametrize("seeds", [2, 5])
def test_identical_arms_give_numbers_and_no_decision(seeds: int) -> None:
    same = [0.9] * seeds
    found = judge(
        [Treatment("own", "real+1x", 100, 100, same), Treatment("own", "50/50", 50, 50, same)],
        same,
        [SAME],
        test_images=2000,
    )
    numbers = [x for d in found.differences for x in (d.mean, d.low, d.high, d.p, d.p_holm)] + [found.detectable]
    assert all(math.isfinite(x) for x in numbers) and found.overall.kind == "undecided"
    assert found.overall.text.count(".") >= 1 and "nan" not in found.overall.text


def test_two_generators_that_saw_the_same_are_told_apart_by_name() -> None:
    twin = Generator("twin", "second try", saw=100, extra=0, pool=100)
    found = judge([arm("own", "real+1x", 0.03), arm("twin", "real+1x", 0.02)], CONTROL, [SAME, twin], test_images=2000)
    assert (
        found.overall.text.startswith("Synthetic data helps: +3.0")
        and "(second try)" in found.overall.text
        and "(trained here)" in found.overall.text
    )
