"""Results of a study class by class: its classifiers beside the classifier that they are compared
with."""

from __future__ import annotations

import collections
from typing import Any, cast

import numpy as np

from dreamlab.data import mixing
from dreamlab.experiments.children import Children, Status
from dreamlab.experiments.study.plan import chosen
from dreamlab.experiments.study.results import StudyResults
from dreamlab.settings import StudySpec
from dreamlab.stats import components
from dreamlab.store import Run, RunStore
from dreamlab.studies.model import Comparison, Scale

Values = dict[str, Any]


def by_class(run: Run, store: RunStore, status: Status | None = None) -> list[Values]:
    """One entry for each control of a study with the finished classifiers that are compared with
    it: `classes`, the names of the classes, and `arms`, the control first. Those of the verdict
    come first; then those that the table subtracts from each other.

    An arm has `arm` (its role), `label`, `role` ("reference", "treatment" or "control"), `run`,
    `per_class` (accuracies 0 to 1), `intervals` (95 %, {mean, low, high} or None for each class),
    `images` (test images of each class) and `confusion` (rows: true classes; sums over the seeds).
    Classifiers without readable predictions are left out, and so is a control with nothing to
    compare. Raises SpecError if the data set is missing.
    """
    spec = cast(StudySpec, run.spec)
    scale = chosen(spec)[1]
    work = StudyResults(Children(run, store, status), spec)
    compared = _groups(scale)
    labels = _labels(scale, compared, work)
    found = []
    for group in compared:
        roles = {group.control: "reference"}
        roles |= dict.fromkeys(group.treatments, "treatment")
        roles |= {role: "control" for role in group.controls if role not in roles}
        arms = [
            _arm(role, kind, labels[role], predicted, work)
            for role, kind in roles.items()
            if (predicted := work.predicted(role)) is not None
        ]
        if len(arms) > 1 and arms[0]["role"] == "reference":
            found.append({"classes": list(work.info.classes), "arms": arms})
    return found


def _groups(scale: Scale) -> list[Comparison]:
    """The comparisons of a scale, one for each control, and the differences in accuracy of its
    table that these do not hold."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for c in scale.comparisons:
        treatments, controls = found.setdefault(c.control, ([], []))
        treatments += c.treatments
        controls += c.controls
    for m in scale.measures:
        if m.minus and m.value == "accuracy":
            treatments, controls = found.setdefault(m.minus, ([], []))
            if m.child not in (*treatments, *controls):
                treatments.append(m.child)
    return [Comparison(control, tuple(t), tuple(o)) for control, (t, o) in found.items()]


def _labels(scale: Scale, compared: list[Comparison], work: StudyResults) -> dict[str, str]:
    """Role -> name of a classifier: its arm, with its network where there are several. Where two
    would have one name, the row of the table says which it is, or its role."""
    roles = dict.fromkeys(r for c in compared for r in (c.control, *c.treatments, *c.controls))
    parts = {part.role: part for part in scale.parts}
    networks = {parts[role].values.get("classifier") for role in roles}
    rows = {m.child: m.cell.arm for m in scale.measures if m.value == "accuracy" and not m.minus}
    named = {}
    for role in roles:
        name = mixing.label(str(parts[role].values.get("arm", "real")), work.info.classes)
        named[role] = f"{role.partition(':')[0]}: {name}" if len(networks) > 1 else name
    often = collections.Counter(named.values())
    return {
        role: name if often[name] == 1 else rows.get(role, f"{name} ({role})")
        for role, name in named.items()
    }


def _arm(role: str, kind: str, label: str, predicted: np.ndarray, work: StudyResults) -> Values:
    """The results of one classifier; `predicted` is (seeds, n)."""
    truth, classes = work.labels, len(work.info.classes)
    right = components.correct(predicted, truth)
    each = [right[:, truth == c] for c in range(classes)]
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (np.broadcast_to(truth, predicted.shape), predicted), 1)
    return {
        "arm": role,
        "label": label,
        "role": kind,
        "run": work.children.ids[role],
        "per_class": [float(r.mean()) if r.size else 0.0 for r in each],
        "intervals": [components.cell(r) if r.shape[1] > 1 else None for r in each],
        "images": [r.shape[1] for r in each],
        "confusion": confusion.tolist(),
    }
