"""Home: one question with one button, what was found before, what runs, what ran last."""

from __future__ import annotations

from typing import Any

import gradio as gr

from dreamlab.data import catalog
from dreamlab.service import Refused
from dreamlab.settings import MixSpec, command
from dreamlab.store.states import ACTIVE
from dreamlab.ui import html
from dreamlab.ui.parts import mix_answer
from dreamlab.ui.parts.verdicts import verdict_html
from dreamlab.ui.view import Pages


def create(pages: Pages, view: Any, seen: Any) -> None:
    """Lays out the tab; its button goes through the page's action handler."""
    service = pages.service
    with gr.Row(elem_classes="columns"):
        with gr.Column(elem_classes="maincol"):
            card = gr.HTML("", elem_id="home-card")
            answer = gr.HTML("", elem_id="home-demo")
        with gr.Column(elem_classes="sidecol"):
            with gr.Column(elem_classes="dl-panel"):
                active = gr.HTML("", elem_id="home-active")
            with gr.Column(elem_classes="dl-panel"):
                recent = gr.HTML("", elem_id="home-recent")
    pages.add("home", card, lambda now: service.version(), lambda now: card_html(pages))
    pages.add(
        "home",
        answer,
        lambda now: tuple(r.id for r in service.rows("mix") if r.state == "done"),
        lambda now: demo_html(pages),
    )
    pages.add("home", active, lambda now: service.version(), lambda now: active_html(pages))
    pages.add("home", recent, lambda now: service.version(), lambda now: recent_html(pages))


def card_html(pages: Pages) -> str:
    """The question, what will be done, the one button; while it runs, how far it is."""
    service = pages.service
    try:
        spec = service.card()
        estimate = service.estimate(spec).text
    except (Refused, ValueError) as error:
        return (
            '<div class="card"><h2>Does synthetic data help?</h2><p'
            f' class="refusal">{html.esc(error)}</p></div>'
        )
    running = next(
        (r for r in service.rows("mix") if r.state in ACTIVE and service.get(r.id).spec == spec),
        None,
    )
    if running:
        share = running.step / running.total if running.total else 0.0
        left = (
            f", {html.clock(running.eta_seconds)} left" if running.eta_seconds is not None else ""
        )
        below = (
            f'<p class="sub" id="card-progress">{html.track(share)} {running.step} of'
            f" {running.total} {html.esc(running.unit)}{left}; {html.esc(running.text)}</p>"
            + html.button("Watch it", "open", main=True, id="card-watch", run=running.id, tab="mix")
        )
    else:
        below = (
            html.button("Find out", "card", main=True, id="card-start", key="Ctrl \u21b5")
            + f'<p class="note">{html.esc(estimate)}</p>'
        )
    return (
        '<div class="card"><h2>Does synthetic data help?</h2><p class="sub"'
        ' style="font-size:16px">Handwritten digits, about 4 minutes, offline</p><p'
        f' class="sub">{html.esc(question(spec))}</p>{below}<div'
        f' style="margin-top:16px">{html.command_line(command(spec))}</div></div>'
    )


def question(spec: MixSpec) -> str:
    """The card in words, from its spec."""
    info = catalog.info(spec.dataset)
    n = spec.images_per_class * len(info.classes)
    wide = f" and one that saw all {info.train:,} training digits" if spec.sources else ""
    return (
        f"You have {n} labelled digits, {spec.images_per_class} of each. A small classifier is"
        " trained on mixes of these and of generated ones (50/50, only generated, 1x and 3x"
        f" added), {spec.seeds} times each, and tested on {info.test:,} real digits that nothing"
        " ever trained on. The generated ones come from a generator trained here on the same"
        f" {n}{wide}: what a generator has seen decides the answer."
    )


def demo_html(pages: Pages) -> str:
    """The newest finished mix in short."""
    rows = [r for r in pages.service.rows("mix") if r.state == "done"]
    if not rows:
        return ""
    rows.sort(key=lambda r: r.demo)
    row = rows[0]
    report = pages.service.report(row.id)
    spec = mix_answer.spec_of(pages.service, row)
    if spec is None or not report.get("verdict"):
        return ""
    head = "A finished answer" if row.demo else "Your newest answer"
    return (
        '<div class="card" style="margin-top:8px"><p'
        f' class="quiet">{head}{html.demo_chip(row.demo)}</p>{verdict_html(report["verdict"], "small")}'
        f"{mix_answer.about_html(spec, report)}<p"
        f' class="sub">{html.run_link(row.id, "See the arms, the seeds and the intervals", "mix")}</p></div>'
    )


def active_html(pages: Pages) -> str:
    """What runs and waits now."""
    rows = pages.service.active()
    if not rows:
        return (
            html.panel_head("Running")
            + '<p class="note">Nothing runs. The button starts the whole story; Train starts only a'
            " generator.</p>"
        )
    items = []
    for row in rows[:6]:
        share = row.step / row.total if row.total else 0.0
        link = html.run_link(row.id, f"{row.kind} {row.name}", html.KIND_TAB.get(row.kind, "runs"))
        items.append(
            f'<p style="margin:0 0 10px">{link}<br>{html.track(share)}'
            f" {html.state_chip(row.state)}</p>"
        )
    return html.panel_head("Running", f"{len(rows)}") + "".join(items)


def recent_html(pages: Pages) -> str:
    """What ended last, with its headline."""
    rows = [r for r in pages.service.rows() if r.state not in ACTIVE][:9]
    if not rows:
        return html.panel_head("Recent runs") + '<p class="note">Finished runs are listed here.</p>'
    items = [
        '<p style="margin:0 0'
        f' 8px">{html.run_link(r.id, f"{r.kind} {r.name}", html.KIND_TAB.get(r.kind, "runs"))}{html.demo_chip(r.demo)}<br><span'
        f' class="note">{html.state_chip(r.state)}'
        f" {html.esc(r.headline if r.kind not in ('mix', 'study') else '')}</span></p>"
        for r in rows
    ]
    return html.panel_head("Recent runs") + "".join(items)
