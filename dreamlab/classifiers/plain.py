"""Small networks for small images: a CNN with three convolutions, and the MLP of study S2."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from dreamlab.classifiers.base import Classifier

LARGEST = 64
"""Side in pixels above which images are first reduced to this size by averaging. The receptive
field of three convolutions is at most 22 pixels."""


class ThreeLayerCNN(Classifier):
    """Three 3x3 convolutions with batch norm, ReLU and 2x2 max pooling, then one linear layer.

    With `pooled` the last feature map is averaged over its positions, so that there are as many
    features as channels.
    """

    def __init__(
        self, channels: int, size: int, classes: int, widths: tuple[int, int, int], pooled: bool
    ):
        super().__init__()
        ins = (channels, *widths[:2])
        self.convs = nn.ModuleList(
            nn.Conv2d(i, o, 3, padding=1, bias=False) for i, o in zip(ins, widths, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for o in widths)
        self.pooled = pooled
        side = 1 if pooled else min(size, LARGEST) // 8
        self.dimensions = widths[-1] * side * side
        self.head = nn.Linear(self.dimensions, classes)

    def features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, dimensions)."""
        if x.shape[-1] > LARGEST:
            x = F.adaptive_avg_pool2d(x, LARGEST)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            # ReLU and max pooling commute; this order applies ReLU to a quarter of the values
            x = F.relu(F.max_pool2d(norm(conv(x)), 2))
        return x.mean((2, 3)) if self.pooled else x.flatten(1)


def small_cnn(channels: int, size: int, classes: int) -> Classifier:
    """16-32-64 channels. Trains on a few hundred images in seconds on one CPU core."""
    return ThreeLayerCNN(channels, size, classes, (16, 32, 64), pooled=False)


def cnn(channels: int, size: int, classes: int) -> Classifier:
    """32-64-128 channels, pooled: 128 features. It is also the reference classifier of fidelity
    runs."""
    return ThreeLayerCNN(channels, size, classes, (32, 64, 128), pooled=True)


class MLP(Classifier):
    """Layers of 512, 256 and `classes` outputs with ReLU between them. Study S2 does not state the
    layers of its MLP; these are assumed."""

    def __init__(self, channels: int, size: int, classes: int):
        super().__init__()
        self.first = nn.Linear(channels * size * size, 512)
        self.second = nn.Linear(512, 256)
        self.dimensions = 256
        self.head = nn.Linear(256, classes)

    def features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, 256)."""
        return F.relu(self.second(F.relu(self.first(x.flatten(1)))))
