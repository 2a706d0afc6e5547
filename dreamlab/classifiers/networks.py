"""Makes a classifier by its name, and computes features and probabilities of many images."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from dreamlab.classifiers.base import Classifier
from dreamlab.classifiers.registry import UnknownClassifier, find
from dreamlab.data.imageset import ImageSource


def build(name: str, channels: int, size: int, classes: int) -> Classifier:
    """A network of the registry with random weights, for square images of `size` pixels a side.
    Raises UnknownClassifier."""
    known = find(name)
    module, _, function = known.network.partition(":")
    try:
        make = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UnknownClassifier(
            f"The classifier {name} has no network {known.network}: {error}."
        ) from None
    made: Classifier = make(channels, size, classes)
    return made


def parameters(network: nn.Module) -> int:
    """Number of trained parameters."""
    return sum(p.numel() for p in network.parameters())


def normalise(images: Tensor) -> Tensor:
    """uint8 (N, H, W, C) to float32 (N, C, H, W) in [-1, 1]. The memory layout becomes
    channels-last without a copy."""
    return images.permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1.0)


def outputs(
    network: Classifier, images: ImageSource, device: str, batch_size: int = 500
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields batches of (features (n, dimensions), probabilities (n, classes)), float32 on the CPU,
    for uint8 images (N, H, W, C), in order."""
    network.eval()
    # activations take memory in proportion to the number of pixels
    batch_size = max(1, min(batch_size, batch_size * 64**2 // (images.shape[1] * images.shape[2])))
    with torch.inference_mode():
        for start in range(0, images.shape[0], batch_size):
            x = torch.from_numpy(np.array(images[start : start + batch_size])).to(device)
            features = network.features(normalise(x))
            yield features.float().cpu(), network.head(features).float().softmax(1).cpu()
