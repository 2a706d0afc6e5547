"""The sentences of a verdict, made by rule from its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dreamlab.stats.verdict import Difference, Generator, Treatment, Verdict


LARGE = 20.0
"""Points: a test that needs more than that to speak is not worth a number."""


def effect(d: Difference | Verdict) -> str:
    """`+3.6 points (95 % interval +2.1 to +5.1)`: with as many digits as a decision needs to be seen."""
    mean = d.effect if hasattr(d, "effect") else d.mean
    values = (mean, d.low, d.high)
    digits = 1
    while digits < 4 and d.kind != "undecided" and any(round(abs(v), digits) == 0 for v in values):
        digits += 1
    shown = [f"{round(v, digits) + 0.0:+.{digits}f}" for v in values]  # + 0.0 turns -0.0 into 0.0
    return f"{shown[0]} points (95 % interval {shown[1]} to {shown[2]})"


def mix(t: Treatment, noun: str, generator: Generator | None = None) -> str:
    """`when 300 synthetic digits are added to all 100 real ones`; names what the generator saw where that was more."""
    more = (
        f" of a generator that saw {generator.saw:,} real images" if generator is not None and generator.extra else ""
    )
    if t.arm.startswith("real+"):
        return f"when {t.synthetic:,} synthetic {noun}{more} are added to all {t.real:,} real ones"
    if t.real == 0:
        return f"when {t.synthetic:,} synthetic {noun}{more} replace all real ones"
    return f"when {t.synthetic:,} of {t.real + t.synthetic:,} real {noun} are replaced by synthetic ones{more}"


def settle(seeds: int, gain: float, needed: int | None) -> str:
    """What would settle an undecided question."""
    if gain > LARGE:
        seen = f"{seeds} seeds are too few for any but very large differences"
        return seen if needed is None else f"{seen}; about {needed:,} seeds would settle one of this size"
    seen = f"{seeds} seeds find a difference of {gain:.1f} points four times in five"
    if needed is None:
        return f"{seen}; one of this size would take more than 1,000 seeds"
    return f"{seen}; about {needed:,} seeds would settle one of this size" if needed > seeds else seen


def single(kind: str, d: Difference, t: Treatment, generator: Generator, noun: str, how: str) -> str:
    """The verdict on one generator."""
    where = f"{effect(d)} {mix(t, noun, generator)}"
    if kind == "helps":
        return f"Synthetic data helps: {where}."
    if kind == "hurts":
        return f"Synthetic data hurts in every mix: {where}, the least of the losses."
    return f"Undecided: {where}; {how}."


def called(generators: Sequence[Generator]) -> dict[str, str]:
    """How a sentence tells the generators apart: by what they saw, by name too where that is the same."""
    said = {}
    for g in generators:
        same = f"the same {g.saw:,}" if g.saw == g.pool else f"{g.saw:,} of the same {g.pool:,}"
        said[g.key] = f"that saw {f'{g.saw:,} real images' if g.extra else same}"
    if len(set(said.values())) < len(said):
        return {g.key: f"{said[g.key]} ({g.name})" for g in generators}
    return said


def several(
    verdicts: Mapping[str, Verdict], generators: Sequence[Generator], lead: Treatment, noun: str, how: str
) -> str:
    """The verdict over two generators or more: the best of them in full, the others in a clause each."""
    names = called(generators)
    helps = [g for g in generators if verdicts[g.key].kind == "helps"]
    others = [g for g in generators if g.key != lead.generator]
    best = f"{effect(verdicts[lead.generator])} with the generator {names[lead.generator]} {mix(lead, noun)}"
    rest = "; ".join(_clause(verdicts[g.key], names[g.key]) for g in others)
    if helps:
        knows = (
            all(g.extra for g in helps)
            and len(helps) < len(generators)
            and not any(g.extra for g in generators if g not in helps)
        )
        some = "" if len(helps) == len(generators) else f" with {len(helps)} of {len(generators)} generators"
        return f"Synthetic data helps{' where the generator knows more than the classifier' if knows else some}: {best}; {rest}."
    if all(v.kind == "hurts" for v in verdicts.values()):
        return f"Synthetic data hurts with every generator, in every mix: {best}, the least of the losses; {rest}."
    return f"Undecided: {best}; {how}; {rest}."


def _clause(verdict: Verdict, name: str) -> str:
    if verdict.kind == "undecided":
        return f"no gain is shown with the one {name}"
    if verdict.kind == "helps":
        return f"{effect(verdict)} with the one {name}"
    return f"every mix loses with the one {name}"


def notes(
    found: Sequence[Difference], treatments: Sequence[Treatment], generators: Sequence[Generator], seeds: int, test_images: int, noun: str
) -> list[str]:  # fmt: skip
    """What stands below the verdict: losses, what was corrected, what the generators saw, how far it reaches."""
    names, said = called(generators), []
    for g in generators:
        lost = [(t, d) for t, d in zip(treatments, found, strict=True) if t.generator == g.key and d.kind == "hurts"]
        if lost:
            whose = f" with the generator {names[g.key]}" if len(generators) > 1 else ""
            said.append(f"Shown to lose{whose}: " + ", ".join(f"{t.arm} {d.mean:+.1f} points" for t, d in lost) + ".")
    arms = (
        f"corrected for {len(treatments)} comparisons (Holm), the intervals too"
        if len(treatments) > 1
        else "one comparison"
    )
    said.append(f"Paired t over {seeds} seeds on the same {test_images:,} real test images, {arms}.")
    for g in generators:
        if g.extra:
            said.append(
                f"The generator {names[g.key]} knows {g.extra:,} real {noun} that no classifier may use: what it brings may come from these alone."
            )
    if any(0 < t.real and not t.arm.startswith("real+") for t in treatments) and any(not g.extra for g in generators):
        said.append("Where real images are replaced, the generator has still seen the replaced ones.")
    which, it = ("this generator", "it") if len(generators) == 1 else ("these generators", "them")
    said.append(f"It holds for {which} and the images drawn from {it}; another training may give another answer.")
    return said
