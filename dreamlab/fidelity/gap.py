"""Whether a set lies closer to the images that its generator was trained on than to held-out ones:
the first sign of memory. Without torch.

The gap is KID(set, held-out) - KID(set, training images); what the set has in common with itself
cancels. It is 0 for a generator that has learned the distribution, and above 0 for one that repeats
its training images (compare Meehan et al. 2020, A Non-Parametric Test to Detect Data-Copying).
"""

from __future__ import annotations

import numpy as np

from dreamlab.fidelity import jackknife
from dreamlab.fidelity.kid import kernel, thinned
from dreamlab.fidelity.strata import Labels, designs
from dreamlab.stats import left_out
from dreamlab.stats.intervals import Interval

MOST, GROUPS = 2000, 20
"""Most images of each set, and groups of the jackknife."""


def gap(
    x: np.ndarray,
    held_out: np.ndarray,
    training: np.ndarray,
    labels: tuple[np.ndarray | None, np.ndarray, np.ndarray],
    level: float = 0.95,
) -> Interval:
    """The gap of features x (n, d), with an interval for the choice of the images of all three sets
    (`jackknife`).

    labels: their classes; None for x where they are not known. The features of held-out and of
    training images, (m, d) and (l, d), should be of equally many images of each class. NaN at both
    ends below 4 images of a set.
    """
    strata = [
        designs(len(x), len(z), Labels(labels[0], c))[1].strata
        for z, c in ((held_out, labels[1]), (training, labels[2]))
    ]
    x, _ = thinned(x, np.zeros(len(x), np.intp), MOST)
    held_out, in_y = thinned(held_out, strata[0], MOST)
    training, in_z = thinned(training, strata[1], MOST)
    own = [(kernel(z, z), s) for z, s in ((held_out, in_y), (training, in_z))]
    with_x = [kernel(x, z) for z in (held_out, training)]
    everyone = [np.ones(len(part), bool) for part in (x, held_out, training)]

    def value(keep: list[np.ndarray]) -> float:
        within = [_within(k, s, part) for (k, s), part in zip(own, keep[1:], strict=True)]
        across = [k[keep[0]][:, part].mean() for k, part in zip(with_x, keep[1:], strict=True)]
        return float(within[0] - within[1] - 2 * (across[0] - across[1]))

    count = min(GROUPS, *(len(part) // 2 for part in everyone))
    if count < 2:
        return Interval(value(everyone), np.nan, np.nan, level)
    without = []
    for i, s in enumerate((np.zeros(len(x), np.intp), in_y, in_z)):
        group = jackknife.divided(s, s, count, i)[0]
        without.append(
            np.array([value([*everyone[:i], group != g, *everyone[i + 1 :]]) for g in range(count)])
        )
    found = value(everyone)
    half = jackknife.quantile(count, level) * left_out.error(*without)
    return Interval(found, found - half, found + half, level)


def _within(k: np.ndarray, stratum: np.ndarray, keep: np.ndarray) -> float:
    """Mean of the kernel (n, n) over pairs of different images of the distribution with the shares
    of these strata (n,): within a stratum without the diagonal. A stratum of one image counts with
    its diagonal."""
    k, s = k[np.ix_(keep, keep)], stratum[keep]
    _, s, n = np.unique(s, return_inverse=True, return_counts=True)
    into = np.zeros((len(s), len(n)))
    into[np.arange(len(s)), s] = 1.0
    total = into.T @ k @ into
    mean, own = total / np.outer(n, n), np.bincount(s, k.diagonal())
    mean[np.diag_indices(len(n))] = np.where(
        n > 1, (total.diagonal() - own) / np.maximum(n * (n - 1), 1), own
    )
    share = n / len(s)
    return float(share @ mean @ share)
