"""The chart of a study: published beside ours, an axis for every unit, curves where the arms are
steps of an amount."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dreamlab.ui.charts.curves import base, empty, plain
from dreamlab.ui.theme import faded, palette

ROW, FACET, CURVE = 24, 62, 320
"""Pixels of one row, of what stands around the rows of one unit, and of a unit that is drawn as
curves."""
MANY = 12
"""Rows of one unit from which on curves are easier to read, where the arms are steps of an
amount."""
NUMBER = re.compile(r"\d+(?:\.\d+)?")
Row = Mapping[str, Any]


def axis_title(row: Row) -> str:
    """What the axis of a row says: metric and unit; rows that say the same share an axis."""
    unit = str(row.get("unit") or "")
    return (
        f"{row['metric']}, {unit}"
        if unit and unit not in str(row["metric"])
        else str(row["metric"])
    )


def study(rows: Sequence[Row], theme: str, revision: str) -> go.Figure:
    """Published beside ours: an open diamond for the paper, a filled mark with its interval for
    ours, one line an arm. Every unit has an axis of its own.

    rows: as in the result of a study; values in the unit of the row, `published`, `ours`, `low` and
    `high` may be None; `our_metric` names what ours measures where that is another thing, which
    then has an axis of its own too. Many rows whose arms are steps of an amount become curves over
    it.
    """
    rows = [
        r
        for row in rows
        for r in _apart(row)
        if r.get("published") is not None or r.get("ours") is not None
    ]
    if not rows:
        return empty(
            theme,
            60,
            "The study has no published numbers; ours appear here when they are measured.",
        )
    facets: dict[str, list[Row]] = {}
    for r in rows:
        facets.setdefault(axis_title(r), []).append(r)
    curves = {title: found for title, mine in facets.items() if (found := lines(mine))}
    heights = [
        CURVE if title in curves else ROW * len(mine) + FACET for title, mine in facets.items()
    ]
    figure = make_subplots(
        rows=len(facets),
        cols=1,
        row_heights=[float(h) for h in heights],
        vertical_spacing=(
            0.0 if len(facets) == 1 else min(60 / sum(heights), 0.9 / (len(facets) - 1))
        ),
    )
    figure.update_layout(base(theme, sum(heights), revision).layout)
    c = palette(theme)
    for i, (title, mine) in enumerate(facets.items(), start=1):
        if title in curves:
            _curves(figure, i, title, curves[title], c)
        else:
            _rows(figure, i, title, mine, c)
    named = max((len(name) for found in curves.values() for name in found), default=0)
    figure.update_layout(margin={"l": 8, "r": max(48, 7 * named + 16), "t": 8, "b": 44})
    return figure


def _apart(row: Row) -> list[Row]:
    """The row itself, or published and ours as two rows where they measure different things (FID
    and fd_classifier)."""
    own = str(row.get("our_metric") or "")
    if not own or own == row["metric"]:
        return [row]
    return [{**row, "ours": None}, {**row, "published": None, "metric": f"{own}, ours", "unit": ""}]


def lines(rows: Sequence[Row]) -> dict[str, list[tuple[float, Row]]]:
    """Many rows as (amount, row) by the name of their line; empty where they are few or their arms
    name no amount.

    The amount is the first number of an arm such as `T = 100, flowers`; what else it says names its
    line, where at least four arms say it too.
    """
    if len(rows) <= MANY or not all(NUMBER.search(str(r["arm"])) for r in rows):
        return {}
    said = Counter(part for r in rows for part in set(_others(r)))
    found: dict[str, list[tuple[float, Row]]] = {}
    for r in rows:
        name = ", ".join(part for part in _others(r) if said[part] >= 4)
        found.setdefault(name, []).append((_amount(r), r))
    if len(found) > 6 or max(map(len, found.values())) < 4:
        return {}
    return {name: sorted(points, key=lambda point: point[0]) for name, points in found.items()}


def _others(row: Row) -> list[str]:
    """The parts of an arm's name without that of its amount."""
    parts = str(row["arm"]).split(", ")
    first = next(i for i, part in enumerate(parts) if NUMBER.search(part))
    return parts[:first] + parts[first + 1 :]


def _amount(row: Row) -> float:
    found = NUMBER.search(str(row["arm"]))
    assert found is not None
    return float(found[0])


def _curves(
    figure: go.Figure,
    i: int,
    title: str,
    found: Mapping[str, list[tuple[float, Row]]],
    c: Mapping[str, str],
) -> None:
    """One line a series: thin with open diamonds for the paper, in ink with intervals for ours."""
    place = {"row": i, "col": 1}
    for name, points in found.items():
        for which in ("published", "ours"):
            mine = [(x, r) for x, r in points if r.get(which) is not None]
            if not mine:
                continue
            ours = which == "ours"
            ends = [
                (r["low"], r["high"]) if ours and r.get("low") is not None else (r[which], r[which])
                for _, r in mine
            ]
            figure.add_scatter(
                x=[x for x, _ in mine],
                y=[r[which] for _, r in mine],
                mode="lines+markers+text",
                name=f"{name}, {which}",
                text=[*[""] * (len(mine) - 1), f"  {plain(name)}"],
                textposition="middle right",
                cliponaxis=False,
                textfont={"color": c["ink"], "size": 12},
                line={"color": c["ink"] if ours else faded(c["ink-3"], 0.6), "width": 1.5},
                marker={
                    "symbol": "circle" if ours else "diamond-open",
                    "size": 8,
                    "color": [
                        c["ink"] if ours else c["warn"] if r.get("flag") else c["ink-2"]
                        for _, r in mine
                    ],
                },
                error_y={
                    "type": "data",
                    "array": [
                        high - r[which] for (_, high), (_, r) in zip(ends, mine, strict=True)
                    ],
                    "arrayminus": [
                        r[which] - low for (low, _), (_, r) in zip(ends, mine, strict=True)
                    ],
                    "symmetric": False,
                    "color": c["ink"],
                    "thickness": 1.5 if ours else 0,
                    "width": 0,
                },
                customdata=[plain(r["arm"]) for _, r in mine],
                hovertemplate=f"%{{customdata}}, {which}: %{{y:.5g}}<extra></extra>",
                **place,
            )
    axis = {
        "gridcolor": c["line"],
        "linecolor": c["line"],
        "zeroline": False,
        "automargin": True,
        "tickfont": {"color": c["ink-3"], "size": 12},
    }
    words = {"color": c["ink-3"], "size": 12}
    figure.update_xaxes(
        title={"text": _of_amount(found), "font": words, "standoff": 6},
        showgrid=False,
        **axis,
        **place,
    )
    figure.update_yaxes(
        title={"text": title, "font": words, "standoff": 6},
        showgrid=True,
        nticks=6,
        **axis,
        **place,
    )


def _of_amount(found: Mapping[str, list[tuple[float, Row]]]) -> str:
    """What the amount is, from the words around it in the first arm: `T` of `T = 100`, `M` of `1.2
    M`."""
    first = str(next(iter(found.values()))[0][1]["arm"]).split(", ")
    part = next((p for p in first if NUMBER.search(p)), "")
    return NUMBER.sub("", part, count=1).strip(" =") or "amount"


def _range(rows: Sequence[Row]) -> list[float]:
    """From the least to the largest number and end of an interval, with a little room."""
    values = [
        float(r[k])
        for r in rows
        for k in ("published", "ours", "low", "high")
        if r.get(k) is not None
    ]
    room = (max(values) - min(values)) * 0.06 or abs(values[0]) * 0.05 or 1.0
    return [min(values) - room, max(values) + room]


def _rows(figure: go.Figure, i: int, title: str, rows: Sequence[Row], c: Mapping[str, str]) -> None:
    """One line an arm, both marks on it."""
    places = list(range(len(rows)))
    place = {"row": i, "col": 1}
    published = [
        (p, r) for p, r in zip(places, rows, strict=True) if r.get("published") is not None
    ]
    ours = [(p, r) for p, r in zip(places, rows, strict=True) if r.get("ours") is not None]
    for p, r in ours:
        if r.get("low") is not None and r.get("high") is not None:
            figure.add_scatter(
                x=[r["low"], r["high"]],
                y=[p - 0.14] * 2,
                mode="lines",
                line={"color": c["ink"], "width": 2},
                hoverinfo="skip",
                **place,
            )
    figure.add_scatter(
        x=[r["ours"] for _, r in ours],
        y=[p - 0.14 for p, _ in ours],
        mode="markers",
        marker={"color": c["ink"], "size": 9},
        text=[plain(r["arm"]) for _, r in ours],
        hovertemplate="%{text}, ours: %{x:.4g}<extra></extra>",
        name="ours",
        **place,
    )
    figure.add_scatter(
        x=[r["published"] for _, r in published],
        y=[p + 0.14 for p, _ in published],
        mode="markers",
        name="published",
        marker={
            "symbol": "diamond-open",
            "size": 9,
            "color": [c["warn"] if r.get("flag") else c["ink-2"] for _, r in published],
            "line": {"width": 1.6},
        },
        text=[
            plain(r["arm"]) + (f"<br>{plain(r['flag'])}" if r.get("flag") else "")
            for _, r in published
        ],
        hovertemplate="%{text}, published: %{x:.6g}<extra></extra>",
        **place,
    )
    axis = {
        "gridcolor": c["line"],
        "linecolor": c["line"],
        "zeroline": False,
        "automargin": True,
        "showgrid": True,
    }
    figure.update_xaxes(
        title={"text": title, "font": {"color": c["ink-3"], "size": 12}, "standoff": 6},
        tickfont={"color": c["ink-3"], "size": 12},
        nticks=7,
        range=_range(rows),
        **axis,
        **place,
    )
    figure.update_yaxes(
        tickvals=places,
        ticktext=[plain(r["arm"]) for r in rows],
        range=[len(rows) - 0.4, -0.6],
        tickfont={"color": c["ink"], "size": 12},
        **axis,
        **place,
    )
