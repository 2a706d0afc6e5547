"""The registry of metrics: what each is called, which direction is better, and where its function
is.

Pages and reports read it too, so nothing here imports torch, and a function is imported when it is
asked for.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

import numpy as np

from dreamlab.settings.names import ExtractorName
from dreamlab.stats.intervals import Interval

NamedArrays = Mapping[str, np.ndarray]


class Kept(Protocol):
    """Gives the arrays of `make()` under a name of the caller's. They depend on the reference
    features alone, so they are made once and used for every set that meets this reference."""

    def __call__(self, name: str, make: Callable[[], NamedArrays]) -> NamedArrays: ...


MetricFunction = Callable[[np.ndarray, np.ndarray, Kept], Interval]
"""(features of the set (n, d), features of the reference (m, d), kept) -> value and interval."""


class UnknownMetric(ValueError):
    """A name that no metric has, or a metric without its function: one sentence."""


@dataclasses.dataclass(frozen=True)
class Metric:
    """One row of the registry."""

    name: str
    """As in result.json."""
    extractor: ExtractorName
    """The features that it is measured on."""
    function: str
    """"module:function" of a `MetricFunction`."""
    lower_is_better: bool = True
    unit: str = ""
    """As shown behind a number: "%" or empty."""
    version: int = 1
    """Part of what is kept in the cache: raised when the function gives other numbers."""

    @property
    def key(self) -> str:
        """What its numbers are kept under."""
        return f"{self.name}/{self.version}"

    @property
    def direction(self) -> str:
        """lower or higher: the better of two values."""
        return "lower" if self.lower_is_better else "higher"

    def load(self) -> MetricFunction:
        """Its function. Raises UnknownMetric where there is none."""
        module, _, name = self.function.partition(":")
        try:
            return cast(MetricFunction, getattr(importlib.import_module(module), name))
        except (ImportError, AttributeError) as error:
            raise UnknownMetric(
                f"The metric {self.name} has no function {self.function}: {error}."
            ) from None


METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric("fd_classifier", "classifier", "dreamlab.fidelity.frechet:measure"),
        Metric("kid_classifier", "classifier", "dreamlab.fidelity.kid:measure"),
        Metric("fid", "inception", "dreamlab.fidelity.frechet:measure"),
        Metric("kid", "inception", "dreamlab.fidelity.kid:measure"),
    )
}
"""Name -> metric, in the order of the tables. The first of an extractor is the one that a curve
shows."""


def find(name: str) -> Metric:
    """The metric of this name. Raises UnknownMetric."""
    if name not in METRICS:
        raise UnknownMetric(f"There is no metric {name!r}; there are {', '.join(METRICS)}.")
    return METRICS[name]


def measured_on(extractor: str) -> list[Metric]:
    """The metrics of an extractor's features. Raises UnknownMetric where it has none."""
    found = [m for m in METRICS.values() if m.extractor == extractor]
    if not found:
        raise UnknownMetric(f"There is no metric on the features of {extractor!r}.")
    return found


def best(name: str, values: Sequence[float]) -> int:
    """The index of the best value. Raises UnknownMetric, ValueError for no values."""
    sign = 1 if find(name).lower_is_better else -1
    return min(range(len(values)), key=lambda i: sign * values[i])


# Words for pages. They are about results that are stored: a name that only another version of
# DreamLab knows is shown without a direction.


def best_word(name: str) -> str:
    """lowest or highest: what the best value is called; best where the metric is unknown."""
    known = METRICS.get(name)
    return "best" if known is None else "lowest" if known.lower_is_better else "highest"


def direction(names: Iterable[str], word: str = "closer") -> str:
    """ "lower is closer" where all these metrics agree in their direction, else ""."""
    found = {METRICS[n].direction if n in METRICS else "" for n in names}
    only = found.pop() if len(found) == 1 else ""
    return f"{only} is {word}" if only else ""


def summary() -> str:
    """One sentence about all metrics, for the head of the page."""
    shared = direction(METRICS)
    if not shared:
        return "Measures of feature distributions; each says which direction is closer."
    return f"Distances of feature distributions: {shared}."


def axis_title(name: str) -> str:
    """The title of an axis: name, unit and direction."""
    known = METRICS.get(name)
    words = (name, known.unit if known else "", direction([name], "better"))
    return ", ".join(w for w in words if w)


def column_titles(names: Sequence[str]) -> tuple[str, list[str]]:
    """Head and cells of a table's column of names. The direction stands in the head where all
    metrics agree, else beside each name."""
    if shared := direction(names):
        return f"Metric, {shared}", list(names)
    said = [(n, direction([n])) for n in names]
    return "Metric", [f"{n}, {d}" if d else n for n, d in said]


def number(metric: Mapping[str, Any]) -> str:
    """A stored value with three digits and its unit."""
    unit = f" {metric['unit']}" if metric.get("unit") else ""
    return f"{metric['value']:.3g}{unit}"
