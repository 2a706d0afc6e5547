"""The report of a sweep, both during its runs and after them."""

from __future__ import annotations

from typing import Any, cast

from dreamlab.experiments.children import Children, Status
from dreamlab.fidelity import metrics, wording
from dreamlab.settings import SweepSpec, exact
from dreamlab.stats.intervals import Interval
from dreamlab.stats.left_out import loaded
from dreamlab.stats.settings_apart import as_good, sentence
from dreamlab.store import Run, RunStore


def report(run: Run, store: RunStore, status: Status | None = None) -> dict[str, Any]:
    """The curve so far. `best` is None until every point is measured, and if this version of
    DreamLab does not know the metric."""
    spec = cast(SweepSpec, run.spec)
    children = Children(run, store, status)
    places = sorted(
        (float(role.split(":")[1]), role)
        for role in run.record.roles
        if role.startswith("fidelity:")
    )
    found: list[dict[str, Any]] = []
    extractor = reference = images = None
    for x, role in places:
        state, result = children.status(role), children.result(role)
        made = children.result(f"set:{exact(x)}")
        trained = children.result(f"generator:{exact(x)}")
        found.append(
            {
                "x": x,
                "synthesize": children.ids.get(f"set:{exact(x)}", ""),
                "fidelity": children.ids[role],
                "generator": children.ids.get(f"generator:{exact(x)}", spec.source),
                "state": state.state if state else "missing",
                "error": state.error if state else "",
                "metrics": result["metrics"] if result else [],
                "real_floor": result["real_floor"] if result and wording.comparable(result) else [],
                "recognised": result["recognised"] if result else None,
                "seconds": made["seconds"] if made else None,
                "train_seconds": trained["seconds"] if trained else None,
            }
        )
        if result:
            extractor, reference, images = (
                result["extractor"],
                result["reference"],
                result["images"],
            )
    return {
        "axis": spec.axis,
        "points": found,
        "best": _best(found),
        "extractor": extractor,
        "images": images,
        "reference": reference,
        "reference_note": _note(spec, reference),
    }


def best_text(result: dict[str, Any], axis: str = "") -> str:
    """The sentence on the best setting of a finished sweep and those that cannot be told apart from
    it; empty if there is none. `axis` names the axis; by default by its setting."""
    found = result.get("best")
    if not found:
        return ""
    measured = [
        (p["x"], m) for p in result["points"] for m in p["metrics"] if m["name"] == found["metric"]
    ]
    values = [
        m["value"] if m.get("low") is None else Interval(m["value"], m["low"], m["high"])
        for _, m in measured
    ]
    xs = [x for x, _ in measured]
    best = xs.index(found["x"])
    left = [loaded(m.get("left_out")) for _, m in measured]
    others = [xs[i] for i in as_good(values, best, left=left) if i != best]
    word = wording.best_word(found["metric"])
    return sentence(word, found["metric"], axis or result["axis"], found["x"], others, len(xs))


def _note(spec: SweepSpec, reference: dict[str, Any] | None) -> str:
    fell_back = spec.reference == "validation" and reference and reference["split"] == "train"
    others = reference and reference.get("other_images")
    return " ".join(
        ([wording.NOT_ASIDE] if fell_back else []) + ([wording.OTHER_IMAGES] if others else [])
    )


def _best(points: list[dict[str, Any]]) -> dict[str, Any] | None:
    if not points or not all(p["metrics"] for p in points):
        return None
    name = points[0]["metrics"][0]["name"]
    if name not in metrics.METRICS:
        return None
    values = [p["metrics"][0]["value"] for p in points]
    if any(value is None for value in values):
        return None
    at = metrics.best(name, values)
    return {"x": points[at]["x"], "metric": name}
