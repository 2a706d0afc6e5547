"""What the Studies page says of a study: the list, the table of published and own numbers,
settings, notes. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dreamlab.service import RunRow
from dreamlab.store.states import ACTIVE
from dreamlab.studies import Study
from dreamlab.ui import html
from dreamlab.ui.charts.study_chart import axis_title
from dreamlab.ui.parts import arm_tables

LONG = 40
"""Rows from which on a table scrolls in its panel."""


def list_html(studies: Sequence[Study], chosen: str, states: Mapping[str, str]) -> str:
    """All studies as a quiet list, grouped S0 to S4; beside each what has been run here."""
    parts, last = [], ""
    for s in studies:
        if s.study != last:
            parts.append(f"<h3>{html.esc(s.study)}</h3>")
            last = s.study
        state = html.state_chip(states[s.id]) if s.id in states else ""
        mark = ' aria-current="true"' if s.id == chosen else ""
        parts.append(
            '<a href="?tab=studies" data-act="pick" data-name="study"'
            f' data-value="{html.esc(s.id)}"{mark} title="{html.esc(s.question)}">'
            f"<span>{html.esc(s.title)}</span><code>{html.esc(s.id)}</code>{state}</a>"
        )
    return f'<nav class="studies" aria-label="Studies">{"".join(parts)}</nav>'


def scale_note(study: Study, name: str) -> str:
    """What a scale does and on which data, beside the form."""
    scale = study.scales.get(name)
    if scale is None:
        return ""
    return (
        f'<p class="note">{html.esc(scale.summary)}</p><p class="note">{html.esc(scale.data)}</p>'
    )


def number(value: float, low: float | None = None, high: float | None = None) -> str:
    """A measured number with no more digits than its interval supports; three that count where
    there is none."""
    width = high - low if low is not None and high is not None else 0.0
    if width > 0:
        digits = max(0, min(4, 1 - math.floor(math.log10(width))))
    else:
        digits = max(0, min(4, 2 - math.floor(math.log10(abs(value))))) if value else 1
    return f"{value:,.{digits}f}".replace("-", html.MINUS)


def decimals(rows: Sequence[Mapping[str, Any]]) -> int:
    """Decimals that the paper prints in one column: as many as its longest number needs."""
    return max(
        (
            len(f"{r['published']:.6f}".rstrip("0").partition(".")[2])
            for r in rows
            if r.get("published") is not None
        ),
        default=0,
    )


def published_cell(r: Mapping[str, Any], setting: bool, digits: int) -> str:
    """The paper's number with its spread; its own setting and what is doubtful about it below."""
    if r.get("published") is None:
        value = '<span class="mut">no number</span>'
    else:
        value = f"{r['published']:,.{digits}f}".replace("-", html.MINUS)
        if r.get("published_low") is not None and r.get("published_high") is not None:
            value += (
                f' <span class="mut">{r["published_low"]:,.{digits}f} to'
                f" {r['published_high']:,.{digits}f}</span>"
            )
    if r.get("flag"):
        value = f'<span class="warn">{value}</span>'
    below = (
        f'<br><span class="note">{html.esc(r["setting"])}</span>'
        if setting and r.get("setting")
        else ""
    )
    return value + below


def ours_cell(r: Mapping[str, Any], running: bool) -> str:
    """Our number with its interval, or what there is instead."""
    if r.get("ours") is None:
        state = str(r.get("state") or "")
        if state in ("failed", "stopped", "running"):
            return f'<span class="mut">{state}</span>'
        coming = running and bool(r.get("child"))
        return (
            "<span"
            f' class="mut">{"to come" if coming else "published only" if r.get("published") is not None else "not run"}</span>'
        )
    low, high = r.get("low"), r.get("high")
    own = str(r.get("our_metric") or "")
    named = f' <span class="mut">{html.esc(own)}</span>' if own and own != r["metric"] else ""
    value = f"<b>{number(r['ours'], low, high)}</b>{named}"
    if low is not None and high is not None:
        value += f' <span class="mut">{number(low, low, high)} to {number(high, low, high)}</span>'
    return value


def table_html(rows: Sequence[Mapping[str, Any]], row: RunRow | None) -> str:
    """One line an arm under a head per metric: published, ours, seeds, difference, and what stands
    in for the paper's."""
    if not rows:
        return (
            html.panel_head("Numbers")
            + '<p class="empty">The rows of this study appear when it is run.</p>'
        )
    running = row is not None and row.state in ACTIVE
    printed = any(r.get("published") is not None for r in rows)
    heads = ["Arm", *(["published"] if printed else []), "ours, 95 % interval", "seeds"]
    differ = any(r.get("difference") for r in rows)
    stand_ins = {str(r["stand_in"]) for r in rows if r.get("child") and r.get("stand_in")}
    own_column = len(stand_ins) > 1
    heads += (["difference, points", "p (Holm)"] if differ else []) + (
        ["ours ran on"] if own_column else []
    )
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for r in rows:
        groups.setdefault(axis_title(dict(r)), []).append(r)
    body = ""
    for title, mine in groups.items():
        settings = {str(r.get("setting") or "") for r in mine}
        alone = next(iter(settings)) if len(settings) == 1 else ""
        said = (
            f' <span class="mut" style="font-weight:400">{html.esc(alone)}</span>' if alone else ""
        )
        body += (
            f'<tr class="group"><td colspan="{len(heads)}"'
            f' class="wrap">{html.esc(title)}{said}</td></tr>'
        )
        for r in mine:
            cells = _cells(r, running, not alone, differ, own_column, decimals(mine))
            cells = cells if printed else [cells[0], *cells[2:]]
            body += (
                "<tr>"
                + "".join(
                    f"<td{' class=wrap' if i == 1 and printed else ''}>{c}</td>"
                    for i, c in enumerate(cells)
                )
                + "</tr>"
            )
            if r.get("flag"):
                body += (
                    f'<tr class="flag"><td colspan="{len(heads)}" class="wrap'
                    f' warn">{html.esc(r["arm"])}: {html.esc(r["flag"])}</td></tr>'
                )
    top = "".join(f'<th scope="col">{h}</th>' for h in heads)
    one = next(iter(stand_ins)) if len(stand_ins) == 1 else ""
    note = f"ours ran on {one}" if one else ""
    tall = " tall" if len(rows) > LONG else ""
    return (
        html.panel_head("Numbers", note) + "<div"
        f' class="wide{tall}"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _cells(
    r: Mapping[str, Any], running: bool, setting: bool, differ: bool, own_column: bool, digits: int
) -> list[str]:
    seeds = f"{r['seeds']:,}" if r.get("seeds") and r.get("ours") is not None else ""
    found = [html.esc(r["arm"]), published_cell(r, setting, digits), ours_cell(r, running), seeds]
    if differ:
        d = r.get("difference")
        found += [arm_tables.points(d) if d else "", arm_tables.p_value((d or {}).get("p_holm"))]
    if own_column:
        found.append(f'<span class="mut">{html.esc(r.get("stand_in") or "")}</span>')
    return found


def bullets(sentences: Iterable[str], kind: str = "") -> str:
    items = "".join(f"<li>{html.esc(s)}</li>" for s in sentences)
    return f'<ul class="said {kind}">{items}</ul>' if items else ""


def about_html(study: Study, report: Mapping[str, Any]) -> str:
    """Settings as published; its mistakes and doubtful numbers in amber; how every scale fills what
    it leaves open."""
    left = html.panel_head("Settings as published") + html.facts(study.settings.items())
    doubtful = report.get("anomalies") or []
    right = html.panel_head("What is wrong or unclear in it") + bullets(study.notes, "amber")
    if doubtful:
        right += html.panel_head("Found by rule in the published numbers") + bullets(
            doubtful, "amber"
        )
    panels = (
        f'<div class="pair"><div class="dl-panel">{left}</div><div'
        f' class="dl-panel">{right}</div></div>'
    )
    scales = "".join(
        f'<div><h3 class="scale">{html.esc(name.capitalize())}</h3><p'
        f' class="sub">{html.esc(s.summary)} {html.esc(s.data)}</p>{bullets(s.assumptions)}</div>'
        for name, s in study.scales.items()
    )
    return (
        panels + '<div class="dl-panel"'
        f' style="margin-top:16px">{html.panel_head("How it is run here", "scale by scale, with what was assumed")}{scales}</div>'
    )
