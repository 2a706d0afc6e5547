"""What was measured on the sets of a generator of a mix or study: whether it was trained enough."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, cast

from dreamlab.data import catalog
from dreamlab.experiments.identity import images_read
from dreamlab.experiments.study.plan import datasets_of
from dreamlab.settings import RealData, StudySpec
from dreamlab.stats import generator_quality
from dreamlab.store import Run, RunStore, read_json

Values = dict[str, Any]
FILE = "recognition.json"
"""In the folder of a mix or a study: id of a set -> what it measured on the set, for sets whose own
result does not hold it."""


def recognition(run_id: str, group: Run, store: RunStore) -> Values | None:
    """What was measured on a set, by itself or by this mix or study, on the images that this mix or
    study reads; None if nothing was. Paths do not count."""
    spec = group.spec
    if isinstance(spec, StudySpec):
        dataset = datasets_of(spec)[0]  # a study that compares classifiers has one data set
    else:
        dataset = cast(RealData, spec).dataset
    fixed = dataset not in catalog.INFO or catalog.INFO[dataset].bundled
    read = images_read(group, dataset)
    found = (Run(store.folder / run_id).result() or {}).get("recognition")
    # what does not say its images is of an earlier version, which is right if these never change
    if isinstance(found, dict) and (found["images"] == read if "images" in found else fixed):
        return found
    file = read_json(group.path / FILE)
    own = file.get(run_id) if isinstance(file, dict) else None
    if isinstance(own, dict) and (not read or own.get("images", read) == read):
        return own
    return None


def of_sets(sets: Sequence[str], group: Run, store: RunStore) -> Values:
    """`sets`, `recognition` (of the worst of them) and `quality` of one generator."""
    measured = [recognition(run_id, group, store) for run_id in sets]
    judged = [(generator_quality.quality(found), found) for found in measured]
    # the worst set speaks for all; one that cannot be judged, only if none can
    known = [pair for pair in judged if pair[0].ratio is not None]
    worst, found = min(known, key=lambda pair: pair[0].ratio or 0.0, default=None) or (
        judged[0] if judged else (generator_quality.quality(None), None)
    )
    return {"sets": list(sets), "recognition": found, "quality": dataclasses.asdict(worst)}


def steps_of(trainings: Iterable[str], store: RunStore) -> Values:
    """`steps` of the training behind a generator, and `promised_steps`, those that were foretold;
    of several trainings, those of the one with the smallest share of its steps."""
    found = [
        (result["steps"], result.get("promised_steps"))
        for run_id in trainings
        if (result := Run(store.folder / run_id).result()) and "steps" in result
    ]
    steps, promised = min(
        found, key=lambda pair: pair[0] / (pair[1] or pair[0] or 1), default=(None, None)
    )
    return {"steps": steps, "promised_steps": promised}
