"""Builds the denoiser that a sampler calls, from a network, labels and guidance.

Guidance has the weight w of Ho & Salimans 2022, where 0 is off. Imagen, diffusers and most other
code use the scale s = 1 + w, where 1 is off.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import torch

from dreamlab.diffusion.forward_process import x0_from
from dreamlab.noise.timesteps import within
from dreamlab.settings.names import ClipName, TargetName

RawNetwork = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]
"""(x (N, C or 2 C, H, W), t (N,), labels (N,), low_t (N,) or None) to (N, C or 2 C, H, W)."""


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The predicted x0 (N, C, H, W). If the network has learned the variance: also the fraction f
    of log beta in the log variance of the reverse step, of the same shape (Nichol & Dhariwal 2021,
    Eq. 15)."""

    x0: torch.Tensor
    variance_fraction: torch.Tensor | None = None


Denoiser = Callable[[torch.Tensor, int], Prediction]
"""(x_t, t) to a prediction. A sampler knows nothing else of the model."""


@dataclasses.dataclass(frozen=True)
class Model:
    """A network and the meaning of its output. `alpha_bar` is (T,) float64. `null_class` is the
    label that means "no label"."""

    network: RawNetwork
    target: TargetName
    alpha_bar: np.ndarray
    null_class: int = 0
    learns_variance: bool = False


@dataclasses.dataclass(frozen=True)
class Low:
    """The conditioning of a super-resolution model: the upsampled low-resolution image with noise
    of level t, (N, C, H, W)."""

    image: torch.Tensor
    t: int


@dataclasses.dataclass(frozen=True)
class Guidance:
    """Guidance weight w; the interval of t / T in which it applies (Kynkaanniemi et al. 2024); how
    the predicted x0 is clipped, and the percentile of dynamic clipping, 0 to 1."""

    weight: float = 0.0
    t_min: float = 0.0
    t_max: float = 1.0
    clip: ClipName = "static"
    percentile: float = 0.995

    def acts(self, t: int, num_train_timesteps: int) -> bool:
        """Whether guidance applies at step t, which then needs two network evaluations."""
        return self.weight != 0 and within(t, num_train_timesteps, self.t_min, self.t_max)


def combine(cond: torch.Tensor, uncond: torch.Tensor, guidance_weight: float) -> torch.Tensor:
    """(1 + w) cond - w uncond (Ho & Salimans 2022, Eq. 6).

    Combining x0 or v gives the same as combining eps: at a given x_t each is an affine function of
    eps, and the weights add up to 1.
    """
    return torch.lerp(uncond, cond, 1 + guidance_weight)


def clipped(x0: torch.Tensor, clip: ClipName, percentile: float = 0.995) -> torch.Tensor:
    """The predicted x0 (N, C, H, W), kept within range. `static`: clipped to [-1, 1]. `dynamic`:
    clipped to [-s, s] and divided by s, where s is the percentile of the absolute pixel values of
    the image, at least 1 (Saharia et al. 2022, section 2.3). `none`: unchanged. Raises ValueError
    for another name."""
    if clip == "none":
        return x0
    if clip == "static":
        return x0.clamp(-1, 1)
    if clip != "dynamic":
        raise ValueError(f"there is no clip {clip!r}")
    pixels = x0.abs().flatten(1)
    rank = min(max(math.ceil(percentile * pixels.shape[1]), 1), pixels.shape[1])
    bound = pixels.kthvalue(rank, dim=1).values.clamp(min=1)[:, None, None, None]
    return x0.clamp(-bound, bound) / bound


def denoiser(
    model: Model,
    labels: torch.Tensor,
    guidance: Guidance,
    guide: Model | None = None,
    low: Low | None = None,
) -> Denoiser:
    """A denoiser for the labels (N,) int64.

    If guidance applies at a step, the model is evaluated with and without the label in one batch of
    2 N. With a `guide`, the guide is evaluated with the same labels instead: x0 = (1 + w) x0_main -
    w x0_guide (autoguidance, Karras et al. 2024, Eq. 2). At other steps the model is evaluated
    once, on N images.
    """
    both = torch.cat([labels, torch.full_like(labels, model.null_class)])

    def denoise(x_t: torch.Tensor, t: int) -> Prediction:
        """Predicts x0 from x_t (N, C, H, W) at step t, with guidance if it applies there."""
        acts = guidance.acts(t, len(model.alpha_bar))
        if acts and guide is None:
            found = _ask(model, torch.cat([x_t, x_t]), t, both, low)
            cond, uncond = found.x0.chunk(2)
            x0, fraction = combine(cond, uncond, guidance.weight), found.variance_fraction
            fraction = None if fraction is None else fraction.chunk(2)[0]
        else:
            found = _ask(model, x_t, t, labels, low)
            x0, fraction = found.x0, found.variance_fraction
            if acts and guide is not None:
                x0 = combine(x0, _ask(guide, x_t, t, labels, low).x0, guidance.weight)
        return Prediction(clipped(x0, guidance.clip, guidance.percentile), fraction)

    return denoise


def _ask(
    model: Model, x_t: torch.Tensor, t: int, labels: torch.Tensor, low: Low | None
) -> Prediction:
    """Evaluates the network once and converts its output to a prediction, without clipping."""
    n, channels = len(x_t), x_t.shape[1]
    steps = torch.full((n,), t, device=x_t.device)
    if low is None:
        output = model.network(x_t, steps, labels, None)
    else:
        image = low.image if len(low.image) == n else torch.cat([low.image, low.image])
        output = model.network(
            torch.cat([x_t, image], dim=1), steps, labels, torch.full_like(steps, low.t)
        )
    fraction = (output[:, channels:] + 1) / 2 if model.learns_variance else None
    return Prediction(
        x0_from(model.target, output[:, :channels], x_t, float(model.alpha_bar[t])), fraction
    )
