"""Memory of the training set in features, and the metrics of it. Without torch.

Authenticity is the share of synthetic images that are further from their nearest training image
than the nearest other training image is (Alaa et al. 2022, How Faithful is your Synthetic Data?,
section 3.3; in this form by Stein et al. 2023, Exposing flaws of generative model evaluation
metrics, as AuthPct).
"""

from __future__ import annotations

import numpy as np

from dreamlab.data.memory import PIXELS, Memory, proportion
from dreamlab.data.nearest import NEIGHBOURS, Neighbours, ratios
from dreamlab.fidelity.manifold import nearest
from dreamlab.stats.intervals import Interval

ROUNDING = 1e-5
"""Distance that rounding explains, relative to the length of the features."""
TINY = 1e-30
"""The same if all features are zero."""


def neighbours(x: np.ndarray, mirrored: np.ndarray, of: np.ndarray) -> Neighbours:
    """The nearest of the features `of` (m, d) for each of x (n, d), or of the features `mirrored`
    (n, d) of the mirrored images. Distances are Euclidean. Raises ValueError if m is 0."""
    if not len(of):
        raise ValueError("no neighbours among no images")
    squared, index = nearest(x, NEIGHBOURS, of, mirrored)
    further = np.sqrt(squared)
    length = float(np.sqrt(np.square(of, dtype=np.float64).sum(1).mean()))
    ratio = ratios(further, max(ROUNDING * length, TINY))
    return Neighbours(index[:, 0], further[:, 0], ratio, further)


def own_distances(training: np.ndarray) -> np.ndarray:
    """Squared distance (m,) of each training image (m, d) to the nearest other one; infinite for
    one image alone."""
    if len(training) < 2:
        return np.full(len(training), np.inf)
    return nearest(training, 1)[0][:, 0]


def authentic(x: np.ndarray, training: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Whether each of x (n, d) is further from its nearest training image (m, d) than the nearest
    other training image is, whose squared distance is `own` (m,): (n,) bool."""
    squared, index = nearest(x, 1, training)
    return np.asarray(squared[:, 0] > own[index[:, 0]])


def measure(found: Memory) -> dict[str, Interval]:
    """The metrics memorised_pixels and memorised (share of flagged images, in pixels and in
    features) and authenticity, in percent. A share without enough held-out images is left out."""
    shares: dict[str, Interval | None] = {}
    for name, space in found.spaces.items():
        shares["memorised_pixels" if name == PIXELS else "memorised"] = space.share()
        if len(space.authentic):
            shares["authenticity"] = proportion(int(space.authentic.sum()), len(space.authentic))
    return {
        name: Interval(100 * s.mean, 100 * s.low, 100 * s.high, s.level)
        for name, s in shares.items()
        if s is not None
    }
