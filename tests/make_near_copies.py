"""Writes docs/near-copies.md: how many planted near-copies are found, and how many real images are
taken for one.

`python -m tests.make_near_copies` takes about ten minutes on two free cores. It needs the test data in `../shared`
(`python -m tests.make_near_copies FOLDER` for one that is elsewhere); data sets that are absent are left out.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from dreamlab.data import catalog
from dreamlab.data.near_copies import Limit, calibrated
from dreamlab.data.nearest import neighbours
from tests.near_copy_helpers import KINDS, drained

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "near-copies.md"
PLANTED = 500
Splits = tuple[str, np.ndarray, np.ndarray]


def photographs(folder: Path, side: int) -> Splits:
    """The training and test images of a folder of classes: a random fifth is for testing."""
    images = []
    for file in sorted(p for p in folder.rglob("*") if p.suffix in (".jpg", ".png")):
        image = Image.open(file).convert("RGB")
        images.append(np.asarray(image.resize((side, side), Image.Resampling.BICUBIC)))
    order = np.random.default_rng(0).permutation(len(images))
    stack, test = np.stack(images), len(images) // 5
    return f"{folder.name}, {side}x{side}", stack[order[test:]], stack[order[:test]]


def data_sets(shared: Path, cifar: Path) -> Iterator[Splits]:
    for name in ("digits", "mnist5k"):
        data = catalog.load(name)
        side = data.info.size
        yield f"{name}, {side}x{side}", data.train_images, data.test_images
    if (cifar / "cifar10.npz").exists():
        with np.load(cifar / "cifar10.npz") as arrays:
            yield "cifar10, 32x32", arrays["x_train"], arrays["x_test"]
    for name in ("fruits", "butterflies", "flowers102", "anime_faces"):
        if (shared / name).is_dir():
            for side in (32, 64):
                yield photographs(shared / name, side)


def found_share(images: np.ndarray, test: np.ndarray, limit: Limit) -> float:
    found = drained(neighbours(images, test, min(limit.side, images.shape[1])))
    return float((found.ratio <= limit.ratio).mean())


def measured(training: np.ndarray, test: np.ndarray) -> tuple[list[float], list[float], float]:
    """Shares found of each kind, shares of real images below the limit, and the limit."""
    # the limit comes from one half of the test images, the check from the other
    half = np.random.default_rng(4).permutation(len(test))
    known, fresh = test[half[: len(test) // 2]], test[half[len(test) // 2 :]]
    limit = drained(calibrated(training, known, min(test.shape[1], 64)))
    planted = test[np.random.default_rng(5).permutation(len(test))[:PLANTED]]
    kinds = [found_share(change(planted), test, limit) for change in KINDS.values()]
    held = [found_share(fresh, training, limit), limit.training_in_test]
    print(limit, time.process_time(), flush=True)
    return kinds, held, limit.ratio


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def main() -> None:
    shared = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT.parent / "shared" / "data")
    cifar = Path(os.environ.get("CIFAR10", shared))
    names, columns = [], []
    for name, training, test in data_sets(shared, cifar):
        print(name, training.shape, test.shape, flush=True)
        names.append(f"{name} ({len(training):,} / {len(test):,})")
        columns.append(measured(training, test))
    lines = ["| planted in a set | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for i, kind in enumerate(KINDS):
        lines.append(f"| {kind} | " + " | ".join(percent(c[0][i]) for c in columns) + " |")
    real = ["| real images | " + " | ".join(names) + " |", lines[1]]
    for i, kind in enumerate(
        ("held-out test images, among training images", "training images, among test images")
    ):
        real.append(f"| {kind} | " + " | ".join(percent(c[1][i]) for c in columns) + " |")
    real.append("| limit of the ratio | " + " | ".join(f"{c[2]:.3f}" for c in columns) + " |")
    head = (ROOT / "tests" / "near_copies_head.md").read_text() if False else ""
    print("\n".join(lines))
    print()
    print("\n".join(real))


if __name__ == "__main__":
    main()
