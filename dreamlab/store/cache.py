"""A cache of arrays on disk under string keys. Keys contain content hashes, so that nothing is
computed twice. Values are stored by diskcache as plain bytes, without pickle."""

from __future__ import annotations

import functools
import hashlib
import io
import mmap
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dreamlab.paths import DEMO

if (
    TYPE_CHECKING
):  # the engine imports this module and must stay small, so numpy and diskcache are imported in use
    import numpy as np


SHIPPED = "cache/"
"""Folder in the archive of the demo. It holds `.npz` files, one per key."""
PIECE = 2**20
"""Number of bytes that are copied or read at once."""


def array_hash(*arrays: np.ndarray) -> str:
    """16 hex digits computed from the dtypes, shapes and bytes of arrays. A memory-mapped file is
    read in pieces, so that it may be larger than memory."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        for piece in _pieces(array):
            digest.update(piece)
    return digest.hexdigest()[:16]


def file_hash(path: Path) -> str:
    """16 hex digits computed from the content of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _pieces(array: np.ndarray) -> Iterator[Any]:
    """The bytes of an array in C order, as buffers."""
    import numpy as np

    if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap):
        if array.filename and array.flags.c_contiguous:
            # pages of a map that were read count as memory of this process, read bytes do not
            with open(array.filename, "rb") as file:
                file.seek(array.offset)
                left = array.nbytes
                while left and (piece := file.read(min(PIECE, left))):
                    left -= len(piece)
                    yield piece
            return
    if array.flags.c_contiguous or array.ndim == 0:
        yield np.ascontiguousarray(array).data
        return
    rows = max(1, PIECE // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        yield np.ascontiguousarray(array[start : start + rows]).data


class ArtefactCache:
    """Stores named arrays under a string key, as `.npz` bytes that are read with
    allow_pickle=False."""

    def __init__(self, folder: Path, size_limit: int = 4 * 2**30):
        import diskcache

        folder.mkdir(parents=True, exist_ok=True)
        self._cache = diskcache.Cache(str(folder), size_limit=size_limit, disk_min_file_size=2**15)

    def put(self, key: str, **arrays: np.ndarray) -> None:
        """Stores arrays under a key. An existing entry is replaced."""
        self._cache.set(key, _packed(arrays))

    def add(self, key: str, **arrays: np.ndarray) -> dict[str, np.ndarray]:
        """Stores arrays under a key that has no entry. Returns the entry of the key: these arrays,
        or those that another process stored first."""
        self._cache.add(key, _packed(arrays))
        return self.get(key) or arrays

    def get(self, key: str) -> dict[str, np.ndarray] | None:
        """The arrays under a key; None if there is no entry or if it is damaged."""
        value = self._cache.get(key)
        return _unpacked(value) if isinstance(value, bytes) else None

    def remove(self, key: str) -> None:
        """Removes the entry of a key, if there is one."""
        self._cache.delete(key)

    def keys(self) -> list[str]:
        """All keys."""
        return [str(key) for key in self._cache.iterkeys()]

    def close(self) -> None:
        """Closes the cache."""
        self._cache.close()


def _unpacked(value: bytes) -> dict[str, np.ndarray] | None:
    import numpy as np

    try:
        with np.load(io.BytesIO(value), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, OSError):
        return None


def _packed(arrays: dict[str, np.ndarray]) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def shipped(key: str, archive: Path = DEMO) -> dict[str, np.ndarray] | None:
    """The arrays under a key that come with the demo, whether it is unpacked or not; None if there
    are none."""
    import zipfile

    try:
        with zipfile.ZipFile(archive) as packed:
            return _unpacked(packed.read(f"{SHIPPED}{key}.npz"))
    except (OSError, KeyError, zipfile.BadZipFile):
        return None


def user_cache() -> ArtefactCache:
    """The cache that all runs folders of this user share: `$DREAMLAB_CACHE`, or the usual folder of
    the system. A temporary folder is used where that one cannot be written."""
    import platformdirs

    return _opened(os.environ.get("DREAMLAB_CACHE") or platformdirs.user_cache_dir("dreamlab"))


@functools.cache
def _opened(folder: str) -> ArtefactCache:
    try:
        return ArtefactCache(Path(folder))
    except (OSError, sqlite3.Error):
        return ArtefactCache(Path(tempfile.mkdtemp(prefix="dreamlab-cache-")))
