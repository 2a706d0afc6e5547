"""A U-Net with two layouts (setting `wiring`). `compact` is made for a CPU: most of its work is
done at a quarter of the positions, with little memory traffic. `ddpm` is the network of Ho et al.
2020, layer for layer as in diffusers' UNet2DModel.

Shapes: N images, C channels, H = W pixels. Inputs and outputs are (N, C, H, W); the memory format
inside is channels-last.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn import functional as F

from dreamlab.architecture.layers import BlockPlan, plan
from dreamlab.architecture.network import Network
from dreamlab.diffusion.blocks import ChannelNorm, CompactBlock, DDPMBlock, GroupNorm, Nearest, zero
from dreamlab.diffusion.embeddings import Condition


class UNet(nn.Module):
    """(x (N, in_channels, H, W) float, t (N,), labels (N,) int, low_t (N,) or None) to (N,
    out_channels, H, W).

    H must be divisible by stem_patch * 2 ** (levels - 1). Label `network.classes` is the null
    class. The last layer starts at zero, so that the output is 0 before training.
    """

    def __init__(self, network: Network):
        super().__init__()
        self.network = network
        p, ddpm = plan(network), network.wiring == "ddpm"
        self.condition = Condition(network)
        self.stem = nn.Conv2d(*p.stem, 3, padding=1)
        self.down = nn.ModuleList(self._blocks(level) for level in p.down)
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b, _ in p.shrink)
        self.middle = self._blocks(p.middle)
        self.up = nn.ModuleList(self._blocks(level) for level in p.up)
        self.grow = nn.ModuleList(
            Nearest(a, b) if ddpm else nn.ConvTranspose2d(a, b, 2, stride=2) for a, b, _ in p.grow
        )
        self.norm = GroupNorm(p.head[0]) if ddpm else ChannelNorm(p.head[0])
        self.head = nn.Conv2d(*p.head, 3, padding=1)
        zero(self.head)
        self.to(memory_format=torch.channels_last)

    def _blocks(self, level: Iterable[BlockPlan]) -> nn.ModuleList:
        n = self.network
        kind = DDPMBlock if n.wiring == "ddpm" else CompactBlock
        return nn.ModuleList(
            kind(b.channels, b.out, 4 * n.base_width, n.dropout, n.heads if b.attention else 0)
            for b in level
        )

    def forward(
        self,
        x: torch.Tensor,
        t: torch.Tensor,
        labels: torch.Tensor,
        low_t: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """t is in 0..T-1 and labels are in 0..classes; a network without classes ignores them.

        The input of a super-resolution network is x_t and the upsampled low-resolution image with
        noise, concatenated along the channels; low_t is the noise level of the latter, in 0..T-1.
        With a learned variance the output is [target, v] along the channels, where (v + 1) / 2
        interpolates the log variance (Nichol & Dhariwal 2021, section 3.1). Raises ValueError if a
        super-resolution network gets no low_t.
        """
        patch, every = self.network.stem_patch, self.network.wiring == "ddpm"
        condition = self.condition(t, labels, low_t)
        h = self.stem(F.pixel_unshuffle(x, patch).contiguous(memory_format=torch.channels_last))
        kept = [h] if every else []
        for i, blocks in enumerate(self.down):
            for block in blocks:  # type: ignore[attr-defined]
                h = block(h, condition)
                kept.append(h)
            if i < len(self.shrink):
                h = self.shrink[i](h)
                kept += [h] if every else []
        for block in self.middle:
            h = block(h, condition)
        for i, blocks in enumerate(self.up):
            for block in blocks:  # type: ignore[attr-defined]
                h = block(torch.cat([h, kept.pop()], dim=1), condition)
            if i < len(self.grow):
                h = self.grow[i](h)
        return F.pixel_shuffle(self.head(self.norm.silu(h)), patch)
