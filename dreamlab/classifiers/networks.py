"""Classifiers as (channels, size, classes) -> network that gives logits and the features before the last layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Classifier(nn.Module):
    """Images (N, C, H, W), float, normalised, to logits (N, classes); `features` gives (N, dimensions)."""

    dimensions: int
    head: nn.Linear

    def features(self, x: Tensor) -> Tensor:
        """The penultimate features (N, dimensions)."""
        raise TypeError(f"{type(self).__name__} has no features of its own: a classifier defines them")

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


class ThreeLayerCNN(Classifier):
    """Three 3x3 convolutions with batch norm, ReLU and 2x2 max pooling, then one linear layer on all positions.

    `pooled` averages the last map over its positions, which keeps the features few (as many as channels).
    """

    def __init__(self, channels: int, size: int, classes: int, widths: tuple[int, int, int], pooled: bool):
        super().__init__()
        ins = (channels, *widths[:2])
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1, bias=False) for i, o in zip(ins, widths, strict=True))
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for o in widths)
        self.pooled = pooled
        side = 1 if pooled else size // 8
        self.dimensions = widths[-1] * side * side
        self.head = nn.Linear(self.dimensions, classes)

    def features(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            # pooling before the ReLU is the same (both are monotonic) and a quarter of the work
            x = F.relu(F.max_pool2d(norm(conv(x)), 2))
        return x.mean((2, 3)) if self.pooled else x.flatten(1)


class ResNet18(Classifier):
    """torchvision's ResNet-18 (He et al. 2016) with the stem for small images: 3x3, stride 1, no pooling."""

    def __init__(self, channels: int, size: int, classes: int):
        super().__init__()
        from torchvision.models import resnet18  # seconds to import: only where it is used

        body = resnet18(weights=None)
        body.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        body.maxpool = nn.Identity()
        body.fc = nn.Identity()
        self.body = body
        self.dimensions = 512
        self.head = nn.Linear(512, classes)

    def features(self, x: Tensor) -> Tensor:
        features: Tensor = self.body(x)
        return features


def small_cnn(channels: int, size: int, classes: int) -> Classifier:
    """16-32-64 channels: seconds on one core for a few hundred images."""
    return ThreeLayerCNN(channels, size, classes, (16, 32, 64), pooled=False)


def cnn(channels: int, size: int, classes: int) -> Classifier:
    """32-64-128 channels, pooled: also the reference classifier of `fidelity`, with 128 features."""
    return ThreeLayerCNN(channels, size, classes, (32, 64, 128), pooled=True)


CLASSIFIERS: dict[str, Callable[[int, int, int], Classifier]] = {
    "small_cnn": small_cnn,
    "cnn": cnn,
    "resnet18": ResNet18,
}


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def normalise(images: Tensor) -> Tensor:
    """uint8 (N, H, W, C) to float32 (N, C, H, W) in [-1, 1]; NHWC memory becomes channels-last without a copy."""
    return images.permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1.0)


def outputs(
    network: Classifier, images: np.ndarray, device: str, batch_size: int = 500
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of (features (n, dimensions), probabilities (n, classes)) of uint8 NHWC images, in order, on the CPU."""
    network.eval()
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            x = torch.from_numpy(images[start : start + batch_size].copy()).to(device)
            features = network.features(normalise(x))
            yield features.float().cpu(), network.head(features).float().softmax(1).cpu()
