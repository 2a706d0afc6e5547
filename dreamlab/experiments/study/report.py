"""The report of a study: published numbers beside the measured ones, and a verdict if the study
asks whether synthetic data helps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from dreamlab.experiments.children import Children, Status
from dreamlab.experiments.study import given_set
from dreamlab.experiments.study.columns import COLUMN, column_of
from dreamlab.experiments.study.grid import judge_grid
from dreamlab.experiments.study.judge import Judged, judge_study
from dreamlab.experiments.study.plan import chosen
from dreamlab.experiments.study.results import StudyResults
from dreamlab.settings import StudySpec
from dreamlab.stats import anomalies, components
from dreamlab.stats.enough import too_few
from dreamlab.store import Run, RunStore
from dreamlab.studies.model import Measure, PublishedCell, Scale, Study

Values = dict[str, Any]
PUBLISHED_ONLY = "published"
"""State of a row that this scale does not measure."""


def report(run: Run, store: RunStore, status: Status | None = None) -> Values:
    """The result of a study so far: every published cell, with the number measured here (`ours`)
    if its run is done.

    `complete` says whether all parts have results. Raises SpecError if the data set is missing.
    """
    spec = cast(StudySpec, run.spec)
    study, scale = chosen(spec)
    work = StudyResults(Children(run, store, status), spec)
    measures = {_cell_id(m, scale, work.title): m for m in scale.measures}
    cells = {cell.id: cell for cell in study.cells}
    cells |= {
        name: dataclasses.replace(m.cell, id=name)
        for name, m in measures.items()
        if name not in cells
    }
    parts = given_set.parts_of(spec, scale)
    complete = all(work.children.result(part.role) is not None for part in parts)
    judged = judge_study(scale, work, run) if complete else Judged()
    seconds = [
        r["seconds"] for part in parts if (r := work.children.result(part.role)) and "seconds" in r
    ]
    rows = [_row(cell, measures.get(name), work, judged) for name, cell in cells.items()]
    given_set.mark(rows, work.children.ids, spec, store)
    best = judge_grid(rows, study.places)
    for row in rows:
        row.pop("left_out", None)  # it was needed to compare the settings
    return {
        "study": study.id,
        "scale": scale.name,
        "title": study.title,
        "question": study.question,
        "source": study.source,
        "settings": dict(study.settings),
        "summary": scale.summary,
        "data": _data(scale, spec, work.title),
        "assumptions": given_set.assumptions_of(spec, scale),
        "notes": list(study.notes),
        "complete": complete,
        "rows": rows,
        "verdict": judged.verdict,
        "remarks": [*given_set.said_of(spec, store), *best, *judged.notes],
        "generators": judged.generators,
        "anomalies": published_anomalies(study),
        "seconds": round(sum(seconds), 3),
    }


def published_anomalies(study: Study) -> list[str]:
    """Sentences on doubtful published numbers, by the rules of `dreamlab.stats.anomalies`."""
    rows = {cell.id: _published_row(cell) for cell in study.cells if cell.published is not None}
    said = anomalies.impossible(list(rows.values()))
    for check in study.checks:
        if check.difference:
            stated, before, after = (rows[name] for name in check.difference)
            said += anomalies.wrong_difference(
                stated["label"], before["value"], after["value"], stated["value"]
            )
            continue
        places = [{"x": x} for x in check.x] or [{}] * len(check.cells)
        listed = [
            {**rows[name], **at, "images": check.images}
            for name, at in zip(check.cells, places, strict=True)
        ]
        ends = (rows[check.ends[0]]["label"], rows[check.ends[1]]["label"]) if check.ends else None
        said += anomalies.flags(listed, check.claim, ends)
    return list(dict.fromkeys(said))


def _published_row(cell: PublishedCell) -> Values:
    unit = cell.unit or ("share" if cell.metric == "macro-F1" else "distance")
    row: Values = {"label": cell.arm, "value": cell.published, "unit": unit}
    if cell.high is not None and cell.published is not None:
        row["spread"] = cell.high - cell.published
    return row


def _cell_id(measure: Measure, scale: Scale, title: str) -> str:
    """The id of the cell that a measure is about. If the published table has one column per data
    set, it is the cell in the column of this data set."""
    first = next(iter(scale.columns), "")
    return measure.cell.id.replace(COLUMN, column_of(scale, title) or first)


def _data(scale: Scale, spec: StudySpec, title: str) -> str:
    if spec.dataset in ((), (scale.dataset,)):
        return scale.data
    instead = " instead of the data set of this scale" if scale.dataset else ""
    return f"{title}{instead}."


def _row(
    cell: PublishedCell, measure: Measure | None, work: StudyResults, judged: Judged
) -> Values:
    row: Values = {
        "id": cell.id,
        "arm": cell.arm,
        "metric": cell.metric,
        "unit": cell.unit,
        "published": cell.published,
        "published_low": cell.low,
        "published_high": cell.high,
        "setting": cell.setting,
        "flag": cell.flag,
        "derived": cell.derived,
        "ours": None,
        "low": None,
        "high": None,
        "our_metric": "",
        "seeds": None,
        "images": None,
        "stand_in": "",
        "difference": None,
        "generator": "",
        "standing": "",
        "state": PUBLISHED_ONLY,
        "child": "",
    }
    if measure is None:
        return row
    status = work.children.status(measure.child)
    row |= {
        "state": status.state if status else "missing",
        "child": work.children.ids.get(measure.child, ""),
        "stand_in": measure.stand_in,
    }
    if all(work.children.result(role) for role in (measure.child, measure.minus) if role):
        row |= _measured(measure, work, 100.0 if cell.unit in ("%", "points") else 1.0)
        if row["our_metric"].lower() == cell.metric.lower():  # FID, which is fid here
            row["our_metric"] = cell.metric
        if measure.value in ("accuracy", "macro_f1") and not measure.minus:
            row["difference"] = judged.differences.get(measure.child)
            row["generator"] = judged.sources.get(measure.child, "")
    return row


def _measured(measure: Measure, work: StudyResults, scale: float) -> Values:
    """The measured value with its interval, in the unit of the cell, and the numbers of seeds and
    test images. Empty if the predictions cannot be read."""
    name, _, rest = measure.value.partition(".")
    if name in OF_RUN:
        return OF_RUN[name](cast(Values, work.children.result(measure.child)), rest)
    values = [
        _seeds_by_images(role, name, rest, work) for role in (measure.child, measure.minus) if role
    ]
    if any(
        v is None or v.shape[1] < 2 for v in values
    ):  # there is nothing to measure for a class without test images
        return {}
    found = cast(list[np.ndarray], values)
    if len(found) == 2:
        ours: Values = {"ours": float((found[0] - found[1]).mean()), "low": None, "high": None}
        if not too_few(*found[0].shape):
            interval = components.paired(*found).interval()
            ours |= {"low": interval.low, "high": interval.high}
    else:
        one = cast(Values, components.cell(found[0]))
        ours = {"ours": one["mean"], "low": one["low"], "high": one["high"]}
    ours = {key: None if value is None else scale * value for key, value in ours.items()}
    return {**ours, "seeds": len(found[0]), "images": found[0].shape[1]}


def _seeds_by_images(role: str, name: str, rest: str, work: StudyResults) -> np.ndarray | None:
    """Values (seeds, images) of a classifier, whose mean is the measure, 0 to 1. None if the
    predictions cannot be read. Raises ValueError for an unknown measure."""
    if name not in OF_PREDICTIONS:
        raise ValueError(
            f"There is no measure {name!r}; there are {', '.join((*OF_PREDICTIONS, *OF_RUN))}."
        )
    predicted = work.predicted(role, "top5" if name == "top5" else "class")
    if predicted is None:
        return None
    if name == "macro_f1":
        return components.macro_f1(predicted, work.labels, len(work.info.classes))
    if name == "top5":
        return np.asarray((predicted == work.labels[:, None]).any(axis=2), dtype=np.float64)
    right = components.correct(predicted, work.labels)
    return right[:, work.labels == int(rest)] if name == "per_class" else right


def _distance(result: Values, rest: str) -> Values:
    found = result["metrics"][0]
    return {
        "ours": found["value"],
        "low": found["low"],
        "high": found["high"],
        "our_metric": found["name"],
        "images": result["images"],
        "left_out": found.get("left_out"),
    }


def _seconds(result: Values, rest: str) -> Values:
    return {"ours": 128 * result["seconds"] / result["images"], "images": result["images"]}


def _appearance(result: Values, rest: str) -> Values:
    side, _, what = rest.partition(".")
    found = result["appearance"][side][what]
    mean, error = found["mean"], found["error"]
    images = result["images"] if side == "synthetic" else result["reference"]["images"]
    return {"ours": mean, "low": mean - 1.96 * error, "high": mean + 1.96 * error, "images": images}


OF_RUN: dict[str, Callable[[Values, str], Values]] = {
    "fd": _distance,
    "seconds_per_128": _seconds,
    "appearance": _appearance,
}
"""Measures that are in the result of a run with their interval, by the first word of their name."""
OF_PREDICTIONS = ("accuracy", "macro_f1", "top5", "per_class")
"""Measures that are computed from the predictions of a classifier."""
