"""The Home tab: a button that starts a small mix, its answer, active runs and recent runs."""

from __future__ import annotations

from typing import Any

import gradio as gr
from markupsafe import Markup

from dreamlab.data import catalog
from dreamlab.service import Refused
from dreamlab.settings import MixSpec, command
from dreamlab.store.states import ACTIVE
from dreamlab.ui.parts import mix_answer
from dreamlab.ui.parts.verdicts import verdict_html
from dreamlab.ui.render import part
from dreamlab.ui.view import Pages
from dreamlab.ui.words import time_left

TEMPLATE = "home.html"
MOST_RECENT = 9
"""Number of recent runs that are listed."""


def create(pages: Pages, view: Any) -> None:
    """Creates the components of the tab."""
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


def card_html(pages: Pages) -> Markup:
    """The question, what will be done, and the button; while it runs, its progress."""
    service = pages.service
    try:
        spec = service.card()
        estimate = service.estimate(spec).text
    except (Refused, ValueError) as error:
        return part(TEMPLATE, "refused", str(error))
    running = next(
        (r for r in service.rows("mix") if r.state in ACTIVE and service.get(r.id).spec == spec),
        None,
    )
    left = time_left(running.eta_seconds) if running else ""
    return part(TEMPLATE, "card", question(spec), command(spec), estimate, running, left)


def question(spec: MixSpec) -> str:
    """What the mix does, in words."""
    info = catalog.info(spec.dataset)
    n = spec.images_per_class * len(info.classes)
    wide = (
        f" and from one that was trained on all {info.train:,} training digits"
        if spec.sources
        else ""
    )
    return (
        f"You have {n} labelled digits, {spec.images_per_class} of each. A small classifier is"
        " trained on mixes of these and of generated ones (50/50, only generated, 1x and 3x"
        f" added), and on real ones alone (as they are, repeated, augmented), {spec.seeds} times"
        f" each, and tested on {info.test:,} real digits that are never used for training. The"
        " generated ones come from a generator trained here on the same"
        f" {n} digits{wide}. What a generator was trained on affects the answer."
    )


def demo_html(pages: Pages) -> Markup:
    """The newest finished mix in short; that of the demo if there is no other."""
    rows = [r for r in pages.service.rows("mix") if r.state == "done"]
    if not rows:
        return Markup()
    rows.sort(key=lambda r: r.demo)
    row = rows[0]
    report = pages.service.report(row.id)
    spec = mix_answer.spec_of(pages.service, row)
    if spec is None or not report.get("verdict"):
        return Markup()
    verdict = verdict_html(report["verdict"], "small")
    return part(TEMPLATE, "answer", row, verdict, mix_answer.about_html(spec, report))


def active_html(pages: Pages) -> Markup:
    """Running and waiting runs."""
    return part(TEMPLATE, "active", pages.service.active())


def recent_html(pages: Pages) -> Markup:
    """The last finished runs with their results in one line."""
    ended = [r for r in pages.service.rows() if r.state not in ACTIVE]
    return part(TEMPLATE, "recent", ended[:MOST_RECENT])
