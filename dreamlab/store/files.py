"""Writes files atomically: under a temporary name, which is then changed. A file is either complete
or absent."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_bytes(path: Path, *parts: bytes | memoryview) -> None:
    """Writes a file atomically, from one or several parts. Raises OSError if the disk is full or
    the folder is missing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON atomically. Raises ValueError for NaN and infinity, which JSON does not have."""
    write_bytes(path, json.dumps(value, indent=1, allow_nan=False).encode())


def read_json(path: Path) -> Any | None:
    """The value in a JSON file; None if it is missing or not valid JSON."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def disk_use(folder: Path) -> int:
    """Total size in bytes of the files below a folder."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(root, name)).st_size
            except OSError:
                continue  # the file may have been removed
    return total
