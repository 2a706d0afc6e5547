"""Small networks for small images: a CNN with three convolutions, and the MLP of study S2."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from dreamlab.classifiers.base import Classifier

LARGEST = 64
"""Side in pixels above which images are averaged down first. Three convolutions cover at most 22
pixels."""


class ThreeLayerCNN(Classifier):
    """Three 3x3 convolutions with batch norm, ReLU and 2x2 max pooling, then one linear layer.

    With `pooled` the last map is averaged over its positions, so that there are as many features as
    channels.
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
        if x.shape[-1] > LARGEST:
            x = F.adaptive_avg_pool2d(x, LARGEST)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            # pooling before the ReLU is the same (both are monotonic) and a quarter of the work
            x = F.relu(F.max_pool2d(norm(conv(x)), 2))
        return x.mean((2, 3)) if self.pooled else x.flatten(1)


def small_cnn(channels: int, size: int, classes: int) -> Classifier:
    """16-32-64 channels: seconds on one CPU core for a few hundred images."""
    return ThreeLayerCNN(channels, size, classes, (16, 32, 64), pooled=False)


def cnn(channels: int, size: int, classes: int) -> Classifier:
    """32-64-128 channels, pooled. Also the reference classifier of `fidelity`, with 128
    features."""
    return ThreeLayerCNN(channels, size, classes, (32, 64, 128), pooled=True)


class MLP(Classifier):
    """Pixels, 512, 256, classes, with ReLU. Study S2 does not give the layers of its MLP; these are
    assumed."""

    def __init__(self, channels: int, size: int, classes: int):
        super().__init__()
        self.first = nn.Linear(channels * size * size, 512)
        self.second = nn.Linear(512, 256)
        self.dimensions = 256
        self.head = nn.Linear(256, classes)

    def features(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x.flatten(1)))))
