"""The records that a verdict is made from and made of."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

Kind = Literal["helps", "hurts", "undecided"]
ALPHA = 0.05


@dataclasses.dataclass(frozen=True)
class GeneratorRecord:
    """A generator, with counts of the real images it was trained on."""

    key: str
    name: str
    saw: int | None
    """Number of real images that it was trained on; None if unknown (images made elsewhere)."""
    extra: int
    """How many of these the classifiers may not use."""
    pool: int
    """Number of real images that the classifiers may use."""
    per_arm: bool = False
    """One generator for every arm, each trained only on its arm's real images."""


@dataclasses.dataclass(frozen=True)
class Treatment:
    """One arm: a mix with the images of one generator, or a control.

    `predicted` holds predicted classes, (seeds, test images), with the seeds in the order of the
    control's. `form` is as in `dreamlab.data.mixing.parse`: replace, add, targeted; for controls
    synthetic, augmented, duplicated, noise.
    """

    generator: str
    arm: str
    form: str
    real: int
    synthetic: int
    predicted: np.ndarray
    other: int = 0
    """Repeated real images or noise images."""
    label: str = ""
    """Its name on a page; if empty, the name of the arm."""
    classes: tuple[int, ...] = ()
    """For a targeted arm: the classes with added synthetic images."""


@dataclasses.dataclass(frozen=True)
class Difference:
    """An arm minus real images only, in percentage points. The interval is at the level at which
    Holm's procedure decides."""

    mean: float
    low: float
    high: float
    level: float
    p: float
    p_holm: float
    mcnemar: list[float]
    """One p value per seed."""
    sign_flip: float

    @property
    def kind(self) -> Kind:
        if self.p_holm > ALPHA:
            return "undecided"
        return "helps" if self.mean > 0 else "hurts"


@dataclasses.dataclass(frozen=True)
class ClassDifference:
    """One class that gains or loses significantly in an arm: percentage points of accuracy on its
    test images."""

    name: str
    mean: float
    low: float
    high: float
    p_holm: float


@dataclasses.dataclass(frozen=True)
class ExtraData:
    """One arm with two generators, in percentage points: the generator trained on `further` more
    real images, minus the one trained on the same images as the classifier."""

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
    """A few sentences, the decision, and the arm that it is about. Effect and interval in
    percentage points."""

    text: str
    kind: Kind
    effect: float
    low: float
    high: float
    arm: str
    generator: str
    gain: list[ClassDifference]
    """Classes that gain significantly in this arm; Holm's procedure over the classes, and over the
    arms it was chosen from."""
    lose: list[ClassDifference]
    minutes: float | None
    """What this arm costs, if known."""


@dataclasses.dataclass(frozen=True)
class Judgement:
    """Everything that follows from the predictions of a mix."""

    differences: list[Difference]
    """One per treatment, in their order; Holm's procedure over all of them."""
    controls: list[Difference]
    """One per control, in their order; Holm's procedure over the controls."""
    by_generator: dict[str, Verdict]
    overall: Verdict
    detectable: float
    """Percentage points: the gain that the arm of the verdict would have shown with a probability
    of 80 %."""
    seeds_needed: int | None
    """If undecided: number of seeds that would show an effect as large as the observed one. None if
    decided, or if no number of seeds would."""
    images_needed: int | None
    """If undecided and more seeds do not help: number of test images that would, with this number
    of seeds."""
    extra_data: list[ExtraData]
    notes: list[str]
