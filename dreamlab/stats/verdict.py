"""From accuracies per seed to helps, hurts or undecided: never more than the tests allow, and only for these generators."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

from dreamlab.stats import wording
from dreamlab.stats.correction import holm, holm_levels
from dreamlab.stats.paired import Paired, paired_t
from dreamlab.stats.power import detectable, seeds_needed

Kind = Literal["helps", "hurts", "undecided"]
ALPHA = 0.05


@dataclasses.dataclass(frozen=True)
class Generator:
    """A generator as the verdict speaks of it, in counts of real images."""

    key: str
    name: str
    saw: int
    extra: int
    """Of those that it saw: how many the classifiers may not use."""
    pool: int
    """How many the classifiers may use."""


@dataclasses.dataclass(frozen=True)
class Treatment:
    """One arm of one generator; `accuracies` (0 to 1) in the order of the control's seeds."""

    generator: str
    arm: str
    real: int
    synthetic: int
    accuracies: Sequence[float]


@dataclasses.dataclass(frozen=True)
class Difference:
    """Treatment minus control in points. The interval has the level at which Holm's procedure decides."""

    mean: float
    low: float
    high: float
    level: float
    p: float
    p_holm: float

    @property
    def kind(self) -> Kind:
        if self.p_holm > ALPHA:
            return "undecided"
        return "helps" if self.mean > 0 else "hurts"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One sentence, what it says, and the arm that it speaks of; effect and interval in points."""

    text: str
    kind: Kind
    effect: float
    low: float
    high: float
    arm: str
    generator: str


@dataclasses.dataclass(frozen=True)
class Judgement:
    """Everything that follows from the accuracies of a mix."""

    differences: list[Difference]
    """One per treatment, in their order."""
    by_generator: dict[str, Verdict]
    overall: Verdict
    detectable: float
    """Points: the gain that the overall verdict's arm would have shown with a chance of 80 %."""
    seeds_needed: int | None
    """Where undecided: seeds that would show an effect as large as the observed one; None: decided, or more than 1,000."""
    notes: list[str]


def differences(treatments: Sequence[Treatment], control: Sequence[float], resolution: float = 0.0) -> list[Difference]:
    """Paired t over seeds, Holm over all treatments of all generators together; `resolution` is one test image, 1/n."""
    return _corrected(_pairs(treatments, control, resolution))


def judge(
    treatments: Sequence[Treatment], control: Sequence[float], generators: Sequence[Generator], *, test_images: int, noun: str = "images",
) -> Judgement:  # fmt: skip
    """The verdict on every generator and on all of them. `control` holds the accuracies of real images only.

    Kinds: *helps* where a mix of the generator is shown to gain; *hurts* where every mix of it is shown to lose; else
    *undecided*, also where some mixes lose and others are not told from the control.
    """
    pairs = _pairs(treatments, control, 1 / test_images)
    found = _corrected(pairs)
    alpha = ALPHA / len(treatments)  # the level of Holm's first step: what is promised holds whatever the other arms do
    by_generator: dict[str, Verdict] = {}
    leads: dict[str, int] = {}
    for generator in generators:
        own = [i for i, t in enumerate(treatments) if t.generator == generator.key]
        kind, lead = _decide([found[i] for i in own], own)
        leads[generator.key] = lead
        sentence = wording.single(kind, found[lead], treatments[lead], generator, noun, _settle(pairs[lead], alpha))
        by_generator[generator.key] = _verdict(sentence, kind, found[lead], treatments[lead])
    best = max(generators, key=lambda g: _order(by_generator[g.key]))
    lead, overall = leads[best.key], by_generator[best.key]
    if len(generators) > 1:
        text = wording.several(by_generator, generators, treatments[lead], noun, _settle(pairs[lead], alpha))
        overall = _verdict(text, overall.kind, found[lead], treatments[lead])
    undecided = overall.kind == "undecided"
    return Judgement(
        differences=found, by_generator=by_generator, overall=overall,
        detectable=100 * detectable(pairs[lead].deviation, len(control), alpha),
        seeds_needed=seeds_needed(pairs[lead].mean, pairs[lead].deviation, alpha) if undecided else None,
        notes=wording.notes(found, treatments, generators, len(control), test_images, noun),
    )  # fmt: skip


def _pairs(treatments: Sequence[Treatment], control: Sequence[float], resolution: float) -> list[Paired]:
    return [paired_t(t.accuracies, control, resolution) for t in treatments]


def _corrected(pairs: Sequence[Paired]) -> list[Difference]:
    p = [x.p for x in pairs]
    found = []
    for pair, adjusted, level in zip(pairs, holm(p), holm_levels(p, ALPHA), strict=True):
        interval = pair.interval(level)
        low, high = max(100 * interval.low, -100.0), min(100 * interval.high, 100.0)  # accuracies differ by no more
        found.append(Difference(100 * pair.mean, low, high, level, pair.p, adjusted))
    return found


def _decide(found: Sequence[Difference], indices: Sequence[int]) -> tuple[Kind, int]:
    """The kind of one generator's arms, and which arm speaks for it: the best of those that decide."""
    kinds = [d.kind for d in found]
    kind: Kind = "helps" if "helps" in kinds else "hurts" if set(kinds) == {"hurts"} else "undecided"
    return kind, max(
        (i for i, k in zip(indices, kinds, strict=True) if k == kind), key=lambda i: found[indices.index(i)].mean
    )


def _settle(pair: Paired, alpha: float) -> str:
    return wording.settle(
        pair.n, 100 * detectable(pair.deviation, pair.n, alpha), seeds_needed(pair.mean, pair.deviation, alpha)
    )


def _order(verdict: Verdict) -> tuple[int, float]:
    return {"helps": 2, "undecided": 1, "hurts": 0}[verdict.kind], verdict.effect


def _verdict(text: str, kind: Kind, d: Difference, t: Treatment) -> Verdict:
    return Verdict(text, kind, d.mean, d.low, d.high, t.arm, t.generator)
