"""The frame around all tabs: header, tabs, the bar of active runs (dock), notices, the timer, and
the handler of all buttons in HTML."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import gradio as gr
from markupsafe import Markup, escape

from dreamlab.paths import ASSETS
from dreamlab.service import RunRow, Service, Submitted
from dreamlab.store import disk_use
from dreamlab.ui.forms.spec_form import refused
from dreamlab.ui.parts import downloads
from dreamlab.ui.render import part
from dreamlab.ui.tabs import BY_NAME, BY_TITLE, TABS, of_kind
from dreamlab.ui.view import QUIET, Pages, View, from_query
from dreamlab.ui.words import time_left

TEMPLATE = "shell.html"
TICK = 0.7
"""Seconds between two looks for changes."""
ASKED = {
    "preview": "Requested: the preview appears after the next step.",
    "snapshot": "Requested: the checkpoint of the next step is kept; Sample lists it under Stages.",
}
"""Requests to a running training -> the notice that confirms them."""
MIXES: dict[str, Callable[[Service, str], Submitted]] = {
    "card": lambda service, _: service.submit(service.card()),
    "without-copies": lambda service, mix: service.without_near_copies(mix),
}
"""Buttons that start a mix."""
AGAIN = "This page is connected again."
READY = (
    "const ready = (then) => (window.dreamlab ? then(window.dreamlab) : setTimeout(ready, 20,"
    " then)); "
)
"""Gradio loads app.js in no fixed order relative to the page, so these snippets wait for it."""
CONNECT = READY + "ready((d) => d.connect((data) => trigger('click', data)));"
LOCATE = READY + "watch('value', () => ready((d) => d.locate(element.textContent.trim())));"
BOOT = (
    "async () => { "
    + READY
    + "return [await new Promise((then) => ready((d) => then(d.boot())))]; }"
)
BOOTED = "() => { " + READY + "ready((d) => d.booted()); }"
UNKNOWN = "?"
"""The address that a page gets whose view is not known, as after a restart of the server: it says
again what it shows (assets/app.js)."""


def head() -> str:
    """The content of the page's <head>. The stamp changes with the files, so that browsers do not
    use old ones from their cache."""
    stamp = f"{disk_use(ASSETS):x}{max(int(f.stat().st_mtime) for f in ASSETS.glob('*.js')):x}"
    return str(part(TEMPLATE, "head", stamp))


def css() -> str:
    """The style sheet of the dashboard."""
    return (ASSETS / "tokens.css").read_text(encoding="utf-8") + (ASSETS / "app.css").read_text(
        encoding="utf-8"
    )


def build(service: Service) -> gr.Blocks:
    """The whole dashboard as Gradio Blocks, ready to be mounted."""
    pages = Pages(service)
    demo = gr.Blocks(title="DreamLab", analytics_enabled=False, fill_width=True)
    with demo:
        view, seen = gr.State(View()), gr.State({})
        boot = gr.Textbox(visible=False)
        pages.add(
            "",
            gr.HTML(header({}), elem_id="header"),
            lambda v: _machine_key(service),
            lambda v: header(service.machine()),
        )
        with gr.Tabs(elem_id="tabs", selected="home") as tabs:
            for tab in TABS:
                with gr.Tab(tab.title, id=tab.name, elem_id=f"page-{tab.name}"):
                    tab.create(pages, view)
        pages.add("", gr.HTML("", elem_id="notice"), lambda v: (v.notice, v.undo), notice)
        pages.add(
            "",
            gr.HTML(dock([], ""), elem_id="dock"),
            lambda v: service.version(),
            lambda v: dock(service.active(), _thumbnail(service)),
        )
        locate = gr.HTML("", elem_id="address", elem_classes="bridge", js_on_load=LOCATE)
        pages.add("", locate, lambda v: v.query(), lambda v: escape(v.query()))
        bridge = gr.HTML("", elem_id="bridge", elem_classes="bridge", js_on_load=CONNECT)
        _wire(demo, pages, tabs, view, seen, boot, bridge, locate)
    demo.queue(default_concurrency_limit=16, api_open=False)
    return demo


def _wire(
    demo: gr.Blocks,
    pages: Pages,
    tabs: Any,
    view: Any,
    seen: Any,
    boot: Any,
    bridge: Any,
    locate: Any,
) -> None:
    everything = [view, seen, tabs, *pages.outputs]

    def redraw(now: View, known: dict[Any, Any], **also: Any) -> dict[Any, Any]:
        updates, known = pages.refresh(now, known)
        return {view: now, seen: known, **updates, **also}

    def on_load(asked: str) -> dict[Any, Any]:
        now = first_view(asked)
        return {**redraw(now, {}), tabs: gr.Tabs(selected=now.tab), timer: gr.Timer(active=True)}

    def on_tick(now: View, known: dict[Any, Any]) -> Any:
        if not now.known:
            return {locate: UNKNOWN}
        updates, fresh = pages.refresh(now, known)
        if not updates:
            return gr.skip()
        return {seen: fresh, **updates}

    def on_tab(now: View, known: dict[Any, Any], event: gr.SelectData) -> dict[Any, Any]:
        tab = BY_TITLE[str(event.value)].name
        return redraw(dataclasses.replace(now, tab=tab, notice="", undo=""), known)

    def on_action(now: View, known: dict[Any, Any], event: gr.EventData) -> dict[Any, Any]:
        data = {str(k): v for k, v in (event._data or {}).items()}
        after = act(pages, now, data)
        moved = {tabs: gr.Tabs(selected=after.tab)} if after.tab != now.tab else {}
        return {**redraw(after, known), **moved}

    # no tick comes before the page has said what it shows: it would be answered with Home
    timer = gr.Timer(TICK, active=False)
    loaded = demo.load(on_load, boot, [*everything, timer], js=BOOT, **QUIET)
    loaded.then(None, None, None, js=BOOTED, **QUIET)
    timer.tick(on_tick, [view, seen], [seen, *pages.outputs], **QUIET)
    tabs.select(on_tab, [view, seen], everything, **QUIET)
    # "multiple": a press is handled even while an earlier one is still being answered
    bridge.click(on_action, [view, seen], everything, trigger_mode="multiple", **QUIET)


def first_view(page: str) -> View:
    """The view of a page that says what it shows, as JSON: `search` is the query string of its
    address. It comes from a browser and may be anything."""
    try:
        said = json.loads(page or "{}")
    except ValueError:
        said = {}
    said = said if isinstance(said, dict) else {}
    now = from_query(str(said.get("search", "")), str(said.get("theme", "")))
    return dataclasses.replace(now, known=True)


def act(pages: Pages, view: View, data: dict[str, Any]) -> View:
    """Does what a button in HTML requests and returns the resulting view. `data` comes from a
    browser and may contain anything."""
    service, name, run = pages.service, str(data.get("act", "")), str(data.get("run", ""))
    try:
        if name == "theme":
            return dataclasses.replace(
                view, theme="dark" if data.get("theme") == "dark" else "light"
            )
        if name == "boot":
            return dataclasses.replace(first_view(str(data.get("page", ""))), notice=AGAIN)
        if name == "open":
            return open_run(pages, view, run, str(data.get("tab", "")))
        if name in ("stop", "stop-now"):
            service.stop(run, now=name == "stop-now")
            return view.saying(
                "It will finish its step, save and stop."
                if name == "stop"
                else "Its processes are being ended; what was saved stays."
            )
        if name in ASKED:
            service.ask(run, name)
            return view.saying(ASKED[name])
        if name == "resume":
            service.resume(run)
            return view.saying("Queued again; it continues from its last checkpoint.")
        if name == "delete":
            gone = service.delete(run)
            more = f" with {len(gone) - 1} runs that were made for it" if len(gone) > 1 else ""
            return view.saying(f"Deleted {run}{more}.", undo=run)
        if name == "restore":
            if not service.is_here(run):  # it is after a second press of Undo
                service.restore(run)
            view = view.at("data", run) if view.tab == "data" else view
            return view.saying(f"{run} is restored.")
        if name == "dismiss":
            return view.saying("")
        if name == "pick":
            return view.with_pick(str(data.get("name", "")), str(data.get("value", "")))
        if name in ("look", "use"):
            return with_set(
                view,
                str(data.get("set", "")),
                "data" if name == "look" else str(data.get("tab", "")),
            )
        if name == "compare":
            return view.with_pick(
                "compare", tuple(str(r) for r in list(data.get("runs") or [])[:8])
            )
        if name == "download":
            run = downloads.start(service, str(data.get("set", "")))
            return dataclasses.replace(view, tab="data", notice="", undo="").at("data", run)
        if name in MIXES:
            mix = MIXES[name](service, run).run
            return dataclasses.replace(view, tab="mix", notice="").at("mix", mix)
    except Exception as error:  # any error must be shown as a sentence
        return view.saying(refused(error))
    return view


def with_set(view: View, name: str, tab: str) -> View:
    """The Data page with this data set shown, or the page `tab` (train or mix) with this set chosen
    in its form."""
    if tab == "data":
        return (
            dataclasses.replace(view, tab=tab, notice="", undo="")
            .at(tab, name)
            .with_pick("data-page", 1)
        )
    there = tab if tab in ("train", "mix") else view.tab
    return dataclasses.replace(view, tab=there, notice="", undo="").with_pick(
        f"{there}-dataset", name
    )


def open_run(pages: Pages, view: View, run: str, tab: str) -> View:
    """The page that shows a run: in the tab `tab`, or else in the tab for its kind. Without a run,
    only the tab changes."""
    if not run:
        return dataclasses.replace(
            view, tab=tab if tab in BY_NAME else view.tab, notice="", undo=""
        )
    row = pages.service.row(run, disk=False)
    if tab not in BY_NAME:
        tab = of_kind(row.kind)
        if row.kind == "classify":
            tab, run = ("mix", row.group) if row.group else ("runs", run)
    view = dataclasses.replace(view, tab=tab, notice="", undo="").at(tab, run)
    opener = pages.openers.get(tab)
    return opener(view, run) if opener else view


# ---- header, notice and dock


def _machine_key(service: Service) -> Any:
    machine = service.machine()
    memory = round(machine["memory_used"] / 1e8)
    return (machine["cores"], machine["device"], machine.get("bf16"), memory)


def header(machine: dict[str, Any]) -> Markup:
    """Name, devices and memory of this machine, and the theme switch. The tabs are placed over
    it."""
    if not machine:
        return part(TEMPLATE, "header")
    cores = f"{machine['cores']} CPU core{'s' if machine['cores'] != 1 else ''}"
    device = cores if machine["device"] == "cpu" else f"{machine['device']}, {cores}"
    bf16 = {"bf16": ", bf16 on", "fp32": ", bf16 off"}.get(str(machine.get("bf16")), "")
    used, total = machine["memory_used"] / 1e9, machine["memory_total"] / 1e9
    words = {"device": device + bf16, "memory": f"{used:.1f} GB of {total:.0f} GB"}
    return part(TEMPLATE, "header", words)


def notice(view: View) -> Markup:
    """One sentence about the last action, with a button that undoes it if possible."""
    return part(TEMPLATE, "notice", view.notice, view.undo)


def _thumbnail(service: Service) -> str:
    """The address of the newest picture of an active run, or else of the newest run that has
    one."""
    rows = [r for r in service.active() if r.state != "queued"] + service.rows()[:12]
    for row in rows:
        images = service.status(row.id).images
        if images:
            return f"/media/{row.id}/{images[-1]['path']}?v={images[-1]['t']}"
    return ""


def dock(active: list[RunRow], thumbnail: str) -> Markup:
    """The bar of active runs: the progress of the first, how many wait, and a stop button. `active`
    has running runs first."""
    if not active:
        return part(TEMPLATE, "dock", active, thumbnail=thumbnail)
    first = active[0]
    count = (
        f"{first.step:,} of {first.total:,} {first.unit}"
        if first.total
        else (first.text or first.state)
    )
    left = time_left(first.eta_seconds) if first.state == "running" else ""
    return part(TEMPLATE, "dock", active, count + left, thumbnail)
