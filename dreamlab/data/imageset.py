"""Labelled image sets on disk (`images.npy` and `labels.npy`), hashes of images, and grids of
images as PNG."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from PIL import Image

from dreamlab.store.files import write_bytes


class DataError(ValueError):
    """Images or a data set that cannot be used. The message is one sentence that says what is wrong
    and what would be right."""


class ImageSource(Protocol):
    """Images uint8 (N, H, W, C): an array, or anything that reads rows on demand. It is indexed
    with a slice or with int64 (n,)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, C)."""

    def __getitem__(self, index: Any, /) -> np.ndarray: ...


def save(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Writes images uint8 (N, H, W, C) and labels int64 (N,). Each file is either complete or
    absent. Raises ValueError for other shapes."""
    if images.dtype != np.uint8 or images.ndim != 4 or len(images) != len(labels):
        raise ValueError(
            f"images {images.dtype} {images.shape} and {len(labels)} labels are not a set: uint8"
            " NHWC is needed"
        )
    for name, array in (("labels.npy", labels.astype(np.int64)), ("images.npy", images)):
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        write_bytes(folder / name, buffer.getvalue())


def load(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Memory-mapped images uint8 (N, H, W, C), and labels int64 (N,). Raises FileNotFoundError or
    ValueError."""
    return np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False), np.load(
        folder / "labels.npy", allow_pickle=False
    )


def write_rows(
    file: IO[bytes], count: int, shape: tuple[int, ...], chunks: Iterable[np.ndarray]
) -> Iterator[int]:
    """Writes a uint8 .npy of shape (count, *shape) from chunks of rows, with one chunk in memory at
    a time. Yields the number of rows written so far.

    Raises ValueError if the chunks do not have `count` rows together.
    """
    written = 0
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *shape)}
    np.lib.format.write_array_header_1_0(file, header)
    for chunk in chunks:
        written += len(chunk)
        file.write(np.ascontiguousarray(chunk, np.uint8).data)
        yield written
    if written != count:
        raise ValueError(f"{written} rows were given, but {count} were expected")


def digest(image: np.ndarray) -> bytes:
    """128-bit hash (BLAKE2b) of the pixels of one image."""
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()


def digests(images: np.ndarray) -> np.ndarray:
    """`digest` of each image (N, H, W, C): (N,) of 16 bytes."""
    return np.fromiter((digest(images[i]) for i in range(len(images))), "S16", len(images))


def copies(images: np.ndarray, of: np.ndarray) -> int:
    """How many of `images` (N, H, W, C) have the same pixels as one of `of` (M, H, W, C); 0 if H, W
    or C differ.

    Needs 16 bytes of memory per image.
    """
    if images.shape[1:] != of.shape[1:]:
        return 0
    return int(np.isin(digests(images), digests(of)).sum())


def resized(images: np.ndarray, size: int) -> np.ndarray:
    """Square images uint8 (N, H, W, C), resized to `size` pixels a side by bicubic resampling with
    antialiasing (Pillow). Returns the same array if they have this size."""
    if images.shape[1] == size:
        return images
    out = np.empty((len(images), size, size, images.shape[3]), np.uint8)
    for row, image in zip(out, images, strict=True):
        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        row[:] = np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC)).reshape(
            row.shape
        )
    return out


def png(image: np.ndarray) -> bytes:
    """A lossless PNG of a uint8 image (H, W, C) with C = 1 or 3, or (H, W)."""
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image).save(
        buffer, "PNG", compress_level=1
    )
    return buffer.getvalue()


def sheet(images: np.ndarray, cols: int, gap: int = 0, background: int = 0) -> np.ndarray:
    """One uint8 image (H, W, C) that shows images (N, h, w, C) as a grid: row by row, `cols` per
    row, `gap` pixels apart."""
    n, h, w, c = images.shape
    rows = -(-n // cols)
    out = np.full((rows * (h + gap) - gap, cols * (w + gap) - gap, c), background, np.uint8)
    for i in range(n):
        y, x = i // cols * (h + gap), i % cols * (w + gap)
        out[y : y + h, x : x + w] = images[i]
    return out
