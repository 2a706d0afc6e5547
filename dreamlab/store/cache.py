"""A cache of arrays by content hash, so that nothing is computed twice. Stored by diskcache as
plain bytes, without pickle."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

if (
    TYPE_CHECKING
):  # the engine imports this module and must stay small: numpy and diskcache are imported on use
    import numpy as np


def array_hash(*arrays: np.ndarray) -> str:
    """16 hex digits over dtype, shape and bytes."""
    import numpy as np

    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


class ArtefactCache:
    """Named arrays under a string key. Values are `.npz` bytes, read with allow_pickle=False."""

    def __init__(self, folder: Path, size_limit: int = 4 * 2**30):
        import diskcache

        folder.mkdir(parents=True, exist_ok=True)
        self._cache = diskcache.Cache(str(folder), size_limit=size_limit, disk_min_file_size=2**15)

    def put(self, key: str, **arrays: np.ndarray) -> None:
        import numpy as np

        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        self._cache.set(key, buffer.getvalue())

    def get(self, key: str) -> dict[str, np.ndarray] | None:
        """The arrays; None if the key is absent or its value is damaged."""
        import numpy as np

        value = self._cache.get(key)
        if not isinstance(value, bytes):
            return None
        try:
            with np.load(io.BytesIO(value), allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except (ValueError, OSError):
            return None

    def keys(self) -> list[str]:
        return [str(key) for key in self._cache.iterkeys()]

    def close(self) -> None:
        self._cache.close()
