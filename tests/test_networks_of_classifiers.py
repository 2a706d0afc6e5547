"""The networks of the classifiers: shapes, gradients, published sizes, and what small images
change."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dreamlab.classifiers.networks import build, parameters
from dreamlab.classifiers.registry import CLASSIFIERS

pytestmark = pytest.mark.usefixtures("one_thread")

LARGE = {"resnet101", "resnet152", "vit_b", "vit_l"}
"""Networks whose smaller relatives are made of the same parts."""
SIZES = [(1, 8), (1, 28), (3, 32), (3, 64), (3, 128)]
PUBLISHED = {
    "resnet18": 11.69,
    "resnet50": 25.56,
    "resnet101": 44.55,
    "resnet152": 60.19,
    "vgg16": 138.4,
    "vit_s": 22.05,
    "vit_b": 86.57,
    "vit_l": 304.33,
    "swin_t": 28.29,
}
"""Millions of parameters at 224 pixels and 1,000 classes: the tables of torchvision, and of Touvron
et al. 2021 for ViT-S."""


@pytest.mark.parametrize("name", list(CLASSIFIERS))
def test_every_network_takes_every_size_and_colour_and_any_number_of_classes(name: str) -> None:
    for channels, size in SIZES:
        with torch.device("meta"):  # shapes alone: the large ones would take minutes
            network = build(name, channels, size, 7)
            x = torch.empty(2, channels, size, size)
            assert network.features(x).shape == (2, network.dimensions), (channels, size)
            assert network(x).shape == (2, 7), (channels, size)


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (3, 28)])
@pytest.mark.parametrize("name", [n for n in CLASSIFIERS if n not in LARGE])
def test_a_loss_reaches_every_weight_and_logits_come_from_the_features(
    name: str, channels: int, size: int
) -> None:
    torch.manual_seed(0)
    network = build(name, channels, size, 3)
    x = torch.randn(4, channels, size, size)
    F.cross_entropy(network(x), torch.tensor([0, 1, 2, 0])).backward()
    assert not [
        n
        for n, p in network.named_parameters()
        if p.grad is None or not p.grad.isfinite().all() or not p.grad.any()
    ]
    network.eval()
    with torch.no_grad():
        assert torch.allclose(network(x), network.head(network.features(x)))


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_parameters_are_the_published_ones_at_224_pixels(name: str) -> None:
    with torch.device("meta"):
        assert parameters(build(name, 3, 224, 1000)) / 1e6 == pytest.approx(
            PUBLISHED[name], rel=0.005
        )


def convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [m for m in network.modules() if isinstance(m, nn.Conv2d)]


def test_small_images_keep_their_pixels_in_the_stem() -> None:
    with torch.device("meta"):
        for name in ("resnet18", "resnet50"):
            small, large = (convolutions(build(name, 3, size, 10))[0] for size in (32, 64))
            assert (small.kernel_size, small.stride) == ((3, 3), (1, 1)) and (
                large.kernel_size,
                large.stride,
            ) == ((7, 7), (2, 2))
        for name, sides in (
            ("vit_s", {8: 2, 28: 4, 32: 4, 64: 16}),
            ("swin_t", {8: 2, 32: 2, 64: 4}),
        ):
            found = {size: convolutions(build(name, 1, size, 10))[0].stride[0] for size in sides}
            assert found == sides
        pools = {
            s: sum(isinstance(m, nn.MaxPool2d) for m in build("vgg16", 3, s, 10).modules())
            for s in (8, 28, 32, 64)
        }
        assert pools == {8: 2, 28: 3, 32: 4, 64: 5}
        assert parameters(build("vgg16", 3, 32, 10)) < 15e6 < parameters(build("vgg16", 3, 64, 10))


def test_the_encoder_of_s0_has_its_widths_and_attention_in_the_lower_half() -> None:
    with torch.device("meta"):
        network = build("unet_encoder", 3, 32, 10)
        kinds = [type(layer).__name__ for layer in network.levels]  # type: ignore[union-attr,arg-type]
        blocks = [
            m.out_channels
            for m in convolutions(network)
            if m.stride == (1, 1) and m.kernel_size == (3, 3)
        ]
    assert kinds == [
        "ResNetBlock",
        "ResNetBlock",
        "Conv2d",
        "ResNetBlock",
        "ResNetBlock",
        "Conv2d",
        *["ResNetBlock", "ResNetBlock", "TokenAttention", "Conv2d"],
        "ResNetBlock",
        "ResNetBlock",
        "TokenAttention",
    ]
    assert sorted(set(blocks)) == [64, 128, 256, 512] and network.dimensions == 512


def test_the_mlp_depends_on_every_pixel_and_a_convolution_on_where_they_are() -> None:
    torch.manual_seed(0)
    network = build("mlp", 1, 8, 10)
    x = torch.randn(1, 1, 8, 8, requires_grad=True)
    network(x).square().sum().backward()
    assert (
        x.grad is not None
        and (x.grad != 0).all()
        and parameters(network) == 64 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10
    )


def test_larger_images_are_averaged_down_for_three_layers() -> None:
    torch.manual_seed(0)
    network = build("small_cnn", 3, 128, 10).eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        doubled = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        assert torch.allclose(network(doubled), network(x), atol=1e-5)
