"""How bright images are. Without torch."""

from __future__ import annotations

import numpy as np

LUMA, AT_ONCE = np.array([0.299, 0.587, 0.114], np.float32), 4096
"""Weights of red, green and blue in the grey level (ITU-R BT.601), and number of images per
step."""


def appearance(images: np.ndarray) -> dict[str, dict[str, float]]:
    """Mean grey level (0 black to 1 white) of the whole images and of their border pixels, each
    with its standard error over the images. It shows whether backgrounds are too dark (study
    S3)."""
    means = np.empty((2, len(images)))
    for start in range(0, len(images), AT_ONCE):
        part = np.asarray(images[start : start + AT_ONCE], np.float32) / 255
        grey = part @ LUMA if part.shape[-1] == 3 else part[..., 0]
        border = np.concatenate(
            [grey[:, 0], grey[:, -1], grey[:, 1:-1, 0], grey[:, 1:-1, -1]], axis=1
        )
        means[:, start : start + len(part)] = grey.mean((1, 2)), border.mean(1)
    errors = means.std(axis=1, ddof=1) / np.sqrt(len(images))
    return {
        name: {"mean": float(mean), "error": float(error)}
        for name, mean, error in zip(
            ("brightness", "border"), means.mean(axis=1), errors, strict=True
        )
    }
