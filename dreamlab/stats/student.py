"""Student's t for a variance that has two parts: one estimated from a few seeds, the rest from many
images.

No exact test is known (the Behrens-Fisher problem). Satterthwaite's degrees of freedom alone give
too little coverage with few seeds: with three seeds 92 % instead of 95 %, and 97 % instead of
99.4 %. If the estimated variance between seeds is small by chance, the error is too small and the
degrees of freedom are too many. Mixing with the t distribution for the seeds alone corrects this.

If both parts are normal, the coverage is a one-dimensional integral over the chi-squared
distribution of the variance between seeds. With three or more seeds it is 94 to 96 % at the 95 %
level, for every share of the seeds, and at least 98.9 % at the 99.4 % level (docs/statistics.md).
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from scipy import special

Number = TypeVar("Number", float, np.ndarray)

DOUBT = 0.6
"""Weight in the mixture of the t distribution with the degrees of freedom of the seeds; it is
multiplied by the share of the seeds in the variance."""


def degrees(share: Number, freedom: int, other: Number) -> Number:
    """Degrees of freedom of a variance of which `share` (0 to 1) was estimated with `freedom`
    degrees of freedom and the rest with `other` (Satterthwaite 1946, Eq. 17). With two seeds
    (`freedom` 1) it is 1."""
    if freedom == 1:
        return share * 0.0 + 1.0
    spent = share * share / max(freedom, 1) + (1 - share) ** 2 / other
    found: Number = 1 / np.maximum(spent, 1e-7)
    return found


def tail(t: Number, df: Number, freedom: int, share: Number) -> Number:
    """P(T > t) for t >= 0, where `share` of the variance has `freedom` degrees of freedom and the
    whole variance has `df`."""
    doubt = DOUBT * share if freedom > 1 else 0.0 * share
    found: Number = (1 - doubt) * special.stdtr(df, -t) + doubt * special.stdtr(max(freedom, 1), -t)
    return found


def limit(level: float, df: float, freedom: int, share: float) -> float:
    """The critical t for a two-sided confidence level. It lies between those for `df` and for
    `freedom` degrees of freedom."""
    wanted = (1 - level) / 2
    low = float(special.stdtrit(df, 1 - wanted))
    if freedom < 2 or df == freedom or share == 0:
        return low
    high = float(special.stdtrit(freedom, 1 - wanted))
    low, high = sorted((math.log(low), math.log(high)))
    at_low, at_high = (
        math.log(tail(math.exp(x), df, freedom, share) / wanted) for x in (low, high)
    )
    if at_low <= 0 or at_high >= 0:
        return math.exp(low if abs(at_low) < abs(at_high) else high)
    side, x = 0, low
    for _ in range(100):  # regula falsi (Illinois): nearly straight in log-log
        x = (low * at_high - high * at_low) / (at_high - at_low)
        here = math.log(tail(math.exp(x), df, freedom, share) / wanted)
        if abs(here) < 1e-12:
            break
        if here > 0:
            low, at_low, at_high = x, here, at_high / 2 if side > 0 else at_high
        else:
            high, at_high, at_low = x, here, at_low / 2 if side < 0 else at_low
        side = 1 if here > 0 else -1
    return math.exp(x)
