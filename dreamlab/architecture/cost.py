"""Parameters, multiply-adds and activation memory of a U-Net, computed without torch."""

from __future__ import annotations

from dreamlab.architecture.layers import BlockPlan, plan
from dreamlab.architecture.network import Network

FLOAT = 4


def parameter_count(network: Network) -> int:
    """Number of trained parameters. A test compares it with the parameters of `UNet(network)`."""
    p, dim = plan(network), 4 * network.base_width
    total = (2 if network.low_size else 1) * (_linear(_sinusoids(network), dim) + _linear(dim, dim))
    total += (network.classes + 1) * dim if network.classes else 0
    total += _conv(*p.stem) + 2 * p.head[0] + _conv(*p.head)
    total += sum(_conv(a, b) for a, b, _ in p.shrink)
    total += sum(_conv(a, b, _grow_kernel(network)) for a, b, _ in p.grow)
    return total + sum(_block(network, b, dim) for b in p.blocks)


def multiply_adds(network: Network) -> int:
    """Multiply-adds of the forward pass of one image: convolutions, linear layers and attention.
    Norms, activations and sums are not counted. torch.utils.flop_counter counts the same
    operations, with two for each multiply-add."""
    p, dim = plan(network), 4 * network.base_width
    top = network.sides[0] ** 2
    total = (2 if network.low_size else 1) * dim * (_sinusoids(network) + dim)
    total += 9 * top * (p.stem[0] * p.stem[1] + p.head[0] * p.head[1])
    total += sum(9 * a * b * side**2 for a, b, side in p.shrink)
    # with stride 2, a 2x2 transposed convolution computes each output position from one input
    # position
    total += sum((9 if network.wiring == "ddpm" else 1) * a * b * side**2 for a, b, side in p.grow)
    for b in p.blocks:
        positions = b.side**2
        total += 9 * positions * b.out * (b.channels + b.out) + dim * b.out * (
            1 if network.wiring == "ddpm" else 2
        )
        total += positions * b.channels * b.out if b.channels != b.out else 0
        total += positions * b.out * (4 * b.out + 2 * positions) if b.attention else 0
    return total


def activation_bytes(network: Network) -> int:
    """Bytes per image that a training step in float32 keeps for the backward pass. 16-bit
    arithmetic needs about half.

    Counted per block: the inputs of norms, activations and convolutions, and the concatenated input
    of the blocks on the way up.
    """
    p, ddpm = plan(network), network.wiring == "ddpm"
    kept = network.in_channels * network.image_size**2 + network.sides[0] ** 2 * (
        p.stem[0] + 3 * p.head[0]
    )
    kept += sum(a * (2 * side) ** 2 for a, _, side in p.shrink)
    kept += sum(a * side**2 if ddpm else a * side**2 // 4 for a, _, side in p.grow)
    for b in p.blocks:
        kept += b.side**2 * (
            3 * b.channels + (3 if ddpm else 4) * b.out + (b.out if network.dropout else 0)
        )
        kept += b.side**2 * 6 * b.out if b.attention else 0
    return FLOAT * kept


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
    total = 2 * b.channels + (
        2 * b.out if ddpm else 0
    )  # the second norm of the compact layout has no weights
    total += (
        _conv(b.channels, b.out) + _linear(dim, b.out if ddpm else 2 * b.out) + _conv(b.out, b.out)
    )
    total += _conv(b.channels, b.out, 1) if b.channels != b.out else 0
    return total + (
        2 * b.out + _linear(b.out, 3 * b.out) + _linear(b.out, b.out) if b.attention else 0
    )
