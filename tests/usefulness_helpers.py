"""Made-up finished runs about synthetic sets of digits: measured, with classifiers on them alone,
and used in mixes."""

from __future__ import annotations

from typing import Any

import numpy as np

from dreamlab.data import catalog
from dreamlab.fidelity.metrics import find
from dreamlab.settings import ClassifySpec
from dreamlab.store import Run, RunStore
from tests.evidence_helpers import finish, finish_classifier, new_run, new_set

DATA = "digits"
PER_CLASS = 5


def generator(store: RunStore) -> Run:
    run = new_run(store, "train", {"dataset": DATA})
    finish(run, {})
    return run


def synthetic(store: RunStore, source: Run, per_class: int = PER_CLASS) -> Run:
    data = catalog.load(DATA)
    labels = np.repeat(np.arange(10), per_class)
    run = new_set(store, source, data.train_images[: len(labels)], labels)
    finish(run, {"images": len(labels)})
    return run


def metric(name: str, value: float, width: float = 0.1, **more: Any) -> dict[str, Any]:
    known = find(name)
    return {
        "name": name,
        "value": value,
        "low": value - width,
        "high": value + width,
        "level": 0.95,
        "unit": known.unit,
        "direction": known.direction,
        "extractor": known.extractor or "classifier",
        "weights": "one",
        "n": 50,
        "reference": DATA,
        "role": "test",
        **more,
    }


def measured(store: RunStore, made: Run, rows: list[dict[str, Any]]) -> Run:
    run = new_run(store, "fidelity", {"images": made.id})
    finish(
        run,
        {
            "metrics": rows,
            "images": 50,
            "real_floor": [],
            "real_floor_images": 0,
            "reference": {"dataset": DATA, "split": "test", "images": 360},
            "extractor": {"name": "classifier", "dimensions": 16, "id": "one"},
        },
    )
    return run


def classified(store: RunStore, made: Run, accuracy: float, seeds: int = 3, **settings: Any) -> Run:
    """A finished classify run on a set alone."""
    values = {"dataset": DATA, "images_per_class": PER_CLASS, "arm": "synthetic", "seeds": seeds}
    run = new_run(store, "classify", {**values, "synthetic": made.id, **settings})
    labels = catalog.load(DATA).test_labels
    steps = [accuracy + 0.01 * i for i in range(seeds)]
    finish_classifier(run, labels, steps)
    result = run.result() or {}
    counts = {"real": 0, "synthetic": 10 * PER_CLASS, "other": 0}
    each = {"synthetic": [PER_CLASS] * 10, "real": [0] * 10, "other": [0] * 10}
    finish(run, {**result, "counts": counts, "counts_per_class": each})
    return run


def mixed(store: RunStore, made: Run, gain: float, **settings: Any) -> Run:
    """A finished mix with one arm that uses a set."""
    values = {"dataset": DATA, "images_per_class": PER_CLASS, "seeds": 3, **settings}
    arm = new_run(store, "classify", {**values, "arm": "50/50", "synthetic": made.id})
    finish(arm, {})
    assert isinstance(arm.spec, ClassifySpec)
    spec = {**values, "arms": ("real", "50/50"), "sets": (made.id,)}
    run = new_run(store, "mix", spec, {f"arm:{made.id}:50/50": arm.id})
    difference = {"mean": gain, "low": gain - 1, "high": gain + 1, "level": 0.95, "p_holm": 0.5}
    row = {"arm": "50/50", "role": "treatment", "run": arm.id, "difference": difference}
    finish(run, {"arms": [row], "verdict": None})
    return run


def a_lab(store: RunStore, sets: int, generators: int) -> list[Run]:
    """Sets whose kid_classifier falls as their CAS and their gain rise, whose coverage has nothing
    to do with them, and whose spread is best in the middle."""
    sources = [generator(store) for _ in range(generators)]
    found = []
    for i in range(sets):
        made = synthetic(store, sources[i % generators])
        rows = [
            metric("kid_classifier", 1.0 - 0.1 * i),
            metric("coverage", (0.5, 0.2, 0.7, 0.3, 0.6, 0.4, 0.8)[i % 7]),
            metric("spread", 1 + 0.1 * (sets - 1 - i) * (-1) ** i),
        ]
        measured(store, made, rows)
        classified(store, made, 0.4 + 0.05 * i)
        mixed(store, made, float(i))
        found.append(made)
    return found
