"""Time and class as one vector."""

from __future__ import annotations

import math

import torch
from torch import nn


def sinusoidal(t: torch.Tensor, dim: int, max_period: float = 10_000.0) -> torch.Tensor:
    """Vaswani et al. 2017, section 3.5: (N,) to (N, dim), cosines then sines. `t` runs over 0..1000."""
    half = dim // 2
    frequency = torch.exp(torch.arange(half, device=t.device, dtype=torch.float32) * (-math.log(max_period) / half))
    angle = t.float()[:, None] * frequency
    return torch.cat([angle.cos(), angle.sin()], dim=1)


class Condition(nn.Module):
    """(t (N,), labels (N,)) to (N, dim): an MLP of the sinusoids of t / T, plus a learned vector per class.

    Index `classes` is the null class.
    """

    def __init__(self, dim: int, classes: int, num_train_timesteps: int):
        super().__init__()
        self.dim, self.scale = dim, 1000 / num_train_timesteps
        self.time_in, self.time_out = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.classes = nn.Embedding(classes + 1, dim)

    def forward(self, t: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        h = nn.functional.silu(self.time_in(sinusoidal(t * self.scale, self.dim)))
        return nn.functional.silu(self.time_out(h) + self.classes(labels))
