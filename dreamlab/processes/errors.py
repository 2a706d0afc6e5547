"""Turns the errors of a worker into one sentence for the user."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from dreamlab.settings import SpecError
from dreamlab.store import RunError
from dreamlab.tasks.context import TaskError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def explain(error: BaseException, path: Path) -> str:
    """One sentence on an error of the run at `path`. The traceback is in worker.log."""
    text = " ".join(str(error).split())
    if isinstance(error, (TaskError, SpecError, RunError)):
        return text
    code = error.errno if isinstance(error, OSError) else None
    # for a full disk, safetensors and sqlite raise errors of their own
    if code in FULL or "No space left on device" in text or "disk is full" in text:
        free = shutil.disk_usage(path if path.exists() else path.anchor).free
        return (
            f"The disk is full ({free / 1e6:,.0f} MB free at {path.parent}); free some space and"
            " resume this run."
        )
    if isinstance(error, OSError) and code in (errno.EROFS, errno.EIO):
        return (
            f"{error.filename or path} cannot be written ({error.strerror}); check the disk and"
            " resume this run."
        )
    if type(error).__name__ == "OutOfMemoryError" or "CUDA out of memory" in text:
        return (
            "The CUDA device has too little free memory for this run; a smaller batch or network"
            " needs less."
        )
    if isinstance(error, MemoryError) or "can't allocate memory" in text:
        return (
            "There is too little free memory for this run; a smaller batch or network needs less."
        )
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or path.name} cannot be used: {error.strerror}."
    return f"{type(error).__name__}: {text[:300]}"
