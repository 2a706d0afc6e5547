"""The layers of the U-Net: norms, the residual blocks of both layouts, self-attention. Feature maps
are (N, C, H, W) in channels-last memory format."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of each position of (N, C, H, W). It makes no copy of a
    channels-last tensor."""

    def __init__(self, channels: int, affine: bool = True):
        super().__init__()
        self.channels = channels
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to the same shape and dtype."""
        # under autocast on CUDA the result is float32, which would double the memory traffic
        h = F.layer_norm(x.permute(0, 2, 3, 1), (self.channels,), self.weight, self.bias).to(
            x.dtype
        )
        return h.permute(0, 3, 1, 2)

    def silu(self, x: torch.Tensor) -> torch.Tensor:
        """SiLU of the normalised x, (N, C, H, W)."""
        return F.silu(self(x))


class GroupNorm(nn.GroupNorm):
    """GroupNorm with 32 groups, or with the largest smaller number that divides the channels (Wu &
    He 2018)."""

    PIECE = 2**18
    """Numbers that `silu` processes at once on a CPU: 1 MiB of float32, which fits in a core's
    cache."""

    def __init__(self, channels: int):
        super().__init__(next(g for g in range(32, 0, -1) if channels % g == 0), channels, eps=1e-5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to the same shape and dtype."""
        # on a CPU, torch's 16-bit channels-last kernel is four times slower than casting to
        # float32 and back
        return super().forward(x.float()).to(x.dtype)

    def silu(self, x: torch.Tensor) -> torch.Tensor:
        """SiLU of the normalised x, (N, C, H, W). On a CPU without gradients it takes about half
        the time of the two operations of torch."""
        if x.device.type != "cpu" or torch.is_grad_enabled():
            return F.silu(self(x))
        with torch.autocast("cpu", enabled=False):  # the sums below need float32
            n, c, h, w = x.shape
            rows = x.permute(0, 2, 3, 1).reshape(n, h * w, c)
            out, images = torch.empty_like(rows), max(1, self.PIECE // (h * w * c))
            for part, result in zip(
                torch.split(rows, images), torch.split(out, images), strict=True
            ):
                self._silu(part.float(), result)
            return out.view(n, h, w, c).permute(0, 3, 1, 2)

    def _silu(self, x: torch.Tensor, out: torch.Tensor) -> None:
        """Writes SiLU of the normalised x (N, positions, C) float32 to `out`. Sums over positions
        are computed as matrix products, which are several times faster than `sum`."""
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
    """Scaled dot-product attention (Vaswani et al. 2017, Eq. 1) of q, k and v, each (N, heads,
    tokens, d).

    On a CPU, plain matrix products are faster than torch's fused kernel for few tokens: two times
    at 64 tokens in float32, and two to ten times up to 256 tokens in 16 bits.
    """
    tokens, d = q.shape[-2:]
    if q.device.type == "cpu" and tokens <= (64 if q.dtype == torch.float32 else 256):
        return torch.softmax(q @ (k * d**-0.5).transpose(-1, -2), dim=-1).to(v.dtype) @ v
    return F.scaled_dot_product_attention(q, k, v)


class SelfAttention(nn.Module):
    """Self-attention over all positions of (N, C, H, W), added to its input. It starts as the
    identity."""

    def __init__(self, channels: int, heads: int, norm: nn.Module):
        super().__init__()
        self.heads, self.norm = heads, norm
        self.qkv, self.out = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        zero(self.out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to the same shape."""
        n, c, h, w = x.shape
        tokens = self.norm(x).permute(0, 2, 3, 1).reshape(n, h * w, c)
        q, k, v = (
            self.qkv(tokens).view(n, h * w, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        )
        mixed = attend(q, k, v).transpose(1, 2).reshape(n, h * w, c)
        added: torch.Tensor = self.out(mixed).view(n, h, w, c).permute(0, 3, 1, 2)
        return x + added


class CompactBlock(nn.Module):
    """Residual block of the compact layout: norm, conv, norm with scale and shift from the
    condition (Nichol & Dhariwal 2021), conv."""

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
        """x (N, channels, H, W) and condition (N, condition) to (N, out, H, W)."""
        h = self.conv_in(self.norm_in.silu(x))
        scale, shift = self.modulation(condition)[:, :, None, None].chunk(2, dim=1)
        h = F.silu(torch.addcmul(shift, self.norm_out(h), 1 + scale))
        h = self.conv_out(F.dropout(h, self.dropout, self.training) if self.dropout else h)
        h = h + (x if self.skip is None else self.skip(x))
        out: torch.Tensor = h if self.attention is None else self.attention(h)
        return out


class DDPMBlock(nn.Module):
    """Residual block of Ho et al. 2020: group norm, conv, sum with the projected condition, group
    norm, dropout, conv."""

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
        """x (N, channels, H, W) and condition (N, condition) to (N, out, H, W)."""
        h = self.conv_in(self.norm_in.silu(x))
        h = self.norm_out.silu(h + self.modulation(condition)[:, :, None, None])
        h = self.conv_out(F.dropout(h, self.dropout, self.training) if self.dropout else h)
        h = h + (x if self.skip is None else self.skip(x))
        out: torch.Tensor = h if self.attention is None else self.attention(h)
        return out


class Nearest(nn.Module):
    """Nearest-neighbour upsampling by 2, then a 3x3 convolution."""

    def __init__(self, channels: int, out: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, out, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, channels, H, W) to (N, out, 2 H, 2 W)."""
        larger: torch.Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return larger


def zero(layer: nn.Conv2d | nn.Linear) -> None:
    """Sets the weights of a layer to zero, in place (Ho et al. 2020: the last layer of every
    residual branch)."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
