"""Accuracy of each class of one classifier against that of another, as points around a diagonal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from dreamlab.ui.charts.curves import base, empty, plain
from dreamlab.ui.theme import faded, palette

HEIGHT = 440
NAMED = 20
"""Most classes whose names and intervals are drawn; of more, a pointer shows them."""
Arm = Mapping[str, Any]
"""A classifier of `dreamlab.experiments.study.by_class`."""


def scatter(
    names: Sequence[str], control: Arm | None, arm: Arm | None, theme: str, revision: str
) -> go.Figure:
    """One point for each class that has test images: the accuracy of the control on the x axis,
    that of the other classifier on the y axis, in percent, with 95 % intervals. Points above the
    diagonal are classes that the other classifier got right more often.

    names: the classes; control, arm: `per_class`, `intervals`, `images` and `label` of both.
    """
    if control is None or arm is None:
        return empty(theme, 60, "Classes are compared here when two classifiers are finished.")
    c = palette(theme)
    figure = base(theme, HEIGHT, revision)
    few = len(names) <= NAMED
    shown = [i for i, n in enumerate(control["images"]) if n]
    xs, ys = ([100 * which["per_class"][i] for i in shown] for which in (control, arm))
    ends = [e for v in (control, arm) for e in _ends(v, shown)] if few else []
    low, high = _range([*xs, *ys, *ends])
    figure.add_scatter(
        x=[low, high],
        y=[low, high],
        mode="lines",
        line={"color": c["ink-3"], "width": 1, "dash": "dot"},
        hoverinfo="skip",
        name="equal",
    )
    figure.add_scatter(
        x=xs,
        y=ys,
        mode="markers+text" if few else "markers",
        name="classes",
        marker={"color": c["ink"], "size": 9 if few else 6},
        text=[plain(names[i]) for i in shown],
        textposition="top center",
        textfont={"color": c["ink"], "size": 12},
        cliponaxis=False,
        customdata=[f"{control['images'][i]:,} test images" for i in shown],
        hovertemplate=("%{text}: %{x:.1f} % and %{y:.1f} %<br>%{customdata}<extra></extra>"),
        **({"error_x": _bars(control, shown, c), "error_y": _bars(arm, shown, c)} if few else {}),
    )
    figure.update_xaxes(
        title_text=f"{plain(control['label'])}, %", range=[low, high], showgrid=True, nticks=7
    )
    figure.update_yaxes(title_text=f"{plain(arm['label'])}, %", range=[low, high], nticks=7)
    figure.update_layout(margin={"l": 48, "r": 24, "t": 16, "b": 44})
    return figure


def _ends(arm: Arm, shown: Sequence[int]) -> list[float]:
    """The ends of the intervals of these classes, in percent."""
    found = [arm["intervals"][i] for i in shown]
    return [100 * e[end] for e in found if e and e["low"] is not None for end in ("low", "high")]


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Limits of both axes, in percent, with a margin."""
    room = max((max(values) - min(values)) * 0.06, 1.0) if values else 1.0
    low, high = min(values, default=0.0), max(values, default=100.0)
    return max(low - room, -2.0), min(high + room, 102.0)


def _bars(arm: Arm, shown: Sequence[int], c: Mapping[str, str]) -> dict[str, Any]:
    """The intervals of these classes as error bars."""
    up, down = [], []
    for i in shown:
        found, mean = arm["intervals"][i], arm["per_class"][i]
        known = found is not None and found["low"] is not None
        up.append(100 * (found["high"] - mean) if known else 0.0)
        down.append(100 * (mean - found["low"]) if known else 0.0)
    return {
        "type": "data",
        "array": up,
        "arrayminus": down,
        "symmetric": False,
        "color": faded(c["ink-3"], 0.45),
        "thickness": 1,
        "width": 0,
    }
