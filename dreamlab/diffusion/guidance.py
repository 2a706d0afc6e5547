"""Classifier-free guidance (Ho & Salimans 2022) as a wrapper that turns a network into a denoiser."""

from __future__ import annotations

from collections.abc import Callable

import torch

from dreamlab.diffusion.process import x0_from

Network = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""(x_t (N, C, H, W), t (N,), labels (N,)) to an output like x_t; label `null_class` means unconditional."""
Denoiser = Callable[[torch.Tensor, int], torch.Tensor]
"""(x_t, t) to the predicted x0: all that a sampler knows of a model."""


def combine(cond: torch.Tensor, uncond: torch.Tensor, guidance_weight: float) -> torch.Tensor:
    """(1 + w) cond - w uncond (Ho & Salimans 2022, Eq. 6). For x0 and v it says the same as for eps: at one x_t each
    is an affine function of eps, and the weights add up to 1."""
    return torch.lerp(uncond, cond, 1 + guidance_weight)


def guided(
    network: Network,
    target: str,
    alpha_bar: torch.Tensor,
    labels: torch.Tensor,
    null_class: int,
    guidance_weight: float,
    clip: bool = True,
) -> Denoiser:
    """A denoiser for these labels. One forward pass of a doubled batch; a single one at w = 0.

    alpha_bar is (T,); `clip` keeps the predicted x0 in [-1, 1], where pixels live.
    """
    n = len(labels)
    both = torch.cat([labels, torch.full_like(labels, null_class)])

    def denoise(x_t: torch.Tensor, t: int) -> torch.Tensor:
        if guidance_weight == 0:
            output = network(x_t, torch.full((n,), t, device=x_t.device), labels)
        else:
            cond, uncond = network(torch.cat([x_t, x_t]), torch.full((2 * n,), t, device=x_t.device), both).chunk(2)
            output = combine(cond, uncond, guidance_weight)
        x0 = x0_from(target, output, x_t, alpha_bar[t])
        return x0.clamp(-1, 1) if clip else x0

    return denoise
