"""The arms of a mix as tables: counts, accuracy with intervals, differences, and every test behind
them. Pure functions of a report."""

from __future__ import annotations

from typing import Any

from dreamlab.ui import html
from dreamlab.ui.theme import mix_css

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


def dot(fraction: float, hollow: bool = False) -> str:
    """The mark of an arm in the colour of its synthetic fraction; controls are hollow."""
    colour = mix_css(fraction)
    look = f"box-shadow:inset 0 0 0 2px {colour}" if hollow else f"background:{colour}"
    return f'<span class="mark" style="{look}"></span>'


def p_value(p: float | None) -> str:
    return "" if p is None else "&lt; 0.001" if p < 0.001 else f"{p:.3f}"


def measured(interval: dict[str, Any] | None, seeds: int) -> str:
    """Percent with its interval in grey behind it."""
    if not interval or interval.get("mean") is None or seeds == 0:
        return '<span class="mut">to come</span>'
    mean, low, high = interval["mean"], interval.get("low"), interval.get("high")
    if low is None or high is None or seeds < 2:
        return (
            f'{100 * mean:.1f} <span class="mut">({seeds} seed{"s" if seeds != 1 else ""})</span>'
        )
    return (
        f'{100 * mean:.1f} <span class="mut">{100 * max(low, 0):.1f} to'
        f" {100 * min(high, 1):.1f}</span>"
    )


def points(d: dict[str, Any] | None) -> str:
    """A difference with its interval: a colour only where the interval leaves zero, always with a
    sign."""
    if not d or d.get("mean") is None:
        return '<span class="mut">to come</span>'
    low, high = d.get("low"), d.get("high")
    if low is None or high is None:
        return f'<span class="mut">{html.signed(d["mean"])}</span>'
    word = ("good" if d["mean"] > 0 else "bad") if low > 0 or high < 0 else "mut"
    return (
        f'<span class="{word}">{html.signed(d["mean"])}</span> <span class="mut">{html.signed(low)}'
        f" to {html.signed(high)}</span>"
    )


def difference(arm: dict[str, Any]) -> str:
    """Points against the reference."""
    return (
        '<span class="mut">reference</span>'
        if role(arm) == "reference"
        else points(arm.get("difference"))
    )


def arms_html(report: dict[str, Any]) -> str:
    """The table of arms, grouped by generator with the controls apart, and below it the tests."""
    listed = ordered(report)
    if not listed:
        return html.panel_head("Arms") + '<p class="empty">The arms of a mix are listed here.</p>'
    largest = max(a["real"] + a["synthetic"] + other(a) for a in listed)
    names = {g["key"]: g for g in report.get("generators", [])}
    several = len(names) > 1
    heads = ["Arm", "real", "synthetic"] + (["other"] if any(map(other, listed)) else []) + [""]
    heads += ["accuracy, %", "macro-F1, %", "against real only, points", "p (Holm)"]
    body, last = "", ""
    for arm in listed:
        own = group(arm, several)
        if own and own != last:
            body += f'<tr class="group"><td colspan="{len(heads)}">{heading(own, names)}</td></tr>'
        last = own
        badge = names[own]["badge"] if own in names else ""
        body += (
            "<tr>"
            + "".join(f"<td>{c}</td>" for c in arm_cells(arm, largest, badge, heads, names))
            + "</tr>"
        )
    top = "".join(f'<th scope="col">{h}</th>' for h in heads)
    return (
        html.panel_head("Arms", budget(report)) + "<div"
        f' class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
        + tests_html(listed)
    )


def heading(own: str, names: dict[str, dict[str, Any]]) -> str:
    if own == CONTROLS:
        return (
            'Controls <span class="mut" style="font-weight:400">what a gain must be held against;'
            " they are no mixes</span>"
        )
    g = names.get(own, {"name": own, "badge": ""})
    return html.esc(g["name"]) + (" " + html.chip(g["badge"]) if g["badge"] else "")


def budget(report: dict[str, Any]) -> str:
    if report.get("budget") == "steps" and report.get("steps"):
        return f"{report['steps']:,} optimiser steps for every arm"
    return "equal epochs: larger arms trained longer" if report.get("budget") == "epochs" else ""


def other(arm: dict[str, Any]) -> int:
    """Duplicated real or noise images of an arm, over all classes."""
    return int(arm.get("other") or 0)


def arm_cells(
    arm: dict[str, Any],
    largest: int,
    known_badge: str,
    heads: list[str],
    names: dict[str, dict[str, Any]],
) -> list[str]:
    """The cells of one arm under these heads; what the generator saw is named where the group's
    heading has not said it."""
    badge = (arm.get("leakage") or {}).get("badge", "") if arm.get("synthetic") else ""
    own = names.get(arm.get("generator", "")) if role(arm) == "control" and len(names) > 1 else None
    notes = [n for n in (own["name"] if own else "", badge if badge != known_badge else "") if n]
    name = dot(arm.get("synthetic_fraction", 0.0), role(arm) == "control") + html.esc(arm["label"])
    name += f'<br><span class="note">{html.esc(", ".join(notes))}</span>' if notes else ""
    seeds = len(arm.get("accuracies") or [])
    cells = {
        "Arm": name,
        "real": f"{arm['real']:,}",
        "synthetic": f"{arm['synthetic']:,}",
        "other": f"{other(arm):,}" if other(arm) else "",
        "": html.mix_bar(arm["real"], arm["synthetic"], largest, other(arm)),
        "accuracy, %": measured(arm.get("interval"), seeds),
        "macro-F1, %": measured(arm.get("macro_f1_interval"), seeds),
        "against real only, points": difference(arm),
        "p (Holm)": p_value((arm.get("difference") or {}).get("p_holm")),
    }
    return [cells[h] for h in heads]


def tests_html(listed: list[dict[str, Any]]) -> str:
    """Every test behind the differences: paired t with and without Holm's correction, sign flips
    over seeds, McNemar a seed."""
    rows = []
    wide = any(arm.get("top5") for arm in listed)
    for arm in listed:
        d = arm.get("difference") or {}
        if d.get("p") is None:
            continue
        seeds = ", ".join(p_value(p) for p in d.get("mcnemar") or [])
        rows.append(
            [
                dot(arm.get("synthetic_fraction", 0.0), role(arm) == "control")
                + html.esc(arm["label"]),
                *([top5(arm)] if wide else []),
                p_value(d["p"]),
                p_value(d.get("p_holm")),
                p_value(d.get("sign_flip")),
                seeds,
            ]
        )
    if not rows:
        return ""
    heads = [
        "Arm",
        *(["top-5, %"] if wide else []),
        "paired t, p",
        "p (Holm)",
        "sign flips over seeds, p",
        "McNemar for each seed, p",
    ]
    return (
        '<details class="more"><summary>The tests behind it</summary>'
        + html.table(heads, rows)
        + '<p class="note">The paired t test, which knows the spread of seeds and of test images,'
        " decides, corrected by Holm over the mixes; the others stand beside it. McNemar's test"
        " speaks about one pair of trained classifiers, not about new seeds.</p></details>"
    )


def top5(arm: dict[str, Any]) -> str:
    """Mean over seeds of the accuracy where one of five answers counts, percent."""
    values = [v for v in arm.get("top5") or [] if v is not None]
    return f"{100 * sum(values) / len(values):.1f}" if values else ""


def worth_html(report: dict[str, Any]) -> str:
    """What the further real images of a generator are worth: one that saw more against one that saw
    the same."""
    found = report.get("extra_data") or []
    if not found:
        return ""
    names = {g["key"]: g["name"] for g in report.get("generators") or []}
    rows = [
        [
            html.esc(x["label"]),
            html.esc(names.get(x["more"], x["more"])),
            html.esc(names.get(x["same"], x["same"])),
            points(x),
            p_value(x.get("p_holm")),
        ]
        for x in found
    ]
    said = "".join(f'<p class="sub">{html.esc(x["text"])}</p>' for x in found[:1] if x.get("text"))
    heads = [
        "Arm",
        "generator that saw more",
        "against one that saw the same",
        "worth, points",
        "p (Holm)",
    ]
    return (
        html.panel_head("What the generator's extra real images are worth")
        + said
        + html.table(heads, rows)
    )
