"""Networks that compute features: a classifier trained on the real data, or the Inception-v3 of
FID."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from dreamlab.classifiers.base import Classifier
from dreamlab.classifiers.networks import outputs

INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
PROBE_MEAN, PROBE_NORM = 0.17647, 18.638
"""Mean and norm of the features that the standard weights give for the image in `_check_probe`.
Rounding to fp16 changes them by 1e-4 of their value."""


class ExtractorError(ValueError):
    """The weight file of an extractor cannot be used. The message is one sentence."""


class Extractor(Protocol):
    """Computes features of images. `id` identifies its weights, and `version` its code: increase it
    when the same weights give other features than before."""

    name: str
    version: int
    id: str
    dimensions: int
    device: str

    def batches(self, images: np.ndarray) -> Iterator[np.ndarray]:
        """Yields features (n, dimensions) float32 of uint8 images (N, H, W, C), in order."""


def weights_id(state: Mapping[str, np.ndarray]) -> str:
    """12 hex digits computed from the names, shapes and values of the weights."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(f"{name}{state[name].dtype.str}{state[name].shape}".encode())
        digest.update(np.ascontiguousarray(state[name]).data)
    return digest.hexdigest()[:12]


def cache_key(extractor: Extractor) -> str:
    """Everything that its features depend on, other than the images: name, version and weights of
    the extractor, and sort of device and arithmetic."""
    kind = torch.device(extractor.device).type
    tf32 = kind == "cuda" and (
        torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32
    )
    return (
        f"{extractor.name}-{extractor.version}/{extractor.id}/{kind}-{'tf32' if tf32 else 'fp32'}"
    )


class ClassifierExtractor:
    """The penultimate features of a classifier. Their Frechet distance is called `fd_classifier`,
    never FID."""

    name, version = "classifier", 1

    def __init__(self, network: Classifier, device: str):
        self.network, self.device, self.dimensions = network, device, network.dimensions
        self.id = weights_id({k: v.cpu().numpy() for k, v in network.state_dict().items()})

    def batches(self, images: np.ndarray) -> Iterator[np.ndarray]:
        """Yields features (n, dimensions) float32 of uint8 images (N, H, W, C), in order."""
        for features, _ in outputs(self.network, images, self.device):
            yield features.numpy()

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Classes (n,) predicted from features (n, dimensions)."""
        with torch.inference_mode():
            logits: Tensor = self.network.head(torch.from_numpy(features).to(self.device))
        return logits.argmax(1).cpu().numpy()


class InceptionExtractor:
    """The 2048 pool features of torch-fidelity's Inception-v3, which resizes its input itself.

    `path` is the weight file of the user. It is loaded with `weights_only`, so that no code in it
    can run. Raises ExtractorError if it is missing or holds other weights.
    """

    name, version = "inception", 1
    dimensions = 2048

    def __init__(self, path: str, device: str, batch_size: int = 50):
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        state = _read(path)
        self.device, self.batch_size = device, batch_size
        self.id = weights_id({k: v.numpy() for k, v in state.items()})
        # torch-fidelity would unpickle the file, so it gets a copy that holds only the tensors
        safe = io.BytesIO()
        torch.save(state, safe)
        safe.seek(0)
        try:
            network = FeatureExtractorInceptionV3(
                "inception", ["2048"], feature_extractor_weights_path=safe
            )
        except (RuntimeError, KeyError) as error:
            raise ExtractorError(
                f"{path} holds the weights of another network, not {INCEPTION_FILE}:"
                f" {str(error)[:120]}"
            ) from None
        self.network = network.to(device, memory_format=torch.channels_last)
        self._check_probe(path)

    def batches(self, images: np.ndarray) -> Iterator[np.ndarray]:
        """Yields features (n, 2048) float32 of uint8 images (N, H, W, C), in order. Grey images are
        repeated in three channels."""
        for start in range(0, len(images), self.batch_size):
            yield self._features(images[start : start + self.batch_size])

    def _features(self, images: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(images.copy()).to(self.device).permute(0, 3, 1, 2)
        if x.shape[1] == 1:
            x = x.expand(-1, 3, -1, -1)
        with torch.inference_mode():
            features: Tensor = self.network(x.contiguous(memory_format=torch.channels_last))[0]
        return features.float().cpu().numpy()

    def _check_probe(self, path: str) -> None:
        """Raises ExtractorError unless the features of a fixed image are those of the standard
        weights. Other weights of the same shapes can be loaded too."""
        ramp = np.add.outer(np.arange(32) * 5, np.arange(32) * 3).astype(np.uint8)
        features = self._features(np.stack([ramp, ramp.T, 255 - ramp], axis=-1)[None])[0]
        found = float(features.mean()), float(np.linalg.norm(features))
        if (
            abs(found[0] - PROBE_MEAN) > 0.02 * PROBE_MEAN
            or abs(found[1] - PROBE_NORM) > 0.02 * PROBE_NORM
        ):
            raise ExtractorError(
                f"{path} fits Inception-v3 but is not {INCEPTION_FILE}: its features of a test"
                " image differ."
            )


def _read(path: str) -> dict[str, Tensor]:
    file = Path(path).expanduser()
    if not path or not file.is_file():
        raise ExtractorError(
            f"Inception weights (--inception-weights): {path!r} is not a file; give the path of"
            f" {INCEPTION_FILE}."
        )
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (
        Exception
    ) as error:  # torch raises several types of errors for a file that does not hold tensors
        raise ExtractorError(
            f"{path} cannot be read as plain tensors ({type(error).__name__}); give"
            f" {INCEPTION_FILE}."
        ) from None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ExtractorError(
            f"{path} does not hold the weights of a network; give {INCEPTION_FILE}."
        )
    return dict(state)
