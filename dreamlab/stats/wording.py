"""The sentences of a verdict, made from its numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from dreamlab.stats.findings import ClassDifference, Difference, GeneratorRecord, Treatment, Verdict

LARGE = 20.0
"""Percentage points: a detectable gain above this is not stated as a number."""
SHOWN = 6
"""Most classes that are named one by one."""


@dataclasses.dataclass(frozen=True)
class Settle:
    """What the test of an arm can show: with `n` seeds, a gain of `gain` points with a probability
    of 80 %. `seeds` is the 90 % range of the number of seeds that would settle an undecided one
    (`power.seeds_range`). `images` is, where no number of seeds would show the observed difference,
    the number of test images that would."""

    n: int
    gain: float
    seeds: tuple[int | None, int | None]
    images: int | None


def effect(d: Difference | Verdict) -> str:
    """For example `+3.6 points (98.33 % interval +2.1 to +5.1)`. A significant effect gets enough
    digits to show on which side of 0 the interval lies."""
    mean = d.effect if hasattr(d, "effect") else d.mean
    return points(mean, d.low, d.high, d.level, d.kind != "undecided")


def level_text(level: float) -> str:
    """A confidence level, 0 to 1, in percent: `95 %`; `98.33 %` where Holm's procedure tests one of
    three comparisons."""
    return f"{100 * level:.2f}".rstrip("0").rstrip(".") + " %"


def points(mean: float, low: float, high: float, level: float, decided: bool) -> str:
    """Like `effect`, from the numbers; `decided` says whether the effect is significant."""
    values = (mean, low, high)
    digits = 1
    while digits < 4 and decided and any(round(abs(v), digits) == 0 for v in values):
        digits += 1
    shown = [f"{round(v, digits) + 0.0:+.{digits}f}" for v in values]  # + 0.0 turns -0.0 into 0.0
    return f"{shown[0]} points ({level_text(level)} interval {shown[1]} to {shown[2]})"


def mix(t: Treatment, noun: str, generator: GeneratorRecord | None = None) -> str:
    """For example `when 300 synthetic digits are added to all 100 real ones`. It mentions the
    number of real images of a generator that was trained on more than the classifier."""
    more = (
        f" of a generator trained on {generator.saw:,} real images"
        if generator is not None and generator.extra and generator.saw is not None
        else ""
    )
    if t.form in ("add", "targeted"):
        which = f" in {_of(len(t.classes), 'class')}" if t.form == "targeted" and t.classes else ""
        return (
            f"when {t.synthetic:,} synthetic {noun}{more} are added{which} to all {t.real:,} real"
            " ones"
        )
    if t.real == 0:
        return f"when {t.synthetic:,} synthetic {noun}{more} replace all real ones"
    return (
        f"when {t.synthetic:,} of {t.real + t.synthetic:,} real {noun} are replaced by synthetic"
        f" ones{more}"
    )


def settle(how: Settle) -> str:
    """The clause on what would settle an undecided verdict."""
    if how.gain > LARGE:
        seen = f"{how.n} seeds show only very large differences"
    else:
        seen = (
            f"{how.n} seeds show a difference of {how.gain:.1f} points with a probability of 80 %"
        )
    low, high = how.seeds
    if low is not None and high is not None:
        return (
            f"{seen}; {low:,} to {high:,} seeds would settle it with 80 % power (the range holds"
            " with a chance of 90 %)"
        )
    if how.images is not None:
        return (
            f"{seen}; for one as large as the observed one, more seeds alone are not enough, but"
            f" about {how.images:,} test images are"
        )
    if low is not None:
        return (
            f"{seen}; {low:,} seeds or more would settle it with 80 % power (the bound holds with"
            " a chance of 95 %), if more seeds alone can"
        )
    return (
        f"{seen}; for one as large as the observed one, neither 1,000 seeds nor more test images"
        " alone are enough"
    )


def single(
    kind: str, d: Difference, t: Treatment, generator: GeneratorRecord, noun: str, how: Settle
) -> str:
    """The verdict for one generator."""
    where = f"{effect(d)} {mix(t, noun, generator)}"
    if kind == "helps":
        return f"Synthetic data helps: {where}."
    if kind == "hurts":
        return f"Synthetic data hurts in every mix: {where}, the least of the losses."
    return f"Undecided: {where}; {settle(how)}."


CONTROLS = {
    "augmented": "classical augmentation",
    "duplicated": "repeating the real images",
    "noise": "adding noise images",
    "synthetic": "training on synthetic images alone",
}
"""Form of a control -> its name in a sentence."""


def further(
    gain: Sequence[ClassDifference], lose: Sequence[ClassDifference], minutes: float | None
) -> str:
    """The sentences after the first one: classes that change significantly, and the cost."""
    said = []
    if gain:
        said.append(f"gains are shown for class{'es' if len(gain) > 1 else ''} {_classes(gain)}")
    if lose:
        said.append(f"losses are shown for class{'es' if len(lose) > 1 else ''} {_classes(lose)}")
    text = "; ".join(said) or "no change of a single class is significant"
    spent = (
        ""
        if minutes is None
        else f" It took {_minutes(minutes)}: generator, images and classifiers."
    )
    return f" {text[0].upper()}{text[1:]}.{spent}"


def _classes(found: Sequence[ClassDifference]) -> str:
    named = ", ".join(f"{d.name} ({d.mean:+.1f})" for d in found[:SHOWN])
    return named + (f" and {len(found) - SHOWN} more" if len(found) > SHOWN else "")


def _minutes(minutes: float) -> str:
    if minutes < 1:
        return f"{60 * minutes:.0f} seconds"
    return f"{minutes:.1f} minutes" if minutes < 10 else f"{minutes:,.0f} minutes"


def _of(count: int, word: str) -> str:
    return f"{count:,} {word}" + ("" if count == 1 else "es" if word.endswith("s") else "s")


def called(generators: Sequence[GeneratorRecord]) -> dict[str, str]:
    """Generator key -> how a sentence names it: by what it was trained on, with its name added if
    that is not unique."""
    said = {}
    for g in generators:
        same = (
            f"the same {g.saw:,}" if g.saw == g.pool else f"{g.saw or 0:,} of the same {g.pool:,}"
        )
        if g.per_arm:
            said[g.key] = "trained only on the real images of its arm"
        elif g.saw is None:
            said[g.key] = f"of unknown training ({g.name})"
        else:
            said[g.key] = f"trained on {f'{g.saw:,} real images' if g.extra else same}"
    if len(set(said.values())) < len(said):
        return {
            g.key: f"{said[g.key]} ({g.name})" if g.saw is not None else said[g.key]
            for g in generators
        }
    return said


def several(
    verdicts: Mapping[str, Verdict],
    generators: Sequence[GeneratorRecord],
    lead: Treatment,
    noun: str,
    how: Settle,
) -> str:
    """The verdict for two or more generators: the best one in full, each other one in a clause."""
    names = called(generators)
    helps = [g for g in generators if verdicts[g.key].kind == "helps"]
    others = [g for g in generators if g.key != lead.generator]
    best = (
        f"{effect(verdicts[lead.generator])} with the generator {names[lead.generator]}"
        f" {mix(lead, noun)}"
    )
    rest = "; ".join(_clause(verdicts[g.key], names[g.key]) for g in others)
    if helps:
        extra_images = (
            all(g.extra for g in helps)
            and len(helps) < len(generators)
            and not any(g.extra for g in generators if g not in helps)
        )
        some = (
            ""
            if len(helps) == len(generators)
            else f" with {len(helps)} of {len(generators)} generators"
        )
        which = (
            " where the generator was trained on more real images than the classifier"
            if extra_images
            else some
        )
        return f"Synthetic data helps{which}: {best}; {rest}."
    if all(v.kind == "hurts" for v in verdicts.values()):
        return (
            f"Synthetic data hurts with every generator, in every mix: {best}, the least of the"
            f" losses; {rest}."
        )
    return f"Undecided: {best}; {settle(how)}; {rest}."


def _clause(verdict: Verdict, name: str) -> str:
    if verdict.kind == "undecided":
        return f"no gain is shown with the one {name}"
    if verdict.kind == "helps":
        return f"{effect(verdict)} with the one {name}"
    return f"every mix loses with the one {name}"


def extra(
    images: int, mean: float, low: float, high: float, level: float, shown: bool, label: str
) -> str:
    """The sentence on the effect of more real images in the generator. `level` is that of the
    interval; `shown` says whether the effect is significant."""
    doubt = "" if shown else ", which is not significant"
    return (
        f"What the generator's {images:,} further real images are worth:"
        f" {points(mean, low, high, level, shown)} at {label}{doubt}."
    )


def control_notes(found: Sequence[Difference], controls: Sequence[Treatment]) -> list[str]:
    """The effects of the controls, and a warning if noise images seem to help."""
    if not controls:
        return []
    meaning = {"helps": "a gain", "hurts": "a loss", "undecided": "no significant difference"}
    each = [
        f"{t.label or t.arm} {effect(d)}, {meaning[d.kind]}"
        for t, d in zip(controls, found, strict=True)
    ]
    said = ["Controls against real images only: " + "; ".join(each) + "."]
    if any(t.form == "noise" and d.kind == "helps" for t, d in zip(controls, found, strict=True)):
        said.append(
            "Warning: noise images seem to help, although they contain no information. A gain of a"
            " mix may have the same cause, such as the length of the training or a mistake in the"
            " data."
        )
    return said


def notes(
    found: Sequence[Difference],
    treatments: Sequence[Treatment],
    generators: Sequence[GeneratorRecord],
    seeds: int,
    test_images: int,
    noun: str,
) -> list[str]:
    """The notes below a verdict: arms that lose, the correction for several comparisons, what the
    generators were trained on, and what the verdict is about."""
    names, said = called(generators), []
    for g in generators:
        lost = [
            (t, d)
            for t, d in zip(treatments, found, strict=True)
            if t.generator == g.key and d.kind == "hurts"
        ]
        if lost:
            whose = f" with the generator {names[g.key]}" if len(generators) > 1 else ""
            said.append(
                f"Significant losses{whose}: "
                + ", ".join(f"{t.arm} {d.mean:+.1f} points" for t, d in lost)
                + "."
            )
    arms = (
        f"corrected for {len(treatments)} comparisons (Holm), the intervals too"
        if len(treatments) > 1
        else "one comparison"
    )
    said.append(
        f"Paired over {seeds} seeds and the same {test_images:,} real test images, {arms}: the"
        " intervals are about new trainings of the classifier and new test images of the same"
        " kind."
    )
    for g in generators:
        if g.extra:
            what = f"{g.extra:,} real {'images' if g.other else noun} that no classifier may use"
            what += f", {g.other:,} of them of other data" if g.other else ""
            said.append(
                f"The generator {names[g.key]} was trained on {what}: its effect may come from"
                " these alone."
            )
        if g.saw is None:
            said.append(
                f"It is not known which real images {g.name} was made from: its effect may come"
                " from real images that no classifier may use."
            )
    if any(t.form == "replace" for t in treatments) and any(
        not (g.extra or g.per_arm or g.saw is None) for g in generators
    ):
        said.append(
            "Where real images are replaced, the generator was still trained on the replaced ones."
        )
    which, it = ("this generator", "it") if len(generators) == 1 else ("these generators", "them")
    said.append(
        f"The verdict holds for {which} and the images sampled from {it}; another training may give"
        " another answer."
    )
    return said
