"""Whether a mix that helps also beats the controls that could explain its gain."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from dreamlab.stats import wording
from dreamlab.stats.components import paired
from dreamlab.stats.correction import holm, holm_levels
from dreamlab.stats.findings import ALPHA, Difference, Treatment

FORMS = ("duplicated", "augmented")
"""Controls that every gain is held against: they need no generator."""


@dataclasses.dataclass(frozen=True)
class Beaten:
    """A mix minus a control, in percentage points. Level and p are corrected for the controls
    (Holm) and for the choice of this mix among others (Bonferroni)."""

    form: str
    mean: float
    low: float
    high: float
    level: float
    p: float


def held_against(
    lead: np.ndarray,
    controls: Sequence[Treatment],
    right: Sequence[np.ndarray],
    found: Sequence[Difference],
    arms: int,
) -> list[Beaten]:
    """The mix `lead` (S, n), chosen among `arms`, against each control of `FORMS`, and against
    noise images if these gain. `right` are the correct predictions of the controls, `found` their
    differences to the arm `real`."""
    rows = [
        (t.form, paired(lead, r))
        for t, r, d in zip(controls, right, found, strict=True)
        if t.form in FORMS or (t.form == "noise" and d.kind == "helps")
    ]
    p = [min(arms * pair.p, 1.0) for _, pair in rows]
    answer = []
    for (form, pair), adjusted, level in zip(rows, holm(p), holm_levels(p, ALPHA), strict=True):
        own = 1 - (1 - level) / arms
        interval = pair.interval(own)
        ends = 100 * interval.low, 100 * interval.high
        answer.append(Beaten(form, 100 * pair.mean, *ends, own, adjusted))
    return answer


def explained(found: Sequence[Beaten]) -> str:
    """The sentences on what else could explain a gain: for each form of control, the comparison
    that is worst for the mix, or that there was none."""
    said = []
    for form in dict.fromkeys((*FORMS, *(b.form for b in found))):
        mine = [b for b in found if b.form == form]
        if not mine:
            continue
        b = min(mine, key=lambda b: (b.p <= ALPHA and b.mean > 0, b.mean))
        shown = b.p <= ALPHA
        verb = "is not shown to beat" if not shown else "beats" if b.mean > 0 else "does worse than"
        effect = wording.points(b.mean, b.low, b.high, b.level, shown)
        said.append(f"{verb} {wording.CONTROLS[form]}: {effect}")
    text = f" The mix {'; it '.join(said)}." if said else ""
    missing = [NOT_THERE[form] for form in FORMS if not any(b.form == form for b in found)]
    return text + (f" No control {' or '.join(missing)}." if missing else "")


NOT_THERE = {"duplicated": "repeats the real images", "augmented": "uses classical augmentation"}


def ahead(
    controls: Sequence[Treatment], found: Sequence[Difference], mixes: Sequence[Difference]
) -> str:
    """The sentence on a control that gains more than every mix; empty if none does."""
    rows = list(zip(controls, found, strict=True))
    best = max(rows, key=lambda row: row[1].mean, default=None)
    if best is None or best[1].mean <= max(0.0, *(d.mean for d in mixes)):
        return ""
    name = wording.CONTROLS[best[0].form]
    doubt = "" if best[1].kind == "helps" else ", which is not significant"
    return (
        f" {name[0].upper()}{name[1:]} gains more than every mix: {wording.effect(best[1])}{doubt}."
    )
