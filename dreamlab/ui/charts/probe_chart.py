"""The probes of a training as two charts on one axis of steps, and the note below them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from dreamlab.architecture.preview_size import PROBE_STEPS
from dreamlab.ui import words
from dreamlab.ui.charts.curves import base, empty
from dreamlab.ui.theme import faded, palette

KID, RECOGNISED = "probe_kid_classifier", "probe_recognised"
HEIGHT = 260


def of(metrics: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The metric events, each with "step" and values, that are probes."""
    return [m for m in metrics if "probe_seconds" in m]


def figure(points: Sequence[dict[str, Any]], theme: str, revision: str) -> go.Figure:
    """KID above, and below it the share recognised beside that of real images, with their 95 %
    intervals, of the probes `points`. A generator without classes has KID alone."""
    if not points:
        return empty(theme, 60, "This run has no probe yet (--probe-every).")
    share = [{**p, RECOGNISED: 100 * p[RECOGNISED]} for p in points if RECOGNISED in p]
    made, c = base(theme, HEIGHT if share else HEIGHT // 2 + 30, revision), palette(theme)
    _curve(made, points, KID, c["ink"], "KID %{y:.3g}")
    made.update_yaxes(title_text="KID", rangemode="tozero", nticks=5)
    made.update_xaxes(title_text="step", tickformat=",d", nticks=5)
    if not share:
        return made
    for p in share:
        p |= {f"{RECOGNISED}_{end}": 100 * p[f"{RECOGNISED}_{end}"] for end in ("low", "high")}
    _curve(made, share, RECOGNISED, c["ink"], "%{y:.1f} % recognised", "y2")
    real = 100 * share[-1]["probe_accuracy"]
    steps = [share[0]["step"], share[-1]["step"]]
    made.add_scatter(
        x=steps,
        y=[real, real],
        mode="lines",
        yaxis="y2",
        line={"color": c["real"], "width": 1.4, "dash": "dot"},
        hovertemplate="%{y:.1f} % of real images<extra></extra>",
    )
    made.update_layout(
        yaxis={"domain": [0.56, 1]},
        yaxis2={
            **made.layout.yaxis.to_plotly_json(),
            "domain": [0, 0.44],
            "range": [0, 105],
            "title": {"text": "recognised, %", "font": {"color": c["ink-3"], "size": 12}},
        },
        xaxis={"anchor": "y2"},
    )
    return made


def _curve(
    made: go.Figure,
    points: Sequence[dict[str, Any]],
    name: str,
    ink: str,
    hover: str,
    axis: str = "y",
) -> None:
    certain = [p for p in points if f"{name}_low" in p and f"{name}_high" in p]
    if len(certain) > 1:
        back = certain[::-1]
        made.add_scatter(
            x=[p["step"] for p in certain + back],
            y=[p[f"{name}_high"] for p in certain] + [p[f"{name}_low"] for p in back],
            yaxis=axis,
            fill="toself",
            fillcolor=faded(ink, 0.14),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
        )
    made.add_scatter(
        x=[p["step"] for p in points],
        y=[p[name] for p in points],
        yaxis=axis,
        mode="lines+markers",
        line={"color": ink, "width": 1.8},
        marker={"color": ink, "size": 5},
        hovertemplate=f"step %{{x:,}}<br>{hover}<extra></extra>",
    )


def note(points: Sequence[dict[str, Any]]) -> str:
    """What the probes `points` measured and what they cost, in sentences; empty without any."""
    if not points:
        return ""
    last, spent = points[-1], sum(p["probe_seconds"] for p in points)
    said = (
        f"{last['probe_images']:,.0f} samples of the averaged weights, w = 0, {PROBE_STEPS} steps;"
        " KID on the features of the judge, against held-out images."
    )
    if "probe_accuracy" in last:
        said += (
            f" The judge recognises {100 * last[RECOGNISED]:.0f} % of the samples and"
            f" {100 * last['probe_accuracy']:.0f} % of held-out real images (dotted)."
        )
    share = 100 * spent / (spent + last["training_seconds"])
    return (
        f"{said} Each probe took {words.duration(spent / len(points))}, {share:.0f} % of the time"
        " so far, outside of the training's budget."
    )
