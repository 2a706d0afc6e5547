"""Hand-made runs for the tests of the evidence side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dreamlab.data import imageset
from dreamlab.experiments import plan
from dreamlab.settings import KINDS, make
from dreamlab.stats import components
from dreamlab.store import ArtefactCache, EventWriter, Record, Run, RunStore, write_json
from dreamlab.tasks.context import TaskContext


def new_store(folder: Path) -> RunStore:
    store = RunStore(folder / "runs")
    store.prepare()
    return store


def new_run(
    store: RunStore, kind: str, values: dict[str, Any], roles: dict[str, str] | None = None
) -> Run:
    spec = make(KINDS[kind], values)
    record = Record(
        id=store.new_id(kind, "test"),
        kind=kind,
        name=f"a {kind}",
        created="2026-01-01T00:00:00",
        hash=spec.content_hash(),
        spec=spec.model_dump(mode="json"),
        roles=roles or {},
        children=list((roles or {}).values()),
    )
    return store.create(record)


def new_group(store: RunStore, kind: str, values: dict[str, Any]) -> tuple[Run, dict[str, Run]]:
    """A group and its children by role, as the service makes them."""
    children: dict[str, Run] = {}
    for child in plan(make(KINDS[kind], values), store):
        resolved = {
            k: children[v[1:]].id if isinstance(v, str) and v.startswith("@") else v
            for k, v in child.values.items()
        }
        children[child.role] = new_run(store, child.kind, resolved)
    return new_run(store, kind, values, {role: run.id for role, run in children.items()}), children


def finish_classifier(
    run: Run, labels: np.ndarray, accuracies: list[float], difficulty: np.ndarray | None = None
) -> None:
    """A classify run that is done: as many errors as the accuracies say, on the images of greatest
    `difficulty` (N,), which arms that shall resemble each other share."""
    rng = np.random.default_rng(0)
    hard = rng.random(len(labels)) if difficulty is None else difficulty
    classes = int(labels.max()) + 1
    arrays, rows = {}, []
    for seed, accuracy in enumerate(accuracies):
        order = np.argsort(-(hard + 0.15 * np.random.default_rng(seed + 1).random(len(labels))))
        predicted = labels.copy()
        wrong = order[: round((1 - accuracy) * len(labels))]
        predicted[wrong] = (labels[wrong] + 1) % classes
        arrays[f"seed_{seed}_class"] = predicted.astype(np.uint8)
        arrays[f"seed_{seed}_probability"] = np.full(len(labels), 0.9, np.float16)
        rows.append(predicted)
    np.savez_compressed(run.path / "predictions.npz", **arrays)
    right = np.stack(rows) == labels
    per_class = [float(right[:, labels == c].mean()) for c in range(classes)]
    values = components.correct(np.stack(rows), labels)
    finish(
        run,
        {
            "arm": "",
            "label": "",
            "seeds": list(range(len(accuracies))),
            "accuracies": [float(r.mean()) for r in right],
            "macro_f1": accuracies,
            "interval": components.cell(values),
            "macro_f1_interval": components.cell(values),
            "per_class": per_class,
            "test_images": len(labels),
            "steps": 200,
            "epochs": 5.0,
            "seconds": 6.0,
            "train_seconds": 6.0,
            "cached_seeds": 0,
            "confusion": np.eye(classes).tolist(),
            "top5": None,
            "validation": None,
            "parameters": 1000,
            "counts": {"real": 0, "synthetic": 0, "other": 0},
        },
    )


def new_set(store: RunStore, source: Run, images: np.ndarray, labels: np.ndarray) -> Run:
    run = new_run(store, "synthesize", {"source": source.id})
    imageset.save(run.path, images, labels)
    return run


RESULTS: dict[str, dict[str, Any]] = {
    "train": {"loss": 0.1, "steps": 1, "images_per_second": 1.0},
    "synthesize": {"images": 1, "guidance_weight": 0.0, "sampler": "ddim", "num_steps": 1},
    "fidelity": {"metrics": [], "images": 1},
    "classify": {"interval": None, "seeds": []},
}
"""What the result of every such run holds."""


def finish(run: Run, result: dict[str, Any]) -> None:
    """A run that is done; `result` beside what every result of its kind holds."""
    result = {**RESULTS.get(run.kind, {}), **result}
    write_json(run.path / "result.json", result)
    events = EventWriter(run.path / "events.jsonl", 1)
    events.write("state", state="running", error="")
    events.write("result", values=result)
    events.write("state", state="done", error="")
    events.close()


def context(store: RunStore, run: Run) -> TaskContext:
    return TaskContext(run, store, ArtefactCache(store.folders.cache))
