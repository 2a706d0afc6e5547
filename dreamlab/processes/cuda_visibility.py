"""Restricts the CUDA devices that a process can see."""

from __future__ import annotations

import os


def show_device(device: str, visible: str | None = None) -> str:
    """Restricts this process to its device: "cpu", "cuda:N", or a list such as "cuda:0,cuda:1". It
    must be called before torch is used. `visible` is the value for CUDA_VISIBLE_DEVICES, if it is
    known. Returns torch's name of the first device."""
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        return "cpu"
    if visible is None:
        listed = [
            d.strip() for d in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if d.strip()
        ]
        wanted = [int(name.partition(":")[2] or 0) for name in device.split(",")]
        visible = ",".join(listed[i] if i < len(listed) else str(i) for i in wanted)
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    os.environ["CUDA_VISIBLE_DEVICES"] = visible
    return "cuda:0"
