"""The content of a study file as dataclasses."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

NEEDED = "needed"
"""Value of `per_class` for a synthetic set: as many images as the arms that use it need."""


@dataclasses.dataclass(frozen=True)
class AmountStep:
    """The position of a cell on a curve: the `amount` along the axis, the name of the `axis`, and
    the line that it belongs to ("" if there is only one)."""

    amount: float
    axis: str
    series: str = ""


@dataclasses.dataclass(frozen=True)
class PublishedCell:
    """One number of a published table. `published` is None if the paper has no number, or if the
    cell is only measured here."""

    id: str
    arm: str
    metric: str
    unit: str
    """Unit of `published`: "%" for shares, "" for macro-F1 (0 to 1) and distances, "points" or
    "s"."""
    published: float | None = None
    low: float | None = None
    high: float | None = None
    """`low` and `high`: the published spread in the same unit; None if the paper gives none."""
    setting: str = ""
    flag: str = ""
    """One sentence on why the published number is doubtful; empty if it is not."""
    step: AmountStep | None = dataclasses.field(default=None, repr=False)
    """Its position on a curve, or None. It only affects how the cell is drawn, so it is left out of
    the text from which the hash of a study is computed."""
    place: Mapping[str, float] | None = dataclasses.field(default=None, repr=False)
    """Its place on a grid of settings, {name of an axis: value} with two or three axes, or None.
    It is left out of that text too."""
    derived: str = dataclasses.field(default="", repr=False)
    """One sentence on how the number follows from printed ones; empty if the paper prints it. It is
    left out of that text as well."""


@dataclasses.dataclass(frozen=True)
class StudyPart:
    """One run of a scale. A value "@role" is replaced by the run of the earlier part with this
    role."""

    role: str
    kind: str
    values: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Measure:
    """Where the number measured here for a cell comes from: `value` names a key in the result of
    the part `child`; that of the part `minus` is subtracted if given. `stand_in` says what replaces
    the data set of the paper."""

    cell: PublishedCell
    child: str
    value: str
    minus: str = ""
    stand_in: str = ""


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a published table that is about one data set: a `word` in the title of that data
    set, and how the study names it (`name`)."""

    word: str
    name: str


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Classifiers that are compared with the classifier `control`, paired by test image. `controls`
    are arms that are not mixes and could explain a gain."""

    control: str
    treatments: tuple[str, ...]
    controls: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class SetDescription:
    """A data set that a scale is meant for and that the user has to bring: colour images of `size`
    pixels a side, and numbers of classes, training and test images. It is only used to estimate
    what the scale takes where the data set is not there."""

    name: str
    title: str
    size: int
    classes: int
    train: int
    test: int


@dataclasses.dataclass(frozen=True)
class Scale:
    """One way to run a study: its runs, where the measured numbers come from, and what was
    assumed."""

    name: str
    summary: str
    data: str
    dataset: str
    """The data set that it uses; empty if the user has to name one."""
    assumptions: tuple[str, ...]
    parts: tuple[StudyPart, ...]
    measures: tuple[Measure, ...]
    comparisons: tuple[Comparison, ...]
    columns: Mapping[str, Column]
    """Key of a column of the published table -> the data set that the column is about. Empty for a
    table with one column. A study may run on several data sets at once if it has columns."""
    synthetic: str = dataclasses.field(default="", repr=False)
    """Role of the synthetic set that a set of the user's own may replace; empty if none may be.
    This and the next are left out of the text from which the hash of a study is computed: the
    former matters only with such a set, which is in the hash, and the latter are among
    `assumptions`."""
    of_generator: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    """The assumptions on the generator of that set."""
    described: tuple[SetDescription, ...] = dataclasses.field(default=(), repr=False)
    """The data sets that the user has to name. Not in that text either: no result depends on
    it."""


@dataclasses.dataclass(frozen=True)
class Check:
    """Published cells, by their ids, that must be consistent with each other."""

    cells: tuple[str, ...] = ()
    x: tuple[float, ...] = ()
    """Position of each cell on the axis of the table."""
    claim: Literal["", "rising", "falling"] = ""
    """What the paper says about the values along x."""
    ends: tuple[str, ...] = ()
    """The two cells of which the others are mixes."""
    images: int = 0
    """Number of test images behind each value; 0 if unknown."""
    difference: tuple[str, ...] = ()
    """Ids of a stated difference, of the cell before and of the cell after."""


@dataclasses.dataclass(frozen=True)
class Study:
    """A published study: its settings, its numbers, mistakes found in them, and the scales at which
    it can be repeated."""

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
        """The whole content of the file as text, for the content hash of a study. Two class names
        are written as they were in version 0.1, so that the hashes of finished studies stay
        valid."""
        return repr(self).replace("PublishedCell(", "Cell(").replace("StudyPart(", "Part(")

    @property
    def places(self) -> dict[str, Mapping[str, float]]:
        """Cell id -> place on a grid of settings, for all cells that have one."""
        measured = [m.cell for scale in self.scales.values() for m in scale.measures]
        return {c.id: c.place for c in measured if c.place is not None}

    @property
    def steps(self) -> dict[str, AmountStep]:
        """Cell id -> position on a curve, for all cells that have one, including those that are
        only measured here, and those of each column if several data sets are measured."""
        measured = [m.cell for scale in self.scales.values() for m in scale.measures]
        each = [
            in_column(m.cell, key, column)
            for scale in self.scales.values()
            for m in scale.measures
            if m.cell.arm
            for key, column in scale.columns.items()
        ]
        return {c.id: c.step for c in (*measured, *each, *self.cells) if c.step is not None}


def in_column(cell: PublishedCell, key: str, column: Column) -> PublishedCell:
    """A cell that is only measured here, as a cell of one column: its id, arm and line name the
    data set of the column."""
    step = cell.step
    if step is not None:
        series = f"{step.series}, {column.name}".removeprefix(", ")
        step = dataclasses.replace(step, series=series)
    return dataclasses.replace(
        cell, id=f"{cell.id}-{key}", arm=f"{cell.arm}, {column.name}", step=step
    )
