"""The Inception-v3 of FID."""

from __future__ import annotations

import functools
import io
from pathlib import Path

import numpy as np
import torch
from scipy import special
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dreamlab.fidelity.extractors import ExtractorError, NetworkExtractor, batch_for, weights_id

INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
SIDE = 299
"""Side of the images that the network reads, in pixels."""
PROBE_MEAN, PROBE_NORM = 0.17647, 18.638
"""Mean and norm of the features that the standard weights give for the image in `_check_probe`.
Rounding to fp16 changes them by 1e-4 of their value."""


class InceptionExtractor(NetworkExtractor):
    """The 2048 pool features of torch-fidelity's Inception-v3, with the resize of its original.

    `path` is the weight file of the user. It is loaded with `weights_only`, so that no code in it
    can run. Raises ExtractorError if it is missing or holds other weights. Each batch norm is part
    of its convolution, which changes features by less than 1e-5 of their scale. `head` (1008, 2048)
    float32 are the weights of its classifier; None where the file holds zeros in their place.
    """

    name, version = "inception", 2
    dimensions = 2048
    resize = f"bilinear, as TensorFlow 1, to {SIDE}x{SIDE}"

    def __init__(self, path: str, device: str, batch_size: int = 0):
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        state = _read(path)
        self.device, self.batch_size = device, batch_size or batch_for(device, 32, 256)
        head = state.get("fc.weight", torch.zeros(1)).float().numpy()
        self.head = head if head.any() else None
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
        for block in [m for m in network.modules() if hasattr(m, "bn")]:
            block.conv, block.bn = fuse_conv_bn_eval(block.conv, block.bn), nn.Identity()
        # its own forward would resize; the last child is the layer after the features
        layers = nn.Sequential(*list(network.children())[:-1], nn.Flatten())
        self.network = layers.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._check_probe(path)

    def features(self, images: Tensor) -> Tensor:
        """Features (n, 2048) float32 of uint8 images (n, C, H, W). Grey images are repeated in
        three channels."""
        x = (images.to(torch.float32) - 128) / 128
        rows, columns = (_resizing(side, images.device) for side in images.shape[2:])
        x = rows @ (x.contiguous() @ columns.T)
        x = x.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        found: Tensor = self.network(x)
        return found

    def probabilities(self, features: np.ndarray) -> np.ndarray | None:
        """Probabilities (n, 1008) float64 of the classes of ImageNet, of features (n, 2048), as for
        the Inception Score, which leaves out the biases of the classifier; None without it."""
        if self.head is None:
            return None
        found: np.ndarray = special.softmax(features.astype(np.float64) @ self.head.T, axis=1)
        return found

    def _check_probe(self, path: str) -> None:
        """Raises ExtractorError unless the features of a fixed image are those of the standard
        weights. Other weights of the same shapes can be loaded too."""
        ramp = np.add.outer(np.arange(32) * 5, np.arange(32) * 3).astype(np.uint8)
        features = next(self.batches(np.stack([ramp, ramp.T, 255 - ramp], axis=-1)[None]))[0]
        found = float(features.mean()), float(np.linalg.norm(features))
        if (
            abs(found[0] - PROBE_MEAN) > 0.02 * PROBE_MEAN
            or abs(found[1] - PROBE_NORM) > 0.02 * PROBE_NORM
        ):
            raise ExtractorError(
                f"{path} fits Inception-v3 but is not {INCEPTION_FILE}: its features of a test"
                " image differ."
            )


@functools.lru_cache(maxsize=8)
def _resizing(side: int, device: torch.device) -> Tensor:
    """The matrix (299, side) of the bilinear resize of TensorFlow 1: output i lies at input
    i * side / 299, without half pixels and without antialiasing."""
    place = torch.arange(SIDE, dtype=torch.float32) * torch.tensor(side / SIDE)
    low = place.long()
    part = place - low
    matrix = torch.zeros(SIDE, side)
    matrix.scatter_add_(1, low[:, None], 1 - part[:, None])
    matrix.scatter_add_(1, (low + 1).clamp_max(side - 1)[:, None], part[:, None])
    return matrix.to(device)


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
