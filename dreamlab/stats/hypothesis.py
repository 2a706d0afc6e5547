"""The test that the difference of two accuracies has a given value, and the interval of the values
that it does not reject.

The variance that the test images show is far too small where few of them decide. If no image
changes it is 0, although 3 of n other images may (the rule of three; Hanley & Lippman-Hand 1983).
As in the score intervals for paired shares (Tango 1998; Newcombe 1998), the variance therefore also
depends on the hypothesis: if the true difference is d, at least a share |d| of the images changes,
and if these change in every seed, their variance is |d| (1 - |d|) / n.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from dreamlab.stats.student import degrees, limit, tail

FLOOR = 0.78
"""Factor of |d| (1 - |d|) / n. With it and no change seen, the 95 % interval ends at 3 / n, like
the exact one."""
_STEPS = np.append(0.0, np.geomspace(1e-5, 1.0, 40))
_FINER = np.linspace(0.0, 1.0, 32)
Bound = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Evidence:
    """A mean difference of accuracies, -1 to 1, and the two parts of its variance."""

    mean: float
    seed: float
    """Part of the variance of `mean` that comes from the seeds, above 0."""
    seeds: int
    image: float
    """Part that comes from the choice of the images, 0 or more."""
    image_df: float
    """Degrees of freedom of `image`."""
    images: int
    changed: float
    """Images that change in a seed, on average over the seeds (sum of the squared differences)."""

    def p(self, value: float) -> float:
        """Two-sided p of the hypothesis that the true difference is `value`: the largest that the
        bounds on the variance from the images give."""
        at = np.array([value])
        return float(max(bound(at)[0] for bound in (self._seen, self._alike, self._changed)))

    def limits(self, level: float) -> tuple[float, float]:
        """The ends of the confidence interval, -1 to 1: the values around `mean` whose p is at
        least 1 - `level`. It excludes 0 exactly if p(0) < 1 - level."""
        share = self.seed / (self.seed + self.image)
        df = degrees(share, self.seeds - 1, self.image_df)
        half = limit(level, df, self.seeds - 1, share) * math.sqrt(self.seed + self.image)
        rejected = self.p(0.0) < 1 - level
        ends = []
        for side in (-1.0, 1.0):
            most = max(1.0 - side * self.mean, 0.0)
            if rejected and self.mean * side < 0:
                most = min(most, abs(self.mean))
            found = [half]
            for bound in (self._alike, self._changed):
                beyond = self.mean + side * np.array([1.0005 * half])
                # up to 0, and away from it, p falls with the distance
                if (side * self.mean < 0 and not rejected) or bound(beyond)[0] >= 1 - level:
                    found.append(self._last(bound, side, most, 1 - level))
            ends.append(self.mean + side * min(max(found), most))
        return ends[0], ends[1]

    @property
    def steady(self) -> float:
        """Estimated number of images that change in every seed, for better or worse."""
        return self.image * self.images**2 + self.mean**2 * self.images

    def unseen(self, value: float) -> float:
        """Variance from images that would change in every seed if the true difference were `value`,
        but were not seen to. It is 0 once some images were."""
        size = min(abs(value), 1.0)
        return max(1 - 2 * self.steady, 0.0) * FLOOR * size * (1 - size) / self.images

    def _p(self, value: np.ndarray, image: np.ndarray, image_df: float) -> np.ndarray:
        """p with at least the variance `image` from the images."""
        total = self.seed + np.maximum(image, self.image)
        share = self.seed / total
        other = np.where(image > self.image, image_df, self.image_df)
        df = degrees(share, self.seeds - 1, other)
        t = np.abs(value - self.mean) / np.sqrt(total)
        found: np.ndarray = 2 * tail(t, df, self.seeds - 1, share)
        return found

    def _seen(self, value: np.ndarray) -> np.ndarray:
        return self._p(value, np.zeros_like(value), self.image_df)

    def _alike(self, value: np.ndarray) -> np.ndarray:
        # under the hypothesis the images have at least this mean square, even if all changed alike
        return self._p(value, (value - self.mean) ** 2 / self.images, self.images - 1.0)

    def _changed(self, value: np.ndarray) -> np.ndarray:
        # if no image changes in every seed, nothing is known about those that were not seen; if
        # some do, their share of all changes tells how steady changes are
        share = min(self.steady / self.changed, 1.0) if self.changed > 0 else 0.0
        part = max(1 - 2 * self.steady, share)
        size = np.minimum(np.abs(value), 1.0)
        return self._p(value, part * FLOOR * size * (1 - size) / self.images, math.inf)

    def _last(self, bound: Bound, side: float, most: float, alpha: float) -> float:
        """The largest distance from `mean` on one side, up to `most`, at which p is at least
        `alpha`, to one part in 5,000."""
        grid = _STEPS * most
        for _ in range(3):
            at = int(np.flatnonzero(bound(self.mean + side * grid) >= alpha)[-1])
            if at == len(grid) - 1:
                return float(grid[at])
            grid = grid[at] + (grid[at + 1] - grid[at]) * _FINER
        return float(grid[0])
