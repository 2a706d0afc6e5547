"""Files that are complete or absent: written under a temporary name, then renamed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_bytes(path: Path, data: bytes) -> None:
    """Writes atomically. Raises OSError if the disk is full or the folder is missing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON atomically. Raises ValueError for NaN and infinity, which would otherwise be
    silent errors."""
    write_bytes(path, json.dumps(value, indent=1, allow_nan=False).encode())


def read_json(path: Path) -> Any | None:
    """The file's value; None if it is absent or not valid JSON."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def disk_use(folder: Path) -> int:
    """Bytes of the files below a folder."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(root, name)).st_size
            except OSError:
                continue  # a file may disappear meanwhile
    return total
