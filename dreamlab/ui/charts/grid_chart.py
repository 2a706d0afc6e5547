"""The results of a study on a grid of two or three settings, as heat maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dreamlab.ui.charts.curves import base, empty, plain, text_of
from dreamlab.ui.theme import faded, palette

CELL, ROOM = 46, 86
"""Heights in pixels: of a row of cells, and of the space around one map."""
WORDS = {"best": "lowest", "as good": "as low"}
UP = {"best": "best", "as good": "as good"}
"""`standing` of a row -> word below its number, for distances, which are best where they are low,
and for other metrics."""
Row = Mapping[str, Any]
Places = Mapping[str, Mapping[str, float | str]]
"""Id of a row -> its place, {axis: value}, as `Study.places` gives it."""


def on_grid(rows: Sequence[Row], places: Places) -> list[Row]:
    """The rows with a place on the grid that are part of this run."""
    return [r for r in rows if r["id"] in places and r.get("child")]


def grid(rows: Sequence[Row], places: Places, theme: str, revision: str) -> go.Figure:
    """One heat map for each value of the third axis: the first axis runs across, the second up. The
    strongest colour is the lowest distance. Each cell has its number; the lowest and those that
    cannot be told apart from it are marked.

    rows: those of the result of a study; `ours`, `low` and `high` may be None.
    """
    mine = on_grid(rows, places)
    if not any(r.get("ours") is not None for r in mine):
        return empty(theme, 60, "The grid is shown here as its settings are measured.")
    across, up, *third = next(iter(places.values()))
    axes = {a: _sorted({places[r["id"]][a] for r in mine}) for a in (across, up, *third)}
    panels: list[float | str | None] = [*axes[third[0]]] if third else [None]
    height = len(panels) * (CELL * len(axes[up]) + ROOM)
    figure = make_subplots(
        rows=len(panels),
        cols=1,
        vertical_spacing=ROOM / height if len(panels) > 1 else 0.0,
        subplot_titles=[f"{third[0]} = {text_of(v)}" for v in axes[third[0]]] if third else None,
    )
    figure.update_layout(base(theme, height, revision).layout)
    c = palette(theme)
    values = [r["ours"] for r in mine if r.get("ours") is not None]
    for number, panel in enumerate(panels, start=1):
        here = {
            (places[r["id"]][across], places[r["id"]][up]): r
            for r in mine
            if panel is None or places[r["id"]][third[0]] == panel
        }
        cells = [[here.get((x, y)) for x in axes[across]] for y in axes[up]]
        figure.add_heatmap(
            x=[text_of(x) for x in axes[across]],
            y=[text_of(y) for y in axes[up]],
            z=[[r["ours"] if r else None for r in line] for line in cells],
            zmin=min(values),
            zmax=max(values),
            colorscale=[[0, faded(c["synthetic"], 0.5)], [1, faded(c["synthetic"], 0.04)]],
            showscale=False,
            xgap=2,
            ygap=2,
            text=[[_text(r) for r in line] for line in cells],
            texttemplate="%{text}",
            textfont={"color": c["ink"], "size": 12},
            customdata=[[_hover(r) for r in line] for line in cells],
            hovertemplate="%{customdata}<extra></extra>",
            hoverongaps=False,
            row=number,
            col=1,
        )
    _axes(figure, across, up, len(panels), c)
    return figure


def _sorted(values: set[float | str]) -> list[float | str]:
    return sorted(values, key=lambda v: (isinstance(v, str), v))


def _axes(figure: go.Figure, across: str, up: str, panels: int, c: Mapping[str, str]) -> None:
    """Titles and looks of the axes; the title across is below the last map."""
    font = {"color": c["ink-3"], "size": 12}
    figure.update_xaxes(type="category", showgrid=False, tickfont=font, automargin=True)
    figure.update_xaxes(title={"text": across, "font": font, "standoff": 6}, row=panels, col=1)
    figure.update_yaxes(
        type="category",
        showgrid=False,
        tickfont=font,
        automargin=True,
        title={"text": up, "font": font, "standoff": 6},
    )
    figure.update_annotations(font={"color": c["ink-2"], "size": 12})
    figure.update_layout(margin={"l": 8, "r": 12, "t": 28, "b": 44})


def _text(row: Row | None) -> str:
    """The number of a cell and its standing; empty if it is not measured."""
    if row is None or row.get("ours") is None:
        return ""
    word = (WORDS if row.get("lowest", True) else UP).get(str(row.get("standing") or ""))
    number = f"{row['ours']:.3g}"
    return f"<b>{number}</b><br>{word}" if word else number


def _hover(row: Row | None) -> str:
    """What a pointer on a cell shows: its settings, its number and its interval."""
    if row is None or row.get("ours") is None:
        return ""
    said = f"{plain(row['arm'])}<br>{plain(row.get('our_metric') or row['metric'])}"
    said += f" {row['ours']:.4g}"
    if row.get("low") is not None and row.get("high") is not None:
        said += f"<br>95 % interval {row['low']:.4g} to {row['high']:.4g}"
    return said
