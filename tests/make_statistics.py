"""Writes docs/statistics.md: what the intervals and verdicts do on made-up predictions whose truth
is known.

`python -m tests.make_statistics` takes about fifteen minutes on two free cores; a number behind it,
such as 0.2, runs that part of the simulations, and the last column of the tables says what that
costs in precision.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from dreamlab.stats import SurfacePoint, best_mix, exchange_rate, paired
from tests.make_distance_statistics import section as distances
from tests.make_rank_statistics import section as rank_correlations
from tests.stats_simulation import (
    Asked,
    FewWorld,
    World,
    asked,
    coverage,
    exact_coverage,
    experiments,
    few_coverage,
    surface,
    verdicts,
)

PAGE = Path(__file__).resolve().parents[1] / "docs" / "statistics.md"
SEEDS = (3, 5, 10)
HEAD = """# How sure the statistics are

Made by `python -m tests.make_statistics`; do not edit. Everything here is simulated, so the truth is known. Predictions come
from a probit model: an image is classified correctly if the sum of four terms exceeds a threshold. The terms are the image's
difficulty (the same for all seeds and arms), an effect of the arm on the image (the same for its seeds), an effect of the seed,
and noise of the single prediction (`tests/stats_simulation.py`). The statements are about new seeds and new test images, for the same generator and its images.

The method: the variance of a mean over S seeds and n images is (MS_seed + MS_image - MS_rest) / (S n), the mean squares of
the crossed layout; degrees of freedom are Satterthwaite's, and tails are mixed with those of t with S - 1 degrees
(`dreamlab/stats/student.py`). Accuracies get Wilson's interval at the effective sample size that this variance implies.
Where few test images decide, the variance of a difference also depends on the hypothesis, as in score intervals
(`dreamlab/stats/hypothesis.py`). There is no verdict and no interval of a difference with fewer than three seeds or ten test images.
"""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows]) + "\n"


def error(count: int, share: float = 0.95) -> str:
    return f"{100 * math.sqrt(share * (1 - share) / count):.1f}"


def _covered(task: tuple[World, float, int, int, int]) -> tuple[float, float, float]:
    found = coverage(*task, random=77)
    return found.cell, found.difference, found.share


WORLDS = (
    (300, World(0.6, 1.0), 0.02, 3000),
    (300, World(0.9, 0.0), 0.0, 3000),
    (300, World(0.9, 1.0), 0.02, 3000),
    (300, World(0.985, 0.3), 0.008, 3000),
    (300, World(0.99, 0.0), 0.0, 3000),
    (2000, World(0.9, 0.0), 0.0, 2000),
    (2000, World(0.9, 0.5), 0.01, 2000),
    (2000, World(0.9, 1.0), 0.02, 2000),
    (2000, World(0.9, 2.0), 0.02, 2000),
    (2000, World(0.99, 0.3), 0.004, 2000),
    (10_000, World(0.95, 0.3), 0.005, 500),
    (10_000, World(0.95, 1.0), 0.02, 500),
)


def coverage_table(pool: ProcessPoolExecutor, part: float) -> str:
    tasks = [
        (world, gain, s, n, round(part * count)) for n, world, gain, count in WORLDS for s in SEEDS
    ]
    found = list(pool.map(_covered, tasks))
    rows = []
    for i, (n, world, gain, count) in enumerate(WORLDS):
        cells = found[3 * i : 3 * i + 3]
        rows.append(
            [
                f"{n:,}",
                f"{world.accuracy:.3g}",
                f"{world.spread:g}",
                f"{100 * gain:+g}",
                " / ".join(f"{100 * c:.1f}" for c, _, _ in cells),
                " / ".join(f"{100 * d:.1f}" for _, d, _ in cells),
                " / ".join(f"{100 * b:.0f}" for *_, b in cells),
                error(round(part * count)),
            ]
        )
    head = [
        "test images",
        "accuracy",
        "seed spread (points)",
        "true difference (points)",
        "arm, %",
        "difference, %",
        "share of the images, %",
        "+-",
    ]
    return (
        "## Coverage of 95 % intervals\n\nAt 3 / 5 / 10 seeds. The share of the images is that of"
        " the difference's variance; the last column is the standard error of the simulation. Below"
        " a handful of errors per seed (0.99 of 300 images) the intervals are conservative.\n\n"
        + table(head, rows)
    )


FEW = (
    FewWorld(1.0),
    FewWorld(2.5),
    FewWorld(6.0),
    FewWorld(1.0, 1.0),
    FewWorld(1.0, single=3.0),
    FewWorld(2.5, single=3.0),
)
FEW_SEEDS = (3, 5, 10, 20)


def _few(task: tuple[FewWorld, int, int, int]) -> tuple[float, float]:
    found = few_coverage(*task, random=78)
    return found.difference, found.shown


def few_table(pool: ProcessPoolExecutor, part: float) -> str:
    sizes = ((300, 1000), (2000, 500), (10_000, 200))
    tasks = [
        (world, s, n, round(part * count)) for n, count in sizes for world in FEW for s in FEW_SEEDS
    ]
    found = pool.map(_few, tasks)
    rows = [
        [
            f"{n:,}",
            f"{world.lost:g}",
            f"{world.gained:g}",
            f"{world.single:g}",
            *zip_text([next(found) for _ in FEW_SEEDS]),
            error(round(part * count)),
        ]
        for n, count in sizes
        for world in FEW
    ]
    head = ["test images", "lost", "gained", "in one seed", "difference, %", "0 excluded, %", "+-"]
    return (
        "## Coverage where few images decide\n\nAt 3 / 5 / 10 / 20 seeds. So many of the test"
        " images, on average, are lost or gained by an arm in every seed, and so many change in one"
        " seed alone. The nominal coverage is 95 %.\n\n" + table(head, rows)
    )


def zip_text(found: Sequence[tuple[float, float]]) -> list[str]:
    return [" / ".join(f"{100 * x:.1f}" for x in column) for column in zip(*found, strict=True)]


def exact_table() -> str:
    shares = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
    rows = [
        [
            str(s),
            f"{100 * level:.3g}",
            *(f"{100 * exact_coverage(share, s, level):.1f}" for share in shares),
        ]
        for level in (0.95, 1 - 0.05 / 8)
        for s in SEEDS
    ]
    return (
        "## Coverage by integration\n\nNormal means whose variance comes to the given share from"
        " the seeds. The second level is that of the first step of Holm's procedure over eight"
        " arms.\n\n" + table(["seeds", "level, %", *(f"{share:g}" for share in shares)], rows)
    )


def _verdicts(task: tuple[World, float, int, int, int, int, int]) -> dict[str, float]:
    return verdicts(*task, random=3)


def family_table(pool: ProcessPoolExecutor, part: float) -> str:
    cases = [
        (
            World(0.9, spread, taste),
            0.0,
            s,
            n,
            round(part * (1000 if n < 5000 or s == 3 else 300)),
            2,
            6,
        )
        for n, spread, taste in (
            (2000, 0.5, 0.2),
            (2000, 1.0, 0.3),
            (300, 1.0, 0.2),
            (10_000, 0.7, 0.3),
        )
        for s in SEEDS
    ]
    rows = [
        [
            f"{n:,}",
            str(s),
            f"{w.spread:g}",
            f"{w.taste:g}",
            f"{100 * found['helps']:.1f}",
            f"{100 * found['hurts']:.1f}",
            error(count, 0.03),
        ]
        for (w, _, s, n, count, *_), found in zip(cases, pool.map(_verdicts, cases), strict=True)
    ]
    return (
        "## Whole experiments without any effect\n\nTwo generators, six mixes each, two controls:"
        " how often the verdict is 'helps' or 'hurts', in percent. It should be at most 5.\n\n"
        + table(
            [
                "test images",
                "seeds",
                "seed spread",
                "arm x image",
                "false helps, %",
                "false hurts, %",
                "+-",
            ],
            rows,
        )
    )


def _power(task: tuple[float, int, int, int]) -> tuple[float, float]:
    gain, seeds, images, count = task
    single = family = 0
    for right in experiments(World(0.9, 0.5), (0.0, gain), seeds, images, count, 5):
        pair = paired(right[1], right[0])
        single += pair.p <= 0.05 and pair.mean > 0
        family += pair.p <= 0.05 / 6 and pair.mean > 0
    return single / count, family / count


def power_table(pool: ProcessPoolExecutor, part: float) -> str:
    tasks = [
        (gain, s, n, round(part * (1000 if n < 5000 else 300)))
        for gain in (0.01, 0.02)
        for n in (1000, 2000, 10_000)
        for s in SEEDS
    ]
    rows = [
        [
            f"{100 * gain:+g}",
            f"{n:,}",
            str(s),
            f"{100 * one:.0f}",
            f"{100 * six:.0f}",
            error(count, 0.5),
        ]
        for (gain, s, n, count), (one, six) in zip(tasks, pool.map(_power, tasks), strict=True)
    ]
    return (
        "## Power\n\nHow often a true gain is found, in percent, for one arm alone and for the only"
        " one of six arms that gains (Holm's first step). Accuracy 0.9; the standard deviation"
        " between seeds is half a point.\n\n"
        + table(["gain (points)", "test images", "seeds", "one arm", "one of six", "+-"], rows)
    )


def _exchange(task: tuple[float, int, int, int]) -> tuple[float, float, float]:
    worth, seeds, images, count = task
    cells = surface(worth, (100, 300, 1000), (0, 1, 3))
    gains = tuple(a - cells[0][2] for *_, a in cells)
    covered = claimed = 0
    middle = []
    for right in experiments(World(cells[0][2], 0.5), gains, seeds, images, count, 3):
        rows = right.mean(axis=2)
        found = exchange_rate(
            [SurfacePoint(r, s, list(x)) for (r, s, _), x in zip(cells, rows, strict=True)], images
        )
        if found is not None:
            covered += found.worth_low <= worth <= found.worth_high
            claimed += found.worth_low > 0
            middle.append(found.worth)
    return covered / count, claimed / count, float(np.median(middle))


def _best(task: tuple[int, int]) -> tuple[float, float]:
    seeds, count = task
    gains = (0.0, 0.01, 0.015, -0.02, 0.012)
    held, size = 0, 0
    for right in experiments(World(0.9, 0.5), gains, seeds, 2000, count, 4):
        found = best_mix(
            {str(a): r for a, r in enumerate(right)}, {str(a): a / 5 for a in range(5)}
        )
        assert found is not None
        held += "2" in found.arms
        size += len(found.arms)
    return held / count, size / count


ASKED = ((2000, 0.0075), (2000, 0.01), (10_000, 0.005), (10_000, 0.0075))


def _asked(task: tuple[World, float, int, int, int]) -> Asked:
    return asked(*task, random=9)


def asked_table(pool: ProcessPoolExecutor, part: float) -> str:
    tasks = [
        (World(0.9, 0.5), gain, s, n, round(part * (400 if n < 5000 else 160)))
        for n, gain in ASKED
        for s in SEEDS
    ]
    rows = []
    for (_, gain, s, n, count), found in zip(tasks, pool.map(_asked, tasks), strict=True):
        if math.isnan(found.held):
            continue
        low, high, middle = (seeds_text(x) for x in (*found.ends, found.median))
        cells = [f"{n:,}", f"{100 * gain:+g}", str(s), f"{100 * found.undecided:.0f}"]
        cells += [seeds_text(found.needed), middle, f"{low} to {high}", f"{100 * found.held:.0f}"]
        rows.append([*cells, error(round(count * found.undecided), 0.9)])
    head = ["test images", "gain (points)", "seeds", "undecided, %", "truly needed"]
    head += ["for the observed one", "range", "range held, %", "+-"]
    return (
        "## Seeds asked for\n\nWhat experiments that stay undecided say on the seeds that would show"
        " the difference with 80 % power: medians of the number for a difference as large as the"
        " observed one, which is far from the number that the true one needs, and of the ends of"
        " the 90 % range that the verdict states. Rows in which 10 seeds are more than the truly"
        " needed number are about the few experiments with bad luck.\n\n" + table(head, rows)
    )


def seeds_text(seeds: int | None) -> str:
    return "over 1,000" if seeds is None else f"{seeds:,}"


def curves_table(pool: ProcessPoolExecutor, part: float) -> str:
    rates = [(worth, s, 2000, round(part * 400)) for worth in (-0.05, 0.0, 0.2, 0.5) for s in SEEDS]
    first = [
        [
            f"{worth:g}",
            str(s),
            f"{100 * covered:.1f}",
            f"{100 * claimed:.1f}",
            f"{middle:.2f}",
            error(count),
        ]
        for (worth, s, _, count), (covered, claimed, middle) in zip(
            rates, pool.map(_exchange, rates), strict=True
        )
    ]
    best = [(s, round(part * 500)) for s in SEEDS]
    second = [
        [str(s), f"{100 * held:.1f}", f"{size:.1f}", error(count)]
        for (s, count), (held, size) in zip(best, pool.map(_best, best), strict=True)
    ]
    return (
        "## Exchange rate\n\nNine cells (100, 300, 1,000 real images; none, as many, three times as"
        " many synthetic ones), 2,000 test images; `worth` is the number of real images that"
        " one synthetic image is worth.\n\n"
        + table(
            ["worth", "seeds", "covered, %", "worth shown above 0, %", "median estimate", "+-"],
            first,
        )
        + "\n## Best mix\n\nFive arms with true gains 0, +1, +1.5, -2 and +1.2 points: how often"
        " the set of arms that do not differ significantly from the best contains the truly best"
        " one, and the mean size of that set.\n\n"
        + table(["seeds", "held, %", "arms in the set", "+-"], second)
    )


def main() -> None:
    part = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(2) as pool:
        parts = [
            HEAD,
            coverage_table(pool, part),
            few_table(pool, part),
            exact_table(),
            family_table(pool, part),
            power_table(pool, part),
            asked_table(pool, part),
            curves_table(pool, part),
            distances(pool, part),
            rank_correlations(part),
        ]
    PAGE.write_text("\n".join(parts))


if __name__ == "__main__":
    main()
