"""Planted near-copies: each kind of change, as a function of images uint8 (N, H, H, C)."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator
from typing import TypeVar

import numpy as np
from PIL import Image

from dreamlab.data.imageset import resized

T = TypeVar("T")
SHIFTS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x]


def drained(work: Generator[object, None, T]) -> T:
    while True:
        try:
            next(work)
        except StopIteration as done:
            return done.value


def one_pixel(images: np.ndarray) -> np.ndarray:
    out, rng, n = images.copy(), np.random.default_rng(1), len(images)
    out[np.arange(n), *rng.integers(0, images.shape[1], (2, n))] ^= 255
    return out


def noisy(images: np.ndarray, most: int) -> np.ndarray:
    noise = np.random.default_rng(2).integers(-most, most + 1, images.shape)
    return np.clip(images + noise, 0, 255).astype(np.uint8)


def jpeg(images: np.ndarray, quality: int) -> np.ndarray:
    out = np.empty_like(images)
    for row, image in zip(out, images, strict=True):
        file = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(
            file, "JPEG", quality=quality
        )
        row[:] = np.asarray(Image.open(file)).reshape(row.shape)
    return out


def there_and_back(images: np.ndarray, factor: float) -> np.ndarray:
    side = images.shape[1]
    return resized(resized(images, round(factor * side)), side)


def shifted(images: np.ndarray) -> np.ndarray:
    """Every image by one pixel, in each of the eight directions in turn; the border is black."""
    out = np.zeros_like(images)
    h = images.shape[1]
    for i, (y, x) in enumerate(SHIFTS):
        out[i::8, max(y, 0) : h + min(y, 0), max(x, 0) : h + min(x, 0)] = images[
            i::8, max(-y, 0) : h + min(-y, 0), max(-x, 0) : h + min(-x, 0)
        ]
    return out


KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "the same": lambda x: x.copy(),
    "one pixel inverted": one_pixel,
    "noise of 1 level": lambda x: noisy(x, 1),
    "noise of 4 levels": lambda x: noisy(x, 4),
    "JPEG, quality 95": lambda x: jpeg(x, 95),
    "JPEG, quality 75": lambda x: jpeg(x, 75),
    "twice the size and back": lambda x: there_and_back(x, 2),
    "3/4 of the size and back": lambda x: there_and_back(x, 0.75),
    "1.5 times the size": lambda x: resized(x, x.shape[1] * 3 // 2),
    "3/4 of the size": lambda x: resized(x, x.shape[1] * 3 // 4),
    "shifted by a pixel": shifted,
    "mirrored": lambda x: np.ascontiguousarray(x[:, :, ::-1]),
    "mirrored, shifted, JPEG 75": lambda x: jpeg(shifted(x[:, :, ::-1]), 75),
}
"""Kind of change -> what makes it."""


def cut(images: np.ndarray, pixels: int) -> np.ndarray:
    """Without so many pixels at each side, at the same size."""
    inner = np.ascontiguousarray(images[:, pixels:-pixels, pixels:-pixels])
    return resized(inner, images.shape[1])


def framed(images: np.ndarray, pixels: int) -> np.ndarray:
    """Made smaller, with a border of so many pixels at each side."""
    around = ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0))
    return np.pad(resized(images, images.shape[1] - 2 * pixels), around, mode="edge")


MOVED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "shifted by two pixels": lambda x: shifted(shifted(x)),
    "one pixel cut off at each side": lambda x: cut(x, 1),
    "two pixels cut off at each side": lambda x: cut(x, 2),
    "the same, mirrored, JPEG 75": lambda x: jpeg(cut(x[:, :, ::-1], 2), 75),
    "in a border of two pixels": lambda x: framed(x, 2),
}
"""Larger changes, which are looked for from 16 pixels on."""


def turned(images: np.ndarray, degrees: float) -> np.ndarray:
    out = np.empty_like(images)
    for row, image in zip(out, images, strict=True):
        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        row[:] = np.asarray(picture.rotate(degrees, Image.Resampling.BICUBIC)).reshape(row.shape)
    return out


BEYOND: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "turned by 3 degrees": lambda x: turned(x, 3),
    "turned by 10 degrees": lambda x: turned(x, 10),
    "contrast 0.85": lambda x: np.rint(127.5 + (x - 127.5) * 0.85).astype(np.uint8),
    "contrast 0.7": lambda x: np.rint(127.5 + (x - 127.5) * 0.7).astype(np.uint8),
    "inverted": lambda x: 255 - x,
    "upside down": lambda x: np.ascontiguousarray(x[:, ::-1]),
}
"""Changes that the search does not look for."""


def gaussian(images: np.ndarray) -> np.ndarray:
    """With Gaussian noise of 5 levels."""
    noise = np.random.default_rng(3).normal(0, 5, images.shape)
    return np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)


COPIED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exact": KINDS["the same"],
    "mirrored": KINDS["mirrored"],
    "noise of 5 levels": gaussian,
    "JPEG, quality 75": KINDS["JPEG, quality 75"],
}
"""Copies of which at least 95 % are flagged."""
