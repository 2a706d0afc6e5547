"""Kernel inception distance (KID): the unbiased squared MMD with a polynomial kernel (Binkowski et
al. 2018), for sets drawn at random or class by class. Without torch."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
from scipy import optimize, special

from dreamlab.fidelity import jackknife
from dreamlab.fidelity.metrics import Kept
from dreamlab.fidelity.strata import UNKNOWN, Labels, designs
from dreamlab.stats.intervals import Interval
from dreamlab.stats.left_out import NOTHING, LeftOut

MOST = 5000
"""Most images per set of which the kernel matrix is computed. Its memory grows with the square of
this number. Of a larger set, the same share of every stratum is used."""
FEWEST, MOST_FEW = 20, 0.1
"""Fewest images of each set for an interval, and the largest share of a set drawn class by class
that may be of classes with fewer than `strata.LEAST` images."""
GROUPS = 20
"""Groups of each set that are left out (`stats.left_out`), to compare the distances of two sets."""
ROWS, PROBES, STEPS = 1000, 200, 200
"""Rows of a matrix that are computed at a time. A cube is computed of a matrix of at most 2 ROWS
rows; of larger ones the trace of the cube is estimated with PROBES random vectors. Most steps
of the search for the upper end of an interval."""


def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(x'y / d + 1)^3 for all pairs of rows of x (n, d) and y (m, d): (n, m) float64 (section 4 of
    the paper)."""
    k: np.ndarray = (x.astype(np.float64) / x.shape[1]) @ y.astype(np.float64).T
    k += 1.0
    k *= k * k
    return k


def mmd(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased estimate of the squared MMD (Gretton et al. 2012, Eq. 3), which leaves out the
    diagonals, for two sets drawn at random. It can be negative."""
    return _Pairs(x, y, np.zeros(len(x), np.intp), np.zeros(len(y), np.intp)).value


class _Pairs:
    """The kernel of all pairs of two sets, and what the estimate and its variance need of it.

    A stratum s of either set has n_s images and the share p_s of its set, with a minus sign for
    those of y. With P and Q the mixtures of the strata with these shares, the estimate of |P - Q|^2
    takes the mean over pairs of different images within a stratum, and over all pairs across
    strata; with one stratum per set it is the usual U-statistic.

    Images are sorted by stratum, and within it by the group that is left out together, so that all
    sums are over blocks of the matrix.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, in_x: np.ndarray, in_y: np.ndarray):
        stratum = np.concatenate([in_x, in_y + in_x.max() + 1])
        *groups, self.groups = jackknife.divided(stratum[: len(x)], stratum[len(x) :], GROUPS)
        group = np.concatenate(groups)
        order = np.lexsort((group, stratum))
        z, self.stratum = np.concatenate([x, y])[order], stratum[order]
        self.count = np.bincount(self.stratum).astype(float)
        first = np.arange(len(self.count)) <= in_x.max()
        self.share = self.count / np.where(first, len(x), -len(y))
        number = self.stratum * max(1, self.groups) + group[order]
        blocks, self.starts = np.unique(number, return_index=True)
        self.of, self.own = np.divmod(blocks, max(1, self.groups))
        """Stratum and group of each block."""
        self.k = np.empty((len(z), len(z)))
        by_block = np.empty((len(z), len(blocks)))
        for i in range(0, len(z), ROWS):
            self.k[i : i + ROWS] = kernel(z[i : i + ROWS], z)
            by_block[i : i + ROWS] = np.add.reduceat(self.k[i : i + ROWS], self.starts, axis=1)
        self.sums = np.add.reduceat(by_block, self.starts, axis=0)
        """Sums of the kernel over each pair of blocks."""
        n = self.count[self.stratum]
        self.rows = rows = by_block @ self._into() / self.count
        self.across = (self._into().T @ self.sums @ self._into()) / np.outer(self.count, self.count)
        own = rows[np.arange(len(z)), self.stratum]
        other = (n * own - self.k.diagonal()) / (n - 1)
        self.first = rows @ self.share + self.share[self.stratum] * (other - own)
        """(N,) inner products of an image with the difference of the means, itself left out."""
        within = np.bincount(self.stratum, other) / self.count
        whole = self.share @ self.across @ self.share
        self.value = float(whole + self.share**2 @ (within - self.across.diagonal()))

    def _into(self) -> np.ndarray:
        """(blocks, strata) 1 where a block is of a stratum, else 0."""
        found: np.ndarray = (self.of[:, None] == np.arange(len(self.count))).astype(float)
        return found

    def _without(self, of_first: bool) -> np.ndarray:
        """The estimate without each group (groups,) of the first set, or of the second. NaN if
        fewer than two images of a stratum are left."""
        diagonal = np.add.reduceat(self.k.diagonal(), self.starts)
        size = np.diff(np.append(self.starts, len(self.k))).astype(float)
        sign, into = np.sign(self.share), self._into()
        in_first = sign[self.of] > 0
        found = np.full(self.groups, np.nan)
        for g in range(self.groups):
            kept = (in_first != of_first) | (self.own != g)
            n = size[kept] @ into[kept]
            if n.min() < 2:
                continue
            total = into[kept].T @ self.sums[np.ix_(kept, kept)] @ into[kept]
            of_set = size[kept & in_first].sum(), size[kept & ~in_first].sum()
            share = sign * n / np.where(sign > 0, *of_set)
            across = total / np.outer(n, n)
            within = (total.diagonal() - diagonal[kept] @ into[kept]) / (n * (n - 1))
            found[g] = share @ across @ share + share**2 @ (within - across.diagonal())
        return found

    def left_out(self) -> LeftOut:
        """The estimate without each group of the first set and of the second, see
        `stats.left_out`; nothing where a stratum is too small."""
        if not self.groups:
            return NOTHING
        left = self._without(True), self._without(False)
        return left if all(np.isfinite(part).all() for part in left) else NOTHING

    def moments(self) -> Moments:
        """Variance and skewness of the estimate. Changes `k`.

        With e the error of the estimated difference D of the means, and S its covariance, the
        estimate is |D|^2 + 2 D'e + e'e - tr S. Its variance is 4 D'SD + 2 tr S^2 and its third
        cumulant 24 D'S^2D + 8 tr S^3. The jackknife that leaves out one image at a time within its
        stratum counts the part 2 tr S^2 twice (Efron & Stein 1981), so it is subtracted once.
        """
        h = self._centred()
        square = 2 * float(np.einsum("ij,ij->", h, h))
        each = self.first - (np.bincount(self.stratum, self.first) / self.count)[self.stratum]
        scale = np.abs(self.share) / np.sqrt(self.count * (self.count - 1))
        scaled = each * (np.sign(self.share) * scale)[self.stratum]
        linear = max(4 * float(scaled @ scaled) - 2 * square, 0.0)
        cube = 8 * _trace_of_cube(h)
        mixed = max(24 * float(scaled @ h @ scaled) - 3 * cube, 0.0)
        return Moments(linear, square, mixed, cube)

    def _centred(self) -> np.ndarray:
        """The kernel (N, N) of the deviations from the means of the strata, with zeros in the
        diagonal, each scaled by |p_s| / sqrt(n_s (n_s - 1)) per image. The squares of its entries
        sum to an unbiased estimate of tr S^2 (within a stratum by U-centring, Szekely & Rizzo
        2014; with 2 or 3 images it is not possible, and that part is too large). Takes the memory
        of `k`."""
        g, s, n = self.k, self.stratum, self.count
        own = g.diagonal() - 2 * self.rows[np.arange(len(g)), s] + self.across.diagonal()[s]
        enough = n > 3
        less = np.where(enough, n - 2, np.inf)
        total = np.bincount(s, own) / (less * (n - 1))
        more = np.where(enough, np.sqrt((n - 1) / np.where(enough, n - 3, 1)), 1.0)
        size = np.abs(self.share) / np.sqrt(n * (n - 1))
        ends = np.append(0, np.cumsum(n)).astype(int)
        places = [slice(*pair) for pair in itertools.pairwise(ends)]
        for (a, i), (b, j) in itertools.product(enumerate(places), repeat=2):
            part = g[i, j]
            part -= self.rows[i, b][:, None]
            part += self.across[a, b] - self.rows[j, a]
            if a == b:
                part += own[i][:, None] / less[a] + (own[i] / less[a] - total[a])
                part *= more[a]
            part *= size[a] * size[b]
        np.fill_diagonal(g, 0.0)
        return g


@dataclasses.dataclass(frozen=True)
class Moments:
    """Variance and third cumulant of the estimate, each in the part that vanishes where the sets do
    not differ (linear, mixed) and the rest (square, cube); see `_Pairs.moments`."""

    linear: float
    square: float
    mixed: float
    cube: float

    def below(self, probability: float, linear: float) -> float:
        """Quantile of the error of the estimate if the linear part of its variance is `linear`."""
        part = linear / self.linear if self.linear > 0 else 0.0
        variance = self.square + linear
        if variance <= 0:
            return 0.0
        skewness = (self.cube + part * self.mixed) / variance**1.5
        return math.sqrt(variance) * quantile(probability, skewness)

    def low(self, value: float, tail: float) -> float:
        """The smallest distance for which an estimate of at least `value` has the probability
        `tail`. The linear part of the variance is proportional to the distance."""

        def excess(theta: float) -> float:
            return value - theta - self.below(1 - tail, self.linear * theta / value)

        at_zero = value - self.below(1 - tail, 0.0)
        return at_zero if at_zero <= 0 else float(optimize.brentq(excess, 0.0, value))

    def high(self, value: float, tail: float) -> float:
        """The largest distance for which an estimate of at most `value` has the probability `tail`.

        Where the estimate is near 0, its linear variance per distance is hardly known. It is
        assumed to lie between half of what it is along the main directions of the error (4 tr S^3 /
        tr S^2) and the most that it can be. Half was chosen for coverage by simulation.
        """
        least = self.cube / self.square / 2 if self.square > 0 else 0.0
        most = max(4 * np.cbrt(self.cube / 8), least)
        per = min(max(self.linear / value, least), most) if value > 0 else least
        found = max(value, 0.0) + 2 * math.sqrt(self.square)
        for _ in range(STEPS):
            last = found
            step = value - self.below(tail, max(per * found, self.linear))
            found = (found + step) / 2
            if abs(found - last) <= 1e-9 * abs(found):
                break
        return found


def _trace_of_cube(h: np.ndarray) -> float:
    if len(h) <= 2 * ROWS:
        return float(np.einsum("ij,ij->", h, h @ h))
    probes = np.random.default_rng(0).choice((-1.0, 1.0), (len(h), PROBES)).astype(np.float32)
    single = h.astype(np.float32)  # far more exact than the estimate
    once = single @ probes
    return float(np.einsum("ij,ij->", once, single @ once, dtype=np.float64)) / PROBES


def quantile(probability: float, skewness: float) -> float:
    """Of the shifted gamma distribution with mean 0, variance 1 and this skewness, limited to the
    range from 0 to that of a chi-squared variable with one degree of freedom."""
    skewness = min(max(skewness, 0.0), math.sqrt(8.0))
    if skewness < 1e-3:
        return float(special.ndtri(probability))
    shape = 4 / skewness**2
    return float(special.gammaincinv(shape, probability) - shape) / math.sqrt(shape)


def kid(x: np.ndarray, y: np.ndarray, labels: Labels = UNKNOWN, level: float = 0.95) -> Interval:
    """KID of features (n, d) against (m, d), with an interval for the choice of the images.

    It is the squared MMD between the distributions with the class shares that the sets have. A set
    that was drawn class by class (`strata.drawn_by_class`) is treated so; any other, and one
    without labels, as drawn at random. The value is unbiased and can be negative, and so can the
    ends of the interval, although the true distance cannot. The ends are NaN below FEWEST images,
    and if more than MOST_FEW of a set drawn class by class are of classes with 1 to 3 images: by
    simulation, its interval would be too wide, and with 1 image the value is too low. Raises
    ValueError for fewer than 2 images in a set.
    """
    if min(len(x), len(y)) < 2:
        raise ValueError("KID needs at least 2 images in each set")
    (in_x, few_x), (in_y, few_y) = designs(len(x), len(y), labels)
    too_few = min(len(x), len(y)) < FEWEST or max(few_x, few_y) > MOST_FEW
    (x, in_x), (y, in_y) = _thinned(x, in_x), _thinned(y, in_y)
    pairs = _Pairs(x, y, in_x, in_y)
    if too_few:
        return Interval(pairs.value, math.nan, math.nan, level)
    left = pairs.left_out()
    found, tail = pairs.moments(), (1 - level) / 2
    ends = found.low(pairs.value, tail), found.high(pairs.value, tail)
    return jackknife.Resampled(pairs.value, *ends, level, left)


def without_groups(
    x: np.ndarray, y: np.ndarray, in_x: np.ndarray, in_y: np.ndarray
) -> tuple[float, LeftOut]:
    """KID of features (n, d) against (m, d) that were drawn by these strata (n,) and (m,), and its
    values without each group of images (`stats.left_out`). Raises ValueError for fewer than 2
    images in a set."""
    if min(len(x), len(y)) < 2:
        raise ValueError("KID needs at least 2 images in each set")
    (x, in_x), (y, in_y) = _thinned(x, in_x), _thinned(y, in_y)
    pairs = _Pairs(x, y, in_x, in_y)
    return pairs.value, pairs.left_out()


def _thinned(x: np.ndarray, stratum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """About MOST images, the same share of every stratum, at least two of each."""
    if len(x) <= MOST:
        return x, stratum
    chosen = []
    for s in range(stratum.max() + 1):
        members = np.flatnonzero(stratum == s)
        take = min(max(2, len(members) * MOST // len(x)), len(members))
        chosen.append(members[np.arange(take) * len(members) // take])
    kept = np.sort(np.concatenate(chosen))
    return x[kept], stratum[kept]


def measure(x: np.ndarray, y: np.ndarray, kept: Kept, labels: Labels) -> Interval:
    """The metrics kid_classifier and kid; see `kid`. Nothing is cached."""
    return kid(x, y, labels)
