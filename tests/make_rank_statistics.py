"""The section of docs/statistics.md about rank correlations over few sets.

`python -m tests.make_rank_statistics` prints it; `tests.make_statistics` writes it with the rest of
the page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dreamlab.stats.rank_correlation import rank_correlation

DRAWS = 4000
SIZES = (5, 7, 10, 20, 40)
TRUTHS = (0.0, 0.3, 0.6, 0.9)
ALIKE = 0.5
"""Share of the variance of a set that its generator explains, where several are of one."""
GENERATORS = ((10, 10), (10, 5), (10, 2), (20, 20), (20, 4))
HEAD = """## Rank correlations over few sets

95 % intervals of Spearman's correlation between a metric and the usefulness of sets: Fisher's z
with the variance of Bonett & Wright (2000), for pairs from a bivariate normal distribution whose
true rank correlation is known (`dreamlab/stats/rank_correlation.py`). There is none below 5 sets.
Noise in the measured values of a metric or of a gain makes their correlation smaller than that of
the true values.
"""
CLUSTERS = """
Sets of one generator resemble each other: here it explains half of the variance of both numbers.
The intervals take sets for independent, and are too narrow where several are of one generator.
"""


class Found(NamedTuple):
    """Shares of intervals, 0 to 1: that hold the truth, and that exclude 0."""

    covered: float
    excluded: float


def simulate(truth: float, sets: int, generators: int, draws: int, random: int = 5) -> Found:
    """Draws sets of so many generators, whose population rank correlation is `truth`, and counts
    intervals. A generator explains the share ALIKE of the variance of its sets; with as many
    generators as sets, all are independent."""
    rng = np.random.default_rng(random)
    # Pearson's correlation of a bivariate normal distribution with this rank correlation
    pearson = 2 * math.sin(math.pi * truth / 6)
    root = np.linalg.cholesky(np.array([[1.0, pearson], [pearson, 1.0]]))
    covered = excluded = 0
    for _ in range(draws):
        shared = np.repeat(rng.normal(size=(generators, 2)), sets // generators, axis=0)
        own = rng.normal(size=(sets, 2))
        x, y = ((math.sqrt(ALIKE) * shared + math.sqrt(1 - ALIKE) * own) @ root.T).T
        found = rank_correlation(list(x), list(y))
        assert found is not None
        covered += found.interval.low <= truth <= found.interval.high
        excluded += found.p < 0.05
    return Found(covered / draws, excluded / draws)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows]) + "\n"


def _cells(found: Found, draws: int) -> list[str]:
    error = 100 * math.sqrt(0.95 * 0.05 / draws)
    return [f"{100 * found.covered:.1f}", f"{100 * found.excluded:.1f}", f"{error:.1f}"]


def section(part: float) -> str:
    """The section in Markdown. `part` of the simulations is run."""
    draws = round(part * DRAWS)
    rows = [
        [str(n), f"{truth:g}", *_cells(simulate(truth, n, n, draws), draws)]
        for n in SIZES
        for truth in TRUTHS
    ]
    of_few = [
        [str(n), str(g), f"{truth:g}", *_cells(simulate(truth, n, g, draws), draws)]
        for n, g in GENERATORS
        for truth in (0.0, 0.6)
    ]
    last = ["covered, %", "0 excluded, %", "+-"]
    return (
        f"{HEAD}\n{_table(['sets', 'true correlation', *last], rows)}{CLUSTERS}\n"
        f"{_table(['sets', 'generators', 'true correlation', *last], of_few)}"
    )


if __name__ == "__main__":
    print(section(1.0), end="")
