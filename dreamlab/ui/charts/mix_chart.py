"""Figures of a mix: the accuracy of each arm, and the learning curves behind the exchange rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from dreamlab.ui.charts.curves import base, empty, plain
from dreamlab.ui.parts import mix_report as tables
from dreamlab.ui.theme import faded, mix_colour, palette


def mix(report: dict[str, Any], theme: str, revision: str) -> go.Figure:
    """Accuracy of each arm: seeds as small points, the mean with its interval, and a band for the
    arm `real`. The colour shows the synthetic share.

    The arm `real` comes first, then the arms of each generator by their synthetic share, then the
    controls with hollow marks. If there are several generators, a heading says what each was
    trained on. A second band is behind the arms that may be the best.
    """
    listed = tables.ordered(report)
    if not listed:
        return empty(theme, 340, "The arms are shown here as they are trained.")
    crowded = len(listed) > 11
    figure = base(theme, 420 if crowded else 340, revision)
    c = palette(theme)
    places, heads = _places(listed, report.get("generators", []))
    _bands(figure, report, listed, places, c)
    seen: list[float] = []
    for arm, x in zip(listed, places, strict=True):
        seen += _arm(figure, arm, x, mix_colour(arm.get("synthetic_fraction", 0.0), theme), c)
    figure.update_xaxes(
        tickvals=places,
        ticktext=[_tick(a, crowded) for a in listed],
        range=[-0.6, max(places) + 0.6],
        tickfont={"color": c["ink"], "size": 12},
        tickangle=-35 if crowded else 0,
    )
    if seen:
        pad = max((max(seen) - min(seen)) * 0.12, 0.3)
        figure.update_yaxes(range=[min(seen) - pad, min(100.2, max(seen) + pad)], nticks=7)
    else:
        figure.update_yaxes(
            showticklabels=False, showgrid=False
        )  # without values there is no scale to show
    for x, text, first in heads:
        figure.add_annotation(
            x=x,
            y=1.0,
            yref="paper",
            yanchor="bottom",
            text=text,
            showarrow=False,
            font={"color": c["ink-2"], "size": 12},
        )
        if first > 0:
            figure.add_vline(x=first - 0.65, line={"color": c["line"], "width": 1})
    figure.update_layout(margin={"t": 44 if len(heads) > 1 else 26 if heads else 8, "b": 44})
    return figure


def _bands(
    figure: go.Figure,
    report: dict[str, Any],
    listed: Sequence[dict[str, Any]],
    places: Sequence[float],
    c: dict[str, str],
) -> None:
    """Draws the band of the arm `real` across the chart, and the one behind the arms that may be
    the best."""
    reference = next(
        (a for a in listed if tables.role(a) == "reference" and a.get("interval")), None
    )
    if reference and reference["interval"].get("low") is not None:
        low, high = (
            100 * max(reference["interval"]["low"], 0.0),
            100 * min(reference["interval"]["high"], 1.0),
        )
        figure.add_hrect(
            y0=low, y1=high, fillcolor=faded(c["real"], 0.09), line_width=0, layer="below"
        )
    mine = tables.best_arms(report)
    for arm, x in zip(listed, places, strict=True):
        if tables.key(arm) in mine:
            figure.add_vrect(
                x0=x - 0.5, x1=x + 0.5, fillcolor=faded(c["ink"], 0.05), line_width=0, layer="below"
            )


def _arm(
    figure: go.Figure, arm: dict[str, Any], x: float, colour: str, c: dict[str, str]
) -> list[float]:
    values = [100 * v for v in arm.get("accuracies") or []]
    if not values:
        figure.add_annotation(
            x=x,
            y=0.5,
            yref="paper",
            text="to come",
            showarrow=False,
            font={"color": c["ink-3"], "size": 12},
        )
        return []
    spread = [
        x - 0.12 - 0.05 * (i % 5) for i in range(len(values))
    ]  # left of the mean, because its label is on the right
    figure.add_scatter(
        x=spread,
        y=values,
        mode="markers",
        marker={"color": faded(colour, 0.45), "size": 6},
        hovertemplate="seed %{text}: %{y:.2f} %<extra></extra>",
        text=[str(s) for s in arm.get("seeds") or range(len(values))],
    )
    mean = sum(values) / len(values)
    interval = arm.get("interval") or {}
    low, high = interval.get("low"), interval.get("high")
    ends: list[float] = []
    if low is not None and high is not None and len(values) > 1:
        ends = [100 * max(low, 0.0), 100 * min(high, 1.0)]  # limits of an accuracy
        figure.add_scatter(
            x=[x, x], y=ends, mode="lines", line={"color": colour, "width": 2}, hoverinfo="skip"
        )
    hollow = tables.role(arm) == "control"
    mark = (
        {"color": c["panel"], "size": 11, "line": {"color": colour, "width": 2}}
        if hollow
        else {"color": colour, "size": 12, "line": {"color": c["panel"], "width": 2}}
    )
    figure.add_scatter(
        x=[x],
        y=[mean],
        mode="markers+text",
        marker=mark,
        text=[f"  {mean:.1f}"],
        textposition="middle right",
        textfont={"color": c["ink"], "size": 13},
        cliponaxis=False,
        hovertemplate=f"{plain(arm['label'])}: %{{y:.2f}} %<extra></extra>",
    )
    return [*values, *ends]


def _places(
    listed: Sequence[dict[str, Any]], generators: Sequence[dict[str, Any]]
) -> tuple[list[float], list[tuple[float, str, float]]]:
    """(x of each arm, headings). There is a gap before each group. A heading is (middle of its
    group, text, x where the group begins)."""
    several = len(generators) > 1
    x, places, last = -1.0, [], None
    groups: dict[str, list[float]] = {}
    for arm in listed:
        group = tables.group(arm, several)
        x += 1.0 if group == last or last is None else 1.3
        last = group
        places.append(x)
        groups.setdefault(group, []).append(x)
    words = (
        {
            g["key"]: f"<b>{plain(g['name'])}</b><br>{plain(g['badge']).replace('; ', '<br>')}"
            for g in generators
        }
        if several
        else {}
    )
    words[tables.CONTROLS] = "<b>Controls</b>"
    heads = [
        (sum(xs) / len(xs), words[group], min(xs)) for group, xs in groups.items() if group in words
    ]
    return places, heads


def _tick(arm: dict[str, Any], crowded: bool) -> str:
    label = plain(arm["label"])
    return (
        label
        if crowded
        else label.replace(" synthetic", "<br>synthetic").replace(" only", "<br>only")
    )


def surface(report: dict[str, Any], theme: str, revision: str) -> go.Figure:
    """Accuracy against the number of real images, with one line for each amount of synthetic
    images. The exchange rate is fitted to these data."""
    cells = [c for c in tables.surface_cells(report) if c.get("accuracies")]
    if not cells:
        return empty(theme, 60, "The learning curves are shown here as they are trained.")
    figure = base(theme, 300, revision)
    lines: dict[str, list[dict[str, Any]]] = {}
    for cell in cells:
        lines.setdefault(tables.key(cell), []).append(cell)
    ends_at: list[tuple[float, float, str, str]] = []
    for mine in lines.values():
        mine.sort(key=lambda cell: cell["real"])
        total = mine[0]["real"] + mine[0]["synthetic"]
        colour = mix_colour(mine[0]["synthetic"] / total if total else 0.0, theme)
        xs, ys = (
            [cell["real"] for cell in mine],
            [100 * sum(cell["accuracies"]) / len(cell["accuracies"]) for cell in mine],
        )
        ends = [(cell.get("interval") or {}) for cell in mine]
        up = [
            100 * e["high"] - y if e.get("high") is not None else 0
            for e, y in zip(ends, ys, strict=True)
        ]
        down = [
            y - 100 * e["low"] if e.get("low") is not None else 0
            for e, y in zip(ends, ys, strict=True)
        ]
        name = plain(mine[0].get("label") or mine[0]["arm"])
        ends_at.append((ys[-1], xs[-1], name, colour))
        figure.add_scatter(
            x=xs,
            y=ys,
            mode="lines+markers",
            name=name,
            line={"color": faded(colour, 0.6), "width": 1.6},
            marker={"color": colour, "size": 8},
            cliponaxis=False,
            hovertemplate=f"{name}, %{{x:,}} real: %{{y:.2f}} %<extra></extra>",
            error_y={
                "type": "data",
                "array": up,
                "arrayminus": down,
                "symmetric": False,
                "color": colour,
                "thickness": 1.5,
                "width": 0,
            },
        )
    _name_ends(figure, ends_at)
    sizes = sorted({cell["real"] for cell in cells})
    figure.update_xaxes(
        type="log",
        title_text="real images (log scale)",
        tickvals=sizes,
        ticktext=[f"{n:,}" for n in sizes],
    )
    figure.update_yaxes(title_text="accuracy on real test images, %", nticks=6)
    figure.update_layout(margin={"r": 130, "b": 40})
    return figure


def _name_ends(figure: go.Figure, ends: list[tuple[float, float, str, str]]) -> None:
    """Writes the name of each line behind its last point. Names that would overlap are moved apart.
    `ends` are (y, x, name, colour)."""
    values = [y for trace in figure.data for y in trace.y]
    gap = (max(values) - min(values)) * 0.08 or 1.0
    last = -float("inf")
    for y, x, name, colour in sorted(ends):
        last = max(y, last + gap)
        figure.add_annotation(
            x=math.log10(x),
            y=last,
            text=name,
            showarrow=False,
            xanchor="left",
            xshift=10,
            font={"color": colour, "size": 12},
        )
