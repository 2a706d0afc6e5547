"""Runs: every run with its state, settings, lineage and disk use; open, compare, stop, resume,
delete."""

from __future__ import annotations

from typing import Any

import gradio as gr

from dreamlab.paths import program
from dreamlab.service import Refused, RunRow
from dreamlab.settings import KINDS, settings_of
from dreamlab.ui import html
from dreamlab.ui.view import Pages, View

MOST_ROWS = 300


def create(pages: Pages, view: Any, seen: Any) -> None:
    """Lays out the tab; every button goes through the page's action handler."""
    service = pages.service
    gr.HTML(html.page_head("Runs", "Every piece of work is a directory; this is what they say."))
    with gr.Row(elem_classes="columns"):
        with gr.Column(elem_classes="maincol"):
            with gr.Column(elem_classes="dl-panel"):
                table = gr.HTML("", elem_id="runs-table")
            compared = gr.HTML("", elem_id="runs-compare")
        with gr.Column(elem_classes="sidecol"), gr.Column(elem_classes="dl-panel"):
            detail = gr.HTML("", elem_id="runs-detail")
    pages.add(
        "runs",
        table,
        lambda now: (service.version(), now.run("runs"), now.pick("runs-all")),
        lambda now: table_html(pages, now),
    )
    pages.add(
        "runs",
        compared,
        lambda now: now.pick("compare", ()),
        lambda now: compare_html(pages, now.pick("compare", ())),
    )
    pages.add(
        "runs",
        detail,
        lambda now: (service.version(), now.run("runs")),
        lambda now: detail_html(pages, now.run("runs")),
    )


def table_html(pages: Pages, view: View) -> str:
    """The table with its filter; rows beyond the newest 300 are counted, not drawn."""
    inside = view.pick("runs-all") == "yes"
    rows = pages.service.rows(top_level=not inside, disk=True)
    if not rows:
        return '<p class="empty">No runs yet.</p>'
    kinds = "".join(f'<option value="{k}">{k}</option>' for k in KINDS)
    states = "".join(f'<option value="{s}">{s}</option>' for s in html.STATE_WORDS)
    both = html.button(
        "Hide runs inside groups" if inside else "Show runs inside groups",
        "pick",
        small=True,
        id="runs-inside",
        name="runs-all",
        value="" if inside else "yes",
    )
    tools = (
        '<div class="runs-tools"><input type="search" data-filter="text" placeholder="Filter by'
        ' name, id, setting" aria-label="Filter runs"><select data-filter="kind"'
        f' aria-label="Kind"><option value="">every kind</option>{kinds}</select><select'
        ' data-filter="state" aria-label="State"><option value="">every'
        f' state</option>{states}</select>{both}<button type="button" class="btn small"'
        ' data-act="compare" id="runs-compare-button" disabled>Compare</button><span class="mut'
        ' count"></span></div>'
    )
    head = "".join(
        f'<th scope="col" class="{c}">{h}</th>'
        for h, c in (
            ("", ""),
            ("Run", "left"),
            ("kind", "left"),
            ("state", "left"),
            ("result", "left"),
            ("started", ""),
            ("took", ""),
            ("disk", ""),
            ("", ""),
        )
    )
    body = "".join(row_html(r, r.id == view.run("runs")) for r in rows[:MOST_ROWS])
    more = (
        f'<p class="note">{len(rows) - MOST_ROWS} older runs are not drawn; `{program()} runs'
        " list` names them all.</p>"
        if len(rows) > MOST_ROWS
        else ""
    )
    return (
        f"<dl-runs>{tools}<div"
        f' class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{more}</dl-runs>'
    )


def row_html(r: RunRow, selected: bool) -> str:
    search = html.esc(f"{r.id} {r.name} {r.kind} {r.state} {r.headline}".lower())
    name = (
        f'<a class="run" href="?tab=runs&amp;run={html.esc(r.id)}" data-act="open" data-tab="runs"'
        f' data-run="{html.esc(r.id)}"'
        f' title="{html.esc(r.id)}">{html.esc(r.name)}</a>{html.demo_chip(r.demo)}'
    )
    done = (
        f"{r.step:,} of {r.total:,} {r.unit}"
        if r.state in ("running", "stopping") and r.total
        else r.headline or r.error
    )
    open_ = "" if r.state == "unreadable" else html.button("Open", "open", small=True, run=r.id)
    cells = [
        (
            f'<td><input type="checkbox" value="{html.esc(r.id)}" aria-label="Choose'
            f' {html.esc(r.name)} to compare"></td>'
        ),
        f'<td class="left name">{name}</td>',
        f'<td class="left">{html.esc(r.kind)}</td>',
        f'<td class="left">{html.state_chip(r.state)}</td>',
        f'<td class="left fill" title="{html.esc(done)}">{html.esc(done)}</td>',
        f"<td>{html.esc(html.when(r.created))}</td>",
        f"<td>{html.duration(r.seconds)}</td>",
        f"<td>{html.size(r.disk_bytes)}</td>",
        f"<td>{open_}</td>",
    ]
    return (
        f'<tr data-search="{search}" data-kind="{r.kind}" data-state="{r.state}"'
        f' aria-selected="{str(selected).lower()}">{"".join(cells)}</tr>'
    )


def detail_html(pages: Pages, run: str) -> str:
    """Everything about one run, and what can be done with it."""
    if not run:
        return (
            html.panel_head("One run")
            + '<p class="note">Choose a name in the table: its settings, where it comes from and'
            " what was made from it appear here.</p>"
        )
    try:
        row = pages.service.row(run)
    except Refused as error:
        return html.panel_head("One run") + f'<p class="refusal">{html.esc(error)}</p>'
    if pages.service.find(row.id).problem():
        return (
            html.panel_head("One run")
            + f'<p class="refusal">{html.esc(row.error)}</p><div class="acts">{buttons(row)}</div>'
        )
    record = pages.service.get(row.id).record
    status = pages.service.status(row.id)
    result = f'<p class="sub">{html.esc(row.headline)}</p>' if row.headline else ""
    error = f'<p class="refusal">{html.esc(row.error)}</p>' if row.error else ""
    messages = "".join(f'<p class="note">{html.esc(m["text"])}</p>' for m in status.messages[-4:])
    facts = [
        ["id", html.esc(row.id)],
        ["started", html.esc(record.created)],
        ["took", html.duration(row.seconds)],
        ["disk", html.size(row.disk_bytes)],
    ]
    return (
        f'<h2 class="head"><b>{html.esc(row.name)}</b>{html.demo_chip(row.demo)}<span>{html.state_chip(row.state)}</span></h2>{result}{error}{messages}'
        '<div class="acts"'
        f' style="margin-bottom:12px">{buttons(row)}</div>{key_values(facts)}{lineage_html(pages, row.id)}'
        f"{html.panel_head('Settings', 'bold: not the default')}{settings(record.kind, record.spec)}<div"
        f" style='height:12px'></div>{html.command_line(record.command)}"
    )


def buttons(row: RunRow) -> str:
    found = []
    if row.state != "unreadable":
        found.append(html.button("Open", "open", main=True, small=True, run=row.id, id="runs-open"))
    if row.state in ("queued", "running", "interrupted"):
        found.append(html.button("Stop and keep", "stop", small=True, run=row.id, id="runs-stop"))
    if row.resumable:
        found.append(html.button("Resume", "resume", small=True, run=row.id, id="runs-resume"))
    if row.state in ("done", "stopped", "failed", "unreadable"):
        found.append(
            html.button(
                "Delete",
                "delete",
                small=True,
                run=row.id,
                id="runs-delete",
                confirm="Really delete?",
            )
        )
    return "".join(found)


def key_values(pairs: list[list[str]]) -> str:
    return (
        '<table class="kv leftish"><tbody>'
        + "".join(f"<tr><td>{k}</td><td>{v}</td></tr>" for k, v in pairs)
        + "</tbody></table>"
    )


def lineage_html(pages: Pages, run: str) -> str:
    """What it was made from, what was made from it; long lists are cut."""
    found = pages.service.lineage(run)
    if not found:
        return ""
    items = [
        [
            html.esc(how),
            html.run_link(r.id, f"{r.kind} {r.name}", "runs") + " " + html.state_chip(r.state),
        ]
        for how, r in found[:14]
    ]
    if len(found) > 14:
        items.append(["", f"{len(found) - 14} more"])
    return (
        '<div style="height:12px"></div>'
        + html.panel_head("Lineage")
        + key_values(items)
        + '<div style="height:12px"></div>'
    )


def settings(kind: str, values: dict[str, Any]) -> str:
    rows = []
    for k in settings_of(KINDS[kind]):
        value = values.get(k.name)
        words = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        default = list(k.default) if isinstance(k.default, tuple) else k.default
        changed = value != default
        text = f"{html.esc(words or 'none')}{' ' + html.esc(k.unit) if k.unit else ''}"
        rows.append([html.esc(k.label), f"<b>{text}</b>" if changed else text])
    return key_values(rows)


def compare_html(pages: Pages, ids: tuple[str, ...]) -> str:
    """The settings in which the chosen runs differ, beside what came out."""
    if len(ids) < 2:
        return ""
    rows = [pages.service.row(i) for i in ids]
    heads = ["Setting", *[f"{r.name} \u00b7 {r.id[-4:]}" for r in rows]]
    body = [
        [
            html.esc(label),
            *[
                html.esc("" if v is None else ", ".join(map(str, v)) if isinstance(v, tuple) else v)
                for v in values
            ],
        ]
        for label, values in pages.service.differences(list(ids))
    ]
    body = [
        ["<b>kind</b>", *[html.esc(r.kind) for r in rows]],
        ["<b>result</b>", *[html.esc(r.headline or r.state) for r in rows]],
        ["<b>took</b>", *[html.duration(r.seconds) for r in rows]],
        *body,
    ]
    close = html.button("Close", "pick", small=True, id="compare-close", name="compare", value="")
    return (
        "<div"
        f' class="dl-panel">{html.panel_head("Comparison", "only the settings that differ")}{html.table(heads, body, kind="plain")}<div'
        f' class="acts" style="margin-top:8px">{close}</div></div>'
    )
