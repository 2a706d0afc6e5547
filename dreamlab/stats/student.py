"""Student's t where a part of the variance was estimated from a few seeds and the rest from many
images.

No exact test is known here (the Behrens-Fisher problem). Satterthwaite's degrees of freedom alone
cover too little with few seeds: with three, 92 % instead of 95 and 97 instead of 99.4, since a
spread between the seeds that is small by chance makes the error too small and the degrees too many.
A mixture with the t of the seeds alone mends that. With normal parts its coverage is a
one-dimensional integral over the chi-squared of the seeds: from three seeds on 94 to 96 % at 95 %,
whatever the share, and at least 98.9 % at 99.4 % (docs/statistics.md).
"""

from __future__ import annotations

import math

from scipy import special

DOUBT = 0.6
"""Weight, times the share, of the t distribution with the degrees of the seeds alone."""


def degrees(share: float, freedom: int, other: float) -> float:
    """Degrees of freedom of a variance of which `share` (0 to 1) was estimated with `freedom` and
    the rest with `other` degrees (Satterthwaite 1946, eq. 17). With two seeds nothing is borrowed
    from the images."""
    if freedom == 1:
        return 1.0
    spent = share * share / max(freedom, 1) + (1 - share) ** 2 / other
    return 1 / max(spent, 1e-7)


def tail(t: float, df: float, freedom: int, share: float) -> float:
    """P(T > t) for t >= 0, where `share` of the variance has `freedom` degrees and all of it has
    df."""
    doubt = DOUBT * share if freedom > 1 else 0.0
    most = (1 - doubt) * float(special.stdtr(df, -t))
    return most + doubt * float(special.stdtr(freedom, -t)) if doubt else most


def limit(level: float, df: float, freedom: int, share: float) -> float:
    """The t whose two tails hold 1 - level, between those of df and of freedom."""
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
