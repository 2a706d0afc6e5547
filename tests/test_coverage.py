"""Statistics on simulated truth: intervals cover, and no effect is no help. Minutes;
docs/statistics.md has the tables."""

from __future__ import annotations

import numpy as np
import pytest

from dreamlab.stats import SurfacePoint, best_mix, exchange_rate
from tests.stats_simulation import (
    FewWorld,
    World,
    coverage,
    exact_coverage,
    experiments,
    few_coverage,
    surface,
    verdicts,
)

pytestmark = pytest.mark.slow

BOTH = World(0.9, 0.7, taste=0.35)
"""Both sources of chance: a seed moves the accuracy by 0.7 points, 2,000 images by as much."""
NOISE = 0.0035  # one standard error of 4,000 experiments


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("gain", [0.0, 0.015])
def test_intervals_of_95_percent_cover_94_to_96(seeds: int, gain: float) -> None:
    found = coverage(BOTH, gain, seeds, 2000, 4000, random=20)
    assert 0.05 < found.share < 0.95  # neither source is all
    assert 0.94 - NOISE <= found.cell <= 0.96 + NOISE, found
    assert 0.94 - NOISE <= found.difference <= 0.96 + NOISE, found


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize(
    ("accuracy", "gain", "spread", "images"),
    [
        (0.6, 0.02, 2.0, 300),
        (0.9, 0.0, 0.0, 300),
        (0.9, 0.02, 2.0, 300),
        (0.985, 0.005, 0.2, 2000),
        (0.99, 0.0, 0.0, 2000),
    ],
)
def test_no_interval_covers_too_little_where_one_source_is_all_or_errors_are_few(
    seeds: int, accuracy: float, gain: float, spread: float, images: int
) -> None:
    found = coverage(World(accuracy, spread), gain, seeds, images, 1500, random=1)
    assert 0.93 <= found.cell <= 0.985 and 0.93 <= found.difference <= 0.985, found


@pytest.mark.parametrize("seeds", [3, 5, 20])
@pytest.mark.parametrize("images", [300, 2000, 10_000])
@pytest.mark.parametrize(
    "world", [FewWorld(1.0), FewWorld(2.5), FewWorld(6.0), FewWorld(1.0, single=1.0)]
)
def test_intervals_cover_where_few_images_decide(world: FewWorld, images: int, seeds: int) -> None:
    count = 200 if images > 5000 else 400
    found = few_coverage(world, seeds, images, count, random=11)
    assert found.difference >= 0.94 - 1.7 * (0.06 * 0.94 / count) ** 0.5, found


@pytest.mark.parametrize("seeds", [3, 5, 20])
def test_as_many_lost_as_gained_is_no_difference(seeds: int) -> None:
    found = few_coverage(FewWorld(3.0, 3.0, single=1.0), seeds, 300, 1000, random=12)
    assert found.shown <= 0.05 + 0.007, found


def test_coverage_by_integration_whatever_the_share() -> None:
    for seeds in (3, 4, 5, 10, 30):
        for share in (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 1.0):
            assert 0.942 <= exact_coverage(share, seeds, 0.95) <= 0.961, (seeds, share)
            assert exact_coverage(share, seeds, 1 - 0.05 / 8) >= 0.989, (seeds, share)


@pytest.mark.parametrize("seeds", [3, 5])
def test_no_effect_gives_a_false_help_in_at_most_five_percent_of_experiments(seeds: int) -> None:
    found = verdicts(World(0.9, 0.7, taste=0.25), 0.0, seeds, 2000, 1000)
    assert found["helps"] <= 0.05 + 0.007, found  # and one standard error


def test_the_set_of_best_mixes_holds_the_best_one() -> None:
    gains = (0.0, 0.01, 0.015, -0.02, 0.012)
    fractions = {str(a): a / 5 for a in range(5)}
    held = 0
    for right in experiments(World(0.9, 0.5), gains, 5, 2000, 1000, 4):
        found = best_mix({str(a): r for a, r in enumerate(right)}, fractions)
        assert found is not None and found.low <= fractions[found.arm] <= found.high
        held += "2" in found.arms
    assert held / 1000 >= 0.95


@pytest.mark.parametrize("worth", [-0.05, 0.0, 0.2, 0.5])
@pytest.mark.parametrize(
    ("sizes", "factors"), [((100, 300, 1000), (0, 1, 3)), ((100, 200, 400, 1000), (0, 0.5, 1, 3))]
)
def test_the_exchange_rate_covers(
    worth: float, sizes: tuple[int, ...], factors: tuple[float, ...]
) -> None:
    cells = surface(worth, sizes, factors)
    gains = tuple(a - cells[0][2] for *_, a in cells)
    covered = claimed = 0
    for right in experiments(World(cells[0][2], 0.5), gains, 5, 1000, 400, 3):
        rows = right.mean(axis=2)
        found = exchange_rate(
            [SurfacePoint(r, s, list(x)) for (r, s, _), x in zip(cells, rows, strict=True)], 1000
        )
        assert found is not None
        covered += found.worth_low <= worth <= found.worth_high
        claimed += found.worth_low > 0
    assert covered / 400 >= 0.94
    assert claimed / 400 <= 0.03 if worth <= 0 else claimed / 400 > 0.9
    assert np.isfinite(found.worth_high)
