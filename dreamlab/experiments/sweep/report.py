"""The report of a sweep, both during its runs and after them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from dreamlab.experiments.children import Children, Status
from dreamlab.experiments.sweep.plan import Point, place, point_of
from dreamlab.fidelity import metrics, wording
from dreamlab.settings import SweepSpec, exact
from dreamlab.stats.intervals import Interval
from dreamlab.stats.left_out import loaded
from dreamlab.stats.settings_apart import as_good, sentence
from dreamlab.store import Run, RunStore

TRAINED = "num_train_timesteps"
"""The axis for which a generator is trained for each value."""


def report(run: Run, store: RunStore, status: Status | None = None) -> dict[str, Any]:
    """The curve so far. `best` is None until every point is measured, and if this version of
    DreamLab does not know the metric.

    A point has `x` and, with a second axis, `y`: numbers, or names of samplers; and `standing`,
    which is "best", "as good" or empty.
    """
    spec = cast(SweepSpec, run.spec)
    children = Children(run, store, status)
    roles = [role for role in run.record.roles if role.startswith("fidelity:")]
    places = sorted(
        (point_of(role.partition(":")[2]) for role in roles),
        key=lambda point: [(isinstance(v, str), v) for v in point],
    )
    found: list[dict[str, Any]] = []
    extractor = reference = images = None
    for point in places:
        found.append(_point(spec, children, point))
        if result := children.result(f"fidelity:{place(point)}"):
            extractor, reference = result["extractor"], result["reference"]
            images = result["images"] if "per_class" not in spec.axes else None
    axes = list(spec.axes)
    # with more images of the same kind a biased distance is lower, which is no better setting
    best = _best(found) if "per_class" not in axes else None
    return {
        "axis": axes[0],
        "second_axis": axes[1] if len(axes) > 1 else None,
        "points": found,
        "best": best,
        "extractor": extractor,
        "images": images,
        "reference": reference,
        "reference_note": _note(spec, reference),
    }


def _point(spec: SweepSpec, children: Children, point: Point) -> dict[str, Any]:
    here, trained = place(point), spec.source
    at = dict(zip(spec.axes, point, strict=True))
    generator = f"generator:{exact(at[TRAINED])}" if TRAINED in at else ""
    role = f"fidelity:{here}"
    state, result = children.status(role), children.result(role)
    made = children.result(f"set:{here}")
    trained_result = children.result(generator) if generator else None
    return {
        "x": point[0],
        **({"y": point[1]} if len(point) > 1 else {}),
        "synthesize": children.ids.get(f"set:{here}", ""),
        "fidelity": children.ids[role],
        "generator": children.ids.get(generator, trained),
        "state": state.state if state else "missing",
        "error": state.error if state else "",
        "metrics": result["metrics"] if result else [],
        "real_floor": result["real_floor"] if result and wording.comparable(result) else [],
        "recognised": result["recognised"] if result else None,
        "seconds": made["seconds"] if made else None,
        "train_seconds": trained_result["seconds"] if trained_result else None,
        "standing": "",
    }


def named(result: Mapping[str, Any], point: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """A point in words, such as `w = 1` or `w = 1, steps = 20`. `words`: axis -> its name, by
    default that of its setting."""
    axes = [result["axis"], *filter(None, (result.get("second_axis"),))]
    values = [point["x"], *([point["y"]] if "y" in point else [])]
    return ", ".join(
        f"{words.get(axis, axis)} = {value if isinstance(value, str) else f'{value:g}'}"
        for axis, value in zip(axes, values, strict=True)
    )


def best_text(result: dict[str, Any], words: Mapping[str, str] | None = None) -> str:
    """The sentence on the best setting of a finished sweep and those that cannot be told apart from
    it; empty if there is none. `words` as in `named`."""
    found = result.get("best")
    if not found:
        return ""
    points = result["points"]
    best = next(p for p in points if (p["x"], p.get("y")) == (found["x"], found.get("y")))
    others = [p for p in _as_good(points, found["metric"], points.index(best)) if p is not best]
    names = [named(result, p, words or {}) for p in others]
    word = wording.best_word(found["metric"])
    return sentence(word, found["metric"], named(result, best, words or {}), names, len(points))


def _as_good(points: list[dict[str, Any]], metric: str, best: int) -> list[dict[str, Any]]:
    """The points whose value of a metric cannot be told apart from that of the best one."""
    measured = [next(m for m in p["metrics"] if m["name"] == metric) for p in points]
    values = [
        m["value"] if m.get("low") is None else Interval(m["value"], m["low"], m["high"])
        for m in measured
    ]
    left = [loaded(m.get("left_out")) for m in measured]
    return [points[i] for i in as_good(values, best, left=left)]


def _best(points: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The best point by the first metric; sets `standing` of the points."""
    if not points or not all(p["metrics"] for p in points):
        return None
    name = points[0]["metrics"][0]["name"]
    values = [p["metrics"][0]["value"] for p in points]
    if name not in metrics.METRICS or any(value is None for value in values):
        return None
    at = metrics.best(name, values)
    for point in _as_good(points, name, at):
        point["standing"] = "best" if point is points[at] else "as good"
    best = points[at]
    return {"x": best["x"], **({"y": best["y"]} if "y" in best else {}), "metric": name}


def _note(spec: SweepSpec, reference: dict[str, Any] | None) -> str:
    fell_back = spec.reference == "validation" and reference and reference["split"] == "train"
    others = reference and reference.get("other_images")
    return " ".join(
        ([wording.NOT_ASIDE] if fell_back else []) + ([wording.OTHER_IMAGES] if others else [])
    )
