"""Best mix, exchange rate and anomalies of tables."""

from __future__ import annotations

import numpy as np
import pytest

from dreamlab.stats import SurfacePoint, best_mix, exchange_rate
from dreamlab.stats.anomalies import (
    below_both,
    duplicates,
    flags,
    impossible,
    not_monotone,
    wrong_difference,
)
from dreamlab.stats.intervals import Interval
from dreamlab.stats.left_out import NOTHING
from dreamlab.stats.settings_apart import as_good, sentence
from tests.stats_simulation import World, experiments, surface

FRACTIONS = {"real": 0.0, "real+1x": 0.5, "real+3x": 0.75}


def values(*gains: float, seeds: int = 5, images: int = 2000) -> dict[str, np.ndarray]:
    return dict(
        zip(FRACTIONS, next(experiments(World(0.9, 0.3), gains, seeds, images, 1)), strict=True)
    )


def test_the_best_mix_is_a_set_and_a_span() -> None:
    clear = best_mix(values(0.0, 0.05, 0.0), FRACTIONS, {"real+1x": "Real + 1x synthetic"})
    assert clear is not None and clear.arms == ["real+1x"] and (clear.low, clear.high) == (0.5, 0.5)
    assert (
        clear.text
        == "The best of the 3 arms is Real + 1x synthetic, 50 % synthetic: every other arm is"
        " significantly worse."
    )
    two = best_mix(values(-0.05, 0.03, 0.03), FRACTIONS)
    assert two is not None and two.arms == ["real+1x", "real+3x"] and two.arm in two.arms
    assert two.text.startswith(
        "The best mix lies between 50 % and 75 % synthetic: 2 of the 3 arms do not differ"
        " significantly from the best one, real+"
    )
    none = best_mix(values(0.0, 0.0, 0.0), FRACTIONS)
    assert (
        none is not None
        and none.arms == list(FRACTIONS)
        and "none of the arms differs significantly" in none.text
    )
    assert best_mix({"real": np.ones((3, 9))}, {"real": 0.0}) is None


def cells(
    worth: float, sizes: tuple[int, ...] = (100, 300, 1000), factors: tuple[float, ...] = (0, 1, 3)
) -> list[SurfacePoint]:
    rng = np.random.default_rng(0)
    seed = rng.normal(0, 0.003, 5)
    return [
        SurfacePoint(r, s, list(a + seed + rng.normal(0, 0.001, 5)))
        for r, s, a in surface(worth, sizes, factors)
    ]


def test_an_exchange_rate_is_found_with_its_interval() -> None:
    found = exchange_rate(cells(0.2), 2000)
    assert (
        found is not None
        and found.rate is not None
        and found.low is not None
        and found.high is not None
    )
    assert (
        found.low < 5 < found.high
        and found.rate == pytest.approx(5, rel=0.15)
        and found.high / found.low < 2
    )
    assert found.worth == pytest.approx(1 / found.rate) and found.worth_low == pytest.approx(
        1 / found.high
    )
    assert found.text.startswith("One more real image is worth about ") and found.text.endswith(
        ")."
    )


def test_worthless_and_harmful_images_have_no_rate() -> None:
    nothing = exchange_rate(cells(0.0), 2000)
    assert (
        nothing is not None and nothing.high is None and nothing.worth_low <= 0 < nothing.worth_high
    )
    assert nothing.text.startswith(
        "It is not shown that synthetic images raise the accuracy here: one more real image"
    )
    harm = exchange_rate(cells(-0.15), 2000)
    assert (
        harm is not None
        and harm.rate is None
        and harm.low is None
        and harm.worth_high < 0
        and "lower the accuracy" in harm.text
    )


def test_a_surface_that_cannot_answer_gives_none() -> None:
    assert exchange_rate(cells(0.2, sizes=(100,)), 2000) is None
    assert exchange_rate(cells(0.2, factors=(0,), sizes=(100, 200, 300, 400)), 2000) is None
    assert exchange_rate(cells(0.2)[:3], 2000) is None
    falling = [SurfacePoint(c.real, c.synthetic, [0.9 - c.real / 1e4] * 5) for c in cells(0.2)]
    assert exchange_rate(falling, 2000) is None
    with pytest.raises(ValueError, match="same seeds"):
        exchange_rate([*cells(0.2), SurfacePoint(5, 5, [0.5])], 2000)
    with pytest.raises(ValueError, match="0 and 1"):
        exchange_rate([SurfacePoint(c.real, c.synthetic, [71.0] * 5) for c in cells(0.2)], 2000)
    assert (
        exchange_rate(
            [SurfacePoint(c.real, c.synthetic, c.accuracies[:1]) for c in cells(0.2)], 2000
        )
        is not None
    )


def replaced() -> list[dict[str, object]]:
    """S3's table 2, its baseline first."""
    shown = [(0, 76.63), (2, 77.37), (4, 76.65), (6, 75.54), (8, 76.20), (10, 76.20), (12, 73.49)]
    return [
        {"label": f"{x} % replaced", "x": x, "value": v, "unit": "%", "images": 10_000}
        for x, v in shown
    ]


def test_s3_has_a_copied_cell_and_is_not_monotone() -> None:
    assert duplicates(replaced()) == [
        "8 % replaced and 10 % replaced are both 76.2: equal to the last digit, perhaps copied."
    ]
    said = not_monotone(replaced(), "falling")
    assert [s.split(" (")[0] for s in said] == ["2 % replaced", "8 % replaced"]
    assert all("sampling error" in s and "explains it" in s for s in said)
    assert flags(replaced(), "falling") == duplicates(replaced()) + said


def test_s0s_ninety_percent_real_lies_at_the_lower_end() -> None:
    shown = [(100, 0.69), (0, 0.36), (50, 0.50), (10, 0.44), (90, 0.36)]
    rows = [{"label": f"{x} % real", "x": x, "value": v, "unit": "share"} for x, v in shown]
    assert below_both(rows, "100 % real", "0 % real") == [
        "90 % real (0.36) equals the lower of 100 % real and 0 % real (0.36), which it mixes; 50 %"
        " real, further from 100 % real, has 0.5: a slip or a failed run is likely."
    ]
    rows[4]["value"] = 0.66
    assert (
        below_both(rows, "100 % real", "0 % real")
        == []
        == flags(rows, ends=("100 % real", "0 % real"))
    )


def test_differences_and_double_cells_of_s1() -> None:
    assert wrong_difference("DeiT-B", 81.79, 82.84, 1.04) == [
        "DeiT-B: +1.04 is stated, 82.84 - 81.79 is +1.05; rounding of the cells can explain it."
    ]
    assert wrong_difference("DeiT-S", 78.97, 80.49, 1.52) == []
    assert "rounding does not explain it" in wrong_difference("x", 70.0, 72.0, 1.5)[0]


def test_impossible_values_and_steps_beyond_sampling_error() -> None:
    rows = [
        {"label": "a", "value": 104.0, "unit": "%"},
        {"label": "b", "value": -1.0, "unit": "distance"},
        {"label": "c", "value": 0.5, "unit": "share"},
        {"label": "d", "value": float("nan"), "unit": "%"},
        {"label": "e", "value": None, "unit": "%"},
    ]
    said = impossible(rows)
    assert (
        [s.split(" ")[0] for s in said] == ["a", "b", "d"]
        and "0 to 100" in said[0]
        and "0 or more" in said[1]
    )
    steps = [
        {"label": str(x), "x": x, "value": v, "spread": 0.1}
        for x, v in ((2, 80.0), (1, 82.0), (3, 81.0))
    ]
    assert not_monotone(steps, "rising") == [
        "2 (80) lies 2 below 1 (82) where rising values are claimed, 14.1 standard errors."
    ]
    assert not_monotone([{"label": "p", "value": 1.0}, {"label": "q", "value": 0.5}], "rising") == [
        "q (0.5) lies 0.5 below p (1) where rising values are claimed."
    ]
    assert duplicates([{"label": "p", "value": 65.0}, {"label": "q", "value": 65.0}]) == []


def test_a_lowest_value_is_no_winner_where_intervals_overlap() -> None:
    close = [Interval(0.888, 0.8, 0.976), Interval(0.891, 0.81, 0.97), Interval(1.9, 1.8, 2.0)]
    assert as_good(close, 0) == [0, 1]
    clear = [Interval(0.5, 0.49, 0.51), Interval(0.6, 0.59, 0.61)]
    assert as_good(clear, 0) == [0]
    assert as_good([0.5, Interval(0.9, 0.89, 0.91)], 0) == [0, 1]  # nothing known about the first
    # one of 20 equal settings is the lowest by chance; all of the others stay with it
    rng = np.random.default_rng(0)
    kept = 0
    for _ in range(200):
        values = [Interval(m, m - 1.96, m + 1.96) for m in rng.standard_normal(20)]
        best = min(range(20), key=lambda i: values[i].mean)
        kept += 0 in as_good(values, best)
    assert kept >= 190


def test_settings_are_told_apart_by_their_paired_difference() -> None:
    """Two settings that share the error of the reference, and three that differ by noise alone."""
    rng = np.random.default_rng(1)
    shared = rng.normal(0, 0.01, 20)
    left = [(np.full(20, v) + rng.normal(0, 1e-4, 20), v + shared) for v in (1.0, 1.02, 1.0001)]
    values = [Interval(v, v - 0.1, v + 0.1) for v in (1.0, 1.02, 1.0001)]
    assert as_good(values, 0) == [0, 1, 2]
    assert as_good(values, 0, left=left) == [0, 2]
    assert as_good(values, 0, left=[left[0], NOTHING, left[2]]) == [0, 1, 2]
    kept = 0
    for _ in range(200):
        samples = rng.standard_normal((20, 8)) + rng.standard_normal((20, 1))
        means = samples.mean(0)
        without = [((m * 20 - s) / 19, np.zeros(20)) for m, s in zip(means, samples.T, strict=True)]
        found = [Interval(m, m - 0.9, m + 0.9) for m in means]
        kept += 3 in as_good(found, int(np.argmin(means)), left=without)
    assert kept >= 185


def test_the_best_setting_is_said_with_those_that_are_as_good() -> None:
    assert sentence("lowest", "kid", "w = 3", [], 4) == "Lowest kid at w = 3."
    assert sentence("lowest", "kid", "w = 0", ["w = 1"], 4) == (
        "Lowest kid at w = 0; it cannot be told apart from w = 1."
    )
    assert sentence("highest", "is", "w = 0", ["w = 1", "w = 2"], 3) == (
        "Highest is at w = 0, but no setting can be told apart from it."
    )
