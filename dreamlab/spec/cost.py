"""The layers of a U-Net, and what they hold and cost, counted without torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from dreamlab.spec.facts import Network

FLOAT = 4
PREVIEW_COLUMNS, FEWEST_COLUMNS, PREVIEW_STEPS, PREVIEW_SHARE = 16, 2, 5, 0.1
"""Images per class in the preview of a training, at most and at least; its sampler steps; most of the time it may take."""
PREVIEW_WORK = 3e11
"""Multiply-adds that a preview may cost on a CPU, some seconds: a large network shows fewer columns."""


@dataclasses.dataclass(frozen=True)
class BlockPlan:
    """A residual block from `channels` to `out` channels on side x side positions, with self-attention after it or not."""

    channels: int
    out: int
    side: int
    attention: bool


@dataclasses.dataclass(frozen=True)
class Plan:
    """The layers of a network in the order of the forward pass; `dreamlab.diffusion.unet.UNet` is built from it.

    `stem` and `head` hold (channels in, channels out), `shrink` and `grow` the side of the result as well.
    """

    stem: tuple[int, int]
    down: tuple[tuple[BlockPlan, ...], ...]
    shrink: tuple[tuple[int, int, int], ...]
    middle: tuple[BlockPlan, ...]
    up: tuple[tuple[BlockPlan, ...], ...]
    grow: tuple[tuple[int, int, int], ...]
    head: tuple[int, int]

    @property
    def blocks(self) -> Iterator[BlockPlan]:
        for level in (*self.down, self.middle, *self.up):
            yield from level


def plan(network: Network) -> Plan:
    """The layers of a network. `compact` keeps one feature map per block; `ddpm` also those of stem and shrinks, and has a
    block more per level on the way up (Ho et al. 2020, appendix B)."""
    n, ddpm = network, network.wiring == "ddpm"
    widths, sides = n.widths, n.sides
    width, kept = widths[0], [widths[0]] if ddpm else []
    down, shrink, up, grow = [], [], [], []
    for i, (w, side) in enumerate(zip(widths, sides, strict=True)):
        level = []
        for _ in range(n.blocks_per_level):
            level.append(BlockPlan(width, w, side, side in n.attention))
            width = w
            kept.append(w)
        down.append(tuple(level))
        if i + 1 < len(widths):
            shrink.append((w, w, sides[i + 1]))
            kept += [w] if ddpm else []
    middle = (
        BlockPlan(width, width, sides[-1], ddpm or sides[-1] in n.attention),
        BlockPlan(width, width, sides[-1], False),
    )
    for i, (w, side) in reversed(list(enumerate(zip(widths, sides, strict=True)))):
        level = []
        for _ in range(n.blocks_per_level + ddpm):
            level.append(BlockPlan(width + kept.pop(), w, side, side in n.attention))
            width = w
        up.append(tuple(level))
        if i > 0:
            width = w if ddpm else widths[i - 1]
            grow.append((w, width, sides[i - 1]))
    patch = n.stem_patch**2
    return Plan(
        stem=(n.in_channels * patch, widths[0]), down=tuple(down), shrink=tuple(shrink), middle=middle, up=tuple(up),
        grow=tuple(grow), head=(width, n.out_channels * patch),
    )  # fmt: skip


def parameter_count(network: Network) -> int:
    """Numbers that this network learns, exactly those of `UNet(network)` (a test compares)."""
    p, dim = plan(network), 4 * network.base_width
    total = (2 if network.low_size else 1) * (_linear(_sinusoids(network), dim) + _linear(dim, dim))
    total += (network.classes + 1) * dim if network.classes else 0
    total += _conv(*p.stem) + 2 * p.head[0] + _conv(*p.head)
    total += sum(_conv(a, b) for a, b, _ in p.shrink)
    total += sum(_conv(a, b, _grow_kernel(network)) for a, b, _ in p.grow)
    return total + sum(_block(network, b, dim) for b in p.blocks)


def multiply_adds(network: Network) -> int:
    """Multiply-adds of one forward pass of one image: convolutions, linear layers and attention; norms, activations and
    sums are left out, as in torch.utils.flop_counter (which counts two operations for each)."""
    p, dim = plan(network), 4 * network.base_width
    top = network.sides[0] ** 2
    total = (2 if network.low_size else 1) * dim * (_sinusoids(network) + dim)
    total += 9 * top * (p.stem[0] * p.stem[1] + p.head[0] * p.head[1])
    total += sum(9 * a * b * side**2 for a, b, side in p.shrink)
    # a transposed 2x2 convolution of stride 2 touches every position of its input four times, of its output once
    total += sum((9 if network.wiring == "ddpm" else 1) * a * b * side**2 for a, b, side in p.grow)
    for b in p.blocks:
        positions = b.side**2
        total += 9 * positions * b.out * (b.channels + b.out) + dim * b.out * (1 if network.wiring == "ddpm" else 2)
        total += positions * b.channels * b.out if b.channels != b.out else 0
        total += positions * b.out * (4 * b.out + 2 * positions) if b.attention else 0
    return total


def activation_bytes(network: Network) -> int:
    """Bytes of float32 that a training step keeps per image for the backward pass (with 16-bit arithmetic about half).

    Kept per block: the inputs of both norms, activations and convolutions, and the concatenated input on the way up.
    """
    p, ddpm = plan(network), network.wiring == "ddpm"
    kept = network.in_channels * network.image_size**2 + network.sides[0] ** 2 * (p.stem[0] + 3 * p.head[0])
    kept += sum(a * (2 * side) ** 2 for a, _, side in p.shrink)
    kept += sum(a * side**2 if ddpm else a * side**2 // 4 for a, _, side in p.grow)
    for b in p.blocks:
        kept += b.side**2 * (3 * b.channels + (3 if ddpm else 4) * b.out + (b.out if network.dropout else 0))
        kept += b.side**2 * 6 * b.out if b.attention else 0
    return FLOAT * kept


def preview_columns(network: Network, on_cpu: bool) -> int:
    """Images per class that the previews of a training show."""
    each = multiply_adds(network) * PREVIEW_STEPS * (network.classes or 1)
    return int(min(PREVIEW_COLUMNS, max(FEWEST_COLUMNS, PREVIEW_WORK // each))) if on_cpu else PREVIEW_COLUMNS


def _sinusoids(network: Network) -> int:
    return network.base_width if network.wiring == "ddpm" else 4 * network.base_width


def _grow_kernel(network: Network) -> int:
    return 3 if network.wiring == "ddpm" else 2


def _linear(inputs: int, outputs: int) -> int:
    return (inputs + 1) * outputs


def _conv(channels: int, out: int, kernel: int = 3) -> int:
    return (kernel * kernel * channels + 1) * out


def _block(network: Network, b: BlockPlan, dim: int) -> int:
    ddpm = network.wiring == "ddpm"
    total = 2 * b.channels + (2 * b.out if ddpm else 0)  # norms: the second one of compact has no weights of its own
    total += _conv(b.channels, b.out) + _linear(dim, b.out if ddpm else 2 * b.out) + _conv(b.out, b.out)
    total += _conv(b.channels, b.out, 1) if b.channels != b.out else 0
    return total + (2 * b.out + _linear(b.out, 3 * b.out) + _linear(b.out, b.out) if b.attention else 0)
