"""What every process that runs tasks needs: the devices that it may see, and errors in one sentence."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from dreamlab.spec import SpecError
from dreamlab.store import RunError
from dreamlab.tasks.context import TaskError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def show_device(device: str, visible: str | None = None) -> str:
    """Lets this process see its device ("cpu", "cuda:N", or a list such as "cuda:0,cuda:1") and no other, before torch
    looks; returns the name that torch will have for the first."""
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        return "cpu"
    if visible is None:
        listed = [d.strip() for d in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if d.strip()]
        wanted = [int(name.partition(":")[2] or 0) for name in device.split(",")]
        visible = ",".join(listed[i] if i < len(listed) else str(i) for i in wanted)
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    os.environ["CUDA_VISIBLE_DEVICES"] = visible
    return "cuda:0"


def explain(error: BaseException, path: Path) -> str:
    """One sentence for the page; the traceback is in worker.log."""
    text = " ".join(str(error).split())
    if isinstance(error, (TaskError, SpecError, RunError)):
        return text
    code = error.errno if isinstance(error, OSError) else None
    # safetensors and sqlite report a full disk in errors of their own
    if code in FULL or "No space left on device" in text or "disk is full" in text:
        free = shutil.disk_usage(path if path.exists() else path.anchor).free
        return f"The disk is full ({free / 1e6:,.0f} MB free at {path.parent}); free some space and resume this run."
    if isinstance(error, OSError) and code in (errno.EROFS, errno.EIO):
        return f"{error.filename or path} cannot be written ({error.strerror}); check the disk and resume this run."
    if type(error).__name__ == "OutOfMemoryError" or "CUDA out of memory" in text:
        return "The CUDA device has too little free memory for this run; a smaller batch or network needs less."
    if isinstance(error, MemoryError) or "can't allocate memory" in text:
        return "There is too little free memory for this run; a smaller batch or network needs less."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or path.name} cannot be used: {error.strerror}."
    return f"{type(error).__name__}: {text[:300]}"
