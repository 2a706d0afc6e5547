"""The registry of metrics: name, which direction is better, and where the function is.

It does not import torch, so that the dashboard and reports can use it. A function is imported when
it is needed.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, cast, get_args

import numpy as np

from dreamlab.fidelity.strata import Labels
from dreamlab.settings.names import ExtractorName, MeasureName
from dreamlab.stats import left_out
from dreamlab.stats.intervals import Interval
from dreamlab.stats.left_out import LeftOut

NamedArrays = Mapping[str, np.ndarray]
LEVEL = 0.95
"""Level of the intervals of metrics."""


class Kept(Protocol):
    """Returns the arrays that `make()` computes, cached under a name.

    They must depend only on the reference features. They are computed once and used for every set
    that is compared with this reference.
    """

    def __call__(self, name: str, make: Callable[[], NamedArrays]) -> NamedArrays: ...


Found = Interval | Mapping[str, Interval]
"""A value with its interval, or several by the names of their metrics."""
MetricFunction = Callable[[np.ndarray, np.ndarray, Kept, Labels], Found]
"""(features of the set (n, d), features of the reference (m, d), kept, classes of both) -> value
and interval; one function may compute several metrics at once. The ends of an interval are NaN
where there are too few images for one."""


class UnknownMetric(ValueError):
    """There is no metric of this name, or its function is missing. The message is one sentence."""


@dataclasses.dataclass(frozen=True)
class Metric:
    """One row of the registry."""

    name: str
    """Its key in result.json."""
    measure: MeasureName
    """What a user chooses to get it."""
    extractor: ExtractorName | Literal[""]
    """The extractor of the features that it uses; empty if it uses those of any."""
    function: str
    """"module:function" of a `MetricFunction`."""
    lower_is_better: bool = True
    better: str = "closer"
    """What a better value means: "closer" to the real images, or another word."""
    unit: str = ""
    """Shown after a value: "%" or empty."""
    version: int = 1
    """Part of the cache key. Increase it when the function returns other values than before."""

    is_distance: bool = False
    """Whether the true value cannot be negative, and is 0 where the distributions do not differ."""
    biased: bool = False
    """Whether the value is too large for few images, which its interval does not hold."""
    ideal: float | None = None
    """The best value, if values above and below it are worse; `lower_is_better` then says
    nothing."""
    by_number: bool = False
    """Whether the value depends on the numbers of images, so that only equal numbers compare."""
    against: Literal["reference", "training", "classes", "classifier"] = "reference"
    """What the set is compared with: the reference, or the training images, where the function gets
    a `dreamlab.data.memory.Memory` instead of features. The others are compared with nothing: with
    "classes" the function gets what the extractor's own classifier says, probabilities (n,
    classes), and with "classifier" the predictions of classifiers that were trained on the set
    (`cas.measure`)."""

    @property
    def key(self) -> str:
        """The key under which its values are cached."""
        return f"{self.name}/{self.version}"

    @property
    def direction(self) -> str:
        """ "lower" or "higher": the direction of better values; "1" for one with this ideal."""
        if self.ideal is not None:
            return f"{self.ideal:g}"
        return "lower" if self.lower_is_better else "higher"

    def goodness(self, value: float) -> float:
        """A number that is larger for better values: the value, its negative, or the negative
        distance to the ideal."""
        if self.ideal is not None:
            return -abs(value - self.ideal)
        return -value if self.lower_is_better else value

    def load(self) -> MetricFunction:
        """Imports the function. Raises UnknownMetric if there is none."""
        module, _, name = self.function.partition(":")
        try:
            return cast(MetricFunction, getattr(importlib.import_module(module), name))
        except (ImportError, AttributeError) as error:
            raise UnknownMetric(
                f"The metric {self.name} has no function {self.function}: {error}."
            ) from None


def _of_extractor(extractor: ExtractorName) -> tuple[Metric, ...]:
    """The distances on the features of an extractor. Only those of Inception are called FID and
    KID."""
    inception = extractor == "inception"
    fd, kid = ("fid", "kid") if inception else (f"fd_{extractor}", f"kid_{extractor}")
    home = "dreamlab.fidelity"
    return (
        Metric(fd, "fd", extractor, f"{home}.frechet:measure", version=2, biased=True),
        Metric(kid, "kid", extractor, f"{home}.kid:measure", version=2, is_distance=True),
        Metric(
            f"{fd}_infinite", "fd_infinite", extractor, f"{home}.infinite:measure", is_distance=True
        ),
    )


METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        *(m for extractor in get_args(ExtractorName) for m in _of_extractor(extractor)),
        *(
            Metric(
                name,
                "prdc",
                "",
                "dreamlab.fidelity.manifold:measure",
                lower_is_better=False,
                by_number=True,
            )
            for name in ("precision", "recall", "density", "coverage")
        ),
        Metric(
            "vendi",
            "vendi",
            "",
            "dreamlab.fidelity.vendi:measure",
            lower_is_better=False,
            better="more varied",
            by_number=True,
        ),
        Metric(
            "spread",
            "spread",
            "",
            "dreamlab.fidelity.spread:measure",
            ideal=1.0,
            better="as in real images",
        ),
        Metric(
            "inception_score",
            "inception_score",
            "inception",
            "dreamlab.fidelity.inception_score:measure",
            lower_is_better=False,
            better="clearer and more varied",
            by_number=True,
            against="classes",
        ),
        *(
            Metric(
                name,
                "memory",
                "",
                "dreamlab.fidelity.memory:measure",
                lower_is_better=name != "authenticity",
                better="less copied",
                unit="%",
                against="training",
            )
            for name in ("memorised_pixels", "memorised", "authenticity")
        ),
        *(
            Metric(
                name,
                "cas",
                "",
                "dreamlab.fidelity.cas:measure",
                lower_is_better=False,
                better="better",
                unit="%",
                against="classifier",
            )
            for name in ("cas", "cas_top5")
        ),
    )
}
"""Name -> metric, in the order in which tables list them. A curve shows the first metric of an
extractor."""


def fewest_for_infinite(dimensions: int) -> int:
    """Fewest images of each set for a Frechet distance at infinitely many images: half of them,
    with one of 20 groups left out, are still more than features."""
    return math.ceil(2.5 * (dimensions + 1))


def find(name: str) -> Metric:
    """The metric of this name. Raises UnknownMetric."""
    if name not in METRICS:
        raise UnknownMetric(f"There is no metric {name!r}; there are {', '.join(METRICS)}.")
    return METRICS[name]


def measured_on(
    extractor: str, measures: Sequence[str], against: str = "reference"
) -> list[Metric]:
    """The metrics of these measures for the features of an extractor, against `against` (see
    `Metric`). Raises UnknownMetric if these measures have no metric at all."""
    found = [
        m for m in METRICS.values() if m.extractor in ("", extractor) and m.measure in measures
    ]
    if not found:
        raise UnknownMetric(f"There is no metric on the features of {extractor!r}.")
    return [m for m in found if m.against == against]


def compute(
    wanted: Sequence[Metric], x: np.ndarray, y: np.ndarray, kept: Kept, labels: Labels
) -> dict[str, Interval]:
    """Name -> value of these metrics of features x (n, d) against y (m, d). A function that
    computes several of them is called once. Raises UnknownMetric."""
    found: dict[str, Interval] = {}
    for metric in wanted:
        if metric.name not in found:
            answer = metric.load()(x, y, kept, labels)
            found |= {metric.name: answer} if isinstance(answer, Interval) else answer
    return found


def row(
    metric: Metric, value: Iterable[float], left: LeftOut, extractor: str, weights: str
) -> dict[str, Any]:
    """A metric in a result, with its value and the ends of its interval, and its values without
    groups of images."""
    names = ("value", "low", "high")
    return {
        "name": metric.name,
        **{k: float(v) if np.isfinite(v) else None for k, v in zip(names, value, strict=True)},
        "left_out": left_out.stored(left),
        "unit": metric.unit,
        "level": LEVEL,
        "direction": metric.direction,
        "extractor": extractor,
        "weights": weights,
    }


def best(name: str, values: Sequence[float]) -> int:
    """Index of the best value. Raises UnknownMetric for the name, and ValueError if there are no
    values."""
    metric = find(name)
    return max(range(len(values)), key=lambda i: metric.goodness(values[i]))
