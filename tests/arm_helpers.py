"""Hand-made sets for the tests of arms: stand-ins for synthetic images, and imported sets."""

from __future__ import annotations

from typing import Any

import numpy as np

from dreamlab.data import catalog, imageset
from dreamlab.store import Run, RunStore, write_json
from dreamlab.store.cache import array_hash
from dreamlab.tasks.classify.task import classify
from tests.evidence_helpers import context, finish, new_run, new_set


def synthetic_set(store: RunStore, per_class: int = 20) -> Run:
    """Real digits as stand-ins for good synthetic ones."""
    data = catalog.load("digits")
    keep = np.concatenate([np.flatnonzero(data.train_labels == c)[-per_class:] for c in range(10)])
    return new_set(
        store,
        new_run(store, "train", {"dataset": "digits"}),
        data.train_images[keep],
        data.train_labels[keep],
    )


def new_import(
    store: RunStore, images: np.ndarray, labels: np.ndarray, train: int, **card: Any
) -> Run:
    """A finished import: a data set, or synthetic images where `dataset` names whose classes they
    are."""
    role = "synthetic" if card.get("dataset") else "real"
    run = new_run(
        store, "import", {"source": "none", "role": role, "dataset": card.pop("dataset", "")}
    )
    imageset.save(run.path, images, labels)
    classes = [f"class {c}" for c in range(int(labels.max()) + 1)]
    write_json(
        run.path / catalog.CARD,
        {
            "title": "A set",
            "size": images.shape[1],
            "channels": images.shape[3],
            "classes": classes,
            "train": train,
            "test": len(images) - train,
            "mirror": True,
            "role": role,
            "content_hash": array_hash(images, labels),
            "source": "",
            "preprocessing": {},
            **card,
        },
    )
    held = {"train": train, "test": len(images) - train, "images": len(images)}
    finish(run, {**held, "image_size": images.shape[1], "left_out_counts": {}})
    catalog.add_runs_folder(store.folder)
    return run


def colour_digits(store: RunStore, size: int = 16) -> Run:
    """A small data set of another size and colour: 8x8 digits made larger, 300 to train on and 100
    for the test."""
    data = catalog.load("digits")
    grey = imageset.resized(data.train_images[:400], size)
    return new_import(
        store, np.concatenate([grey, grey // 2, 255 - grey], axis=3), data.train_labels[:400], 300
    )


def run_task(store: RunStore, **values: Any) -> tuple[Run, list[dict[str, Any]]]:
    """A classify run on the 8x8 digits, done within this process, and its events."""
    run = new_run(
        store, "classify", {"dataset": "digits", "images_per_class": 10, "steps": 60, **values}
    )
    return run, list(classify(context(store, run)))
