"""Whether a file can hold the standard weights of Inception-v3, as far as it shows without torch
and without loading them."""

from __future__ import annotations

import zipfile
from pathlib import Path

from dreamlab.settings import SpecError

FILE = "weights-inception-2015-12-05-6726825d.pth"
FEWEST_BYTES = 40 * 2**20
"""The 23.9 million weights take 48 MB in half precision."""
LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""First bytes of a file of torch.save before version 1.6: a pickled magic number."""
READ = 4 * 2**20
"""Bytes in which the names of the weights are looked for; they come before the values."""
NAMES = (b"Conv2d_1a_3x3.conv.weight", b"Mixed_7c.branch_pool.conv.weight", b"fc.weight")
OTHER = b"AuxLogits"
"""Part of the names in torchvision's Inception-v3, which is another network."""


def check_weights(path: str) -> None:
    """Raises SpecError if there is no such file, or if it cannot be the standard weights: not of
    torch.save, too small, or with other names than theirs. Other weights with the same names are
    noticed only when they are loaded."""
    file = Path(path).expanduser()
    try:
        why = _why_not(file) if path and file.is_file() else "is not a file"
    except (OSError, ValueError) as error:
        why = f"cannot be read ({getattr(error, 'strerror', None) or error})"
    if why:
        raise SpecError(
            f"Inception weights (--inception-weights): {path!r} {why}; give the file {FILE} that"
            " torch-fidelity and torchmetrics use.",
            "inception_weights",
        )


def _why_not(file: Path) -> str:
    """Why a file is not the standard weights; empty if it may be."""
    names = _names(file)
    if names is None:
        return "is not a file of PyTorch weights"
    if OTHER in names or not all(name in names for name in NAMES):
        return "holds the weights of another network"
    if file.stat().st_size < FEWEST_BYTES:
        return "is too small and must be incomplete"
    return ""


def _names(file: Path) -> bytes | None:
    """The part of a file of torch.save that holds the names of weights; None for another file."""
    with open(file, "rb") as stream:
        head = stream.read(READ)
    if head.startswith(LEGACY):
        return head
    if not head.startswith(b"PK"):
        return None
    try:
        with zipfile.ZipFile(file) as archive:
            held = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if not held:
                return None
            with archive.open(held[0]) as stream:
                return stream.read(READ)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError):
        return None
