"""Tables of the arms of a mix: image counts, accuracies with intervals, differences, and all tests
behind them. Pure functions of a report."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from dreamlab.ui import render
from dreamlab.ui.parts import mix_report
from dreamlab.ui.parts.numbers import NumberCell, p_value, percent, points
from dreamlab.ui.theme import mix_css

PAGE = "arms.html"
CONTROLS = {"title": "Controls", "note": "for comparison with the mixes", "badge": ""}
REFERENCE = NumberCell("reference", look="mut")


@dataclasses.dataclass(frozen=True)
class ArmRow:
    """One line of the table of arms. `heading` starts a group of arms: title, note, badge."""

    label: str
    colour: str
    hollow: bool
    notes: str
    real: int
    synthetic: int
    other: int
    accuracy: NumberCell
    macro_f1: NumberCell
    difference: NumberCell
    p: str
    heading: Mapping[str, str] | None


@dataclasses.dataclass(frozen=True)
class ArmTests:
    """One line of the table of tests. p values are texts."""

    label: str
    colour: str
    hollow: bool
    top5: str
    p: str
    p_holm: str
    sign_flip: str
    mcnemar: str


def arms_html(report: dict[str, Any]) -> Markup:
    """The table of arms, grouped by generator, with the controls at the end; below it the table of
    tests."""
    listed = mix_report.ordered(report)
    rows = _rows(listed, {g["key"]: g for g in report.get("generators") or []})
    largest = max((r.real + r.synthetic + r.other for r in rows), default=0)
    note = budget(report) if rows else ""
    return render.part(PAGE, "arms", rows, note, largest, tests_html(listed))


def _rows(listed: Sequence[dict[str, Any]], generators: dict[str, dict[str, Any]]) -> list[ArmRow]:
    rows: list[ArmRow] = []
    last = ""
    for arm in listed:
        group = mix_report.group(arm, several=len(generators) > 1)
        heading = _heading(group, generators) if group and group != last else None
        rows.append(_row(arm, generators, generators.get(group, {}).get("badge", ""), heading))
        last = group
    return rows


def _heading(group: str, generators: dict[str, dict[str, Any]]) -> Mapping[str, str]:
    if group == mix_report.CONTROLS:
        return CONTROLS
    generator = generators.get(group, {"name": group, "badge": ""})
    return {"title": generator["name"], "note": "", "badge": generator["badge"]}


def _row(
    arm: dict[str, Any],
    generators: dict[str, dict[str, Any]],
    known_badge: str,
    heading: Mapping[str, str] | None,
) -> ArmRow:
    """The line of one arm. What its generator was trained on is added if the heading does not say
    it."""
    badge = (arm.get("leakage") or {}).get("badge", "") if arm.get("synthetic") else ""
    control = mix_report.role(arm) == "control"
    own = generators.get(arm.get("generator", "")) if control and len(generators) > 1 else None
    notes = [n for n in (own["name"] if own else "", badge if badge != known_badge else "") if n]
    seeds = len(arm.get("accuracies") or [])
    difference = arm.get("difference")
    return ArmRow(
        **_name(arm),
        notes=", ".join(notes),
        real=arm["real"],
        synthetic=arm["synthetic"],
        other=int(arm.get("other") or 0),
        accuracy=percent(arm.get("interval"), seeds),
        macro_f1=percent(arm.get("macro_f1_interval"), seeds),
        difference=REFERENCE if mix_report.role(arm) == "reference" else points(difference),
        p=p_value((difference or {}).get("p_holm")),
        heading=heading,
    )


def _name(arm: dict[str, Any]) -> dict[str, Any]:
    """Label and mark of an arm: the colour of its synthetic share, hollow for a control."""
    return {
        "label": arm["label"],
        "colour": mix_css(arm.get("synthetic_fraction", 0.0)),
        "hollow": mix_report.role(arm) == "control",
    }


def budget(report: dict[str, Any]) -> str:
    """The budget that all arms share; empty if the report does not have it."""
    if report.get("budget") == "steps" and report.get("steps"):
        return f"{report['steps']:,} optimiser steps for every arm"
    return "equal epochs: larger arms trained longer" if report.get("budget") == "epochs" else ""


def tests_html(listed: Sequence[dict[str, Any]]) -> Markup:
    """All tests of the differences: paired t with and without Holm's correction, sign flips over
    seeds, and McNemar's test for each seed. Empty if no arm was tested."""
    rows = []
    for arm in listed:
        found = arm.get("difference") or {}
        if found.get("p") is None:
            continue
        rows.append(
            ArmTests(
                **_name(arm),
                top5=top5(arm),
                p=p_value(found["p"]),
                p_holm=p_value(found.get("p_holm")),
                sign_flip=p_value(found.get("sign_flip")),
                mcnemar=", ".join(p_value(p) for p in found.get("mcnemar") or []),
            )
        )
    return render.part(PAGE, "tests", rows, any(arm.get("top5") for arm in listed))


def top5(arm: dict[str, Any]) -> str:
    """Mean top-5 accuracy over seeds in percent; empty if it was not measured."""
    values = [v for v in arm.get("top5") or [] if v is not None]
    return f"{100 * sum(values) / len(values):.1f}" if values else ""


def worth_html(report: dict[str, Any]) -> Markup:
    """The effect of more real images in a generator: arms of a generator that was trained on more
    images, compared with one that was trained on the classifier's images. Empty if there are no two
    such generators."""
    found = report.get("extra_data") or []
    names = {g["key"]: g["name"] for g in report.get("generators") or []}
    rows = [
        {
            "label": x["label"],
            "more": names.get(x["more"], x["more"]),
            "same": names.get(x["same"], x["same"]),
            "worth": points(x),
            "p": p_value(x.get("p_holm")),
        }
        for x in found
    ]
    return render.part(PAGE, "worth", found[0].get("text") or "" if found else "", rows)
