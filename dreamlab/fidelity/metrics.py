"""The registry of metrics: name, which direction is better, and where the function is.

It does not import torch, so that the dashboard and reports can use it. A function is imported when
it is needed.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, cast

import numpy as np

from dreamlab.fidelity.strata import Labels
from dreamlab.settings.names import ExtractorName, MeasureName
from dreamlab.stats.intervals import Interval

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
    by_number: bool = False
    """Whether the value depends on the numbers of images, so that only equal numbers compare."""

    @property
    def key(self) -> str:
        """The key under which its values are cached."""
        return f"{self.name}/{self.version}"

    @property
    def direction(self) -> str:
        """ "lower" or "higher": the direction of better values."""
        return "lower" if self.lower_is_better else "higher"

    def load(self) -> MetricFunction:
        """Imports the function. Raises UnknownMetric if there is none."""
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
        Metric(
            "fd_classifier",
            "fd",
            "classifier",
            "dreamlab.fidelity.frechet:measure",
            version=2,
            biased=True,
        ),
        Metric(
            "kid_classifier",
            "kid",
            "classifier",
            "dreamlab.fidelity.kid:measure",
            version=2,
            is_distance=True,
        ),
        Metric(
            "fid", "fd", "inception", "dreamlab.fidelity.frechet:measure", version=2, biased=True
        ),
        Metric(
            "kid", "kid", "inception", "dreamlab.fidelity.kid:measure", version=2, is_distance=True
        ),
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
    )
}
"""Name -> metric, in the order in which tables list them. A curve shows the first metric of an
extractor."""


def find(name: str) -> Metric:
    """The metric of this name. Raises UnknownMetric."""
    if name not in METRICS:
        raise UnknownMetric(f"There is no metric {name!r}; there are {', '.join(METRICS)}.")
    return METRICS[name]


def measured_on(extractor: str, measures: Sequence[str]) -> list[Metric]:
    """The metrics of these measures that are computed from the features of an extractor. Raises
    UnknownMetric if there are none."""
    found = [
        m for m in METRICS.values() if m.extractor in ("", extractor) and m.measure in measures
    ]
    if not found:
        raise UnknownMetric(f"There is no metric on the features of {extractor!r}.")
    return found


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


def best(name: str, values: Sequence[float]) -> int:
    """Index of the best value. Raises UnknownMetric for the name, and ValueError if there are no
    values."""
    sign = 1 if find(name).lower_is_better else -1
    return min(range(len(values)), key=lambda i: sign * values[i])


# Texts for pages. Stored results may have metrics of another version of DreamLab; these are shown
# without a direction.


def best_word(name: str) -> str:
    """ "lowest" or "highest", whichever is best; "best" for an unknown metric."""
    known = METRICS.get(name)
    return "best" if known is None else "lowest" if known.lower_is_better else "highest"


def direction(names: Iterable[str], word: str = "") -> str:
    """Such as "lower is closer", if it holds for all these metrics, else "". `word` replaces
    "closer" or what else is better."""
    known = [METRICS.get(n) for n in names]
    found = {f"{m.direction} is {word or m.better}" if m else "" for m in known}
    return found.pop() if len(found) == 1 else ""


def summary() -> str:
    """One sentence about all metrics, for the top of the page."""
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
    """Title and cells of a table column of metric names. The direction is in the title if all
    metrics have the same one, otherwise beside each name."""
    if shared := direction(names):
        return f"Metric, {shared}", list(names)
    said = [(n, direction([n])) for n in names]
    return "Metric", [f"{n}, {d}" if d else n for n, d in said]


def number(metric: Mapping[str, Any]) -> str:
    """A stored value with three digits and its unit. `metric` has the keys `value` and, if any,
    `unit`."""
    unit = f" {metric['unit']}" if metric.get("unit") else ""
    return f"{metric['value']:.3g}{unit}"


CIRCULAR = (
    "How many images are recognised as their class is not given: a classifier gave these labels, so"
    " that it would agree with itself."
)
OTHER_IMAGES = "The generator was trained on other images than its data folder holds now."
NOT_ASIDE = (
    "The generator set no images aside for validation (--validation), so the curve is measured"
    " against the training split, of which it has seen images; no test image chooses a point."
)


def about_intervals(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sentences about the intervals of stored metrics, each with the keys `name`, `value`, `low`
    and `high`."""
    said = []
    for row in rows:
        known, name, low = METRICS.get(row["name"]), row["name"], row.get("low")
        if known is None:
            continue
        if low is None:
            said.append(
                f"Too few images for an interval of {name}: 20 are needed, and 4 of each class."
            )
        elif known.is_distance and low <= 0:
            said.append(f"{name} shows no difference that this number of images can show.")
        if known.biased:
            said.append(
                f"The interval of {name} does not hold its bias: with few images the value is too"
                " large, so compare only equal numbers of images."
            )
    named = [r["name"] for r in rows if r["name"] in METRICS and METRICS[r["name"]].by_number]
    if named:
        said.append(
            f"{_listed(named).capitalize()} depend{'s' if len(named) == 1 else ''} on the numbers"
            " of images: compare with the same for real images."
        )
    return said


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


FEWEST_FOR_FID = 2048
"""Fewest images for a Frechet distance of Inception features: its covariance has so many
dimensions (Heusel et al. 2017 ask for 10,000)."""


def too_few(row: Mapping[str, Any], result: Mapping[str, Any]) -> int:
    """The number of images that a Frechet distance needs if a measured set has fewer; 0 if it has
    enough, and for other metrics. With fewer images than features the covariance of the set is
    singular, and the distance is mostly its bias."""
    known = METRICS.get(row["name"])
    if known is None or known.measure != "fd":
        return 0
    dimensions = (result.get("extractor") or {}).get("dimensions") or 0
    needed = max(int(dimensions), FEWEST_FOR_FID if known.extractor == "inception" else 0)
    return needed if int(result.get("images") or 0) < needed else 0


def reliable_first(
    rows: Sequence[Mapping[str, Any]], result: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """The rows of a result, those with too few images for their metric last."""
    return sorted(rows, key=lambda row: too_few(row, result) > 0)


def about_too_few(result: Mapping[str, Any]) -> list[str]:
    """A sentence for each metric that the set has too few images for."""
    images = result.get("images") or 0
    return [
        f"{row['name']} is grey: it needs at least {needed:,} images, one for each feature, and the"
        f" set has {images:,}. The kernel distance does not have this bias."
        for row in result.get("metrics") or []
        if (needed := too_few(row, result))
    ]


def comparable(result: Mapping[str, Any]) -> bool:
    """Whether the real images of `real_floor` are as many as the synthetic ones, and of the same
    classes. Otherwise their distances have another bias and are not shown beside each other."""
    return bool(result.get("real_floor")) and result.get("real_floor_images") == result.get(
        "images"
    )


def about_floor(result: Mapping[str, Any]) -> str:
    """What the column of real images is computed from, or why it is empty."""
    split = (result.get("reference") or {}).get("split", "")
    other = "test" if split == "train" else "training"
    count = result.get("real_floor_images") or 0
    if not comparable(result):
        if lacks := result.get("real_floor_lacks"):
            return (
                f"There is nothing to compare with: the set has {lacks['synthetic']:,} images of"
                f" class {lacks['class']}, and the {other} split only {lacks['real']:,} that are"
                " not in the reference; as many of each class are needed."
            )
        return (
            f"There is nothing to compare with: the {other} split has only {count:,} images that"
            f" are not in the reference, and a distance of {result.get('images', 0):,} images"
            " compares only with one of as many."
        )
    said = (
        f"The last column is the same measurement for {count:,} real images of the {other} split"
        " against the same reference."
    )
    if (result.get("extractor") or {}).get("name") == "classifier":
        which = {"train": "the reference", "test": "them"}.get(split, "these and on the reference")
        said += f" The classifier was trained on {which}, not on the synthetic images."
    return said
