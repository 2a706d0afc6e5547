"""A U-Net sized for a CPU: most of its work at a quarter of the positions, and little memory traffic.

Shapes: N images, C channels, H = W pixels. Everything inside is channels-last (NCHW to the caller).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from dreamlab.diffusion.embeddings import Condition


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of every position (N, C, H, W), free of copies in channels-last."""

    def __init__(self, channels: int, affine: bool = True):
        super().__init__()
        self.channels = channels
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x.permute(0, 2, 3, 1), (self.channels,), self.weight, self.bias).permute(0, 3, 1, 2)


class Block(nn.Module):
    """Residual block: norm, conv, norm with scale and shift from the condition (Nichol & Dhariwal 2021), conv."""

    def __init__(self, channels: int, out: int, condition: int):
        super().__init__()
        self.norm_in, self.conv_in = ChannelNorm(channels), nn.Conv2d(channels, out, 3, padding=1)
        self.modulation = nn.Linear(condition, 2 * out)
        self.norm_out, self.conv_out = ChannelNorm(out, affine=False), nn.Conv2d(out, out, 3, padding=1)
        self.skip = nn.Conv2d(channels, out, 1) if channels != out else None
        zero(self.conv_out)

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        h = self.conv_in(F.silu(self.norm_in(x)))
        scale, shift = self.modulation(condition)[:, :, None, None].chunk(2, dim=1)
        h = self.conv_out(F.silu(torch.addcmul(shift, self.norm_out(h), 1 + scale)))
        return h + (x if self.skip is None else self.skip(x))


class UNet(nn.Module):
    """(x_t (N, C, H, W) float, t (N,) int, labels (N,) int) to an output like x_t.

    H must divide by stem_patch * 2 ** (levels - 1); label `classes` is the null class. The last layers start at zero,
    so the first output is 0 everywhere.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        num_train_timesteps: int = 1000,
        base_width: int = 32,
        multipliers: Sequence[int] = (1, 2),
        blocks_per_level: int = 1,
        stem_patch: int = 2,
    ):
        super().__init__()
        widths = [base_width * m for m in multipliers]
        dim = 4 * base_width
        self.patch = stem_patch
        self.condition = Condition(dim, classes, num_train_timesteps)
        self.stem = nn.Conv2d(channels * stem_patch**2, widths[0], 3, padding=1)
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        width, skips = widths[0], []
        for i, w in enumerate(widths):
            blocks = nn.ModuleList()
            for _ in range(blocks_per_level):
                blocks.append(Block(width, w, dim))
                width = w
                skips.append(w)
            self.down.append(blocks)
            if i + 1 < len(widths):
                self.shrink.append(nn.Conv2d(w, w, 3, stride=2, padding=1))
        self.middle = nn.ModuleList([Block(width, width, dim), Block(width, width, dim)])
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        for i, w in reversed(list(enumerate(widths))):
            blocks = nn.ModuleList()
            for _ in range(blocks_per_level):
                blocks.append(Block(width + skips.pop(), w, dim))
                width = w
            self.up.append(blocks)
            if i > 0:
                self.grow.append(nn.ConvTranspose2d(w, widths[i - 1], 2, stride=2))
                width = widths[i - 1]
        self.norm = ChannelNorm(width)
        self.head = nn.Conv2d(width, channels * stem_patch**2, 3, padding=1)
        zero(self.head)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: torch.Tensor, t: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """x (N, C, H, W) in [-1, 1], t (N,) in 0..T-1, labels (N,) in 0..classes; returns (N, C, H, W)."""
        condition = self.condition(t, labels)
        h = self.stem(F.pixel_unshuffle(x, self.patch).contiguous(memory_format=torch.channels_last))
        kept = []
        for i, blocks in enumerate(self.down):
            for block in blocks:
                h = block(h, condition)
                kept.append(h)
            if i < len(self.shrink):
                h = self.shrink[i](h)
        for block in self.middle:
            h = block(h, condition)
        for i, blocks in enumerate(self.up):
            for block in blocks:
                h = block(torch.cat([h, kept.pop()], dim=1), condition)
            if i < len(self.grow):
                h = self.grow[i](h)
        return F.pixel_shuffle(self.head(F.silu(self.norm(h))), self.patch)


def zero(layer: nn.Conv2d) -> None:
    """Starts a layer at zero (Ho et al. 2020: the last layer of every residual branch)."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
