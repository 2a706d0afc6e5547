"""The section of docs/statistics.md about the distances between sets of images.

`python -m tests.make_distance_statistics` prints it; `tests.make_statistics` writes it with the
rest of the page.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

from tests.distance_simulation import Case, Found, of_frechet, of_kid

KID_DRAWS, FRECHET_DRAWS = 2000, 400
TAIL = (20, 12, 8, 5, 3)
KID_CASES = (
    Case("mixture", 2, (10,) * 2, (10,) * 2),
    Case("mixture", 2, (40,) * 2, (60,) * 2),
    Case("mixture", 10, (4,) * 10, (6,) * 10),
    Case("mixture", 10, (10,) * 10, (10,) * 10),
    Case("mixture", 5, TAIL, TAIL),
    Case("mixture", 5, TAIL, tuple(3 * n for n in TAIL)),
    Case("mixture", 10, (10,) * 10, (10,) * 10, random=True),
    Case("digits", 10, (4,) * 10, (4,) * 10),
    Case("digits", 10, (8,) * 10, (10,) * 10),
    Case("mnist5k", 10, (10,) * 10, (10,) * 10),
    Case("mixture", 10, (10,) * 10, (10,) * 10, move=0.3),
    Case("mixture", 10, (10,) * 10, (10,) * 10, move=1.0),
    Case("mixture", 10, (10,) * 10, (10,) * 10, labelled=False),
)
FRECHET_CASES = (
    Case("mixture", 10, (10,) * 10, (10,) * 10),
    Case("digits", 10, (10,) * 10, (20,) * 10),
    Case("mixture", 10, (10,) * 10, (10,) * 10, move=1.0),
    Case("mixture", 10, (10,) * 10, (10,) * 10, move=1.0, labelled=False),
)
HEAD = """## Distances between sets of images

95 % intervals of KID and of the Frechet distance. Both sets are drawn anew each time, with a
fixed number of images of every class or, where it says so, of random classes; "not told" means
that the classes are kept from the estimate. `mixture` has one Gaussian per class, cut off at 0;
`moved` says how far synthetic images lie from real ones, otherwise both sets come from one
distribution. `digits` and `mnist5k` are random features of real images, drawn with replacement.
The bias is in standard deviations of the estimate. KID has no interval
below 20 images, or where many images are of classes with fewer than 4.

For KID the truth is the population value, 0 for equal distributions. For the Frechet distance it
is the expected value with so many images: its interval does not hold the bias of a finite number
of images.
"""


def _per_class(counts: tuple[int, ...]) -> str:
    return f"{counts[0]}" if len(set(counts)) == 1 else "-".join(map(str, counts))


def _rows(cases: Iterable[Case], found: Iterable[Found]) -> str:
    lines = [
        "| images | classes | per class | drawn | bias | covered, % | above, % | below, % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case, f in zip(cases, found, strict=True):
        moved = f", moved {case.move:g}" if case.move else ""
        drawn = "random classes" if case.random else "by class"
        told = "" if case.labelled else ", not told"
        lines.append(
            f"| {case.world}{moved} | {case.classes} |"
            f" {_per_class(case.x)} / {_per_class(case.y)} | {drawn}{told} |"
            f" {f.bias:+.2f} | {100 * f.covered:.1f} | {100 * f.above:.1f} |"
            f" {100 * f.below:.1f} |"
        )
    return "\n".join(lines) + "\n"


def section(pool: ProcessPoolExecutor, part: float) -> str:
    """The section in Markdown. `part` of the simulations is run."""
    kids, frechets = round(part * KID_DRAWS), round(part * FRECHET_DRAWS)
    of_kids = pool.map(of_kid, KID_CASES, [kids] * len(KID_CASES))
    of_frechets = pool.map(of_frechet, FRECHET_CASES, [frechets] * len(FRECHET_CASES))
    return (
        f"{HEAD}\nKID, {kids:,} draws each (standard error of the simulation:"
        f" {100 * (0.95 * 0.05 / kids) ** 0.5:.1f}):\n\n{_rows(KID_CASES, of_kids)}\n"
        f"Frechet distance, {frechets:,} draws each"
        f" ({100 * (0.95 * 0.05 / frechets) ** 0.5:.1f}):\n\n{_rows(FRECHET_CASES, of_frechets)}"
    )


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(2) as workers:
        print(section(workers, 1.0), end="")
