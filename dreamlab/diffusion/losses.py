"""What the network is trained on: targets, weights over noise levels, and how t is drawn."""

from __future__ import annotations

import torch

from dreamlab.diffusion.process import velocity

WEIGHT_MIN, WEIGHT_MAX = 0.1, 3.0
SNR_FLOOR = 0.01
"""For the eps target an x0 error is an eps error over SNR, which has no bound at the noise end; below this SNR it stops."""


def target_of(target: str, x0: torch.Tensor, eps: torch.Tensor, alpha_bar_t: torch.Tensor) -> torch.Tensor:
    """What the network should say: x0, eps or v, shaped like x0."""
    if target == "x0":
        return x0
    return eps if target == "eps" else velocity(x0, eps, alpha_bar_t)


def loss_weights(target: str, weighting: str, alpha_bar: torch.Tensor) -> torch.Tensor:
    """(T,) weights of the squared error of the target.

    `simple`: 1 (Ho et al. 2020, Eq. 14). `sqrt_snr`: the x0 error times sqrt(SNR) clipped to 0.1..3, written for the
    target: x0 error = eps error / SNR = (1 - alpha_bar) v error.
    """
    if weighting == "simple":
        return torch.ones_like(alpha_bar)
    ratio = alpha_bar / (1 - alpha_bar)
    weight = ratio.sqrt().clamp(WEIGHT_MIN, WEIGHT_MAX)
    if target == "eps":
        return weight / ratio.clamp(min=SNR_FLOOR)
    return weight * (1 - alpha_bar) if target == "v" else weight


def weighted_mse(output: torch.Tensor, wanted: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean over the batch of weight (N,) times the mean squared error of an image; a scalar."""
    return (weight * (output.float() - wanted).square().flatten(1).mean(1)).mean()


def stratified_t(n: int, num_train_timesteps: int, generator: torch.Generator) -> torch.Tensor:
    """(n,) int64 in 0..T-1, one from each n-th of the range (Kingma et al. 2021, appendix I.1): less noise in the loss."""
    u = torch.rand(n, generator=generator, device=generator.device, dtype=torch.float64)
    strata = torch.arange(n, device=generator.device, dtype=torch.float64)
    return ((strata + u) * (num_train_timesteps / n)).long().clamp(max=num_train_timesteps - 1)
