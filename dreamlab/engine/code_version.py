"""Identifies the code that a process runs, so that after an update the dashboard does not use an
engine with the old code."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import dreamlab


@functools.cache
def code_version() -> str:
    """The version of the package and 16 hex digits computed from its source files. The files may
    change without a new version. Computed once per process."""
    folder = Path(dreamlab.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(p for p in folder.rglob("*") if p.suffix in (".py", ".toml")):
        digest.update(file.relative_to(folder).as_posix().encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return f"{dreamlab.__version__} {digest.hexdigest()[:16]}"
