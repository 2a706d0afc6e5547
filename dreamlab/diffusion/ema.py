"""Averaged weights: what previews, samples and checkpoints are made from."""

from __future__ import annotations

import torch


def ema_decay(step: int, horizon: float) -> float:
    """Decay of the average at update `step` (1, 2, ...) with a horizon that is a share of the steps
    so far (the power profile of Karras et al. 2024, section 3.1): early previews are as fresh, in
    proportion, as the final weights."""
    return 1 - 1 / (1 + horizon * step)


def ema_update(average: torch.Tensor, value: torch.Tensor, step: int, horizon: float) -> None:
    """In place: average <- decay average + (1 - decay) value."""
    average.lerp_(value, 1 - ema_decay(step, horizon))
