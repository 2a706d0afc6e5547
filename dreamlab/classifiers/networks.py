"""The registry of classifiers: (channels, size, classes) -> network.

`size` is the side of square images in pixels, 8 or more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from dreamlab.classifiers import attention, plain, published
from dreamlab.classifiers.base import Classifier

CLASSIFIERS: dict[str, Callable[[int, int, int], Classifier]] = {
    "small_cnn": plain.small_cnn,
    "cnn": plain.cnn,
    "mlp": plain.MLP,
    "unet_encoder": attention.unet_encoder,
    "unet_encoder_small": attention.unet_encoder_small,
    "resnet18": published.resnet18,
    "resnet50": published.resnet50,
    "resnet101": published.resnet101,
    "resnet152": published.resnet152,
    "vgg16": published.VGG16,
    "vit_s": published.vit_s,
    "vit_b": published.vit_b,
    "swin_t": published.SwinT,
}


class ImageSource(Protocol):
    """uint8 images (N, H, W, C), wherever they are stored: an array, or a selection that is read in
    parts."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, index: Any, /) -> np.ndarray: ...


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
    """Batches of (features (n, dimensions), probabilities (n, classes)) of uint8 NHWC images, in
    order, on the CPU."""
    network.eval()
    # memory is filled by the activations of large images and deep networks
    batch_size = max(1, min(batch_size, batch_size * 64**2 // (images.shape[1] * images.shape[2])))
    with torch.inference_mode():
        for start in range(0, images.shape[0], batch_size):
            x = torch.from_numpy(np.array(images[start : start + batch_size])).to(device)
            features = network.features(normalise(x))
            yield features.float().cpu(), network.head(features).float().softmax(1).cpu()
