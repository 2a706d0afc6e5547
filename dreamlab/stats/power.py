"""Power: which effect an experiment can show, and how many seeds or test images an effect needs."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np
from scipy import special

from dreamlab.stats.components import Paired
from dreamlab.stats.enough import LEAST_SEEDS
from dreamlab.stats.student import degrees, limit

WANTED = 0.8
"""The usual power (Cohen 1988)."""
MOST_SEEDS = 1000
MOST_IMAGES = 10_000_000
_DRAWS = 2000
_SHARES = np.linspace(0.0, 1.0, 41)


@functools.lru_cache(maxsize=256)
def _spread(freedom: int) -> np.ndarray:
    # s^2 / sigma^2 at 200 equally likely points: s^2 freedom / sigma^2 is chi-squared
    quantiles: np.ndarray = special.gammaincinv(freedom / 2, (np.arange(200) + 0.5) / 200)
    return 2 * quantiles / freedom


@functools.lru_cache(maxsize=256)
def _limits(freedom: int, alpha: float) -> np.ndarray:
    # log of the critical t, for each share of the seeds in the variance that _SHARES lists
    found = [
        limit(1 - alpha, degrees(float(u), freedom, math.inf), freedom, float(u)) for u in _SHARES
    ]
    return np.log(found)


def power(
    effect: float, seed_variance: float, image_variance: float, seeds: int, alpha: float = 0.05
) -> float:
    """Probability, 0 to 1, that `components.paired` rejects the hypothesis of no difference at
    level alpha, two-sided, if `effect` is the true difference.

    As with the noncentral t (Cohen 1988, chapter 2), but the variance has two parts.
    seed_variance / seeds is estimated from the seeds, so the result is averaged over its
    chi-squared distribution. image_variance is taken as known. Variances are in the squared unit of
    `effect`.
    """
    seed = seed_variance / seeds
    if seed + image_variance <= 0:
        return 1.0 if effect != 0 else alpha
    found = seed * _spread(seeds - 1)
    total = found + image_variance
    share = np.divide(found, total, out=np.ones_like(total), where=total > 0)
    edge = np.exp(np.interp(share, _SHARES, _limits(seeds - 1, alpha))) * np.sqrt(
        total / (seed + image_variance)
    )
    shift = abs(effect) / math.sqrt(seed + image_variance)
    return float((special.ndtr(shift - edge) + special.ndtr(-edge - shift)).sum()) / len(edge)


def detectable(pair: Paired, alpha: float = 0.05, wanted: float = WANTED) -> float:
    """The smallest true difference that an experiment like `pair` shows with probability `wanted`,
    in the unit of its mean."""

    def reached(effect: float) -> bool:
        image = pair.image_variance_at(effect)
        return power(effect, pair.seed_variance, image, pair.n, alpha) >= wanted

    low, high = 0.0, 4 * pair.error
    while not reached(high):
        low, high = high, 2 * high
    while high - low > 2e-3 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def seeds_needed(pair: Paired, alpha: float = 0.05, wanted: float = WANTED) -> int | None:
    """The smallest number of seeds (at least 3) that would show a true difference of `pair.mean`
    with probability `wanted`, on these test images.

    More seeds do not reduce the variance from the test images. None if that variance alone is too
    large, or if more than 1,000 seeds would be needed. See `images_needed` for that case.
    """
    image = pair.image_variance_at(pair.mean)
    return _fewest(
        lambda seeds: power(pair.mean, pair.seed_variance, image, seeds, alpha),
        LEAST_SEEDS,
        MOST_SEEDS,
        pair.mean,
        wanted,
    )


def seeds_range(
    pair: Paired, alpha: float = 0.05, wanted: float = WANTED, chance: float = 0.9
) -> tuple[int | None, int | None]:
    """The range that holds the number of seeds of `seeds_needed` for the true difference and the
    true variance between seeds with probability `chance`, as far as `pair` tells them.

    Both are drawn as in a Bayesian t test with a flat prior (Gelman et al. 2013, section 3.2):
    variance between seeds / chi-squared, then a normal difference. The normal approximation of the
    needed number orders the draws, and `seeds_needed` is computed at the ends. An end is None where
    that is None.
    """
    rng = np.random.default_rng(0)
    freedom = pair.n - 1
    seed = pair.seed_variance * freedom / rng.chisquare(freedom, _DRAWS)
    effect = pair.mean + np.sqrt(seed / pair.n + pair.image_variance) * rng.standard_normal(_DRAWS)
    reach = float(special.ndtri(1 - alpha / 2) + special.ndtri(wanted))
    room = (effect / reach) ** 2 - pair.image_variance
    needed = np.where(room > 0, seed / np.where(room > 0, room, 1.0), np.inf)
    order = np.argsort(needed, kind="stable")
    ends = []
    for share in ((1 - chance) / 2, (1 + chance) / 2):
        at = order[round(share * (_DRAWS - 1))]
        drawn = dataclasses.replace(pair, mean=float(effect[at]), seed_variance=float(seed[at]))
        ends.append(seeds_needed(drawn, alpha, wanted) if np.isfinite(needed[at]) else None)
    return ends[0], ends[1]


def images_needed(
    pair: Paired, seeds: int, alpha: float = 0.05, wanted: float = WANTED
) -> int | None:
    """The smallest number of test images that would show a true difference of `pair.mean` with
    probability `wanted` and `seeds` seeds. None if the variance between seeds is too large for any
    number of images, or if more than 10 million would be needed."""

    image = pair.image_variance_at(pair.mean)

    def reached(images: int) -> float:
        less = pair.images / images
        seed = pair.seed_variance - pair.rest_variance * (1 - less)
        return power(pair.mean, max(seed, 0.0), image * less, seeds, alpha)

    return _fewest(reached, 2, MOST_IMAGES, pair.mean, wanted)


def _fewest(
    reached: Callable[[int], float], least: int, most: int, effect: float, wanted: float
) -> int | None:
    if effect == 0 or reached(most) < wanted:
        return None
    low, high = least - 1, most
    while high - low > max(1, low // 1000):
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) >= wanted else (middle, high)
    return high
