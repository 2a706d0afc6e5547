"""What computes features of images, and the features of classifiers. `loading` makes the extractors
whose weights are files."""

from __future__ import annotations

import abc
import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from dreamlab.classifiers.base import Classifier
from dreamlab.classifiers.networks import outputs
from dreamlab.data import imageset

AT_ONCE = 500
"""Images that are resized at once."""


class ExtractorError(ValueError):
    """The weight file of an extractor cannot be used. The message is one sentence."""


class Extractor(Protocol):
    """Computes features of images. `id` identifies its weights, and `version` its code: increase it
    when the same weights give other features than before. `resize` says how it changes the size of
    images, such as "bicubic to 224x224"; empty if it does not."""

    name: str
    version: int
    id: str
    resize: str
    dimensions: int
    device: str

    def batches(self, images: np.ndarray) -> Iterator[np.ndarray]:
        """Yields features (n, dimensions) float32 of uint8 images (N, H, W, C), in order."""


@runtime_checkable
class Classifying(Protocol):
    """An extractor with classes of its own."""

    def probabilities(self, features: np.ndarray) -> np.ndarray | None:
        """Probabilities (n, classes) of its classes, of features (n, dimensions); None if its
        weights hold no classifier."""


def weights_id(state: Mapping[str, np.ndarray]) -> str:
    """12 hex digits computed from the names, shapes and values of the weights."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(f"{name}{state[name].dtype.str}{state[name].shape}".encode())
        digest.update(np.ascontiguousarray(state[name]).data)
    return digest.hexdigest()[:12]


def cache_key(extractor: Extractor) -> str:
    """Everything that its features depend on, other than the images: name, version, weights and
    resize of the extractor, and sort of device and arithmetic."""
    weights = "/".join(filter(None, (extractor.id, extractor.resize.replace(" ", "-"))))
    kind = torch.device(extractor.device).type
    return f"{extractor.name}-{extractor.version}/{weights}/{kind}-fp32"


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Inside, CUDA devices multiply in float32. Their TF32, which training uses, changes features
    of Inception by 0.2 % of the largest one."""
    cudnn, cublas = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, cublas.allow_tf32
    try:
        cudnn.allow_tf32 = cublas.allow_tf32 = False
        yield
    finally:
        cudnn.allow_tf32, cublas.allow_tf32 = before


class NetworkExtractor(abc.ABC):
    """The loop of an extractor that is a network: a subclass sets `device` and `batch_size`, and
    computes `features`. It reads one batch of images at a time."""

    device: str
    batch_size: int

    @abc.abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Features (n, dimensions) float32 of uint8 images (n, C, H, W), both on the device."""

    def batches(self, images: np.ndarray) -> Iterator[np.ndarray]:
        """Yields features (n, dimensions) float32 of uint8 images (N, H, W, C), in order. On a GPU,
        a batch is computed while the next one is read."""
        waiting: Tensor | None = None
        for start in range(0, len(images), self.batch_size):
            part = torch.from_numpy(np.array(images[start : start + self.batch_size]))
            if torch.device(self.device).type == "cuda":
                part = part.pin_memory()
            with torch.inference_mode(), full_precision():
                found = self.features(part.to(self.device, non_blocking=True).permute(0, 3, 1, 2))
            if waiting is not None:
                yield waiting.cpu().numpy()
            waiting = found
        if waiting is not None:
            yield waiting.cpu().numpy()


def batch_for(device: str, cpu: int, gpu: int) -> int:
    """The number of images of a batch: `cpu` or `gpu`, whichever the device is."""
    return gpu if torch.device(device).type == "cuda" else cpu


class ClassifierExtractor:
    """The penultimate features of a classifier. Their Frechet distance is called `fd_classifier`,
    never FID."""

    name, version, resize = "classifier", 1, ""

    def __init__(self, network: Classifier, device: str):
        self.network, self.device, self.dimensions = network, device, network.dimensions
        self.id = weights_id({k: v.cpu().numpy() for k, v in network.state_dict().items()})

    def batches(self, images: np.ndarray) -> Iterator[np.ndarray]:
        """Yields features (n, dimensions) float32 of uint8 images (N, H, W, C), in order."""
        parts = outputs(self.network, images, self.device)
        while True:
            with full_precision():
                part = next(parts, None)
            if part is None:
                return
            yield part[0].numpy()

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Classes (n,) predicted from features (n, dimensions)."""
        with torch.inference_mode():
            logits: Tensor = self.network.head(torch.from_numpy(features).to(self.device))
        return logits.argmax(1).cpu().numpy()


class OwnExtractor(ClassifierExtractor):
    """The penultimate features of a classifier of the user, for images of `size` pixels a side;
    others are resized. Their Frechet distance is called `fd_own`."""

    name = "own"

    def __init__(self, network: Classifier, device: str, size: int, images_size: int):
        super().__init__(network, device)
        self.size = size
        if size != images_size:
            self.resize = f"bicubic to {size}x{size}"

    def batches(self, images: np.ndarray) -> Iterator[np.ndarray]:
        """Yields features (n, dimensions) float32 of uint8 images (N, H, W, C), in order."""
        for start in range(0, len(images), AT_ONCE):
            part = imageset.resized(images[start : start + AT_ONCE], self.size)
            yield from super().batches(part)
