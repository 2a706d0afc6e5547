"""Checkpoints of a run, without torch: which exist, whether a file is complete, and its
metadata."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from pathlib import Path
from typing import Any

from dreamlab.settings.synthesize import KEPT_CHECKPOINT, RAW

FOLDER = "checkpoints"
LAST = f"{FOLDER}/ema.safetensors"
"""The latest averaged weights of a generator. Other runs sample from them."""
STATE = f"{FOLDER}/state.safetensors"
"""The state from which a training is resumed. It holds the raw weights, those that are not
averaged."""
FORMAT = "dreamlab-generator-1"
"""Name of the format in the metadata of a generator's file."""
STATE_FORMAT = "dreamlab-training-2"
"""The same of a state."""


class CheckpointError(ValueError):
    """A file is not a complete checkpoint. The message is one sentence."""


@dataclasses.dataclass(frozen=True)
class Header:
    """The header of a safetensors file: its metadata and the total number of values in its
    tensors."""

    metadata: dict[str, str]
    numbers: int


def path_of(run: Path, checkpoint: str = "") -> Path:
    """The file of a kept checkpoint such as step-000400, of the raw weights (RAW), or by default of
    the last averaged weights."""
    if checkpoint == RAW:
        return run / STATE
    return run / (f"{FOLDER}/{checkpoint}.safetensors" if checkpoint else LAST)


def no_raw_weights(name: str) -> str:
    """The sentence for a run, by its name, without raw weights. The state may be missing because it
    was left out of a copy, such as the demo."""
    return (
        f"{name} has no raw weights ({STATE}), which the training keeps beside its averaged ones;"
        " leave the checkpoint empty for these, or train it again."
    )


def name_at(step: int) -> str:
    """Name of the checkpoint that is kept after this step."""
    return f"step-{step:06d}"


def kept(run: Path) -> list[str]:
    """Names of the kept checkpoints, newest first."""
    found = (p.stem for p in (run / FOLDER).glob("step-*.safetensors"))
    return sorted(
        (name for name in found if KEPT_CHECKPOINT.fullmatch(name)), key=lambda name: -int(name[5:])
    )


def with_sorted_metadata(data: bytes) -> tuple[bytes, memoryview]:
    """(header, tensors) of a safetensors file, with the metadata in alphabetical order. The library
    writes them in random order, and files of equal content would differ."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of eight bytes
    return len(text).to_bytes(8, "little") + text, memoryview(data)[8 + size :]


def read_header(path: Path) -> Header:
    """The header of a checkpoint; tensors are not read. Raises CheckpointError if the file is
    missing, truncated or something else. (Format: https://github.com/huggingface/safetensors,
    'Format'.)"""
    try:
        status = path.stat()
        return _read_header(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise CheckpointError(f"{_name(path)} cannot be read ({error.strerror}).") from None


@functools.lru_cache(maxsize=256)
def _read_header(path: Path, size: int, stamp: int) -> Header:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= size - 8:
            raise CheckpointError(f"{_name(path)} is damaged or not a checkpoint.")
        text = file.read(length)
    try:
        entries: dict[str, Any] = json.loads(text)
        metadata = entries.pop("__metadata__", {})
        ends = [int(entry["data_offsets"][1]) for entry in entries.values()]
        numbers = sum(math.prod(entry["shape"]) for entry in entries.values())
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise CheckpointError(f"{_name(path)} is damaged or not a checkpoint.") from None
    if max(ends, default=0) + 8 + length != size:
        raise CheckpointError(
            f"{_name(path)} is cut off: it holds {size:,} bytes of"
            f" {max(ends, default=0) + 8 + length:,}."
        )
    return Header(metadata, numbers)


def _name(path: Path) -> str:
    return f"{path.parent.parent.name}/{path.parent.name}/{path.name}"
