"""Networks from the literature as in torchvision, with a first layer that suits small images.

From 64 pixels they are those of torchvision except for the number of colour channels. Below that,
the first layer reduces the image less. torchvision.models takes seconds to import, so it is
imported in the functions that use it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from dreamlab.classifiers.base import Classifier

SMALL = 64
"""Side in pixels below which the first layer for small images is used."""


class Published(Classifier):
    """A network `body` from images to features (N, dimensions), and one linear layer."""

    def __init__(self, body: nn.Module, dimensions: int, classes: int):
        super().__init__()
        self.body, self.dimensions = body, dimensions
        self.head = nn.Linear(dimensions, classes)

    def features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, dimensions)."""
        features: Tensor = self.body(x)
        return features


def resnet(build: Callable[..., nn.Module], channels: int, size: int, classes: int) -> Classifier:
    """A ResNet (He et al. 2016). For small images the first layer is a 3x3 convolution with stride
    1 and no pooling, as is usual for CIFAR."""
    body: Any = build(weights=None)
    dimensions = int(body.fc.in_features)
    if size < SMALL:
        body.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        body.maxpool = nn.Identity()
    elif channels != 3:
        body.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    body.fc = nn.Identity()
    return Published(body, dimensions, classes)


def resnet18(channels: int, size: int, classes: int) -> Classifier:
    """ResNet-18: 11.7 M parameters at 1,000 classes."""
    from torchvision.models import resnet18 as build

    return resnet(build, channels, size, classes)


def resnet50(channels: int, size: int, classes: int) -> Classifier:
    """ResNet-50: 25.6 M parameters at 1,000 classes."""
    from torchvision.models import resnet50 as build

    return resnet(build, channels, size, classes)


def resnet101(channels: int, size: int, classes: int) -> Classifier:
    """ResNet-101: 44.5 M parameters at 1,000 classes."""
    from torchvision.models import resnet101 as build

    return resnet(build, channels, size, classes)


def resnet152(channels: int, size: int, classes: int) -> Classifier:
    """ResNet-152: 60.2 M parameters at 1,000 classes."""
    from torchvision.models import resnet152 as build

    return resnet(build, channels, size, classes)


class VGG16(Classifier):
    """VGG-16 (Simonyan & Zisserman 2015) with batch norm, because without it training from random
    weights hardly works.

    For small images, pooling layers that would leave less than 2x2 pixels are left out, and global
    average pooling replaces the two layers of 4096, as is usual for CIFAR-10.
    """

    def __init__(self, channels: int, size: int, classes: int):
        super().__init__()
        from torchvision.models.vgg import VGG, cfgs, make_layers

        plan, side = [], size
        for layer in cfgs["D"]:
            if layer == "M" and size < SMALL and side < 4:
                continue
            side = side // 2 if layer == "M" else side
            plan.append(layer)
        self.convs = make_layers(plan, batch_norm=True)
        if channels != 3:
            self.convs[0] = nn.Conv2d(channels, 64, 3, padding=1)
        if size < SMALL:
            self.between: nn.Module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
            self.dimensions = 512
            for module in self.convs:
                if isinstance(module, nn.Conv2d):  # the initialisation of torchvision's VGG
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        else:
            whole = VGG(self.convs, num_classes=1)
            self.between = nn.Sequential(whole.avgpool, nn.Flatten(), *list(whole.classifier)[:-1])
            self.dimensions = 4096
        self.head = nn.Linear(self.dimensions, classes)

    def features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, dimensions)."""
        features: Tensor = self.between(self.convs(x))
        return features


class ViT(Classifier):
    """A vision transformer (Dosovitskiy et al. 2021). Its patches have 16 pixels a side; for images
    below 64 pixels 4, and below 16 pixels 2.

    If the side of the image is not a multiple of the patch, the image is padded at the right and at
    the bottom by repeating its edge.
    """

    def __init__(
        self, channels: int, size: int, classes: int, width: int, heads: int, layers: int = 12
    ):
        super().__init__()
        from torchvision.models import VisionTransformer

        patch = 16 if size >= SMALL else 4 if size >= 16 else 2
        self.missing = -size % patch
        body = VisionTransformer(
            image_size=size + self.missing,
            patch_size=patch,
            num_layers=layers,
            num_heads=heads,
            hidden_dim=width,
            mlp_dim=4 * width,
            num_classes=1,
        )
        if channels != 3:
            body.conv_proj = nn.Conv2d(channels, width, patch, stride=patch)
            nn.init.trunc_normal_(
                body.conv_proj.weight, std=math.sqrt(1 / (channels * patch * patch))
            )
            nn.init.zeros_(body.conv_proj.bias)
        body.heads = nn.Identity()
        self.body, self.dimensions = body, width
        self.head = nn.Linear(width, classes)

    def features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, width)."""
        if self.missing:
            x = F.pad(x, (0, self.missing, 0, self.missing), mode="replicate")
        features: Tensor = self.body(x)
        return features


def vit_s(channels: int, size: int, classes: int) -> Classifier:
    """ViT-S: width 384, 6 heads, 12 layers, 22 M parameters at 224 pixels and 1,000 classes. DeiT-S
    is the same network; its distilled variant has one token more (Touvron et al. 2021)."""
    return ViT(channels, size, classes, 384, 6)


def vit_b(channels: int, size: int, classes: int) -> Classifier:
    """ViT-B: width 768, 12 heads, 12 layers, 87 M parameters at 224 pixels and 1,000 classes.
    DeiT-B is the same network; its distilled variant has one token more (Touvron et al. 2021)."""
    return ViT(channels, size, classes, 768, 12)


def vit_l(channels: int, size: int, classes: int) -> Classifier:
    """ViT-L: width 1024, 16 heads, 24 layers, 304 M parameters at 224 pixels and 1,000 classes.
    The DeiT-L of DeiT III has these sizes too (Touvron, Cord & Jegou 2022)."""
    return ViT(channels, size, classes, 1024, 16, 24)


class SwinT(Published):
    """Swin-T (Liu et al. 2021) with patches of 4 and windows of 7; for small images, patches of 2
    and windows of 4."""

    def __init__(self, channels: int, size: int, classes: int):
        from torchvision.models import SwinTransformer

        patch, window = (2, 4) if size < SMALL else (4, 7)
        body = SwinTransformer(
            patch_size=[patch, patch],
            embed_dim=96,
            depths=[2, 2, 6, 2],
            num_heads=[3, 6, 12, 24],
            window_size=[window, window],
            stochastic_depth_prob=0.2,
            num_classes=1,
        )
        if channels != 3:
            body.features[0][0] = nn.Conv2d(channels, 96, patch, stride=patch)
        body.head = nn.Identity()
        super().__init__(body, 768, classes)
