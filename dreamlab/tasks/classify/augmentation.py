"""Classical augmentation that keeps the class, for images (N, C, H, W) on any device. The random
generator must be on the same device."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Augment = Callable[[Tensor, torch.Generator], Tensor]


def shift(x: Tensor, noise: torch.Generator) -> Tensor:
    """Shifts each image by up to 2 pixels in each direction (1 pixel for images below 16 pixels; a
    sixteenth of the side for large images). The edge is repeated."""
    most = max(2, x.shape[-1] // 16) if x.shape[-1] >= 16 else 1
    padded = F.pad(x, (most, most, most, most), mode="replicate")
    moves = torch.randint(0, 2 * most + 1, (len(x), 2), generator=noise, device=x.device)
    rows = torch.arange(x.shape[2], device=x.device)[None] + moves[:, :1]
    columns = torch.arange(x.shape[3], device=x.device)[None] + moves[:, 1:]
    each = torch.arange(len(x), device=x.device)[:, None, None]
    # indexing the channels-last view copies whole pixels and keeps the memory format
    return padded.permute(0, 2, 3, 1)[each, rows[:, :, None], columns[:, None, :]].permute(
        0, 3, 1, 2
    )


def shift_and_mirror(x: Tensor, noise: torch.Generator) -> Tensor:
    """`shift`, and half of the images are mirrored left to right."""
    mirrored = torch.rand(len(x), generator=noise, device=x.device) < 0.5
    moved = shift(x, noise)
    return torch.where(mirrored[:, None, None, None], moved.flip(3), moved)


AUGMENTS: dict[str, Augment] = {"shift": shift, "shift_and_mirror": shift_and_mirror}


def fit_for(mirror: bool) -> str:
    """Name of the augmentation for a data set; `mirror` says whether a mirrored image keeps its
    class."""
    return "shift_and_mirror" if mirror else "shift"
