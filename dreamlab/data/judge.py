"""The judge of a data set: how the reference classifier is trained, and under what it is kept.

It is trained by `dreamlab.tasks.fidelity.reference_classifier`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import numpy as np

from dreamlab.data import catalog, contents
from dreamlab.store.cache import array_hash

VERSION = 1
"""Part of the cache key. Increase it when the training changes."""
MOST_IMAGES = 60_000
"""Most images for its training and for its test. Of a larger data set, the same share of each class
is used."""


@dataclasses.dataclass(frozen=True)
class JudgeRecipe:
    """How the judge is trained, with AdamW. `augment` is the name of an augmentation."""

    classifier: str
    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.05
    augment: str = ""


REFERENCE_RECIPES = {"cifar10": JudgeRecipe("cnn", 4000, 64, 4e-3)}
DEFAULT_RECIPE = JudgeRecipe("cnn", 600, 64, 4e-3)


def recipe_of(info: catalog.Info) -> JudgeRecipe:
    """How the judge of a data set is trained: mirrored only where its images may be."""
    return dataclasses.replace(
        REFERENCE_RECIPES.get(info.name, DEFAULT_RECIPE),
        augment="shift_and_mirror" if info.mirror else "shift",
    )


def cache_key(data: catalog.DataSet, data_dir: str = "", pool: np.ndarray | None = None) -> str:
    """Under what the trained judge is kept: the same for the same images, recipe and `pool` (sorted
    indices (n,) of the training images that it may use; None for all)."""
    # in the form of the keys of the classifiers that come with the demo
    r = recipe_of(data.info)
    settings = (
        f"Recipe(classifier={r.classifier!r}, steps={r.steps}, batch_size={r.batch_size},"
        f" learning_rate={r.learning_rate}, weight_decay={r.weight_decay})"
    )
    name = data.info.name
    content: list[Any] = [VERSION, name, settings]
    if name not in catalog.INFO:
        content[1] = "import"
    if data.info.bundled and name in catalog.INFO:
        content.append(array_hash(data.train_images, data.train_labels))
    else:  # its accuracy depends on the test images too
        content.append(contents.images_of(name, data_dir))
    if r.augment != "shift":
        content.append(r.augment)
    if pool is not None:
        content.append(array_hash(pool))
    return "reference/" + hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]
