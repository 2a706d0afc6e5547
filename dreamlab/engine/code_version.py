"""Which code an engine runs, so that a dashboard started after an update does not keep working with
the engine of the code before."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import dreamlab


@functools.cache
def code_version() -> str:
    """Version of the package and 16 hex digits over its sources, which may change without a new
    version; read once, when the process first asks."""
    folder = Path(dreamlab.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(p for p in folder.rglob("*") if p.suffix in (".py", ".toml")):
        digest.update(file.relative_to(folder).as_posix().encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return f"{dreamlab.__version__} {digest.hexdigest()[:16]}"
