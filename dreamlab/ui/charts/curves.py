"""Plotly figures as pure functions of data and theme ("light" or "dark"). All values are plain
lists, which Gradio can serialise."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from dreamlab.ui.theme import faded, palette

FONT = "Inter, ui-sans-serif, system-ui, sans-serif"
MOST_POINTS = 600


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


def text_of(value: float | str) -> str:
    """A value of an axis: a number, or a name."""
    return value if isinstance(value, str) else f"{value:g}"


def plain(text: str) -> str:
    """Escapes the HTML that Plotly would interpret in labels."""
    return html.escape(str(text), quote=False)
