"""The chart of a study: published and measured values, with one axis per unit, and curves for arms
that differ in an amount."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dreamlab.studies import AmountStep
from dreamlab.ui.charts.curves import base, empty, plain
from dreamlab.ui.theme import faded, palette

ROW, FACET, CURVE = 24, 62, 320
"""Heights in pixels: of one row, of the space around the rows of one unit, and of a unit that is
drawn as curves."""
MANY = 12
"""If there are more rows of one unit than this, and they differ in an amount, they are drawn as
curves."""
AXIS = {"zeroline": False, "automargin": True}
"""Options of all axes."""
Row = Mapping[str, Any]


def axis_title(row: Row) -> str:
    """Metric and unit of a row. Rows with the same title share an axis."""
    unit = str(row.get("unit") or "")
    return (
        f"{row['metric']}, {unit}"
        if unit and unit not in str(row["metric"])
        else str(row["metric"])
    )


def study(
    rows: Sequence[Row], steps: Mapping[str, AmountStep], theme: str, revision: str
) -> go.Figure:
    """Published values as open diamonds and measured ones (`ours`) as filled marks with intervals,
    with one row per arm. Every unit has its own axis.

    rows: those of the result of a study. Values are in the unit of the row; `published`, `ours`,
    `low` and `high` may be None. If `our_metric` names another metric than that of the paper, it
    gets its own axis. steps: id -> position on a curve (`Study.steps`). Many rows that all have
    such a position are drawn as curves.
    """
    rows = [
        r
        for row in rows
        for r in _apart(row)
        if r.get("published") is not None or r.get("ours") is not None
    ]
    if not rows:
        return empty(
            theme, 60, "The study has no published numbers; measured ones are shown here later."
        )
    facets: dict[str, list[Row]] = {}
    for r in rows:
        facets.setdefault(axis_title(r), []).append(r)
    curves = {title: found for title, mine in facets.items() if (found := lines(mine, steps))}
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
        place = {"row": i, "col": 1}
        if title in curves:
            _curves(figure, place, (steps[mine[0]["id"]].axis, title), curves[title], c)
        else:
            _rows(figure, place, title, mine, c)
    named = max((len(name) for found in curves.values() for name in found), default=0)
    figure.update_layout(margin={"l": 8, "r": max(48, 7 * named + 16), "t": 8, "b": 44})
    return figure


def _apart(row: Row) -> list[Row]:
    """The row itself, or two rows if the published and the measured value are different metrics
    (FID and fd_classifier)."""
    own = str(row.get("our_metric") or "")
    if not own or own == row["metric"]:
        return [row]
    return [{**row, "ours": None}, {**row, "published": None, "metric": f"{own}, ours", "unit": ""}]


def lines(
    rows: Sequence[Row], steps: Mapping[str, AmountStep]
) -> dict[str, list[tuple[float, Row]]]:
    """Name of a line -> (amount, row) sorted by amount, for many rows that all have a position on a
    curve; empty otherwise."""
    if len(rows) <= MANY or not all(r["id"] in steps for r in rows):
        return {}
    found: dict[str, list[tuple[float, Row]]] = {}
    for r in rows:
        step = steps[r["id"]]
        found.setdefault(step.series, []).append((step.amount, r))
    return {name: sorted(points, key=lambda point: point[0]) for name, points in found.items()}


def _curves(
    figure: go.Figure,
    place: Mapping[str, int],
    titles: tuple[str, str],
    found: Mapping[str, list[tuple[float, Row]]],
    c: Mapping[str, str],
) -> None:
    """Draws one line per series: thin with open diamonds for published values, in the text colour
    with intervals for measured ones. `titles` are those of the x and y axes."""
    for name, points in found.items():
        for which in ("published", "ours"):
            mine = [(x, r) for x, r in points if r.get(which) is not None]
            if mine:
                _curve(figure, place, name, which, mine, c)
    axis = {**AXIS, "gridcolor": c["line"], "linecolor": c["line"], **place}
    font = {"color": c["ink-3"], "size": 12}
    across, up = ({"text": text, "font": font, "standoff": 6} for text in titles)
    figure.update_xaxes(title=across, showgrid=False, tickfont=font, **axis)
    figure.update_yaxes(title=up, showgrid=True, nticks=6, tickfont=font, **axis)


def _curve(
    figure: go.Figure,
    place: Mapping[str, int],
    name: str,
    which: str,
    mine: Sequence[tuple[float, Row]],
    c: Mapping[str, str],
) -> None:
    """Draws one line through (amount, row). `which` is the key of the value: "published" or
    "ours"."""
    ours = which == "ours"
    values = [r[which] for _, r in mine]
    ends = [
        (r["low"], r["high"]) if ours and r.get("low") is not None else (r[which], r[which])
        for _, r in mine
    ]
    colours = [c["ink"] if ours else c["warn"] if r.get("flag") else c["ink-2"] for _, r in mine]
    figure.add_scatter(
        x=[x for x, _ in mine],
        y=values,
        mode="lines+markers+text",
        name=f"{name}, {which}",
        text=[*[""] * (len(mine) - 1), f"  {plain(name)}"],
        textposition="middle right",
        cliponaxis=False,
        textfont={"color": c["ink"], "size": 12},
        line={"color": c["ink"] if ours else faded(c["ink-3"], 0.6), "width": 1.5},
        marker={"symbol": "circle" if ours else "diamond-open", "size": 8, "color": colours},
        error_y={
            "type": "data",
            "array": [high - v for (_, high), v in zip(ends, values, strict=True)],
            "arrayminus": [v - low for (low, _), v in zip(ends, values, strict=True)],
            "symmetric": False,
            "color": c["ink"],
            "thickness": 1.5 if ours else 0,
            "width": 0,
        },
        customdata=[plain(r["arm"]) for _, r in mine],
        hovertemplate=f"%{{customdata}}, {which}: %{{y:.5g}}<extra></extra>",
        **place,
    )


def _range(rows: Sequence[Row]) -> list[float]:
    """From the lowest to the highest value or interval end, with a margin."""
    values = [
        float(r[k])
        for r in rows
        for k in ("published", "ours", "low", "high")
        if r.get(k) is not None
    ]
    room = (max(values) - min(values)) * 0.06 or abs(values[0]) * 0.05 or 1.0
    return [min(values) - room, max(values) + room]


def _remarks(row: Row) -> str:
    """What a pointer on a published number shows below its arm."""
    return "".join(f"<br>{plain(row[k])}" for k in ("flag", "derived") if row.get(k))


def _rows(
    figure: go.Figure,
    place: Mapping[str, int],
    title: str,
    rows: Sequence[Row],
    c: Mapping[str, str],
) -> None:
    """Draws one row per arm with both marks."""
    places = list(range(len(rows)))
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
    colours = [c["warn"] if r.get("flag") else c["ink-2"] for _, r in published]
    flags = [_remarks(r) for _, r in published]
    marks = ["diamond-open-dot" if r.get("derived") else "diamond-open" for _, r in published]
    figure.add_scatter(
        x=[r["published"] for _, r in published],
        y=[p + 0.14 for p, _ in published],
        mode="markers",
        name="published",
        marker={"symbol": marks, "size": 9, "color": colours, "line": {"width": 1.6}},
        text=[plain(r["arm"]) + flag for (_, r), flag in zip(published, flags, strict=True)],
        hovertemplate="%{text}, published: %{x:.6g}<extra></extra>",
        **place,
    )
    axis = {**AXIS, "gridcolor": c["line"], "linecolor": c["line"], "showgrid": True, **place}
    font = {"color": c["ink-3"], "size": 12}
    head = {"text": title, "font": font, "standoff": 6}
    figure.update_xaxes(title=head, tickfont=font, nticks=7, range=_range(rows), **axis)
    figure.update_yaxes(
        tickvals=places,
        ticktext=[plain(r["arm"]) for r in rows],
        range=[len(rows) - 0.4, -0.6],
        tickfont={"color": c["ink"], "size": 12},
        **axis,
    )
