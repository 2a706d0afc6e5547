"""Computes a verdict from test predictions: helps, hurts or undecided. It holds for the generators
that were compared.

If synthetic data has no effect, at most 5 % of experiments wrongly give "helps", over new seeds and
new test images (simulated in docs/statistics.md).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from dreamlab.stats import controls as rivals
from dreamlab.stats import wording
from dreamlab.stats.components import Paired, paired, paired_difference
from dreamlab.stats.correction import holm, holm_levels
from dreamlab.stats.enough import LEAST_IMAGES, too_few_text
from dreamlab.stats.findings import (
    ALPHA,
    ClassDifference,
    Difference,
    ExtraData,
    GeneratorRecord,
    Judgement,
    Kind,
    Treatment,
    Verdict,
)
from dreamlab.stats.power import detectable, images_needed, seeds_needed, seeds_range
from dreamlab.stats.tests import mcnemar_rows, sign_flip


class _Experiment:
    """Arms as correct (1) or wrong (0) predictions, each compared with the arm `real`
    (`control`)."""

    def __init__(
        self, treatments: Sequence[Treatment], control: np.ndarray, labels: np.ndarray
    ) -> None:
        self.labels = np.asarray(labels)
        self.control = self._right(control, "real")
        self.right = [self._right(t.predicted, t.arm) for t in treatments]
        self.pairs = [paired(right, self.control) for right in self.right]

    def _right(self, predicted: np.ndarray, arm: str) -> np.ndarray:
        found = np.asarray(predicted)
        if found.ndim != 2 or found.shape[1:] != self.labels.shape:
            raise ValueError(
                f"arm {arm}: predictions must be seeds x {self.labels.size} test images, not of"
                f" shape {found.shape}"
            )
        return np.asarray(found == self.labels)

    def differences(self) -> list[Difference]:
        """The difference of each arm to the arm `real`, with Holm's correction over the arms."""
        p = [x.p for x in self.pairs]
        found, control = [], self.control.mean(axis=1)
        for right, pair, adjusted, level in zip(
            self.right, self.pairs, holm(p), holm_levels(p, ALPHA), strict=True
        ):
            low, high = _points(pair, level)
            rows = [float(x) for x in right.mean(axis=1) - control]
            one_by_one = mcnemar_rows(right, self.control)
            found.append(
                Difference(
                    100 * pair.mean, low, high, level, pair.p, adjusted, one_by_one, sign_flip(rows)
                )
            )
        return found

    def explain(
        self,
        lead: np.ndarray,
        controls: Sequence[Treatment],
        against: Sequence[Difference],
        arms: int,
    ) -> str:
        """The sentences on which of these controls could explain the gain of the mix `lead`,
        which was chosen among `arms`."""
        return rivals.explained(rivals.held_against(lead, controls, self.right, against, arms))

    def small_classes(self) -> list[str]:
        """The note on classes that have too few test images for a comparison of their own."""
        found = np.unique(self.labels, return_counts=True)[1]
        few = int((found < LEAST_IMAGES).sum())
        which = f"{few} class{'es have' if few > 1 else ' has'} fewer than {LEAST_IMAGES}"
        return [f"{which} test images and no comparison of their own."] if few else []

    def by_class(
        self, index: int, names: Sequence[str], arms: int
    ) -> tuple[list[ClassDifference], list[ClassDifference]]:
        """(classes that gain, classes that lose) in one arm. The p values are corrected for the
        classes (Holm) and for the choice of this arm among `arms` arms (Bonferroni)."""
        change = self.right[index].astype(np.float64) - self.control
        held = [(c, np.flatnonzero(self.labels == c)) for c in np.unique(self.labels)]
        pairs = [
            (int(c), paired_difference(change[:, columns]))
            for c, columns in held
            if len(columns) >= LEAST_IMAGES
        ]
        p = [min(pair.p * arms, 1.0) for _, pair in pairs]
        gain: list[ClassDifference] = []
        lose: list[ClassDifference] = []
        for (c, pair), adjusted, level in zip(pairs, holm(p), holm_levels(p, ALPHA), strict=True):
            if adjusted <= ALPHA:
                low, high = _points(pair, 1 - (1 - level) / arms)
                name = names[c] if c < len(names) else str(c)
                (gain if pair.mean > 0 else lose).append(
                    ClassDifference(name, 100 * pair.mean, low, high, adjusted)
                )
        return sorted(gain, key=lambda d: -d.mean), sorted(lose, key=lambda d: d.mean)


@dataclasses.dataclass(frozen=True)
class _Decided:
    """The verdict on one generator, the index of the mix that it is based on, and how an undecided
    one could be settled."""

    verdict: Verdict
    lead: int
    how: wording.Settle
    seeds: int | None
    beside: str
    """The sentences after the first one."""


def judge(
    treatments: Sequence[Treatment],
    control: np.ndarray,
    generators: Sequence[GeneratorRecord],
    *,
    labels: np.ndarray,
    class_names: Sequence[str] = (),
    noun: str = "images",
    controls: Sequence[Treatment] = (),
    cost: Mapping[tuple[str, str], float] | None = None,
) -> Judgement:
    """The verdict for each generator and for all of them together. `control` (S, n): classes
    predicted by the arm `real`. `labels` (n,): true classes. `noun`: what the images show. `cost`:
    (generator, arm) -> minutes for generator, images and classifiers. A generator *helps* if one of
    its mixes gains significantly. It *hurts* if all of its mixes lose significantly. Otherwise it
    is *undecided*. Raises ValueError for a generator without a treatment, too few seeds or images
    (`enough`), or wrong shapes."""
    if not treatments or {g.key for g in generators} != {t.generator for t in treatments}:
        raise ValueError("a verdict needs at least one mix of both sorts of images a generator")
    _check_size(control)
    mixes, others = _Experiment(treatments, control, labels), _Experiment(controls, control, labels)
    found, against = mixes.differences(), others.differences()
    decided: dict[str, _Decided] = {}
    for g in generators:
        own = [i for i, t in enumerate(treatments) if t.generator == g.key]
        kind, lead = _decide([found[i] for i in own], own)
        # the level of Holm's first step, which does not depend on the other arms
        how, seeds_then = _settle(mixes.pairs[lead], ALPHA / len(treatments), kind)
        gain, lose = mixes.by_class(lead, class_names, len(treatments))
        d, t = found[lead], treatments[lead]
        minutes = (cost or {}).get((t.generator, t.arm))
        beside = rivals.ahead(controls, against, found)
        if kind == "helps":
            beside += others.explain(mixes.right[lead], controls, against, len(found))
        beside += wording.further(gain, lose, minutes)
        text = wording.single(kind, d, t, g, noun, how) + beside
        verdict = Verdict(
            text, kind, d.mean, d.low, d.high, d.level, t.arm, t.generator, gain, lose, minutes
        )
        decided[g.key] = _Decided(verdict, lead, how, seeds_then, beside)
    by_generator = {key: one.verdict for key, one in decided.items()}
    best = decided[max(by_generator, key=lambda key: _order(by_generator[key]))]
    overall, how = best.verdict, best.how
    if len(generators) > 1:
        text = wording.several(by_generator, generators, treatments[best.lead], noun, how)
        overall = dataclasses.replace(overall, text=text + best.beside)
    notes = wording.notes(found, treatments, generators, len(control), len(labels), noun)
    return Judgement(
        differences=found,
        controls=against,
        by_generator=by_generator,
        overall=overall,
        detectable=how.gain,
        seeds_needed=best.seeds,
        seeds_low=how.seeds[0],
        seeds_high=how.seeds[1],
        images_needed=how.images,
        extra_data=extra_data(treatments, generators, mixes.right),
        notes=wording.control_notes(against, controls) + notes + mixes.small_classes(),
    )


def extra_data(
    treatments: Sequence[Treatment],
    generators: Sequence[GeneratorRecord],
    right: Sequence[np.ndarray],
) -> list[ExtraData]:
    """The effect of more real images in the generator.

    It compares each arm of a generator that was trained on more real images with the same arm of a
    generator that was trained on the classifier's images, with Holm's correction over all
    comparisons. If there is one generator per arm, every other generator counts as trained on more.
    `right` holds the correct predictions (S, n) of the treatments.
    """
    found = []
    at = {(t.generator, t.arm): i for i, t in enumerate(treatments)}
    for g, more in itertools.product(generators, generators):
        if (
            g.extra
            or g.saw is None
            or more.saw is None
            or more.per_arm
            or not (more.extra or g.per_arm)
        ):
            continue
        for t in treatments:
            further = more.saw - t.real if g.per_arm else more.extra
            if t.generator == more.key and (g.key, t.arm) in at and further > 0:
                found.append(
                    (
                        more,
                        g,
                        t,
                        further,
                        paired(right[at[more.key, t.arm]], right[at[g.key, t.arm]]),
                    )
                )
    p = [pair.p for *_, pair in found]
    answer = []
    for (more, g, t, further, pair), adjusted, level in zip(
        found, holm(p), holm_levels(p, ALPHA), strict=True
    ):
        low, high = _points(pair, level)
        label = t.label or t.arm
        text = wording.extra(further, 100 * pair.mean, low, high, level, adjusted <= ALPHA, label)
        answer.append(
            ExtraData(
                t.arm,
                label,
                more.key,
                g.key,
                further,
                100 * pair.mean,
                low,
                high,
                level,
                adjusted,
                text,
            )
        )
    return answer


def _check_size(control: np.ndarray) -> None:
    if few := too_few_text(*np.shape(control)):
        raise ValueError(few)


def _points(pair: Paired, level: float) -> tuple[float, float]:
    interval = pair.interval(level)
    return max(100 * interval.low, -100.0), min(
        100 * interval.high, 100.0
    )  # the largest possible difference


def _decide(found: Sequence[Difference], indices: Sequence[int]) -> tuple[Kind, int]:
    """The decision for one generator, and the index of the arm that it is based on: the best of the
    arms with this decision."""
    kinds = [d.kind for d in found]
    kind: Kind = (
        "helps" if "helps" in kinds else "hurts" if set(kinds) == {"hurts"} else "undecided"
    )
    return kind, max(
        (i for i, k in zip(indices, kinds, strict=True) if k == kind),
        key=lambda i: found[indices.index(i)].mean,
    )


def _settle(pair: Paired, alpha: float, kind: Kind) -> tuple[wording.Settle, int | None]:
    """How an undecided verdict could be settled, and the seeds that the observed difference would
    need if it were the true one."""
    gain = 100 * detectable(pair, alpha)
    if kind != "undecided":
        return wording.Settle(pair.n, gain, (None, None), None), None
    seeds = seeds_needed(pair, alpha)
    images = None if seeds else images_needed(pair, pair.n, alpha)
    return wording.Settle(pair.n, gain, seeds_range(pair, alpha), images), seeds


def _order(verdict: Verdict) -> tuple[int, float]:
    return {"helps": 2, "undecided": 1, "hurts": 0}[verdict.kind], verdict.effect
