"""Memory of a device: how much was used, and which errors mean that there is too little."""

from __future__ import annotations

import sys

import torch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that there is too little memory, on the device or on the host."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error)
    # messages of cuBLAS, cuDNN and CPU allocators
    said = (
        "out of memory",
        "can't allocate memory",
        "not enough memory",
        "ALLOC_FAILED",
        "could not create a memory object",
    )
    return isinstance(error, RuntimeError) and any(words in text for words in said)


def release_memory(device: torch.device) -> None:
    """Returns unused memory of torch's allocator to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def peak_memory_bytes(device: torch.device) -> int:
    """Peak memory in bytes: of the CUDA device's allocator, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource  # does not exist on Windows, where WSL is needed

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
