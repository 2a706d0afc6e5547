"""The layers of the U-Net: norms, residual blocks of both wirings, self-attention. Feature maps are
channels-last."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of every position (N, C, H, W), free of copies in
    channels-last."""

    def __init__(self, channels: int, affine: bool = True):
        super().__init__()
        self.channels = channels
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # autocast on CUDA answers in float32, which what follows would carry through memory
        h = F.layer_norm(x.permute(0, 2, 3, 1), (self.channels,), self.weight, self.bias).to(
            x.dtype
        )
        return h.permute(0, 3, 1, 2)

    def silu(self, x: torch.Tensor) -> torch.Tensor:
        """SiLU of the normalised x."""
        return F.silu(self(x))


class GroupNorm(nn.GroupNorm):
    """GroupNorm with 32 groups, or the most below that divide the channels (Wu & He 2018)."""

    PIECE = 2**18
    """Numbers that are worked on at once when sampling on a CPU: a megabyte, which stays in a
    core's cache."""

    def __init__(self, channels: int):
        super().__init__(next(g for g in range(32, 0, -1) if channels % g == 0), channels, eps=1e-5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # on a CPU torch's 16-bit kernel for channels-last takes four times as long as the float32
        # one with both casts
        return super().forward(x.float()).to(x.dtype)

    def silu(self, x: torch.Tensor) -> torch.Tensor:
        """SiLU of the normalised x, channels-last; without gradients on a CPU in about half the
        time."""
        if x.device.type != "cpu" or torch.is_grad_enabled():
            return F.silu(self(x))
        with torch.autocast("cpu", enabled=False):  # sums of products below must not be rounded
            n, c, h, w = x.shape
            rows = x.permute(0, 2, 3, 1).reshape(n, h * w, c)
            out, images = torch.empty_like(rows), max(1, self.PIECE // (h * w * c))
            for part, result in zip(
                torch.split(rows, images), torch.split(out, images), strict=True
            ):
                self._silu(part.float(), result)
            return out.view(n, h, w, c).permute(0, 3, 1, 2)

    def _silu(self, x: torch.Tensor, out: torch.Tensor) -> None:
        """x (N, positions, C) float32. Sums over positions are matrix products, several times as
        fast as `sum`."""
        n, positions, c = x.shape
        each, y = x.new_full((n, 1, positions), self.num_groups / (positions * c)), x * x
        mean, square = (
            torch.bmm(each, v).view(n, self.num_groups, -1).sum(2, keepdim=True) for v in (x, y)
        )
        scale = (square - mean * mean).clamp_min_(0).add_(self.eps).rsqrt_() * self.weight.view(
            self.num_groups, -1
        )
        shift = torch.addcmul(self.bias.view(self.num_groups, -1), mean, scale, value=-1)
        torch.addcmul(shift.view(n, 1, c), x, scale.view(n, 1, c), out=y)
        out.copy_(F.silu(y, inplace=True))


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Scaled dot-product attention (Vaswani et al. 2017, equation 1) of (N, heads, tokens, d).

    Torch's fused kernel for a CPU loses to plain products where the matrix is small: twice at 64
    tokens, and in 16 bits two to ten times up to 256.
    """
    tokens, d = q.shape[-2:]
    if q.device.type == "cpu" and tokens <= (64 if q.dtype == torch.float32 else 256):
        return torch.softmax(q @ (k * d**-0.5).transpose(-1, -2), dim=-1).to(v.dtype) @ v
    return F.scaled_dot_product_attention(q, k, v)


class SelfAttention(nn.Module):
    """Self-attention over all positions, added to its input (N, C, H, W); starts as the
    identity."""

    def __init__(self, channels: int, heads: int, norm: nn.Module):
        super().__init__()
        self.heads, self.norm = heads, norm
        self.qkv, self.out = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        zero(self.out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, c, h, w = x.shape
        tokens = self.norm(x).permute(0, 2, 3, 1).reshape(n, h * w, c)
        q, k, v = (
            self.qkv(tokens).view(n, h * w, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        )
        mixed = attend(q, k, v).transpose(1, 2).reshape(n, h * w, c)
        added: torch.Tensor = self.out(mixed).view(n, h, w, c).permute(0, 3, 1, 2)
        return x + added


class CompactBlock(nn.Module):
    """Residual block: norm, conv, norm with scale and shift from the condition (Nichol & Dhariwal
    2021), conv."""

    def __init__(
        self, channels: int, out: int, condition: int, dropout: float = 0.0, heads: int = 0
    ):
        super().__init__()
        self.dropout = dropout
        self.norm_in, self.conv_in = ChannelNorm(channels), nn.Conv2d(channels, out, 3, padding=1)
        self.modulation = nn.Linear(condition, 2 * out)
        self.norm_out, self.conv_out = (
            ChannelNorm(out, affine=False),
            nn.Conv2d(out, out, 3, padding=1),
        )
        self.skip = nn.Conv2d(channels, out, 1) if channels != out else None
        self.attention = SelfAttention(out, heads, ChannelNorm(out)) if heads else None
        zero(self.conv_out)

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        h = self.conv_in(self.norm_in.silu(x))
        scale, shift = self.modulation(condition)[:, :, None, None].chunk(2, dim=1)
        h = F.silu(torch.addcmul(shift, self.norm_out(h), 1 + scale))
        h = self.conv_out(F.dropout(h, self.dropout, self.training) if self.dropout else h)
        h = h + (x if self.skip is None else self.skip(x))
        out: torch.Tensor = h if self.attention is None else self.attention(h)
        return out


class DDPMBlock(nn.Module):
    """Residual block of Ho et al. 2020: group norm, conv, the condition added, group norm, dropout,
    conv."""

    def __init__(
        self, channels: int, out: int, condition: int, dropout: float = 0.0, heads: int = 0
    ):
        super().__init__()
        self.dropout = dropout
        self.norm_in, self.conv_in = GroupNorm(channels), nn.Conv2d(channels, out, 3, padding=1)
        self.modulation = nn.Linear(condition, out)
        self.norm_out, self.conv_out = GroupNorm(out), nn.Conv2d(out, out, 3, padding=1)
        self.skip = nn.Conv2d(channels, out, 1) if channels != out else None
        self.attention = SelfAttention(out, heads, GroupNorm(out)) if heads else None
        zero(self.conv_out)

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        h = self.conv_in(self.norm_in.silu(x))
        h = self.norm_out.silu(h + self.modulation(condition)[:, :, None, None])
        h = self.conv_out(F.dropout(h, self.dropout, self.training) if self.dropout else h)
        h = h + (x if self.skip is None else self.skip(x))
        out: torch.Tensor = h if self.attention is None else self.attention(h)
        return out


class Nearest(nn.Module):
    """Twice the side by repetition, then a 3x3 convolution."""

    def __init__(self, channels: int, out: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, out, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        larger: torch.Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return larger


def zero(layer: nn.Conv2d | nn.Linear) -> None:
    """Starts a layer at zero (Ho et al. 2020: the last layer of every residual branch)."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
