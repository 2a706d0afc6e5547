"""All limits of an import. A ZIP bomb, a huge image or a wrong folder is refused with one sentence
before it fills memory or disk.

Pillow's own limit on pixels applies as well; `pictures` reports both in the same words.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from dreamlab.data.imageset import DataError

MIN_SIDE = 4
"""Smallest side of an image in pixels."""
SMALL_ZIP, GROWTH = 2**28, 100
"""Image files hardly compress. A ZIP that unpacks to more than `SMALL_ZIP` bytes and to more than
`GROWTH` times its own size is therefore refused."""
LABEL_BYTES = 4096
"""Most bytes of one label or class name in an array."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of an import: files or images, pixels per image, bytes per file, bytes that a ZIP
    unpacks to, and classes.

    Methods named check_ raise DataError. Methods named refused_ return the reason why an image is
    left out, or "".
    """

    files: int = 2_000_000
    pixels: int = 64 * 2**20
    file_bytes: int = 128 * 2**20
    unpacked_bytes: int = 512 * 2**30
    classes: int = 10_000

    def refused_size(self, width: int, height: int) -> str:
        """Checks the sides of an image in pixels, which are known from its header."""
        if width * height > self.pixels:
            return "too many pixels"
        return f"smaller than {MIN_SIDE} pixels" if min(width, height) < MIN_SIDE else ""

    def refused_file(self, data: bytes) -> str:
        """Checks the size of a file. `data` are at most its first `file_bytes` + 1 bytes."""
        return "too large a file" if len(data) > self.file_bytes else ""

    def check_folder(self, folder: Path, files: int) -> None:
        """Checks the number of files in a folder so far."""
        if files > self.files:
            raise DataError(
                f"The folder {folder} holds more than {self.files:,} files; give one that holds"
                " the data set alone."
            )

    def check_zip(self, members: int) -> None:
        """Checks the number of members of a ZIP."""
        if members > self.files:
            raise DataError(f"The ZIP names {members:,} files; at most {self.files:,} are allowed.")

    def most_unpacked(self, zip_bytes: int) -> int:
        """Most bytes that a ZIP of this size may unpack to."""
        return min(self.unpacked_bytes, max(SMALL_ZIP, GROWTH * zip_bytes))

    def check_unpacked(self, unpacked: int, zip_bytes: int) -> None:
        """Checks the number of bytes that were unpacked from a ZIP so far. It does not rely on the
        headers of the ZIP."""
        most = self.most_unpacked(zip_bytes)
        if unpacked > most:
            raise DataError(
                f"The file unpacks to more than {most / 2**20:,.0f} MiB, far more than pictures"
                " would: it is not read further."
            )

    def check_rows(self, file: str, images: int) -> None:
        """Checks the number of images in an array file."""
        if images > self.files:
            raise DataError(f"{file} holds {images:,} images; at most {self.files:,} are allowed.")

    def check_row_size(self, name: str, width: int, height: int) -> None:
        """Checks the sides in pixels of the images in an array, which are known from its header."""
        if width * height > self.pixels or width * height == 0:
            raise DataError(
                f"{name} holds images of {width}x{height} pixels; 1 to {self.pixels:,} pixels are"
                " allowed."
            )

    def check_labels(self, name: str, shape: tuple[int, ...], dtype: np.dtype, count: int) -> None:
        """Checks the size of an array of `count` labels or names, from its header, before it is
        read."""
        if int(np.prod(shape, dtype=object)) * dtype.itemsize > LABEL_BYTES * count:
            raise DataError(f"{name} has shape {shape} of {dtype}, which is too large for labels.")

    def check_classes(self, title: str, classes: int) -> None:
        """Checks the number of classes."""
        if classes > self.classes:
            raise DataError(
                f"{title} has {classes:,} classes; at most {self.classes:,} are allowed."
            )
