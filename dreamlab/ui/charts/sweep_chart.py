"""Curves of a metric against a setting, several in one picture, and heat maps against two."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from dreamlab.fidelity.wording import axis_title
from dreamlab.ui.charts.curves import base, empty, log_ticks, plain, text_of
from dreamlab.ui.theme import faded, palette

AXIS_WORDS = {
    "guidance_weight": "guidance weight w (scale 1 + w)",
    "num_steps": "sampler steps",
    "num_train_timesteps": "noise steps T (retrained)",
    "sampler": "sampler",
    "checkpoint": "training step",
    "per_class": "images per class",
    "logvar_coefficient": "log-variance coefficient v",
    "eta": "eta",
}
"""Varied setting -> title of its axis."""
RECOGNISED, SECONDS = "recognised", "seconds"
"""What is drawn besides metrics: the share recognised as their class, and the time to sample."""
TITLES = {RECOGNISED: "recognised as their class, %", SECONDS: "time to sample, s"}
LOG = ("num_steps", "num_train_timesteps", "checkpoint", "per_class")
"""Axes that are logarithmic if their values differ by a factor of SPAN."""
SPAN, SHIFT = 4, 0.1
"""Guidance weights are drawn on a log axis of w + SHIFT, which has a place for 0."""
INKS = ("synthetic", "real", "mix-50", "ink-2")
DASHES = ("solid", "dash", "dot", "dashdot")


@dataclasses.dataclass(frozen=True)
class Line:
    """One curve. points: {"x", "value", "low", "high", "floor"}; all but x may be None, and x is a
    number or a name. `metric` is what `value` is."""

    name: str
    points: Sequence[Mapping[str, Any]]
    metric: str
    published: bool = False

    @property
    def measured(self) -> list[Mapping[str, Any]]:
        """The points that have a value, along the axis."""
        done = [p for p in self.points if p.get("value") is not None]
        return (
            done
            if any(isinstance(p["x"], str) for p in done)
            else sorted(done, key=lambda p: p["x"])
        )


def title_of(metric: str) -> str:
    """The title of the axis of a metric, or of what else is drawn."""
    return TITLES.get(metric) or axis_title(metric)


def curve(lines: Sequence[Line], axis: str, theme: str, revision: str) -> go.Figure:
    """The curves along the axis with their intervals, and a line for the value between two sets of
    real images (the floor) of the first one. Curves of another metric than the first one, which
    published ones usually are, have an axis of their own on the right."""
    shown = [line for line in lines if line.measured]
    if not lines or not lines[0].measured:
        return empty(theme, 340, "The points of the curve are shown here as they are measured.")
    figure, c = base(theme, 340, revision), palette(theme)
    figure.update_layout(showlegend=len(shown) > 1, legend={"orientation": "h", "y": 1.12, "x": 0})
    first, floors = shown[0], [p["floor"] for p in shown[0].measured if p.get("floor") is not None]
    if floors:
        _floor(figure, sum(floors) / len(floors), c)
    for number, line in enumerate(shown):
        ink = c["ink-3"] if line.published else c[INKS[number % len(INKS)]]
        _line(figure, line, axis, ink, number, len(shown) == 1, line.metric != first.metric)
    figure.update_yaxes(title_text=title_of(first.metric), rangemode="tozero", nticks=6)
    others = dict.fromkeys(line.metric for line in shown if line.metric != first.metric)
    if others:
        figure.update_layout(
            yaxis2={
                "title": {"text": ", ".join(f"{title_of(m)} (dotted)" for m in others)},
                "overlaying": "y",
                "side": "right",
                "showgrid": False,
                "rangemode": "tozero",
                "tickfont": {"color": c["ink-3"], "size": 12},
            }
        )
    _across(figure, shown, axis)
    figure.update_layout(margin={"r": 60 if others else 48, "t": 34 if len(shown) > 1 else 8})
    return figure


def _floor(figure: go.Figure, value: float, c: Mapping[str, str]) -> None:
    figure.add_hline(
        y=value,
        line={"color": c["real"], "width": 1, "dash": "dot"},
        annotation={
            "text": "real images against real images",
            "font": {"color": c["real"], "size": 12},
            "xanchor": "right",
            "yanchor": "bottom",
        },
    )


def _line(
    figure: go.Figure, line: Line, axis: str, ink: str, number: int, alone: bool, aside: bool
) -> None:
    """Draws one curve; `alone`: with its numbers, `aside`: on the axis on the right."""
    points = line.measured
    xs = [_position(axis, p["x"]) for p in points]
    ys = [p["value"] for p in points]
    named, side = any(isinstance(x, str) for x in xs), {"yaxis": "y2"} if aside else {}
    certain = [(x, p) for x, p in zip(xs, points, strict=True) if p.get("low") is not None]
    if certain and not named:
        figure.add_scatter(
            x=[x for x, _ in certain] + [x for x, _ in reversed(certain)],
            y=[p["high"] for _, p in certain] + [p["low"] for _, p in reversed(certain)],
            fill="toself",
            fillcolor=faded(ink, 0.14),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
            **side,
        )
    figure.add_scatter(
        x=xs,
        y=ys,
        name=plain(line.name),
        mode="markers" if named else "lines+markers",
        line={
            "color": faded(ink, 0.7),
            "width": 1.5,
            "dash": "dot" if aside else DASHES[number % 4],
        },
        marker={"color": ink, "size": 6 if line.published else 9},
        error_y=_bars(points, ink) if certain else None,
        text=[f" {y:.3g}" for y in ys],
        cliponaxis=False,
        customdata=[[text_of(p["x"]), _interval(p)] for p in points],
        hovertemplate="%{customdata[0]}: %{y:.4g}%{customdata[1]}<extra>%{fullData.name}</extra>",
        **side,
    )
    if alone:
        figure.data[-1].update(
            mode=f"{figure.data[-1].mode}+text", textposition="middle right", textfont={"size": 12}
        )


def _bars(points: Sequence[Mapping[str, Any]], ink: str) -> dict[str, Any]:
    ends = [(p.get("low"), p["value"], p.get("high")) for p in points]
    return {
        "type": "data",
        "array": [high - value if high is not None else 0 for _, value, high in ends],
        "arrayminus": [value - low if low is not None else 0 for low, value, _ in ends],
        "symmetric": False,
        "color": ink,
        "thickness": 1.5,
        "width": 0,
    }


def _across(figure: go.Figure, lines: Sequence[Line], axis: str) -> None:
    """Title, ticks and kind of the axis that runs across."""
    values = list(dict.fromkeys(p["x"] for line in lines for p in line.measured))
    figure.update_xaxes(title_text=AXIS_WORDS.get(axis, axis))
    if any(isinstance(x, str) for x in values):
        figure.update_xaxes(type="category")
        return
    values.sort()
    ticks = values if len(values) <= 12 else log_ticks(max(values[0], 1), values[-1])
    at = [_position(axis, x) for x in ticks]
    figure.update_xaxes(tickvals=at, ticktext=[f"{x:g}" for x in ticks])
    if axis == "guidance_weight" or (
        axis in LOG and values[0] > 0 and values[-1] >= SPAN * values[0]
    ):
        figure.update_xaxes(type="log")


def _position(axis: str, x: Any) -> Any:
    return x + SHIFT if axis == "guidance_weight" and not isinstance(x, str) else x


def _interval(point: Mapping[str, Any]) -> str:
    if point.get("low") is None:
        return ""
    return f"<br>95 % interval {point['low']:.4g} to {point['high']:.4g}"
