"""The layers of a U-Net in the order of the forward pass, without torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from dreamlab.architecture.network import Network


@dataclasses.dataclass(frozen=True)
class BlockPlan:
    """A residual block from `channels` to `out` channels on side x side positions. `attention` says
    whether self-attention follows."""

    channels: int
    out: int
    side: int
    attention: bool


@dataclasses.dataclass(frozen=True)
class Plan:
    """The layers of a network in the order of the forward pass; `dreamlab.diffusion.unet.UNet` is
    built from it.

    `stem` and `head` are (channels in, channels out). `shrink` and `grow` hold one
    (channels in, channels out, side of the result) per change of level.
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
        """All residual blocks in the order of the forward pass."""
        for level in (*self.down, self.middle, *self.up):
            yield from level


def plan(network: Network) -> Plan:
    """Plans the layers of a network. The compact layout has one skip connection per block. The ddpm
    layout has one more after the first layer and after each downsampling, and one more block per
    level on the way up (Ho et al. 2020, appendix B)."""
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
        stem=(n.in_channels * patch, widths[0]),
        down=tuple(down),
        shrink=tuple(shrink),
        middle=middle,
        up=tuple(up),
        grow=tuple(grow),
        head=(width, n.out_channels * patch),
    )
