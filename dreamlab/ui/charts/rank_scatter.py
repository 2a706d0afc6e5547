"""A metric of synthetic sets against their usefulness, one point for each set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from dreamlab.fidelity.wording import axis_title
from dreamlab.ui.charts.curves import base, empty, plain
from dreamlab.ui.theme import faded, palette

HEIGHT = 340
INKS = ("synthetic", "real", "mix-50", "ink-2")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x")
Point = Mapping[str, Any]
"""A point of `dreamlab.experiments.usefulness.report`."""


def scatter(
    metric: Mapping[str, Any] | None, outcome: str, unit: str, theme: str, revision: str
) -> go.Figure:
    """The values of a metric on the x axis, with better ones on the right where a direction is
    better, and the outcome on the y axis, with the intervals of both. The sets of one generator
    have one colour and one symbol.

    metric: an entry of `metrics` of an outcome; None if there is none.
    """
    points: Sequence[Point] = metric["points"] if metric else ()
    if metric is None or not points:
        return empty(theme, 60, "Sets with a metric and a CAS or a gain are drawn here.")
    figure, c = base(theme, HEIGHT, revision), palette(theme)
    generators = list(dict.fromkeys(p["generator"] for p in points))
    for number, name in enumerate(generators):
        own = [p for p in points if p["generator"] == name]
        ink = c[INKS[number % len(INKS)]]
        figure.add_scatter(
            x=[p["x"] for p in own],
            y=[p["y"] for p in own],
            mode="markers",
            name=plain(name),
            marker={"color": ink, "size": 10, "symbol": SYMBOLS[number % len(SYMBOLS)]},
            error_x=_bars(own, "x", ink),
            error_y=_bars(own, "y", ink),
            cliponaxis=False,
            customdata=[[plain(p["name"]), plain(name)] for p in own],
            hovertemplate=(
                "%{customdata[0]}<br>%{x:.4g} and %{y:.4g}<br>"
                "generator %{customdata[1]}<extra></extra>"
            ),
        )
    figure.update_xaxes(title_text=plain(axis_title(metric["name"])), showgrid=True, nticks=7)
    if metric["direction"] == "lower":
        figure.update_xaxes(autorange="reversed")
    figure.update_yaxes(title_text=plain(f"{outcome}, {unit}"), nticks=6)
    figure.update_layout(margin={"l": 48, "r": 24, "t": 12, "b": 44})
    return figure


def _bars(points: Sequence[Point], axis: str, ink: str) -> dict[str, Any]:
    """The intervals of these points along an axis as error bars; no bar where there is none."""
    ends = [(p[f"{axis}_low"], p[axis], p[f"{axis}_high"]) for p in points]
    known = [low is not None and high is not None for low, _, high in ends]
    return {
        "type": "data",
        "array": [e[2] - e[1] if k else 0 for e, k in zip(ends, known, strict=True)],
        "arrayminus": [e[1] - e[0] if k else 0 for e, k in zip(ends, known, strict=True)],
        "symmetric": False,
        "color": faded(ink, 0.45),
        "thickness": 1,
        "width": 0,
    }
