"""Which metric of fidelity predicts usefulness: the metrics of the sets of one data set against
their CAS and against the gain of mixes that used them, with rank correlations."""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dreamlab.data import mixing
from dreamlab.experiments import cas
from dreamlab.experiments.identity import images_read
from dreamlab.experiments.usefulness_words import about_sets, metric_name, metric_text
from dreamlab.fidelity import metrics
from dreamlab.fidelity.metrics import METRICS
from dreamlab.settings import (
    ClassifySpec,
    FidelitySpec,
    MixSpec,
    SpecError,
    SynthesizeSpec,
    differences,
    exact,
    settings_of,
)
from dreamlab.stats.correction import holm
from dreamlab.stats.rank_correlation import LEAST, rank_correlation
from dreamlab.store import Run, RunError

Values = dict[str, Any]
NOT_PROTOCOL = ("synthetic", "seeds", "keep_weights")
"""Settings of a classify run that may differ between sets that are compared."""
TOLD = 3
"""Most settings that tell two outcomes of one name apart."""


class Value(NamedTuple):
    """A value of a set with its interval, whose ends may be None, and the run that measured it."""

    value: float
    low: float | None
    high: float | None
    level: float
    run: str


class MetricKey(NamedTuple):
    """What the values of a metric must have in common to be compared. `images` is 0 for metrics
    that do not depend on the number of images, and `weights` what identifies the extractor."""

    name: str
    extractor: str
    role: str
    weights: str
    images: int


class OutcomeKey(NamedTuple):
    """What outcomes must have in common: `kind` ("cas" or "gain"), the arm, and all settings of the
    classifiers as text."""

    kind: str
    arm: str
    settings: str


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One outcome of sets: set -> its value, and the settings of a classify run of it."""

    key: OutcomeKey
    spec: ClassifySpec
    values: dict[str, Value] = dataclasses.field(default_factory=dict)


Table = dict[MetricKey, dict[str, Value]]
"""Metric -> set -> value."""


class Evidence:
    """The finished runs about one data set. `runs` are newest first, and `done` says which of them
    are finished. Runs that read other images under the same name are left out: those count that
    read the same as the newest."""

    def __init__(self, dataset: str, runs: Sequence[Run], done: Callable[[Run], bool]):
        self.dataset, self.left_out = dataset, 0
        self._by_id = {run.id: run for run in runs}
        found = [(run, read) for run in runs if (read := self._read(run)) and done(run)]
        content = found[0][1] if found else ""
        self._runs = [run for run, read in found if read == content]
        self.left_out = len(found) - len(self._runs)
        self.table = self._metrics()
        self.outcomes = self._outcomes()

    def _read(self, run: Run) -> str:
        """What identifies the images of the data set that a measurement, a classifier or a mix
        read; empty for other runs and other data sets."""
        if run.problem() or run.record.demo:
            return ""
        spec = run.spec
        if isinstance(spec, FidelitySpec):
            reference = (run.result() or {}).get("reference") or {}
            of = reference.get("dataset")
        else:
            of = spec.dataset if isinstance(spec, ClassifySpec | MixSpec) else None
        return images_read(run, self.dataset) or "unknown" if of == self.dataset else ""

    def _metrics(self) -> Table:
        table: Table = {}
        for run in self._runs:
            spec = run.spec
            if not isinstance(spec, FidelitySpec):
                continue
            for row in (run.result() or {}).get("metrics") or []:
                known = METRICS.get(row["name"])
                if known is None or known.against == "classifier" or row.get("value") is None:
                    continue
                same_number = known.biased or known.by_number
                key = MetricKey(
                    row["name"],
                    row.get("extractor", ""),
                    row.get("role", ""),
                    row.get("weights", ""),
                    row.get("n", 0) if same_number else 0,
                )
                ends = row.get("low"), row.get("high"), row.get("level", metrics.LEVEL)
                # the newest measurement of a set comes first
                value = Value(row["value"], *ends, run.id)
                table.setdefault(key, {}).setdefault(spec.images, value)
        return table

    def _outcomes(self) -> list[Outcome]:
        found: dict[OutcomeKey, Outcome] = {}
        for key, spec, value in (*self._scores(), *self._gains()):
            outcome = found.setdefault(key, Outcome(key, spec))
            outcome.values.setdefault(spec.synthetic, value)
        return list(found.values())

    def _scores(self) -> Iterator[tuple[OutcomeKey, ClassifySpec, Value]]:
        """The CAS of sets, in percent."""
        for run in self._runs:
            spec = run.spec
            found = (run.result() or {}).get("interval")
            if isinstance(spec, ClassifySpec) and found and cas.is_on(spec, spec.synthetic):
                low, high = (None if found[e] is None else 100 * found[e] for e in ("low", "high"))
                value = Value(100 * found["mean"], low, high, metrics.LEVEL, run.id)
                yield OutcomeKey("cas", spec.arm, protocol(spec)), spec, value

    def _gains(self) -> Iterator[tuple[OutcomeKey, ClassifySpec, Value]]:
        """The gains of mixes over real images alone, in points."""
        for run in self._runs:
            if not isinstance(run.spec, MixSpec):
                continue
            for arm in (run.result() or {}).get("arms") or []:
                found, trained = arm.get("difference") or {}, self._by_id.get(arm.get("run", ""))
                if arm["role"] != "treatment" or found.get("mean") is None or trained is None:
                    continue
                spec = None if trained.problem() else trained.spec
                if isinstance(spec, ClassifySpec):
                    ends = found["low"], found["high"], found.get("level") or metrics.LEVEL
                    value = Value(found["mean"], *ends, run.id)
                    yield OutcomeKey("gain", spec.arm, protocol(spec)), spec, value

    def generator(self, made: str) -> str:
        """The generator of a set; of an imported or deleted set the set itself."""
        try:
            spec = self._by_id[made].spec
        except (KeyError, RunError, SpecError):
            return made
        return spec.source if isinstance(spec, SynthesizeSpec) else made

    def name(self, made: str) -> str:
        """The name of a set with the end of its id."""
        run = self._by_id.get(made)
        return f"{run.record.name} · {made[-4:]}" if run and not run.problem() else made


def protocol(spec: ClassifySpec) -> str:
    """All settings that change the result of a classify run, apart from its set and its seeds."""
    unused = "epochs" if spec.budget == "steps" else "steps"
    values = {
        k.name: value
        for k in settings_of(ClassifySpec)
        if k.name not in (*NOT_PROTOCOL, unused) and k.is_hashed(value := getattr(spec, k.name))
    }
    return json.dumps(values, sort_keys=True, default=str)


def data_sets(runs: Iterable[Run], done: Callable[[Run], bool]) -> list[str]:
    """The data sets that finished fidelity runs have measured sets of, newest first."""
    found = [
        ((run.result() or {}).get("reference") or {}).get("dataset", "")
        for run in runs
        if not run.problem() and run.kind == "fidelity" and not run.record.demo and done(run)
    ]
    return list(dict.fromkeys(filter(None, found)))


def report(evidence: Evidence) -> Values:
    """`dataset`, `left_out` (runs on other images), `measured` (sets with a metric),
    `with_outcome` (sets with a CAS or a gain), and `outcomes`, those of the most sets first.

    An outcome has `kind`, `arm`, `label`, `unit`, `sets`, `generators`, `notes` and `metrics`; a
    metric has its `name`, `label`, `extractor`, `role`, `direction`, `images`, `points`, `sets`,
    `correlation` with `low`, `high`, `level`, `p` and `p_holm` (None without one), `further` (sets
    that are needed, or None), and `text`. The correlation is positive where better values of the
    metric go with better outcomes. A point has `set`, `name`, `generator`, and `x` and `y` with
    their ends and runs.
    """
    labels = _labels(evidence.outcomes)
    listed = [_outcome(o, labels[o.key], evidence) for o in evidence.outcomes]
    listed = [o for o in listed if o["metrics"]]
    listed.sort(key=lambda o: (-o["sets"], o["kind"], o["label"]))
    return {
        "dataset": evidence.dataset,
        "left_out": evidence.left_out,
        "measured": len({made for values in evidence.table.values() for made in values}),
        "with_outcome": len({made for o in evidence.outcomes for made in o.values}),
        "outcomes": listed,
    }


def _labels(outcomes: Sequence[Outcome]) -> dict[OutcomeKey, str]:
    """The name of each outcome, with the settings in which it differs from others of its name."""
    found = {}
    for outcome in outcomes:
        kind, arm, _ = outcome.key
        same = [o for o in outcomes if (o.key.kind, o.key.arm) == (kind, arm)]
        at = same.index(outcome)
        apart = [
            f"{label.lower()} {exact(values[at])}"
            for label, values in differences([o.spec for o in same])
            if label not in ("Synthetic set", "Seeds", "Data folder", "Recipe")
        ]
        name = "CAS" if kind == "cas" else f"gain of {mixing.label(arm)}"
        found[outcome.key] = ", ".join([name, *apart[:TOLD]])
    return found


def _outcome(outcome: Outcome, label: str, evidence: Evidence) -> Values:
    table = dict(evidence.table)
    if outcome.key.kind == "gain":
        # the CAS is a metric too, if it comes from one kind of classifier
        for other in evidence.outcomes:
            if other.key.kind == "cas":
                table[MetricKey("cas", "", "test", other.key.settings, 0)] = other.values
    chosen: dict[tuple[str, str, str], tuple[int, MetricKey]] = {}
    for key in table:
        common, of = len(table[key].keys() & outcome.values.keys()), key[:3]
        if common > chosen.get(of, (0, key))[0]:
            chosen[of] = common, key
    order = list(METRICS)
    keys = sorted(
        (key for _, key in chosen.values()), key=lambda k: (order.index(k.name), k.extractor)
    )
    listed = [_metric(key, table[key], outcome, evidence) for key in keys]
    _correct(listed)
    for m in listed:
        m |= {"label": metric_name(m), "text": metric_text(m, label)}
    made = list(dict.fromkeys(p["set"] for m in listed for p in m["points"]))
    generators = collections.Counter(evidence.generator(name) for name in made)
    return {
        "kind": outcome.key.kind,
        "arm": outcome.key.arm,
        "label": label,
        "unit": "%" if outcome.key.kind == "cas" else "points",
        "sets": len(made),
        "generators": len(generators),
        "notes": about_sets(len(made), len(generators), len(listed)),
        "metrics": listed,
    }


def _metric(
    key: MetricKey, values: Mapping[str, Value], outcome: Outcome, evidence: Evidence
) -> Values:
    points = [
        {
            "set": made,
            "name": evidence.name(made),
            "generator": evidence.generator(made),
            **{axis: v.value for axis, v in of.items()},
            **{f"{axis}_{k}": getattr(v, k) for axis, v in of.items() for k in _ENDS},
        }
        for made in sorted(values.keys() & outcome.values.keys())
        for of in ({"x": values[made], "y": outcome.values[made]},)
    ]
    known = METRICS[key.name]
    found = None
    if len(points) >= LEAST:
        good = [known.goodness(p["x"]) for p in points]
        found = rank_correlation(good, [p["y"] for p in points])
    return {
        "name": key.name,
        "extractor": key.extractor,
        "role": key.role,
        "direction": known.direction,
        "unit": known.unit,
        "images": key.images or None,
        "sets": len(points),
        "points": points,
        "correlation": found.interval.mean if found else None,
        "low": found.interval.low if found else None,
        "high": found.interval.high if found else None,
        "level": metrics.LEVEL,
        "p": found.p if found else None,
        "p_holm": None,
        "further": found.further if found else max(LEAST - len(points), 0) or None,
    }


_ENDS = ("low", "high", "level", "run")


def _correct(listed: Sequence[Values]) -> None:
    """Adds the p values of Holm's correction over the metrics of one outcome, in place."""
    tested = [m for m in listed if m["p"] is not None]
    for m, p in zip(tested, holm([m["p"] for m in tested]) if tested else (), strict=True):
        m["p_holm"] = p
