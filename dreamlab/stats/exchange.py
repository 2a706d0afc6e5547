"""The exchange rate: how many synthetic images are worth one more real image, estimated from
accuracies at several numbers of real and synthetic images."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy import special

STRONGEST = 100.0
"""Upper end of the search for the worth of a synthetic image, in real images."""
SHARED = 1.25
"""Factor on the variance. All cells have the same test images, so their errors are correlated. The
residuals do not show this."""


@dataclasses.dataclass(frozen=True)
class SurfacePoint:
    """One cell: its numbers of real and synthetic images, and the accuracy (0 to 1) of each seed.
    The order of the seeds is the same in every cell."""

    real: int
    synthetic: int
    accuracies: Sequence[float]


@dataclasses.dataclass(frozen=True)
class Exchange:
    """`worth` is how many real images one synthetic image is worth, with its interval. `rate` = 1 /
    worth is how many synthetic images are worth one real image, with the interval `low` to `high`.
    A rate or bound is None if its worth is not above 0."""

    worth: float
    worth_low: float
    worth_high: float
    rate: float | None
    low: float | None
    high: float | None
    text: str


def exchange_rate(
    cells: Sequence[SurfacePoint], images: int, level: float = 0.95
) -> Exchange | None:
    """Fits log(error) = a - b log(n_real + rho n_synthetic), b >= 0, to the means of the cells by
    least squares. rho is the worth of a synthetic image.

    This is a power-law learning curve (Hestness et al. 2017) in an effective number of images.
    `images` is the size of the test set. The interval of rho is the profile interval of nonlinear
    least squares (Bates & Watts 1988, section 6.1): all rho whose sum of squares exceeds the
    minimum by less than s^2 F(1, cells - 3). s^2 is the residual variance of the cells, at least
    the variance between the seeds, times SHARED (chosen by simulation, docs/statistics.md).

    None for fewer than four cells, fewer than two numbers of real images, no synthetic images, or
    if accuracy does not grow with the data. Raises ValueError if cells differ in their number of
    seeds or an accuracy is outside [0, 1].
    """
    if len({len(c.accuracies) for c in cells}) > 1:
        raise ValueError("every cell must have the same seeds")
    if len(cells) < 4 or len({c.real for c in cells}) < 2 or not any(c.synthetic for c in cells):
        return None
    accuracies = np.array([c.accuracies for c in cells], dtype=np.float64)
    if not np.isfinite(accuracies).all() or accuracies.min() < 0 or accuracies.max() > 1:
        raise ValueError("accuracies must lie between 0 and 1")
    y = np.log(np.maximum(1 - accuracies, 0.5 / images))
    real = np.array([c.real for c in cells], dtype=np.float64)
    synthetic = np.array([c.synthetic for c in cells], dtype=np.float64)
    lowest = -0.95 * float(np.min(real[synthetic > 0] / synthetic[synthetic > 0]))
    rho = np.concatenate(
        [np.linspace(lowest, 0, 200, endpoint=False), [0.0], np.geomspace(1e-4, STRONGEST, 1200)]
    )
    squares, slope = _profile(y.mean(axis=1), np.log(real + rho[:, None] * synthetic))
    at = int(np.argmin(squares))
    if slope[at] <= 0:
        return None
    freedom = len(cells) - 3
    noise = SHARED * max(float(squares[at]) / freedom, _seed_noise(y))
    limit = float(special.fdtri(1, freedom, level)) * noise
    inside = np.flatnonzero(squares <= squares[at] + limit)
    low, high = float(rho[max(inside[0] - 1, 0)]), float(rho[min(inside[-1] + 1, len(rho) - 1)])
    worth = float(rho[at])
    rate, least, most = (1 / r if r > 0 else None for r in (worth, high, low))
    return Exchange(worth, low, high, rate, least, most, _sentence(worth, low, high))


def _profile(y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row of x (values of rho, cells): the sum of squares and the slope b >= 0 of the fit
    y = a - b x."""
    dx = x - x.mean(axis=1, keepdims=True)
    dy = y - y.mean()
    slope = np.maximum(-(dx @ dy) / (dx * dx).sum(axis=1), 0.0)
    residual = dy + slope[:, None] * dx
    return (residual * residual).sum(axis=1), slope


def _seed_noise(y: np.ndarray) -> float:
    """Variance over the seeds of the mean of a cell, for y (cells, seeds). The effect that a seed
    has on all cells alike is removed."""
    c, s = y.shape
    if s < 2:
        return 0.0
    own = y - y.mean(axis=0) - y.mean(axis=1, keepdims=True) + y.mean()
    return float((own * own).sum() / ((c - 1) * (s - 1)) / s)


def _sentence(rho: float, low: float, high: float) -> str:
    if high <= 0:
        return "Synthetic images lower the accuracy here: no number of them replaces a real image."
    least = f"one more real image is worth {_count(1 / high)} of them or more"
    if low <= 0:
        return f"It is not shown that synthetic images raise the accuracy here: {least}."
    if low < 2e-4 or high >= STRONGEST:
        return f"What synthetic images are worth cannot be determined from these arms: {least}."
    return (
        f"One more real image is worth about {_count(1 / rho)} synthetic ones ({_count(1 / high)}"
        f" to {_count(1 / low)})."
    )


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}" if value < 1 else f"{value:.1f}"
