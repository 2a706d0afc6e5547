"""Distances of sets that were drawn class by class: unbiased, in intervals that hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from dreamlab.fidelity import kid as kid_module
from dreamlab.fidelity.kid import kernel, kid, mmd, quantile
from dreamlab.fidelity.strata import Labels, by_class, designs, drawn_by_class
from tests.distance_simulation import Case, Mixture, of_frechet, of_kid

EQUAL = np.repeat(np.arange(5), 6)


def test_counts_that_fit_equal_shares_or_the_other_set_are_taken_as_drawn_by_class() -> None:
    rng = np.random.default_rng(0)
    tail = np.repeat(np.arange(5), [50, 20, 10, 5, 5])
    assert drawn_by_class(EQUAL) and not drawn_by_class(tail)
    assert drawn_by_class(tail, np.repeat(tail, 3)) and not drawn_by_class(tail, EQUAL)
    assert drawn_by_class(np.repeat(np.arange(10), [59, 60, 59, 61, 60, 60, 60, 60, 58, 60]))
    assert not drawn_by_class(np.zeros(50, int))
    random = [drawn_by_class(rng.integers(0, 10, 500)) for _ in range(400)]
    assert np.mean(random) < 0.03


def test_strata_are_the_classes_and_lone_images_form_one_together() -> None:
    assert by_class(np.array([7, 7, 2, 2, 2])).strata.tolist() == [1, 1, 0, 0, 0]
    design = by_class(np.array([0, 1, 2, 2, 3, 3, 3]))
    assert design.strata.tolist() == [2, 2, 0, 0, 1, 1, 1] and design.few == 1
    assert by_class(np.array([0, 2, 2, 3, 3, 3])).strata.tolist() == [1, 1, 1, 0, 0, 0]
    x, y = designs(30, 40, Labels(EQUAL, None))
    assert len(np.unique(x.strata)) == 5 and np.array_equal(y.strata, np.zeros(40))


def test_the_estimate_is_the_mean_over_pairs_within_and_across_classes() -> None:
    world, rng = Mixture(3), np.random.default_rng(1)
    in_x, in_y = np.repeat(np.arange(3), 4), np.repeat(np.arange(3), [10, 11, 10])
    x, y = world.draw(in_x, True, rng), world.draw(in_y, False, rng)

    def part(a: np.ndarray, of_a: np.ndarray, b: np.ndarray, of_b: np.ndarray) -> float:
        total = 0.0
        for s in range(3):
            for t in range(3):
                k = kernel(a[of_a == s], b[of_b == t])
                n, m = k.shape
                mean = (k.sum() - np.trace(k)) / (n * (n - 1)) if a is b and s == t else k.mean()
                total += n / len(a) * m / len(b) * mean
        return total

    expected = part(x, in_x, x, in_x) + part(y, in_y, y, in_y) - 2 * part(x, in_x, y, in_y)
    assert kid(x, y, Labels(in_x, in_y)).mean == pytest.approx(expected, rel=1e-9)
    assert kid(x, y).mean == pytest.approx(mmd(x, y)) != pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("case", "count", "off"),
    [
        (Case("mixture", 10, (4,) * 10, (6,) * 10), 2000, 0.02),
        (Case("digits", 10, (4,) * 10, (4,) * 10), 2000, 0.02),
        (Case("mixture", 4, (5,) * 4, (8,) * 4), 500, 0.035),
        (Case("mixture", 3, (12, 6, 4), (24, 12, 8)), 500, 0.035),
        (Case("mixture", 4, (8,) * 4, (8,) * 4, random=True), 500, 0.035),
        (Case("mixture", 4, (8,) * 4, (10,) * 4, move=1.0), 500, 0.035),
    ],
    ids=["ten classes", "digits", "few classes", "unequal classes", "random classes", "moved"],
)
def test_the_interval_of_kid_holds_the_truth(case: Case, count: int, off: float) -> None:
    found = of_kid(case, count)
    assert abs(found.bias) < 0.15 and abs(found.covered - 0.95) <= off, found


def test_without_labels_a_set_drawn_by_class_would_be_too_close() -> None:
    found = of_kid(Case("mixture", 10, (4,) * 10, (6,) * 10, labelled=False), 200)
    assert found.bias < -1 and found.below > 0.2


def test_the_interval_of_the_frechet_distance_knows_the_classes() -> None:
    case = Case("mixture", 5, (12,) * 5, (20,) * 5, move=1.0)
    found = of_frechet(case, 200)
    assert 0.9 < found.covered <= 1.0, found


def test_too_few_images_have_no_interval_and_large_sets_are_thinned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, rng = Mixture(5), np.random.default_rng(0)
    few, lone = np.repeat(np.arange(5), 3), np.arange(30)
    x, y = world.draw(EQUAL, True, rng), world.draw(np.repeat(EQUAL, 2), False, rng)
    assert np.isnan(kid(world.draw(few, True, rng), y, Labels(few, None)).low)
    assert np.isnan(kid(x, y, Labels(lone, None)).high) and kid(x, y).low < kid(x, y).high
    with pytest.raises(ValueError, match="at least 2"):
        kid(x[:1], y)
    whole = kid(x, y, Labels(EQUAL, np.repeat(EQUAL, 2)))
    monkeypatch.setattr(kid_module, "MOST", 30)
    part = kid(x, y, Labels(EQUAL, np.repeat(EQUAL, 2)))
    assert part.mean != whole.mean and part.high - part.low > whole.high - whole.low
    monkeypatch.setattr(kid_module, "ROWS", 7)
    probed = kid(x, y, Labels(EQUAL, np.repeat(EQUAL, 2)))
    assert probed.low == pytest.approx(part.low, rel=0.2, abs=0.1 * (part.high - part.low))


def test_quantiles_of_the_shifted_gamma_are_between_normal_and_chi_squared() -> None:
    assert quantile(0.975, 0.0) == pytest.approx(1.959964, abs=1e-5)
    assert quantile(0.975, 1e-2) == pytest.approx(1.959964, abs=0.02)
    # chi-squared with one degree of freedom: (5.0239 - 1) / sqrt(2)
    assert quantile(0.975, 9.0) == pytest.approx(2.8453, abs=1e-3)
