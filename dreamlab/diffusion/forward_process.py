"""The forward process, the targets and the posterior, as functions of tensors, arrays or numbers.

`alpha_bar_t` is in [0, 1], where 0 is pure noise and 1 the clean image. It is a number, or
broadcasts against the images. x0 is in [-1, 1].
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F

from dreamlab.settings.names import TargetName

Numbers: TypeAlias = Any
"""A tensor, an array or a number."""


def diffuse(x0: Numbers, eps: Numbers, alpha_bar_t: Numbers) -> Numbers:
    """x_t = sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) eps (Ho et al. 2020, Eq. 4)."""
    return alpha_bar_t**0.5 * x0 + (1 - alpha_bar_t) ** 0.5 * eps


def x0_from_eps(x_t: Numbers, eps: Numbers, alpha_bar_t: Numbers) -> Numbers:
    """x0 from x_t and eps (Ho et al. 2020, Eq. 15). Needs alpha_bar_t above 0."""
    return (x_t - (1 - alpha_bar_t) ** 0.5 * eps) / alpha_bar_t**0.5


def eps_from_x0(x_t: Numbers, x0: Numbers, alpha_bar_t: Numbers) -> Numbers:
    """eps from x_t and x0 (Ho et al. 2020, Eq. 4 solved for eps). Needs alpha_bar_t below 1."""
    return (x_t - alpha_bar_t**0.5 * x0) / (1 - alpha_bar_t) ** 0.5


def velocity(x0: Numbers, eps: Numbers, alpha_bar_t: Numbers) -> Numbers:
    """v = sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) x0 (Salimans & Ho 2022, section 4)."""
    return alpha_bar_t**0.5 * eps - (1 - alpha_bar_t) ** 0.5 * x0


def x0_from_v(x_t: Numbers, v: Numbers, alpha_bar_t: Numbers) -> Numbers:
    """x0 from x_t and v (Salimans & Ho 2022, appendix D)."""
    return alpha_bar_t**0.5 * x_t - (1 - alpha_bar_t) ** 0.5 * v


@dataclasses.dataclass(frozen=True)
class Target:
    """A quantity that a network may predict."""

    of: Callable[[Any, Any, Any], Any]
    """(x0, eps, alpha_bar_t) -> the correct output."""
    x0: Callable[[Any, Any, Any], Any]
    """(x_t, output, alpha_bar_t) -> the x0 that corresponds to an output."""


TARGETS: dict[TargetName, Target] = {
    "x0": Target(lambda x0, eps, alpha_bar_t: x0, lambda x_t, output, alpha_bar_t: output),
    "eps": Target(lambda x0, eps, alpha_bar_t: eps, x0_from_eps),
    "v": Target(velocity, x0_from_v),
}
"""Target -> its definition."""


def x0_from(target: TargetName, output: Numbers, x_t: Numbers, alpha_bar_t: Numbers) -> Numbers:
    """The x0 that corresponds to the output of a network with this target. Raises KeyError for an
    unknown target."""
    return TARGETS[target].x0(x_t, output, alpha_bar_t)


@dataclasses.dataclass(frozen=True)
class Gaussian:
    """An isotropic normal distribution: mean of the shape of the images, and one variance."""

    mean: torch.Tensor
    variance: float


def posterior(
    x_t: torch.Tensor, x0: torch.Tensor, alpha_bar_t: float, alpha_bar_prev: float
) -> Gaussian:
    """q(x_prev | x_t, x0) for any two noise levels (Ho et al. 2020, Eqs. 6 and 7, where alpha is
    the ratio of the two alpha_bar). Needs alpha_bar_t below alpha_bar_prev."""
    alpha = alpha_bar_t / alpha_bar_prev
    beta = 1 - alpha
    mean = (alpha_bar_prev**0.5 * beta * x0 + alpha**0.5 * (1 - alpha_bar_prev) * x_t) / (
        1 - alpha_bar_t
    )  # Eq. 7
    return Gaussian(mean, beta * (1 - alpha_bar_prev) / (1 - alpha_bar_t))


def noise_level(share: float, num_train_timesteps: int) -> int:
    """The timestep in 0..T-1 at the share `share` of T."""
    return min(round(share * num_train_timesteps), num_train_timesteps - 1)


def upsample(low: torch.Tensor, size: int) -> torch.Tensor:
    """Bilinear upsampling of (N, C, low, low) to (N, C, size, size). A super-resolution model gets
    the result with added noise (conditioning augmentation; Ho et al. 2022, cascaded diffusion
    models, section 4.2)."""
    return F.interpolate(low, size=(size, size), mode="bilinear", align_corners=False)
