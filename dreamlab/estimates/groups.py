"""The cost of an experiment: a mix, a sweep or a study, composed of its parts as the engine starts
them."""

from __future__ import annotations

import dataclasses
from typing import Any

from dreamlab.data import catalog
from dreamlab.estimates import judges
from dreamlab.estimates.cost import Estimate, Source, weakest
from dreamlab.estimates.generators import searched_within, synthesize
from dreamlab.estimates.knowledge import PROCESS_BYTES, START_SECONDS, Knowledge, added
from dreamlab.estimates.probes import train
from dreamlab.estimates.schedule import Job, outcome
from dreamlab.experiments import plan
from dreamlab.experiments.children import Child
from dreamlab.experiments.identity import data_of
from dreamlab.experiments.study.plan import chosen
from dreamlab.settings import (
    KINDS,
    ClassifySpec,
    FidelitySpec,
    MixSpec,
    Spec,
    SpecError,
    StudySpec,
    SweepSpec,
    SynthesizeSpec,
    TrainSpec,
    make,
)
from dreamlab.store import RunError

GROUP_BYTES = 2**18
"""Bytes of the files of an experiment itself."""
REPORT_SECONDS = 1.0
"""Time of putting the results together."""


@dataclasses.dataclass(frozen=True)
class Part:
    """One run of an experiment, by its role. `spec` names the parts that it needs as "@role", or
    runs that exist. `cost` is None if a finished run is used again."""

    role: str
    spec: Spec
    cost: Estimate | None


def group(spec: MixSpec | SweepSpec | StudySpec, known: Knowledge) -> Estimate:
    """The cost of an experiment. Raises SpecError, RunError and DataError."""
    parts = [p for p in parts_of(spec, known) if p.cost is not None]
    costs = [p.cost for p in parts if p.cost is not None]
    last, last_source = _last(spec, known)
    sources = [(c.seconds, c.source) for c in costs] + [(last, last_source)]
    disk = GROUP_BYTES + sum(c.disk_bytes or 0 for c in costs)
    sure = GROUP_BYTES + sum(c.sure_bytes for c in costs)
    jobs = jobs_of(parts, last)
    done = outcome([dataclasses.replace(j, seconds=j.seconds) for j in jobs], known.machine.devices)
    certain = all(seconds is not None for seconds, _ in sources)
    return Estimate(
        done.seconds if certain else None,
        done.memory_bytes,
        disk,
        source=weakest(sources),
        sure_bytes=sure,
        gpu_seconds=done.gpu_seconds if certain and known.machine.gpu else None,
        seed_seconds=_one_more_seed(parts, jobs, known) if certain else None,
    )


def jobs_of(parts: list[Part], last: float | None) -> list[Job]:
    """The parts as jobs, followed by the task that puts the results together, which takes `last`
    seconds. A time that is not known counts as 0."""
    places = {f"@{part.role}": i for i, part in enumerate(parts)}
    jobs = [
        Job(
            part.spec.kind,
            (part.cost.seconds or 0.0) if part.cost else 0.0,
            (part.cost.memory_bytes or 0) if part.cost else 0,
            getattr(part.spec, "device", "auto"),
            tuple(places[name] for name in part.spec.references() if name in places),
            getattr(part.spec, "devices", 1),
        )
        for part in parts
    ]
    every = tuple(range(len(jobs)))
    return [*jobs, Job("mix", last or 0.0, PROCESS_BYTES, "cpu", every)]


def _one_more_seed(parts: list[Part], jobs: list[Job], known: Knowledge) -> float | None:
    """Seconds that the experiment takes longer with one more seed of every classifier; None if
    there is no classifier."""
    more = [
        dataclasses.replace(job, seconds=job.seconds + (part.cost.seed_seconds or 0.0))
        if isinstance(part.spec, ClassifySpec) and part.cost
        else job
        for part, job in zip(parts, jobs[:-1], strict=True)
    ]
    if more == jobs[:-1]:
        return None
    devices = known.machine.devices
    return outcome([*more, jobs[-1]], devices).seconds - outcome(jobs, devices).seconds


def parts_of(spec: MixSpec | SweepSpec | StudySpec, known: Knowledge) -> list[Part]:
    """The parts of an experiment with their costs, in the order in which they are queued. Raises
    SpecError, RunError and DataError."""
    view, ids, found = _View(spec, known), dict[str, str](), list[Part]()
    for child in plan(spec, known.store):
        if (run := _done(child, ids, known)) is not None:
            ids[child.role], there = run, known.store.get(run).spec
            view.planned[f"@{child.role}"] = there  # later parts name it by its role
            found.append(Part(child.role, there, None))
            continue
        made = make(KINDS[child.kind], child.values)
        view.planned[f"@{child.role}"] = made
        found.append(Part(child.role, made, view.cost(made)))
    return found


def _done(child: Child, ids: dict[str, str], known: Knowledge) -> str | None:
    """The id of a finished run that will be used for this part; None if it must be computed."""
    named = [v[1:] for v in child.values.values() if isinstance(v, str) and v.startswith("@")]
    if not ids.keys() >= set(named):
        return None
    try:
        return known.done(child.made(ids))
    except (SpecError, RunError, catalog.DataError):
        return None


class _View:
    """The parts that were planned so far, and what they leave for later ones."""

    def __init__(self, spec: Spec, known: Knowledge):
        self.group, self.known = spec, known
        self.planned: dict[str, Spec] = {}
        self._judged: set[str] = set()
        self._searched: set[str] = set()
        self._references: set[tuple[str, ...]] = set()

    def cost(self, spec: Spec) -> Estimate:
        """The cost of a part."""
        if isinstance(spec, TrainSpec):
            return train(spec, self.known)
        if isinstance(spec, SynthesizeSpec):
            return self._set(spec)
        if isinstance(spec, FidelitySpec):
            return self._fidelity(spec)
        assert isinstance(spec, ClassifySpec)
        found = judges.classify(spec, self.known)
        if spec.dataset not in self._searched:
            self._searched.add(spec.dataset)
            within = searched_within(spec.dataset, spec.data_dir, self.known)
            found = dataclasses.replace(found, seconds=added(found.seconds, within))
        return found

    def _spec_of(self, name: str) -> Spec:
        return self.planned.get(name) or self.known.store.get(name).spec

    def stages(self, spec: SynthesizeSpec) -> list[TrainSpec]:
        """The generators of a set."""
        specs = [self._spec_of(name) for name in (spec.source, *spec.upsample)]
        return [s for s in specs if isinstance(s, TrainSpec)]

    def _set(self, spec: SynthesizeSpec) -> Estimate:
        stages = self.stages(spec)
        found = synthesize(spec, stages, self.known)
        if not isinstance(self.group, MixSpec):
            return found
        judged = self._is_judged(self.group.dataset)
        seconds, source = judges.recognising(
            found.images_seen or 0,
            self.group.dataset,
            self.group.data_dir,
            spec.device,
            self.known,
            judged,
        )
        both: list[tuple[float | None, Source]] = [(found.seconds, found.source), (seconds, source)]
        return dataclasses.replace(
            found, seconds=added(found.seconds, seconds), source=weakest(both)
        )

    def _is_judged(self, dataset: str) -> bool:
        judged = dataset in self._judged
        self._judged.add(dataset)
        return judged

    def _fidelity(self, spec: FidelitySpec) -> Estimate:
        of, images = self._images(spec)
        judged = spec.extractor == "classifier" and self._is_judged(of[0])
        reference = (of[0], spec.reference, spec.extractor)
        before = reference in self._references or None
        self._references.add(reference)
        return judges.fidelity(spec, images, of, self.known, judged=judged, before=before)

    def _images(self, spec: FidelitySpec) -> tuple[tuple[str, str], int]:
        """The data set that a set is compared with, with its folder, and the number of its
        images."""
        made = self._spec_of(spec.images)
        if isinstance(made, SynthesizeSpec):
            stages = self.stages(made)
            classes = made.classes or catalog.set_classes(made, stages[0])
            return (stages[0].dataset, stages[0].data_dir), made.per_class * len(classes)
        return fidelity_of_run(spec, self.known)


def fidelity_of_run(spec: FidelitySpec, known: Knowledge) -> tuple[tuple[str, str], int]:
    """The data set that the set of a fidelity run is compared with, with its folder, and the number
    of its images. Raises RunError and DataError."""
    run = known.store.get(spec.images)
    read = data_of(spec, known.store) or ("", "")
    result: dict[str, Any] = run.result() or {}
    images = int(result.get("images") or 0)
    if not images and isinstance(made := run.spec, SynthesizeSpec):
        generator = known.store.get(made.source).spec
        assert isinstance(generator, TrainSpec)
        images = made.per_class * len(made.classes or catalog.set_classes(made, generator))
    return read, images


def _last(spec: Spec, known: Knowledge) -> tuple[float | None, Source]:
    """Seconds of the task that puts the results together. That of a study judges its sets first."""
    seconds: float | None = START_SECONDS + REPORT_SECONDS
    if isinstance(spec, StudySpec) and any(c.treatments for c in chosen(spec)[1].comparisons):
        dataset, data_dir = data_of(spec, known.store) or ("", "")
        judging, source = judges.recognising(0, dataset, data_dir, spec.device, known, False)
        return added(seconds, judging), source
    return seconds, "probe"
