"""The report of a sweep."""

from __future__ import annotations

from typing import Any, cast

from dreamlab.experiments.children import Children, Status
from dreamlab.settings import SweepSpec
from dreamlab.store import Run, RunStore


def report(run: Run, store: RunStore, status: Status | None = None) -> dict[str, Any]:
    """The curve so far. `best` is None until every point is measured."""
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
        made = children.result(f"set:{x:g}")
        trained = children.result(f"generator:{x:g}")
        found.append(
            {
                "x": x,
                "synthesize": children.ids.get(f"set:{x:g}", ""),
                "fidelity": children.ids[role],
                "generator": children.ids.get(f"generator:{x:g}", spec.source),
                "state": state.state if state else "missing",
                "error": state.error if state else "",
                "metrics": result["metrics"] if result else [],
                "real_floor": result["real_floor"] if result else [],
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
    best = None
    if found and all(p["metrics"] for p in found):
        lowest = min(found, key=lambda p: p["metrics"][0]["value"])
        best = {"x": lowest["x"], "metric": lowest["metrics"][0]["name"]}
    return {
        "axis": spec.axis,
        "points": found,
        "best": best,
        "extractor": extractor,
        "images": images,
        "reference": reference,
    }
