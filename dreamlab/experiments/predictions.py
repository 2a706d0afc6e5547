"""Test predictions of classifier runs as arrays."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

FILE = "predictions.npz"


def predictions(folder: Path, seeds: int, name: str = "class") -> np.ndarray | None:
    """Predicted classes (seeds, images) of the first `seeds` seeds of a classify run. `name`
    selects another array that is stored with them: `top5` is (seeds, images, 5). None if a seed is
    missing or the file cannot be read."""
    try:
        with np.load(folder / FILE, allow_pickle=False) as arrays:
            return np.stack([arrays[f"seed_{seed}_{name}"] for seed in range(seeds)])
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None
