"""Rank correlations over few sets: against scipy, by hand, and how often their intervals hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as reference

from dreamlab.stats.rank_correlation import (
    LEAST,
    MOST,
    objects_needed,
    rank_correlation,
    ranks,
    spearman,
)
from tests.make_rank_statistics import section, simulate


def test_ranks_and_correlations_are_those_of_scipy_also_with_ties() -> None:
    rng = np.random.default_rng(0)
    for n in (2, 5, 9, 40):
        for most in (3, 1000):
            x, y = rng.integers(0, most, n).astype(float), rng.normal(size=n)
            assert ranks(x).tolist() == reference.rankdata(x).tolist()
            if len(set(x)) > 1:
                found = spearman(list(x), list(y))
                assert found == pytest.approx(reference.spearmanr(x, y).statistic, abs=1e-12)


def test_the_interval_is_that_of_bonett_and_wright() -> None:
    x, y = list(range(8)), [0, 2, 1, 4, 3, 5, 7, 6]
    found = rank_correlation(x, y)
    assert found is not None
    r = 1 - 6 * 6 / (8 * 63)  # six squared differences of 1
    half = 1.959964 * math.sqrt((1 + r * r / 2) / 5)
    assert found.interval.mean == pytest.approx(r)
    assert found.interval.low == pytest.approx(math.tanh(math.atanh(r) - half), abs=1e-6)
    assert found.interval.high == pytest.approx(math.tanh(math.atanh(r) + half), abs=1e-6)
    opposite = rank_correlation(x, [-v for v in y])
    assert opposite is not None
    assert opposite.interval.low == pytest.approx(-found.interval.high)
    assert opposite.p == pytest.approx(found.p)


def test_equal_orders_have_an_interval_with_a_width() -> None:
    found = rank_correlation([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
    assert found is not None
    most = 1 - 6 / 120
    half = 1.959964 * math.sqrt((1 + most * most / 2) / 2)
    assert (found.interval.mean, found.interval.high) == (1.0, 1.0)
    assert found.interval.low == pytest.approx(math.tanh(math.atanh(most) - half), abs=1e-6)
    assert found.interval.low > 0 and found.further == 0


def test_the_interval_excludes_zero_exactly_if_p_is_small() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        n = int(rng.integers(LEAST, 12))
        found = rank_correlation(list(rng.normal(size=n)), list(rng.normal(size=n)))
        assert found is not None
        outside = found.interval.low > 0 or found.interval.high < 0
        assert outside == (found.p < 0.05) == (found.further == 0)


def test_further_sets_by_hand() -> None:
    # 3 + 1.96^2 (1 + 0.125) / atanh(0.5)^2 = 3 + 4.3216 / 0.30174 = 17.3
    assert objects_needed(0.5) == objects_needed(-0.5) == 18
    assert objects_needed(1.0) == LEAST
    assert objects_needed(0.0) is None and objects_needed(0.01) is None
    assert objects_needed(0.07) is not None and (objects_needed(0.07) or 0) <= MOST
    found = rank_correlation([1, 2, 3, 4, 5], [2, 3, 4, 1, 5])
    assert found is not None
    r = 1 - 6 * (1 + 1 + 1 + 9) / 120
    assert found.interval.mean == pytest.approx(r)
    needed = 3 + 1.959964**2 * (1 + r * r / 2) / math.atanh(r) ** 2
    assert found.further == math.floor(needed) + 1 - 5


def test_too_few_or_equal_values_have_none() -> None:
    assert rank_correlation([1, 1, 1, 1, 1], [1, 2, 3, 4, 5]) is None
    with pytest.raises(ValueError, match="at least 5"):
        rank_correlation([1, 2, 3, 4], [1, 2, 3, 4])
    with pytest.raises(ValueError, match="finite"):
        spearman([1, math.nan], [1, 2])
    with pytest.raises(ValueError, match="2 and 3"):
        spearman([1, 2], [1, 2, 3])


@pytest.mark.parametrize("sets", [5, 8, 20])
@pytest.mark.parametrize("truth", [0.0, 0.6])
def test_intervals_hold_the_truth(sets: int, truth: float) -> None:
    assert simulate(truth, sets, sets, 1000).covered > 0.93


def test_sets_of_few_generators_count_for_less() -> None:
    assert simulate(0.0, 10, 2, 600).covered < simulate(0.0, 10, 10, 600).covered - 0.03


def test_the_section_of_the_page_has_all_rows() -> None:
    assert section(0.01).count("\n|") == 2 * 2 + 20 + 10
