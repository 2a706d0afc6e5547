"""Stand-ins for the data sets of the studies, and finished runs for their reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamlab import studies
from dreamlab.data import catalog
from dreamlab.experiments import plan
from dreamlab.settings import StudySpec, make
from dreamlab.store import Run, RunStore, write_json
from tests.evidence_helpers import finish, new_run

EMPTY = "no files here"
"""Data folder of the stand-ins: no other test asks for it, so that nothing remembers their
labels."""
PER_CLASS = {"mnist": (6000, 1000), "mnist32": (6000, 1000), "cifar10": (5000, 1000)}


def pretend(monkeypatch: pytest.MonkeyPatch) -> None:
    """MNIST and CIFAR-10 by their numbers alone: every image is black and takes no memory."""
    real, stamp = catalog.load, catalog.stamp

    def load(name: str, data_dir: str = "") -> catalog.DataSet:
        if name not in PER_CLASS:
            return real(name, data_dir)
        info = catalog.info(name)
        labels = [np.repeat(np.arange(10, dtype=np.int64), n) for n in PER_CLASS[name]]
        shape = (info.size, info.size, info.channels)
        black = [np.broadcast_to(np.zeros((), np.uint8), (len(y), *shape)) for y in labels]
        return catalog.DataSet(info, black[0], labels[0], black[1], labels[1])

    monkeypatch.setattr(catalog, "load", load)
    monkeypatch.setattr(
        catalog, "stamp", lambda name, folder="": () if name in PER_CLASS else stamp(name, folder)
    )


def imported(
    folder: Path, name: str, title: str, size: int, classes: int, per_class: int, test: int
) -> str:
    """An imported set of black images in a runs folder of its own; gives its run id."""
    path = folder / name
    path.mkdir(parents=True)
    labels = np.concatenate([np.repeat(np.arange(classes), n) for n in (per_class, test)])
    images = np.lib.format.open_memmap(
        path / "images.npy", mode="w+", dtype=np.uint8, shape=(len(labels), size, size, 3)
    )
    images.flush()
    np.save(path / "labels.npy", labels)
    write_json(
        path / "card.json",
        {
            "title": title,
            "size": size,
            "channels": 3,
            "classes": [f"class {i}" for i in range(classes)],
            "train": classes * per_class,
            "test": classes * test,
            "mirror": True,
            "role": "real",
            "content_hash": name,
            "source": title,
            "preprocessing": {},
        },
    )
    catalog.add_runs_folder(folder)
    return name


def standing_in(name: str, scale: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> StudySpec:
    """A study at one scale, on stand-ins for data sets that are not here."""
    pretend(monkeypatch)
    values: dict[str, Any] = {"study": name, "scale": scale}
    dataset = studies.load(name).scales[scale].dataset
    if dataset not in ("digits", "mnist5k"):
        values["data_dir"] = EMPTY
    if not dataset:
        size, classes, per_class = (128, 2, 160) if name.startswith("s4") else (64, 12, 20)
        values["dataset"] = imported(
            folder, f"{name}-{scale}", "Oxford flowers", size, classes, per_class, 4
        )
    return make(StudySpec, values)


def create(store: RunStore, values: dict[str, Any]) -> tuple[Run, dict[str, Run]]:
    """A study and its children as the service makes them."""
    children: dict[str, Run] = {}
    for child in plan(make(StudySpec, values), store):
        resolved = {
            k: children[v[1:]].id if isinstance(v, str) and v.startswith("@") else v
            for k, v in child.values.items()
        }
        children[child.role] = new_run(store, child.kind, resolved)
    return (
        new_run(store, "study", values, {role: run.id for role, run in children.items()}),
        children,
    )


def classified(
    run: Run, labels: np.ndarray, accuracy: float, seeds: int = 5, classes: int = 10
) -> np.ndarray:
    """Finishes a classify run: every seed gets the same share of every class right, other images
    each. Gives (S, n)."""
    rows = []
    for seed in range(seeds):
        wrong = np.random.default_rng([seed, round(1e6 * accuracy)]).random(len(labels)) >= accuracy
        rows.append(np.where(wrong, (labels + 1) % classes, labels))
    predicted = np.stack(rows)
    arrays: dict[str, Any] = {
        f"seed_{seed}_class": row.astype(np.uint8) for seed, row in enumerate(predicted)
    }
    top5 = np.stack([(labels[:, None] + 1 + np.arange(5)) % classes] * seeds)
    top5[:, : len(labels) // 2, 0] = labels[: len(labels) // 2]
    arrays |= {f"seed_{seed}_top5": row for seed, row in enumerate(top5)}
    np.savez(run.path / "predictions.npz", **arrays)
    finish(
        run,
        {
            "seeds": list(range(seeds)),
            "counts": {"real": 1000, "synthetic": 1000, "other": 0},
            "seconds": 2.0,
        },
    )
    return predicted


def measured(run: Run, value: float) -> None:
    """Finishes a fidelity run."""
    border = {"brightness": {"mean": 0.3, "error": 0.01}, "border": {"mean": 0.2, "error": 0.01}}
    metrics = [
        {"name": "fd_classifier", "value": value, "low": value - 1, "high": value + 1, "unit": ""}
    ]
    finish(
        run,
        {
            "metrics": metrics,
            "images": 128,
            "reference": {"dataset": "digits", "split": "train", "images": 1000},
            "appearance": {
                "real": border,
                "synthetic": {**border, "border": {"mean": 0.1, "error": 0.005}},
            },
            "seconds": 1.0,
        },
    )
