"""Whether the generators of a mix were trained enough, and the words on that before its verdict."""

from __future__ import annotations

from collections.abc import Iterator

from dreamlab.experiments.children import Children
from dreamlab.experiments.mix.plan import TRAINED_HERE
from dreamlab.experiments.quality import Values, of_sets, steps_of
from dreamlab.settings import MixSpec, SynthesizeSpec
from dreamlab.stats import generator_quality
from dreamlab.store import Run, RunError, RunStore


def set_ids(spec: MixSpec, key: str, roles: dict[str, str]) -> list[str]:
    """Ids of the sets of one source of a mix, in the order of its arms. `roles`: role of a child ->
    its id. Several only if there is one generator per arm."""
    if key in spec.sets and key not in spec.sources:
        return [key]
    return _of_source("set", key, roles)


def _of_source(kind: str, key: str, roles: dict[str, str]) -> list[str]:
    """Ids of the children `kind:key` and, with a generator per arm, `kind:key:arm`."""
    return [run for role, run in roles.items() if role.split(":")[:2] == [kind, key]]


def generator_values(
    spec: MixSpec, key: str, mix: Run, store: RunStore, children: Children
) -> Values:
    """Keys of one generator in the report: those of `of_sets` and `steps_of`."""
    sets = set_ids(spec, key, children.ids)
    return of_sets(sets, mix, store) | steps_of(_trainings(key, store, children), store)


def say_first(answer: Values) -> None:
    """Puts the cautions on under-trained generators before the verdicts of a report, and what else
    is to be said of generators among its notes, in place."""
    generators = answer["generators"]
    for g in generators:
        g["verdict"]["text"] = generator_quality.caution([g]) + g["verdict"]["text"]
    verdict = answer["verdict"]
    verdict["text"] = generator_quality.caution(generators) + verdict["text"]
    answer["notes"] += generator_quality.notes(generators)


def _trainings(key: str, store: RunStore, children: Children) -> Iterator[str]:
    if key in TRAINED_HERE:
        yield from _of_source("generator", key, children.ids)
        return
    try:
        made = store.get(key).spec
    except RunError:
        return
    yield made.source if isinstance(made, SynthesizeSpec) else key
