"""Whether the generators of a mix were trained enough: reads what was measured on their sets, and
says it before the verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from dreamlab.experiments.children import Children
from dreamlab.experiments.mix.plan import TRAINED_HERE
from dreamlab.settings import MixSpec, SynthesizeSpec
from dreamlab.stats import generator_quality
from dreamlab.store import Run, RunError, RunStore, read_json

Values = dict[str, Any]
FILE = "recognition.json"
"""In the folder of a mix or a study: id of a set -> what it measured on the set, for sets whose own
result does not hold it."""


def set_ids(spec: MixSpec, key: str, roles: dict[str, str]) -> list[str]:
    """Ids of the sets of one source of a mix, in the order of its arms. `roles`: role of a child ->
    its id. Several only if there is one generator per arm."""
    if key in spec.sets and key not in spec.sources:
        return [key]
    return _of_source("set", key, roles)


def _of_source(kind: str, key: str, roles: dict[str, str]) -> list[str]:
    """Ids of the children `kind:key` and, with a generator per arm, `kind:key:arm`."""
    return [run for role, run in roles.items() if role.split(":")[:2] == [kind, key]]


def recognition(run_id: str, group: Run, store: RunStore) -> Values | None:
    """What was measured on a set, by itself or by this mix or study; None if nothing was."""
    result = Run(store.folder / run_id).result() or {}
    own = read_json(group.path / FILE)
    found = result.get("recognition") or (own.get(run_id) if isinstance(own, dict) else None)
    return found if isinstance(found, dict) else None


def generator_values(
    spec: MixSpec, key: str, mix: Run, store: RunStore, children: Children
) -> Values:
    """Keys of one generator in the report: those of `of_sets` and `steps_of`."""
    sets = set_ids(spec, key, children.ids)
    return of_sets(sets, mix, store) | steps_of(_trainings(key, store, children), store)


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


def say_first(answer: Values) -> None:
    """Puts the cautions on under-trained generators before the verdicts of a report, and what else
    is to be said of generators among its notes, in place."""
    generators = answer["generators"]
    for g in generators:
        g["verdict"]["text"] = generator_quality.caution([g]) + g["verdict"]["text"]
    verdict = answer["verdict"]
    verdict["text"] = generator_quality.caution(generators) + verdict["text"]
    answer["notes"] += generator_quality.notes(generators)


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


def _trainings(key: str, store: RunStore, children: Children) -> Iterator[str]:
    if key in TRAINED_HERE:
        yield from _of_source("generator", key, children.ids)
        return
    try:
        made = store.get(key).spec
    except RunError:
        return
    yield made.source if isinstance(made, SynthesizeSpec) else key
