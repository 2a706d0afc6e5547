"""Reads the report of a mix: its arms in order, their roles, and the arm to show by class. Pure
functions."""

from __future__ import annotations

from typing import Any

CONTROLS = "controls"
"""Name of the group of control arms."""


def key(arm: dict[str, Any]) -> str:
    """Identifies an arm within a report; two generators may have arms of the same name."""
    return f"{arm.get('generator', '')} {arm['arm']}".strip()


def role(arm: dict[str, Any]) -> str:
    """reference, treatment or control. Results of an earlier version do not have it; it then
    follows from the name of the arm."""
    return str(arm.get("role") or ("reference" if arm["arm"] == "real" else "treatment"))


def group(arm: dict[str, Any], several: bool) -> str:
    """The group that an arm is shown in: the controls, its generator if there are several, or
    ""."""
    if role(arm) == "control":
        return CONTROLS
    return str(arm.get("generator", "")) if several else ""


def ordered(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The arms in the order of display: the reference, treatments by generator and synthetic share,
    controls. Arms at other numbers of real images are not included."""
    listed: list[dict[str, Any]] = list(report.get("arms") or [])
    generators = [g["key"] for g in report.get("generators") or []]
    turn = {"reference": 0, "treatment": 1, "control": 2}

    def place(arm: dict[str, Any]) -> tuple[int, int, float]:
        own = arm.get("generator", "")
        what = turn.get(role(arm), 1)
        # sorting is stable: arms with equal shares, and controls, keep their order
        return (
            what,
            generators.index(own) if own in generators else -1,
            arm.get("synthetic_fraction", 0.0) if what == 1 else 0.0,
        )

    return sorted(listed, key=place)


def best_arms(report: dict[str, Any]) -> set[str]:
    """Keys of the arms that may be the best mix, for the generator of the verdict."""
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
    """The arms of the learning curves for the generator of the verdict: those at other numbers of
    real images, and the same arms of the mix."""
    further = report.get("surface") or []
    names = {c["arm"] for c in further}
    own = (report.get("verdict") or {}).get("generator") or next(
        (c["generator"] for c in further if c.get("generator")), ""
    )
    listed = [*further, *(a for a in report.get("arms") or [] if a["arm"] in names)]
    return [c for c in listed if c.get("generator", "") in ("", own)]


def reference(report: dict[str, Any]) -> dict[str, Any] | None:
    """The arm `real`; None if the report has no arms yet."""
    return next((a for a in report.get("arms") or [] if role(a) == "reference"), None)


def finished(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The arms other than `real` that have accuracies by class."""
    return [a for a in ordered(report) if a.get("per_class") and role(a) != "reference"]


def chosen_arm(report: dict[str, Any], asked: str) -> dict[str, Any] | None:
    """The arm that is shown by class: the one asked for, else that of the verdict, else the
    finished mix with the highest mean accuracy. None if no arm is finished."""
    done = finished(report)
    verdict = report.get("verdict") or {}
    told = f"{verdict.get('generator', '')} {verdict.get('arm', '')}".strip()
    for wanted in (asked, told):
        if found := next((a for a in done if key(a) == wanted), None):
            return found
    mixes = [a for a in done if role(a) == "treatment" and a.get("interval")]
    return max(mixes, key=lambda a: float(a["interval"]["mean"]), default=None)


def unique(report: dict[str, Any]) -> list[dict[str, Any]]:
    """One arm of each name. Their image counts do not depend on the generator."""
    found: dict[str, dict[str, Any]] = {}
    for arm in ordered(report):
        found.setdefault(arm["arm"], arm)
    return list(found.values())
