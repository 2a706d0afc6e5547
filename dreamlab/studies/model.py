"""The content of a study file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

NEEDED = "needed"
"""Value of `per_class` for a synthetic set: as many images as the arms need that use it."""


@dataclasses.dataclass(frozen=True)
class AmountStep:
    """The place of a cell on a curve: the `amount` along its axis, in units of `axis`, and the line
    that it lies on ("" where there is one line)."""

    amount: float
    axis: str
    series: str = ""


@dataclasses.dataclass(frozen=True)
class PublishedCell:
    """One number of a published table, or a cell of our own (`published` is then None)."""

    id: str
    arm: str
    metric: str
    unit: str
    """Of `published`: "%" for shares, "" for macro-F1 (0 to 1) and distances, "points", "s"."""
    published: float | None = None
    low: float | None = None
    high: float | None = None
    """The published spread, in the same unit; None if the paper gives none."""
    setting: str = ""
    flag: str = ""
    """One sentence on what is doubtful about the published number."""
    step: AmountStep | None = dataclasses.field(default=None, repr=False)
    """Its place on a curve; None if its arm is not a step of an amount. It only says how a page
    draws the cell: left out of the text that a study's hash is made from."""


@dataclasses.dataclass(frozen=True)
class StudyPart:
    """One run of a scale. A value "@role" stands for the run of an earlier part."""

    role: str
    kind: str
    values: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Measure:
    """Where our number for a cell comes from: `value` in the result of part `child`, minus that of
    part `minus` if given."""

    cell: PublishedCell
    child: str
    value: str
    minus: str = ""
    stand_in: str = ""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Classifiers that are compared with one control, paired by test image. `controls` are not
    mixes; they could explain a gain."""

    control: str
    treatments: tuple[str, ...]
    controls: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Scale:
    """One way to run a study: its parts, where its numbers come from, and what was assumed."""

    name: str
    summary: str
    data: str
    dataset: str
    """The data set that it uses; empty if the user has to name one."""
    assumptions: tuple[str, ...]
    parts: tuple[StudyPart, ...]
    measures: tuple[Measure, ...]
    comparisons: tuple[Comparison, ...]
    columns: Mapping[str, str]
    """Column of the published table -> a word in the title of the data set that it is about; empty
    for a table with one column."""


@dataclasses.dataclass(frozen=True)
class Check:
    """Published cells, by their ids, that must agree with each other."""

    cells: tuple[str, ...] = ()
    x: tuple[float, ...] = ()
    """The place of every cell on the table's axis."""
    claim: Literal["", "rising", "falling"] = ""
    """What the paper says about the values along x."""
    ends: tuple[str, ...] = ()
    """The two cells that the others are mixes of."""
    images: int = 0
    """Test images behind every value; 0 if unknown."""
    difference: tuple[str, ...] = ()
    """A stated difference, and the cells before and after."""


@dataclasses.dataclass(frozen=True)
class Study:
    """A published study: its settings, its numbers, the mistakes in them, and the scales at which
    it can be run."""

    id: str
    study: str
    title: str
    question: str
    source: str
    settings: Mapping[str, str]
    notes: tuple[str, ...]
    cells: tuple[PublishedCell, ...]
    checks: tuple[Check, ...]
    scales: Mapping[str, Scale]

    @property
    def identity(self) -> str:
        """All that the file says, as the content hash of a study takes it. Its parts go by the
        names that they had in version 0.1, so that a finished study is still found."""
        return repr(self).replace("PublishedCell(", "Cell(").replace("StudyPart(", "Part(")

    @property
    def steps(self) -> dict[str, AmountStep]:
        """The places on curves of all cells that have one, ours of every scale included, by id."""
        measured = [m.cell for scale in self.scales.values() for m in scale.measures]
        return {c.id: c.step for c in (*measured, *self.cells) if c.step is not None}
