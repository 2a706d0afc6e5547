"""Labelled image sets on disk (`images.npy`, `labels.npy`) and contact sheets as lossless PNG."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from dreamlab.store.files import write_bytes


def save(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """images uint8 (N, H, W, C), labels int64 (N,); each file is whole or absent."""
    if images.dtype != np.uint8 or images.ndim != 4 or len(images) != len(labels):
        raise ValueError(
            f"images {images.dtype} {images.shape} and {len(labels)} labels are not a set: uint8 NHWC is needed"
        )
    for name, array in (("labels.npy", labels.astype(np.int64)), ("images.npy", images)):
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        write_bytes(folder / name, buffer.getvalue())


def load(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Memory-mapped images and labels. Raises FileNotFoundError or ValueError."""
    return np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False), np.load(
        folder / "labels.npy", allow_pickle=False
    )


def resized(images: np.ndarray, size: int) -> np.ndarray:
    """uint8 (N, H, W, C), square, at `size` pixels a side: bicubic with Pillow's antialiasing; the same array where nothing changes."""
    if images.shape[1] == size:
        return images
    out = np.empty((len(images), size, size, images.shape[3]), np.uint8)
    for row, image in zip(out, images, strict=True):
        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        row[:] = np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC)).reshape(row.shape)
    return out


def png(image: np.ndarray) -> bytes:
    """uint8 (H, W, C) or (H, W) with C 1 or 3 as a lossless PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image).save(
        buffer, "PNG", compress_level=1
    )
    return buffer.getvalue()


def sheet(images: np.ndarray, cols: int, gap: int = 0, background: int = 0) -> np.ndarray:
    """One uint8 image (H, W, C) of images (N, h, w, C) laid row by row, `cols` a row, `gap` pixels apart."""
    n, h, w, c = images.shape
    rows = -(-n // cols)
    out = np.full((rows * (h + gap) - gap, cols * (w + gap) - gap, c), background, np.uint8)
    for i in range(n):
        y, x = i // cols * (h + gap), i % cols * (w + gap)
        out[y : y + h, x : x + w] = images[i]
    return out
