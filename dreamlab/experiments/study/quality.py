"""Whether the generators of a study were trained enough for its verdict, by the rule of a mix."""

from __future__ import annotations

from typing import cast

from dreamlab.experiments import quality
from dreamlab.experiments.quality import Values
from dreamlab.experiments.study.results import StudyResults
from dreamlab.settings import ClassifySpec, SynthesizeSpec
from dreamlab.store import Run
from dreamlab.studies.model import Scale

PER_ARM = "per arm"
"""The key of the generators of arms that have one each."""


def part_of(work: StudyResults, role: str) -> Run:
    """The run of a part of a study. Raises RunError."""
    return work.children.store.get(work.children.ids[role])


def set_of(run: Run, work: StudyResults) -> tuple[str, Run | None]:
    """(generator, synthetic set) of a classifier run. The generator is "" if the run has no
    synthetic images. Raises RunError."""
    name = cast(ClassifySpec, run.spec).synthetic
    if not name:
        return "", None
    made = work.children.store.get(name)
    spec = made.spec
    return (spec.source if isinstance(spec, SynthesizeSpec) else name), made


def key_of(run: Run, control: Run, work: StudyResults) -> str:
    """The key of the generator of an arm: PER_ARM if the arm has fewer real images than its
    control, because its generator was then trained on these. Raises RunError."""
    arm, whole = cast(ClassifySpec, run.spec), cast(ClassifySpec, control.spec)
    return PER_ARM if arm.replaced > 0 or arm.share < whole.share else set_of(run, work)[0]


def sets(scale: Scale, work: StudyResults) -> dict[str, list[Run]]:
    """Key of a generator -> the sets of the arms that the verdict is about. Raises RunError."""
    found: dict[str, dict[str, Run]] = {}
    for comparison in scale.comparisons:
        control = part_of(work, comparison.control)
        for role in comparison.treatments:
            run = part_of(work, role)
            made = set_of(run, work)[1]
            if made is not None:
                found.setdefault(key_of(run, control, work), {})[made.id] = made
    return {key: list(runs.values()) for key, runs in found.items()}


def generators(scale: Scale, work: StudyResults, group: Run) -> list[Values]:
    """What the report of a study says of each generator of its verdict: the keys that
    `generator_quality.caution` reads. Raises RunError."""
    store, said = work.children.store, []
    for key, made in sets(scale, work).items():
        trainings = dict.fromkeys(
            run.spec.source for run in made if isinstance(run.spec, SynthesizeSpec)
        )
        said.append(
            {
                "key": key,
                "name": "trained here per arm" if key == PER_ARM else store.get(key).record.name,
                "foreign": not trainings,
                **quality.of_sets([run.id for run in made], group, store),
                **quality.steps_of(trainings, store),
            }
        )
    return said
