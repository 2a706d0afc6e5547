"""Plotly figures as pure functions of data and theme ("light" or "dark"). All values are plain
lists, which Gradio can serialise."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from dreamlab.fidelity.wording import axis_title
from dreamlab.ui.theme import faded, palette

FONT = "Inter, ui-sans-serif, system-ui, sans-serif"
MOST_POINTS = 600
AXIS_WORDS = {
    "guidance_weight": "guidance weight w (scale 1 + w)",
    "num_steps": "sampler steps",
    "num_train_timesteps": "noise steps T (retrained)",
}


def base(theme: str, height: int, revision: str) -> go.Figure:
    """An empty figure with transparent background and thin grid lines. A zoom is kept as long as
    `revision` stays the same."""
    c = palette(theme)
    axis = {
        "gridcolor": c["line"],
        "linecolor": c["line"],
        "zeroline": False,
        "tickfont": {"color": c["ink-3"], "size": 12},
        "automargin": True,
        "title": {"font": {"color": c["ink-3"], "size": 12}, "standoff": 8},
    }
    return go.Figure(
        layout={
            "height": height,
            "uirevision": revision,
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "showlegend": False,
            "font": {"family": FONT, "color": c["ink"], "size": 12},
            "margin": {"l": 36, "r": 12, "t": 8, "b": 28},
            "hovermode": "closest",
            "hoverlabel": {
                "bgcolor": c["panel"],
                "bordercolor": c["line-2"],
                "font": {"color": c["ink"], "family": FONT},
            },
            "xaxis": {**axis, "showgrid": False},
            "yaxis": axis,
            "dragmode": "zoom",
            "modebar": {"remove": ["toImage", "lasso2d", "select2d"]},
        }
    )


def empty(theme: str, height: int, text: str) -> go.Figure:
    """A figure without axes, with a text that says what will be shown."""
    figure = base(theme, height, "empty")
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.add_annotation(
        x=0,
        y=1,
        xref="paper",
        yref="paper",
        text=text,
        showarrow=False,
        xanchor="left",
        font={"color": palette(theme)["ink-3"], "size": 13},
    )
    return figure


def log_ticks(low: float, high: float) -> list[float]:
    """Round values (1, 2, 5 times a power of ten) for the ticks of a log axis from low to high,
    which must be positive."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [
        m * 10.0**e
        for e in range(first, last + 1)
        for m in (1, 2, 5)
        if low * 0.8 <= m * 10.0**e <= high * 1.25
    ]


def decimate(
    xs: Sequence[float], ys: Sequence[float], most: int = MOST_POINTS
) -> tuple[list[float], list[float]]:
    """Reduces a curve to about `most` points: the first, the last, and the lowest and highest point
    of each interval."""
    n = len(xs)
    if n <= most:
        return list(xs), list(ys)
    keep = {0, n - 1}
    stretches = most // 2
    for k in range(stretches):
        members = range(k * n // stretches, (k + 1) * n // stretches)
        keep |= {min(members, key=lambda i: ys[i]), max(members, key=lambda i: ys[i])}
    order = sorted(keep)
    return [xs[i] for i in order], [ys[i] for i in order]


def running_mean(values: Sequence[float]) -> list[float]:
    """Running mean of the logarithms over about the last ten values, which must be positive."""
    smooth: list[float] = []
    for i, v in enumerate(values):
        weight = max(1 / (i + 1), 0.1)
        smooth.append(
            v
            if not smooth
            else math.exp((1 - weight) * math.log(smooth[-1]) + weight * math.log(v))
        )
    return smooth


def loss(steps: Sequence[float], values: Sequence[float], theme: str, revision: str) -> go.Figure:
    """The loss on a log scale: measured values in grey, their running mean in the text colour."""
    if not any(v > 0 for v in values):
        return empty(theme, 160, "The loss is shown after the first step.")
    figure = base(theme, 160, revision)
    c = palette(theme)
    pairs = [(s, v) for s, v in zip(steps, values, strict=True) if v > 0]
    xs, ys = [p[0] for p in pairs], [p[1] for p in pairs]
    smooth = running_mean(ys)
    hover = "step %{x:,}<br>loss %{y:.4f}<extra></extra>"
    rx, ry = decimate(xs, ys)
    sx, sy = decimate(xs, smooth)
    figure.add_scatter(
        x=rx,
        y=ry,
        mode="lines",
        line={"color": faded(c["ink-3"], 0.45), "width": 1},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=sx, y=sy, mode="lines", line={"color": c["ink"], "width": 1.8}, hovertemplate=hover
    )
    ticks = log_ticks(min(smooth), max(smooth))
    figure.update_yaxes(type="log", tickvals=ticks, ticktext=[f"{t:g}" for t in ticks])
    figure.update_xaxes(
        title_text="step",
        tickformat=",d",
        **({"dtick": 1} if xs[-1] - xs[0] < 6 else {"nticks": 5}),
    )
    return figure


BANDS = ("0\u2013\u00bc", "\u00bc\u2013\u00bd", "\u00bd\u2013\u00be", "\u00be\u20131")
"""The four intervals of t / T, the one with the least noise first."""
BAND_INK = (0.25, 0.5, 0.75, 1.0)
"""Opacity of the line of each interval."""


def bands(points: Sequence[dict[str, Any]], theme: str, revision: str) -> go.Figure:
    """The mean loss in each quarter of t on a log scale. The lightest line has the least noise.

    points: metric events with "step" and "loss_band_0" to "loss_band_3". A band for which no t was
    drawn is missing.
    """
    names = [f"loss_band_{i}" for i in range(len(BANDS))]
    if not any(p.get(name, 0) > 0 for p in points for name in names):
        return empty(theme, 60, "One line for each quarter of t.")
    figure = base(theme, 160, revision)
    ink = palette(theme)["ink"]
    seen: list[float] = []
    for i, (name, words) in enumerate(zip(names, BANDS, strict=True)):
        mine = [(p["step"], p[name]) for p in points if p.get(name, 0) > 0]
        smooth = running_mean([v for _, v in mine])
        xs, ys = decimate([s for s, _ in mine], smooth)
        seen += ys
        figure.add_scatter(
            x=xs,
            y=ys,
            mode="lines",
            name=words,
            line={"color": faded(ink, BAND_INK[i]), "width": 1.6},
            hovertemplate=f"t/T {words}<br>step %{{x:,}}<br>loss %{{y:.4f}}<extra></extra>",
        )
    ticks = log_ticks(min(seen), max(seen))
    ticks = ticks if len(ticks) < 8 else ticks[::2]
    figure.update_yaxes(type="log", tickvals=ticks, ticktext=[f"{t:g}" for t in ticks])
    figure.update_xaxes(title_text="step", tickformat=",d", nticks=5)
    return figure


def curve(
    points: Sequence[dict[str, Any]], axis: str, metric: str, theme: str, revision: str
) -> go.Figure:
    """A metric with its intervals along the axis, and a line for the value between two sets of real
    images (the floor).

    points: {"x", "value", "low", "high", "floor"}; all but x may be None.
    """
    if not any(p.get("value") is not None for p in points):
        return empty(theme, 340, "The points of the curve are shown here as they are measured.")
    figure = base(theme, 340, revision)
    c = palette(theme)
    done = sorted((p for p in points if p.get("value") is not None), key=lambda p: p["x"])
    floors = [p["floor"] for p in done if p.get("floor") is not None]
    if floors:
        floor = sum(floors) / len(floors)
        figure.add_hline(
            y=floor,
            line={"color": c["real"], "width": 1, "dash": "dot"},
            annotation={
                "text": "real images against real images",
                "font": {"color": c["real"], "size": 12},
                "xanchor": "right",
                "yanchor": "bottom",
            },
        )
    xs, ys = [p["x"] for p in done], [p["value"] for p in done]
    up = [(p["high"] - p["value"]) if p.get("high") is not None else 0 for p in done]
    down = [(p["value"] - p["low"]) if p.get("low") is not None else 0 for p in done]
    figure.add_scatter(
        x=xs,
        y=ys,
        mode="lines+markers+text",
        line={"color": faded(c["synthetic"], 0.5), "width": 1.5},
        marker={"color": c["synthetic"], "size": 9},
        error_y={
            "type": "data",
            "array": up,
            "arrayminus": down,
            "symmetric": False,
            "color": c["synthetic"],
            "thickness": 1.5,
            "width": 0,
        },
        text=[f" {y:.3g}" for y in ys],
        textposition="middle right",
        textfont={"color": c["ink"], "size": 12},
        cliponaxis=False,
        hovertemplate="%{x:g}: %{y:.4g}<extra></extra>",
    )
    figure.update_yaxes(title_text=axis_title(metric), rangemode="tozero", nticks=6)
    figure.update_xaxes(
        title_text=AXIS_WORDS.get(axis, axis), tickvals=xs, ticktext=[f"{x:g}" for x in xs]
    )
    if axis in ("num_steps", "num_train_timesteps") and xs:
        figure.update_xaxes(type="log")
    figure.update_layout(margin={"r": 48})
    return figure


def plain(text: str) -> str:
    """Escapes the HTML that Plotly would interpret in labels."""
    return html.escape(str(text), quote=False)
