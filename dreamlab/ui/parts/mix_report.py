"""Reading the report of a mix: its arms in order, their roles, and the arm to show class by class.
Pure functions."""

from __future__ import annotations

from typing import Any

CONTROLS = "controls"
"""The group that a page shows the controls in."""


def key(arm: dict[str, Any]) -> str:
    """What names an arm within its report: two generators may have arms of one name."""
    return f"{arm.get('generator', '')} {arm['arm']}".strip()


def role(arm: dict[str, Any]) -> str:
    """reference, treatment or control; results of an earlier version say it by the arm's name
    alone."""
    return str(arm.get("role") or ("reference" if arm["arm"] == "real" else "treatment"))


def group(arm: dict[str, Any], several: bool) -> str:
    """What an arm stands under: its generator where there are several, the controls, or nothing."""
    if role(arm) == "control":
        return CONTROLS
    return str(arm.get("generator", "")) if several else ""


def ordered(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Reference, treatments by generator and synthetic fraction, controls; the surface's further
    sizes are not among them."""
    listed: list[dict[str, Any]] = list(report.get("arms") or [])
    generators = [g["key"] for g in report.get("generators") or []]
    turn = {"reference": 0, "treatment": 1, "control": 2}

    def place(arm: dict[str, Any]) -> tuple[int, int, float]:
        own = arm.get("generator", "")
        what = turn.get(role(arm), 1)
        # sorting is stable: adds of one fraction and controls stay as they were asked for
        return (
            what,
            generators.index(own) if own in generators else -1,
            arm.get("synthetic_fraction", 0.0) if what == 1 else 0.0,
        )

    return sorted(listed, key=place)


def best_arms(report: dict[str, Any]) -> set[str]:
    """Keys of the arms that may be the best mix, of the generator that the verdict speaks of."""
    best = report.get("best") or {}
    own = best.get("generator", (report.get("verdict") or {}).get("generator", ""))
    names = set(best.get("arms") or [])
    return {
        key(a)
        for a in report.get("arms") or []
        if a["arm"] in names
        and role(a) != "control"
        and (role(a) == "reference" or not own or a.get("generator") == own)
    }


def surface_cells(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Cells of the real-size by amount surface of the generator that the verdict speaks of: the
    further sizes, and the mix's own."""
    further = report.get("surface") or []
    names = {c["arm"] for c in further}
    own = (report.get("verdict") or {}).get("generator") or next(
        (c["generator"] for c in further if c.get("generator")), ""
    )
    listed = [*further, *(a for a in report.get("arms") or [] if a["arm"] in names)]
    return [c for c in listed if c.get("generator", "") in ("", own)]


def reference(report: dict[str, Any]) -> dict[str, Any] | None:
    """The arm of real images alone, that all others are compared with; None before it is there."""
    return next((a for a in report.get("arms") or [] if role(a) == "reference"), None)


def finished(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The arms besides the reference whose accuracies by class are there."""
    return [a for a in ordered(report) if a.get("per_class") and role(a) != "reference"]


def chosen_arm(report: dict[str, Any], asked: str) -> dict[str, Any] | None:
    """The arm that is shown class by class: the one asked for, else that of the verdict, else the
    finished mix with the best mean accuracy. None where no arm is finished."""
    done = finished(report)
    verdict = report.get("verdict") or {}
    told = f"{verdict.get('generator', '')} {verdict.get('arm', '')}".strip()
    for wanted in (asked, told):
        if found := next((a for a in done if key(a) == wanted), None):
            return found
    mixes = [a for a in done if role(a) == "treatment" and a.get("interval")]
    return max(mixes, key=lambda a: float(a["interval"]["mean"]), default=None)


def unique(report: dict[str, Any]) -> list[dict[str, Any]]:
    """One arm of each name: generators do not change the counts."""
    found: dict[str, dict[str, Any]] = {}
    for arm in ordered(report):
        found.setdefault(arm["arm"], arm)
    return list(found.values())
