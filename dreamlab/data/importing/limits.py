"""Bounds of an import: files, pixels, bytes of one picture, bytes that a ZIP unpacks to."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Limits:
    """Bounds of an import: files, pixels and bytes of one picture, bytes that a ZIP unpacks to,
    classes."""

    files: int = 2_000_000
    pixels: int = 64 * 2**20
    file_bytes: int = 128 * 2**20
    unpacked_bytes: int = 512 * 2**30
    classes: int = 10_000
