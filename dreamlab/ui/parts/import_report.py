"""What an import did: what was taken, what was left out and why, how it was prepared. Pure
functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dreamlab.service import RunRow
from dreamlab.store import Run
from dreamlab.ui import html

FIRST = 25
"""Left-out files that are named."""


def running_html(row: RunRow) -> str:
    """How far an import is."""
    share = row.step / row.total if row.total else 0.0
    left = (
        f", {html.clock(row.eta_seconds)} left"
        if row.eta_seconds is not None and row.state == "running"
        else ""
    )
    count = (
        f"{row.step:,} of {row.total:,} {row.unit}{left}"
        if row.total
        else "looking at what is there"
    )
    stop = (
        html.button("Stop", "stop", small=True, id="data-stop", run=row.id)
        if row.state != "stopping"
        else ""
    )
    return (
        f'<h2 class="head"><b>{html.esc(row.name)}</b><span>{html.state_chip(row.state)}</span></h2><p'
        f' class="sub">{html.track(share)} {html.esc("; ".join(filter(None, (count, row.text))))}'
        f' {stop}</p><p class="note">An import that is stopped leaves nothing behind.</p>'
    )


def report_html(row: RunRow, run: Run) -> str:
    """The report of a finished import."""
    result = run.result() or {}
    made = html.facts(
        [*prepared(result.get("preprocessing")), ("Content hash", result.get("content_hash", ""))]
    )
    return (
        '<h2 class="head"><b>The import of'
        f" {html.esc(result.get('title', row.name))}</b>{html.demo_chip(row.demo)}<span>{html.esc(row.id)}</span></h2>"
        f'<p class="sub">{html.esc(taken(result))}</p>'
        '<div class="pair'
        f' block-apart"><div>{left_out_html(result)}</div><div>{html.panel_head("How it was prepared")}{made}</div></div>'
        + f'<div style="margin-top:12px">{html.command_line(run.record.command)}</div>'
        + '<div class="acts"'
        f' style="margin-top:12px">{actions(row.id, str(result.get("role", "real")))}</div>'
    )


def taken(result: Mapping[str, Any]) -> str:
    """What the set holds now, in one sentence."""
    counts = [int(n) for n in result.get("per_class") or []]
    side = result.get("image_size", "?")
    colour = "grey" if result.get("channels") == 1 else "colour"
    spread = (
        f", {min(counts):,} to {max(counts):,} of each"
        if counts and min(counts) < max(counts)
        else f", {counts[0]:,} of each"
        if counts
        else ""
    )
    parts = (
        f"{result.get('train', 0):,} for training and {result.get('test', 0):,} for the test"
        if result.get("test")
        else "all of them synthetic"
    )
    took = (
        f"; it took {html.duration(result['seconds'])}" if result.get("seconds") is not None else ""
    )
    return (
        f"{result.get('images', 0):,} images of {side} x {side} pixels in {colour} were taken,"
        f" {parts}: {len(counts):,} classes{spread}{took}."
    )


def left_out_html(result: Mapping[str, Any]) -> str:
    """What was left out: reasons with counts, then the first files of them."""
    counts = result.get("left_out_counts") or {}
    if not counts:
        return html.panel_head("Left out") + '<p class="sub">Nothing.</p>'
    total = sum(counts.values())
    rows = [
        [html.esc(reason), f"{n:,}"]
        for reason, n in sorted(counts.items(), key=lambda pair: -pair[1])
    ]
    files = result.get("left_out") or []
    named = [[f"<code>{html.esc(f['file'])}</code>", html.esc(f["reason"])] for f in files[:FIRST]]
    more = f'<p class="note">and {total - len(named):,} more.</p>' if total > len(named) else ""
    first = (
        f"<details class='more'><summary>The first {len(named)} of"
        f" them</summary>{html.table(['File', 'why'], named, kind='leftish')}{more}</details>"
        if named
        else ""
    )
    return (
        html.panel_head("Left out", f"{total:,} files") + html.table(["Why", "files"], rows) + first
    )


def prepared(preprocessing: Any) -> list[tuple[str, str]]:
    """The recorded preprocessing as names and values."""
    if isinstance(preprocessing, Mapping):
        return [
            (str(k).replace("_", " ").capitalize(), _plain(v)) for k, v in preprocessing.items()
        ]
    return [("Preprocessing", str(preprocessing))] if preprocessing else []


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (
        f"{value:,}"
        if isinstance(value, int)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def actions(run: str, role: str) -> str:
    """Where an import can be taken."""
    if role == "synthetic":
        return html.button(
            "See it in the Gallery", "open", id="data-gallery", run=run, tab="gallery"
        ) + html.button("Measure its fidelity", "open", id="data-fidelity", run=run, tab="fidelity")
    return html.button(
        "Train a generator on it", "use", main=True, id="data-train", set=run, tab="train"
    ) + html.button("Mix with it", "use", id="data-mix", set=run, tab="mix")
