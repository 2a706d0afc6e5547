"""The encoder half of a diffusion U-Net as a classifier (study S0): residual blocks, attention,
global average pooling and one linear layer."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from dreamlab.classifiers.base import Classifier

GROUPS, HEAD_WIDTH = 8, 32


class ResNetBlock(nn.Module):
    """Residual block: norm, SiLU and 3x3 convolution, twice (He et al. 2016; Ho et al. 2020,
    appendix B, without the timestep)."""

    def __init__(self, ins: int, outs: int):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(GROUPS, ins), nn.Conv2d(ins, outs, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(GROUPS, outs), nn.Conv2d(outs, outs, 3, padding=1)
        self.shortcut = nn.Conv2d(ins, outs, 1) if ins != outs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, ins, H, W) to (N, outs, H, W)."""
        h = self.conv1(F.silu(self.norm1(x)))
        out: Tensor = self.shortcut(x) + self.conv2(F.silu(self.norm2(h)))
        return out


class TokenAttention(nn.Module):
    """Residual self-attention over the positions of (N, C, H, W), with heads of 32 channels
    (Vaswani et al. 2017)."""

    def __init__(self, width: int):
        super().__init__()
        self.heads = max(1, width // HEAD_WIDTH)
        self.norm, self.qkv, self.out = (
            nn.GroupNorm(GROUPS, width),
            nn.Linear(width, 3 * width),
            nn.Linear(width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        added: Tensor = x + self.out(mixed).transpose(1, 2).unflatten(2, x.shape[2:])
        return added


class UNetEncoder(Classifier):
    """A first convolution, then levels of residual blocks. Each level after the first halves the
    side. The last `attended` levels end with attention.

    Study S0 states the widths and the kinds of layers. Two blocks per level and the place of the
    attention are assumed, as in common U-Net code (Ho et al. 2020).
    """

    def __init__(
        self, channels: int, classes: int, widths: tuple[int, ...], blocks: int, attended: int
    ):
        super().__init__()
        self.stem = nn.Conv2d(channels, widths[0], 3, padding=1)
        layers: list[nn.Module] = []
        width = widths[0]
        for level, wider in enumerate(widths):
            if level:
                layers.append(nn.Conv2d(width, width, 3, stride=2, padding=1))
            for _ in range(blocks):
                layers.append(ResNetBlock(width, wider))
                width = wider
            if level >= len(widths) - attended:
                layers.append(TokenAttention(width))
        self.levels = nn.Sequential(*layers)
        self.norm = nn.GroupNorm(GROUPS, width)
        self.dimensions = width
        self.head = nn.Linear(width, classes)

    def features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, dimensions), averaged over positions."""
        return F.silu(self.norm(self.levels(self.stem(x)))).mean((2, 3))


def unet_encoder(channels: int, size: int, classes: int) -> Classifier:
    """The encoder of study S0: 64-128-256-512 channels, two blocks per level, attention in the last
    two levels."""
    return UNetEncoder(channels, classes, (64, 128, 256, 512), blocks=2, attended=2)


def unet_encoder_small(channels: int, size: int, classes: int) -> Classifier:
    """A smaller encoder for a CPU: 16-32-64 channels, one block per level, attention in the last
    level."""
    return UNetEncoder(channels, classes, (16, 32, 64), blocks=1, attended=1)
