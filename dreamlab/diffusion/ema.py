"""Exponential moving average (EMA) of the weights. Previews and samples use the averaged
weights."""

from __future__ import annotations

import torch


def ema_decay(step: int, horizon: float) -> float:
    """Decay of the average at update `step` (1, 2, ...). `horizon` is a share of the steps so far,
    so that the average covers the same share of the training at every step (the power profile of
    Karras et al. 2024, section 3.1)."""
    return 1 - 1 / (1 + horizon * step)


def ema_update(average: torch.Tensor, value: torch.Tensor, step: int, horizon: float) -> None:
    """In place: average <- decay average + (1 - decay) value."""
    average.lerp_(value, 1 - ema_decay(step, horizon))
