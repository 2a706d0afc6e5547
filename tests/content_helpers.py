"""Small MNIST folders for the tests of what is found again by its content."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from dreamlab.service import Service
from dreamlab.store import RunStore
from dreamlab.store.files import write_json
from tests.evidence_helpers import finish

TRAIN, TEST = 120, 20


def digits_of(seed: int = 0) -> dict[str, np.ndarray]:
    """Random images of ten classes in the arrays of an .npz."""
    rng = np.random.default_rng(seed)
    draw = {f"x_{p}": rng.integers(0, 256, (n, 28, 28), np.uint8) for p, n in parts()}
    return {**draw, **{f"y_{p}": np.arange(n) % 10 for p, n in parts()}}


def parts() -> tuple[tuple[str, int], ...]:
    return ("train", TRAIN), ("test", TEST)


def npz(path: Path, seed: int = 0) -> Path:
    """An .npz, always of the same size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **digits_of(seed))
    return path


def idx(folder: Path, seed: int = 0) -> Path:
    """The same images as four IDX files, two of them gzipped."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = digits_of(seed)
    for part, name in (("train", "train"), ("test", "t10k")):
        for letter, word, axes in (("x", "images", 3), ("y", "labels", 1)):
            array = arrays[f"{letter}_{part}"].astype(np.uint8)
            head = bytes([0, 0, 8, axes]) + np.array(array.shape, ">i4").tobytes()
            data = head + array.tobytes()
            target = folder / f"{name}-{word}-idx{axes}-ubyte"
            if word == "images":
                target.write_bytes(data)
            else:
                target.with_name(f"{target.name}.gz").write_bytes(gzip.compress(data))
    return folder


def done(service: Service, run_id: str) -> str:
    """Ends a submitted run as the engine does after its work."""
    finish(service.get(run_id), {"peak_memory_bytes": 1})
    return run_id


def make_old(store: RunStore, run_id: str) -> None:
    """Gives a run the record of a version that did not hash what it read."""
    run = store.get(run_id)
    record = run.record.model_dump(exclude={"hash_version", "contents"})
    write_json(run.path / "spec.json", {**record, "hash": "0123456789abcdef"})
