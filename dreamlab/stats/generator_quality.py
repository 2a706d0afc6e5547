"""Whether a generator was trained enough for a verdict on its images, and the sentences that say
so.

A judge, a classifier trained on real images, classifies the samples of the generator. The share
that it recognises (the class that was asked for) is compared with its accuracy on held-out real
images.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

ENOUGH = 0.9
"""Smallest recognised share, divided by the judge's accuracy on held-out real images, of a
generator that is not called under-trained."""
FAR_ABOVE = 1.2
"""Above this ratio, samples are recognised so much more often than real images that it is said."""
JUDGE_ACCURACY, HELD_OUT = 0.6, 100
"""A judge with a lower accuracy, or with fewer held-out real images, judges no generator."""
FAR_FEWER = 0.5
"""A training that ended below this share of the steps that were foretold has far fewer."""
PSEUDO_LABELLED = (
    "Its labels come from a classifier that was trained on real images, so a classifier recognises"
    " its samples whatever they look like"
)
"""Why no recognised share is given for a set with pseudo-labels, without a full stop."""
NOT_MEASURED = "Not judged: how many of its samples are recognised was not measured."

State = Literal["good", "under-trained", "above", "not judged"]
Values = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Recognition:
    """How many samples of a set a judge recognises. All shares are 0 to 1.

    The judge's accuracy is that on held-out real images of the classes of the set, each class with
    the weight that it has in the set. `shared` is the number of real images that both the judge and
    the generator were trained on, of the `seen` images of the generator; both are None if these are
    unknown.
    """

    recognised: float
    low: float
    high: float
    samples: int
    accuracy: float
    real_images: int
    judge: str
    shared: int | None = None
    seen: int | None = None

    @property
    def ratio(self) -> float:
        """Recognised share divided by the judge's accuracy; infinite for an accuracy of 0."""
        return self.recognised / self.accuracy if self.accuracy else math.inf


@dataclasses.dataclass(frozen=True)
class Quality:
    """What is concluded on a generator: its state, one sentence, and the ratio (None if it cannot
    be judged)."""

    state: State
    text: str
    ratio: float | None = None


def recognition(
    right: int,
    samples: int,
    accuracy: float,
    real_images: int,
    judge: str,
    shared: int | None = None,
    seen: int | None = None,
) -> Recognition:
    """A Recognition with the 95 % interval of Wilson (1927) for `right` of `samples` recognised
    samples. Raises ValueError unless 0 <= right <= samples and samples > 0."""
    from scipy import stats  # it takes half a second to import, and only workers need it

    found = stats.binomtest(right, samples).proportion_ci(0.95, method="wilson")
    return Recognition(
        right / samples,
        float(found.low),
        float(found.high),
        samples,
        accuracy,
        real_images,
        judge,
        shared,
        seen,
    )


def quality(stored: Values | None) -> Quality:
    """The conclusion from what is stored with a set: the fields of a Recognition, or {"reason"} if
    it cannot be judged; None if nothing is stored."""
    if not stored:
        return Quality("not judged", NOT_MEASURED)
    if stored.get("reason"):
        return Quality("not judged", not_judged(str(stored["reason"])))
    names = {f.name for f in dataclasses.fields(Recognition)}
    found = Recognition(**{k: v for k, v in stored.items() if k in names})
    if lacking := judge_lacks(found.real_images, found.accuracy):
        return Quality("not judged", not_judged(lacking))
    said = _counted(found)
    if found.ratio < ENOUGH:
        text = f"Under-trained: {said}, and at least {ENOUGH} times is needed."
        return Quality("under-trained", text, found.ratio)
    if found.ratio > FAR_ABOVE:
        return Quality("above", f"{_capital(said)}: {_suspicion(found)}.", found.ratio)
    return Quality("good", f"{_capital(said)}.", found.ratio)


def judge_lacks(real_images: int, accuracy: float = 1.0) -> str:
    """Why a judge cannot judge a generator, without a full stop; empty if it can."""
    if real_images < HELD_OUT:
        return (
            f"There are {real_images:,} held-out real images of its classes to test the judging"
            f" classifier on, and {HELD_OUT} are needed"
        )
    if accuracy < JUDGE_ACCURACY:
        return (
            f"The judging classifier recognises only {_percent(accuracy)} of {real_images:,}"
            f" held-out real images, and {_percent(JUDGE_ACCURACY)} is needed"
        )
    return ""


def not_judged(reason: str) -> str:
    """The sentence on a generator that cannot be judged."""
    return f"This generator cannot be judged: {reason[:1].lower()}{reason[1:]}. See its pictures."


def far_fewer(steps: int | None, promised: int | None) -> str:
    """For example `7 of about 990 steps`, if a training took far fewer steps than were foretold
    when it was submitted; else empty. None: not known."""
    if steps is None or not promised or steps >= FAR_FEWER * promised:
        return ""
    return f"{steps:,} of about {promised:,} steps"


def caution(generators: Iterable[Values]) -> str:
    """What a verdict must say first: which generators are under-trained; empty if none is.

    generators: {"name", "foreign", "recognition", "quality": {"state"}, "steps", "promised_steps"}
    of all generators of the verdict, of which only "name" must be there.
    """
    listed = list(generators)
    said = []
    for g in listed:
        if (g.get("quality") or {}).get("state") != "under-trained":
            continue
        found = g["recognition"]
        which = f" ({g['name']})" if len(listed) > 1 else ""
        what = "Under-trained generator" + (" or wrong labels" if g.get("foreign") else "")
        fewer = far_fewer(g.get("steps"), g.get("promised_steps"))
        said.append(
            f"{what}{which}: {_percent(found['recognised'])} of its samples are recognised as their"
            f" class, and {_percent(found['accuracy'])} of held-out real images"
            + (f"; it took {fewer}. " if fewer else ". ")
        )
    return "".join(said)


def notes(generators: Iterable[Values]) -> list[str]:
    """Sentences below a verdict on the same generators as for `caution`, without what that says:
    samples that are recognised too often, what could not be judged, and far fewer steps."""
    said = []
    for g in generators:
        found = g.get("quality") or {}
        if found.get("state") == "under-trained":
            continue
        if found.get("state") in ("above", "not judged"):
            said.append(f"{g['name']}: {found['text']}")
        if fewer := far_fewer(g.get("steps"), g.get("promised_steps")):
            said.append(f"{g['name']}: its training took {fewer}.")
    return [_capital(text) for text in said]


def _counted(r: Recognition) -> str:
    ratio = math.floor(100 * r.ratio + 1e-9) / 100  # rounding could show 0.9 for less
    return (
        f"{_percent(r.recognised)} (95 % interval {100 * r.low:.1f} to {100 * r.high:.1f}) of"
        f" {r.samples:,} samples are recognised as their class by a classifier that recognises"
        f" {_percent(r.accuracy)} of {r.real_images:,} held-out real images, {ratio:.2f} times as"
        " many"
    )


def _suspicion(r: Recognition) -> str:
    shared = ""
    if r.shared and r.seen:
        shared = f" ({r.shared:,} of the {r.seen:,} that it was trained on)"
    return (
        "a sign of copies of training images, of too strong guidance, or of a classifier that"
        f" learned from the same images as the generator{shared}"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
