"""The records that a verdict is computed from, and those that it consists of."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

Kind = Literal["helps", "hurts", "undecided"]
ALPHA = 0.05


@dataclasses.dataclass(frozen=True)
class GeneratorRecord:
    """A generator, and how many real images it was trained on."""

    key: str
    name: str
    saw: int | None
    """Number of real images that it was trained on; None if that is unknown (images made
    elsewhere)."""
    extra: int
    """How many of these images the classifiers may not use."""
    pool: int
    """Number of real images that the classifiers may use."""
    per_arm: bool = False
    """Whether there is one generator per arm, each trained only on the real images of its arm."""
    other: int = 0
    """How many of `extra` are images of other data sets, from which it was fine-tuned."""


@dataclasses.dataclass(frozen=True)
class Treatment:
    """One arm: a mix with images of one generator, or a control arm.

    `predicted` are the predicted classes (seeds, test images), with the seeds in the same order as
    those of the arm `real`. `form` is that of `dreamlab.data.mixing.parse`: replace, add or
    targeted for a mix; synthetic, augmented, duplicated or noise for a control.
    """

    generator: str
    arm: str
    form: str
    real: int
    synthetic: int
    predicted: np.ndarray
    other: int = 0
    """Number of repeated real images or noise images."""
    label: str = ""
    """Its name in texts; if empty, the name of the arm."""
    classes: tuple[int, ...] = ()
    """For a targeted arm: the classes to which synthetic images are added."""


@dataclasses.dataclass(frozen=True)
class Difference:
    """An arm minus the arm `real`, in percentage points. The interval has the level at which Holm's
    procedure decides."""

    mean: float
    low: float
    high: float
    level: float
    p: float
    p_holm: float
    mcnemar: list[float]
    """One p value per seed; see `tests.mcnemar`."""
    sign_flip: float

    @property
    def kind(self) -> Kind:
        """helps or hurts if the difference is significant after Holm's correction, else
        undecided."""
        if self.p_holm > ALPHA:
            return "undecided"
        return "helps" if self.mean > 0 else "hurts"


@dataclasses.dataclass(frozen=True)
class ClassDifference:
    """A class whose accuracy changes significantly in an arm, in percentage points."""

    name: str
    mean: float
    low: float
    high: float
    p_holm: float


@dataclasses.dataclass(frozen=True)
class ExtraData:
    """The same arm with two generators: the one trained on `further` more real images (`more`)
    minus the one trained on the same images as the classifier (`same`), in percentage points."""

    arm: str
    label: str
    more: str
    same: str
    further: int
    mean: float
    low: float
    high: float
    level: float
    p_holm: float
    text: str


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The sentences of a verdict, its decision, and the arm that it is about. Effect and interval
    are in percentage points. The interval has the level at which Holm's procedure decides."""

    text: str
    kind: Kind
    effect: float
    low: float
    high: float
    level: float
    arm: str
    generator: str
    gain: list[ClassDifference]
    """Classes that gain significantly in this arm. Holm's procedure corrects for the number of
    classes, and Bonferroni's for the number of arms."""
    lose: list[ClassDifference]
    minutes: float | None
    """Cost of this arm in minutes; None if unknown."""


@dataclasses.dataclass(frozen=True)
class Judgement:
    """Everything that is concluded from the predictions of a mix."""

    differences: list[Difference]
    """One per treatment, in their order, with Holm's correction over all of them."""
    controls: list[Difference]
    """One per control, in their order, with Holm's correction over the controls."""
    by_generator: dict[str, Verdict]
    overall: Verdict
    detectable: float
    """Percentage points: the gain that the arm of the verdict would have shown with a probability
    of 80 %."""
    seeds_needed: int | None
    """If undecided: number of seeds that would show an effect as large as the observed one. None if
    decided, or if no number of seeds would. It is biased (docs/statistics.md): see the range."""
    seeds_low: int | None
    """If undecided: lower end of the 90 % range of the number of seeds that would show the true
    effect with a probability of 80 %. None if decided or above 1,000."""
    seeds_high: int | None
    """Upper end of that range; None if decided, or if no number of seeds may do."""
    images_needed: int | None
    """If undecided and more seeds do not help: number of test images that would, with this number
    of seeds."""
    extra_data: list[ExtraData]
    notes: list[str]
