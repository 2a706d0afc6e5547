"""The torch device of a task. No device is initialised before a task needs it."""

from __future__ import annotations

import torch


def prepare(name: str) -> torch.device:
    """The device "cpu", "cuda:0" or "auto", with torch's settings for speed."""
    if name == "auto":
        name = "cuda:0" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
    return device


def synchronise(device: torch.device) -> None:
    """Waits until the CUDA device has finished its work. Does nothing on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
