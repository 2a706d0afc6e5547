"""What a verdict is made from and what it says: plain records, shared by the decision and its
sentences."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

Kind = Literal["helps", "hurts", "undecided"]
ALPHA = 0.05


@dataclasses.dataclass(frozen=True)
class GeneratorRecord:
    """A generator as the verdict speaks of it, in counts of real images."""

    key: str
    name: str
    saw: int | None
    """How many real images it was trained on; None where that is not known (images made
    elsewhere)."""
    extra: int
    """Of those that it saw: how many the classifiers may not use."""
    pool: int
    """How many the classifiers may use."""
    per_arm: bool = False
    """One generator for every arm, each of which saw only its arm's real images."""


@dataclasses.dataclass(frozen=True)
class Treatment:
    """One arm: a mix with the images of one generator, or a control.

    `predicted` holds classes, (seeds, test images), in the order of the control's seeds; `form` is
    that of `dreamlab.data.mixing.parse`: replace, add, targeted, or for controls synthetic,
    augmented, duplicated, noise.
    """

    generator: str
    arm: str
    form: str
    real: int
    synthetic: int
    predicted: np.ndarray
    other: int = 0
    """Duplicated real or noise images."""
    label: str = ""
    """Its name on a page; the arm's own where empty."""
    classes: tuple[int, ...] = ()
    """Of a targeted arm: the classes that got synthetic images."""


@dataclasses.dataclass(frozen=True)
class Difference:
    """An arm minus real images only, in points. The interval has the level at which Holm's
    procedure decides."""

    mean: float
    low: float
    high: float
    level: float
    p: float
    p_holm: float
    mcnemar: list[float]
    """p of each seed's pair of networks."""
    sign_flip: float

    @property
    def kind(self) -> Kind:
        if self.p_holm > ALPHA:
            return "undecided"
        return "helps" if self.mean > 0 else "hurts"


@dataclasses.dataclass(frozen=True)
class ClassDifference:
    """One class of an arm that is shown to gain or lose: points of accuracy on its test images."""

    name: str
    mean: float
    low: float
    high: float
    p_holm: float


@dataclasses.dataclass(frozen=True)
class ExtraData:
    """One arm with two generators: the one that saw `further` more real images minus the one that
    saw the same, in points."""

    arm: str
    label: str
    more: str
    same: str
    further: int
    mean: float
    low: float
    high: float
    p_holm: float
    text: str


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A few sentences, what they say, and the arm that they speak of; effect and interval in
    points."""

    text: str
    kind: Kind
    effect: float
    low: float
    high: float
    arm: str
    generator: str
    gain: list[ClassDifference]
    """Classes that are shown to gain in that arm; Holm over the classes and the arms it was chosen
    from."""
    lose: list[ClassDifference]
    minutes: float | None
    """What that arm costs, where the caller knows."""


@dataclasses.dataclass(frozen=True)
class Judgement:
    """Everything that follows from the predictions of a mix."""

    differences: list[Difference]
    """One per treatment, in their order; Holm over all of them."""
    controls: list[Difference]
    """One per control, in their order; Holm over the controls."""
    by_generator: dict[str, Verdict]
    overall: Verdict
    detectable: float
    """Points: the gain that the overall verdict's arm would have shown with a chance of 80 %."""
    seeds_needed: int | None
    """Where undecided: seeds that would show an effect as large as the observed one. None: decided,
    or no number would."""
    images_needed: int | None
    """Where undecided and no number of seeds would do: test images that would, at this number of
    seeds."""
    extra_data: list[ExtraData]
    notes: list[str]
