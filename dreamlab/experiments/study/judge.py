"""The verdict of a study, computed like that of a mix for the arms that the study file compares."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from dreamlab.data import mixing
from dreamlab.data.selection import selected
from dreamlab.experiments.identity import images_read
from dreamlab.experiments.provenance import behind, copied_in, leakage_of
from dreamlab.experiments.study.quality import PER_ARM, generators, key_of, part_of, set_of
from dreamlab.experiments.study.results import StudyResults
from dreamlab.settings import ClassifySpec
from dreamlab.stats import components, generator_quality, holm, holm_levels
from dreamlab.stats.enough import no_difference, no_verdict, too_few, too_few_text
from dreamlab.stats.findings import ALPHA, Difference, GeneratorRecord, Treatment
from dreamlab.stats.verdict import judge
from dreamlab.stats.wording import effect
from dreamlab.store import Run, RunError
from dreamlab.studies.model import Comparison, Scale


@dataclasses.dataclass
class Judged:
    """Role -> difference to the control in percentage points; the verdict; notes; the generators of
    the verdict, with whether they were trained enough; role -> key of its generator."""

    differences: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    verdict: dict[str, Any] | None = None
    notes: list[str] = dataclasses.field(default_factory=list)
    generators: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    sources: dict[str, str] = dataclasses.field(default_factory=dict)


def judge_study(scale: Scale, work: StudyResults, group: Run) -> Judged:
    """The verdict of a scale whose parts are all done. There is none if the scale compares no
    classifiers or if predictions cannot be read."""
    wanted = {role for c in scale.comparisons for role in (c.control, *c.treatments, *c.controls)}
    predicted = {role: work.predicted(role) for role in wanted}
    if not wanted:
        return Judged()
    if any(p is None for p in predicted.values()):
        return Judged(
            notes=[
                "No verdict: the predictions of an arm cannot be read; resume its run to compute"
                " them again."
            ]
        )
    known = cast(dict[str, np.ndarray], predicted)
    seeds, images = next(iter(known.values())).shape
    if few := too_few(seeds, images):
        compared = {role for c in scale.comparisons for role in (*c.treatments, *c.controls)}
        return Judged(
            {role: no_difference(few) for role in compared},
            no_verdict(too_few_text(seeds, images)),
            _copies(scale, work),
        )
    one = len(scale.comparisons) == 1
    judged = (
        _one(scale.comparisons[0], known, work) if one else _several(scale.comparisons, known, work)
    )
    _say_first(judged, scale, work, group)
    judged.notes += _copies(scale, work)
    if any(m.value == "macro_f1" for m in scale.measures):
        judged.notes.append(
            "The verdict and the differences are in points of accuracy; the table is in macro-F1."
        )
    return judged


def _say_first(judged: Judged, scale: Scale, work: StudyResults, group: Run) -> None:
    """Puts the cautions on under-trained generators before the verdict, and what else is to be said
    of generators among the notes, in place."""
    judged.generators = generators(scale, work, group)
    verdict = cast(dict[str, Any], judged.verdict)
    verdict["text"] = generator_quality.caution(judged.generators) + verdict["text"]
    judged.notes = [*judged.notes, *generator_quality.notes(judged.generators)]
    for comparison in scale.comparisons:
        control = part_of(work, comparison.control)
        for role in comparison.treatments:
            judged.sources[role] = key_of(part_of(work, role), control, work)


def _copies(scale: Scale, work: StudyResults) -> list[str]:
    """What is known of real training images in the synthetic sets of a scale, in a sentence for
    each set."""
    said = {}
    for role in dict.fromkeys(role for c in scale.comparisons for role in c.treatments):
        spec = cast(ClassifySpec, part_of(work, role).spec)
        if not spec.synthetic or spec.synthetic in said:
            continue
        of = copied_in(work.children.store.folder / spec.synthetic, spec)
        if len(of):
            label = mixing.label(spec.arm, work.info.classes)
            found = mixing.copied([(of, selected(spec).pool)])
            said[spec.synthetic] = f"{label}: {found}."
    return list(said.values())


def _one(comparison: Comparison, predicted: dict[str, np.ndarray], work: StudyResults) -> Judged:
    """Several arms compared with one control, judged like a mix."""
    control = part_of(work, comparison.control)
    treatments = [
        _treatment(role, predicted[role], control, work) for role in comparison.treatments
    ]
    others = [_treatment(role, predicted[role], control, work) for role in comparison.controls]
    generators = [
        _generator(key, comparison.treatments, treatments, control, work)
        for key in dict.fromkeys(t.generator for t in treatments)
    ]
    found = judge(
        treatments,
        predicted[comparison.control],
        generators,
        labels=work.labels,
        class_names=work.info.classes,
        noun=work.info.noun,
        controls=others,
        cost={
            (t.generator, t.arm): _minutes(role, work)
            for role, t in zip(comparison.treatments, treatments, strict=True)
        },
    )
    named = zip(
        (*comparison.treatments, *comparison.controls),
        (*found.differences, *found.controls),
        strict=True,
    )
    return Judged(
        {role: dataclasses.asdict(d) for role, d in named},
        dataclasses.asdict(found.overall),
        found.notes,
    )


def _treatment(role: str, predicted: np.ndarray, control: Run, work: StudyResults) -> Treatment:
    """The record of an arm. One with fewer real images than the control counts as an arm that
    replaces images."""
    run = part_of(work, role)
    spec, counts = (
        cast(ClassifySpec, run.spec),
        cast(dict[str, Any], work.children.result(role))["counts"],
    )
    arm = mixing.parse(spec.arm)
    share = cast(ClassifySpec, control.spec).share
    if spec.share < share:  # as in studies of version 0.1
        kept = 100 * spec.share / share
        arm = mixing.parse(f"{kept:g}/{100 - kept:g}")
    return Treatment(
        generator=key_of(run, control, work),
        arm=arm.name,
        form=arm.form,
        real=counts["real"],
        synthetic=counts["synthetic"],
        predicted=predicted,
        other=counts.get("other", 0),
        label=mixing.label(arm.name, work.info.classes),
        classes=arm.classes,
    )


def _generator(
    key: str,
    names: Sequence[str],
    treatments: Sequence[Treatment],
    control: Run,
    work: StudyResults,
) -> GeneratorRecord:
    """How many real images a generator was trained on, compared with those of the control."""
    spec = cast(ClassifySpec, control.spec)
    own = selected(spec)
    if key == PER_ARM:
        return GeneratorRecord(
            key, "trained here per arm", len(own.pool), 0, len(own.pool), per_arm=True
        )
    role = next(role for role, t in zip(names, treatments, strict=True) if t.generator == key)
    images, (_, made) = images_read(control, spec.dataset), set_of(part_of(work, role), work)
    saw = behind(made, spec, images, work.children.store) if made is not None else None
    leak = leakage_of(saw, spec) if saw is not None else None
    return GeneratorRecord(
        key,
        key,
        leak.generator_saw if leak else None,
        leak.extra if leak else 0,
        len(own.pool),
        other=leak.other if leak else 0,
    )


def _minutes(role: str, work: StudyResults) -> float:
    """Cost of one arm in minutes: training the generator, sampling, and the classifiers."""
    run = part_of(work, role)
    source, _ = set_of(run, work)
    seconds = 0.0
    for name in dict.fromkeys((source, cast(ClassifySpec, run.spec).synthetic, run.id)):
        try:
            result = work.children.store.get(name).result() if name else None
        except RunError:
            continue
        seconds += float((result or {}).get("train_seconds") or (result or {}).get("seconds", 0.0))
    return seconds / 60


def _several(
    comparisons: Sequence[Comparison], predicted: dict[str, np.ndarray], work: StudyResults
) -> Judged:
    """Several networks, each compared with its own control, with Holm's correction over all
    comparisons."""
    right = {role: components.correct(p, work.labels) for role, p in predicted.items()}
    answer = Judged()
    for kind in ("treatments", "controls"):
        compared = [(role, c.control) for c in comparisons for role in getattr(c, kind)]
        pairs = [components.paired(right[role], right[control]) for role, control in compared]
        p = [pair.p for pair in pairs]
        for (role, _), pair, adjusted, level in zip(
            compared, pairs, holm(p), holm_levels(p, ALPHA), strict=True
        ):
            interval = pair.interval(level)
            answer.differences[role] = {
                "mean": 100 * pair.mean,
                "low": max(100 * interval.low, -100.0),
                "high": min(100 * interval.high, 100.0),
                "level": level,
                "p": pair.p,
                "p_holm": adjusted,
            }
    # one network may stand for two of the table, so a network is named by its role
    named = {role: role.partition(":")[0] for c in comparisons for role in c.treatments}
    answer.verdict = _summary({named[role]: answer.differences[role] for role in named})
    seeds, images = next(iter(right.values())).shape
    answer.notes = [
        f"Paired over {seeds} seeds on the same {images:,} test images, corrected for {len(named)}"
        " comparisons (Holm)."
    ]
    return answer


def _summary(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The verdict on all networks in one sentence. It is helps or hurts only if no network shows
    the opposite. The effect is the largest one of that kind."""
    by_kind: dict[str, list[str]] = {"helps": [], "hurts": [], "undecided": []}
    for name, d in found.items():
        by_kind[
            "undecided" if d["p_holm"] > ALPHA else "helps" if d["mean"] > 0 else "hurts"
        ].append(name)
    decided = [kind for kind in ("helps", "hurts") if by_kind[kind]]
    kind = decided[0] if len(decided) == 1 else "undecided"
    lead = max(by_kind[kind] or found, key=lambda name: abs(found[name]["mean"]))

    def said(name: str) -> str:
        d = found[name]
        return f"{name} ({effect(Difference(**d, mcnemar=[], sign_flip=1.0))})"

    words = {"helps": "helps", "hurts": "hurts", "undecided": "is undecided for"}
    text = "; ".join(
        f"{words[k]} {', '.join(map(said, names))}" for k, names in by_kind.items() if names
    )
    d = found[lead]
    return {
        "text": f"Of {len(found)} networks, adding synthetic images {text}.",
        "kind": kind,
        "effect": d["mean"],
        "low": d["low"],
        "high": d["high"],
        "level": d["level"],
        "arm": lead,
    }
