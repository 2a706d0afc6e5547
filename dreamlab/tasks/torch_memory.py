"""Memory of a device: how much was used, and which errors mean that it is too small."""

from __future__ import annotations

import sys

import torch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of an allocator, of a device or of the host, means that there is too little
    memory."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error)
    # of cuBLAS, cuDNN and the allocators of the CPU
    said = (
        "out of memory",
        "can't allocate memory",
        "not enough memory",
        "ALLOC_FAILED",
        "could not create a memory object",
    )
    return isinstance(error, RuntimeError) and any(words in text for words in said)


def release_memory(device: torch.device) -> None:
    """Returns unused blocks of the allocator to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def peak_memory_bytes(device: torch.device) -> int:
    """Largest memory used so far: by the CUDA device's allocator, or by this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource  # not on Windows, where this project runs inside WSL

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
