"""Train: a form, and a run that one watches while it learns."""

from __future__ import annotations

import dataclasses
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from dreamlab.checks.warnings import warning
from dreamlab.data import catalog, imageset
from dreamlab.service import Refused, RunRow
from dreamlab.settings import Spec, TrainSpec
from dreamlab.settings.train import INHERITED
from dreamlab.store.states import ACTIVE
from dreamlab.ui import html
from dreamlab.ui.charts import curves, noise_schedule
from dreamlab.ui.forms import spec_form
from dreamlab.ui.view import QUIET, Pages, View

REAL_WIDTH = 290
"""Pixels of the side column."""
MOST_CLASSES = 12
"""Classes that are shown beside the film."""
LEAD = "The same noise for every picture: what changes from preview to preview is only the network."


@dataclasses.dataclass(frozen=True)
class Panels:
    """The components that show the chosen run."""

    numbers: Any
    film: Any
    loss: Any
    bands: Any
    real: Any
    command: Any


def create(pages: Pages, view: Any, seen: Any) -> None:
    """Lays out the tab and wires its form."""
    service = pages.service
    gr.HTML(html.page_head("Train a generator and watch it learn", LEAD))
    with gr.Row(elem_classes="columns"):
        with gr.Column(elem_classes="formcol"), gr.Column(elem_classes="dl-panel"):
            form = spec_form.build(
                service,
                TrainSpec,
                "Start training",
                "train",
                describe=noise_schedule.describe,
                warning=warning,
                after="target",
            )
        with gr.Column(elem_classes="maincol"):
            with gr.Column(elem_classes="dl-panel"):
                film = gr.HTML("", elem_id="train-film")
            command = gr.HTML("", elem_id="train-run-command")
        with gr.Column(elem_classes="sidecol"):
            with gr.Column(elem_classes="dl-panel"):
                numbers = gr.HTML("", elem_id="train-stats")
            with gr.Column(elem_classes="dl-panel"):
                gr.HTML(html.panel_head("Loss", "log scale, with its running mean"))
                loss = gr.Plot(show_label=False, elem_id="train-loss")
            with gr.Column(elem_classes="dl-panel"):
                keys = html.legend(zip(curves.BANDS, curves.BAND_INK, strict=True))
                gr.HTML(html.panel_head("Loss by noise level t/T", "log scale") + keys)
                bands = gr.Plot(show_label=False, elem_id="train-bands")
            with gr.Column(elem_classes="dl-panel"):
                real = gr.HTML("", elem_id="train-real")

    _draw(pages, Panels(numbers, film, loss, bands, real, command))
    for name in ("dataset", "init_from"):
        spec_form.add_choices(pages, "train", form, name, view)
    spec_form.refine(pages, "train", form.cost, form.inputs, lambda data: form.look(service, data))
    _fill(pages, form)
    start(pages, form, view, seen, "train")


def _draw(pages: Pages, panels: Panels) -> None:
    """What the panels show of the chosen run, and when they are drawn anew."""
    service = pages.service

    def shown(now: View) -> RunRow | None:
        return pages.chosen(now, "train", ("train",))

    def status_key(now: View) -> Any:
        row = shown(now)
        return (row.id, service.status(row.id).version, row.state) if row else None

    def film_key(now: View) -> Any:
        row = shown(now)
        if row is None:
            return None
        images = service.status(row.id).images
        return (row.id, len(images), images[-1]["t"] if images else 0, row.state in ACTIVE)

    def loss_key(now: View) -> Any:
        row = shown(now)
        return (
            (row.id, len(service.status(row.id).metrics), now.theme) if row else (None, now.theme)
        )

    def data_key(now: View) -> Any:
        row = shown(now)
        spec = service.get(row.id).spec if row else None
        return (
            (spec.dataset, spec.data_dir, spec.image_size)
            if isinstance(spec, TrainSpec)
            else ("mnist5k", "", 0)
        )

    pages.add("train", panels.numbers, status_key, lambda now: run_panel(pages, shown(now)))
    pages.add("train", panels.film, film_key, lambda now: film_panel(pages, shown(now)))
    pages.add("train", panels.loss, loss_key, lambda now: loss_figure(pages, shown(now), now.theme))
    pages.add(
        "train", panels.bands, loss_key, lambda now: bands_figure(pages, shown(now), now.theme)
    )
    pages.add("train", panels.real, data_key, lambda now: real_panel(pages, *data_key(now)))
    pages.add(
        "train",
        panels.command,
        lambda now: status_id(shown(now)),
        lambda now: command_panel(pages, shown(now)),
    )


def _fill(pages: Pages, form: spec_form.Form) -> None:
    """A run to start from fills in what is taken over from it."""

    def from_run(run: str) -> dict[Any, Any]:
        try:
            spec = pages.service.get(run).spec if run else None
        except Refused:  # the look at the form says why
            spec = None
        return (
            form.filled({n: getattr(spec, n) for n in INHERITED})
            if isinstance(spec, TrainSpec)
            else {}
        )

    source = form.fields["init_from"]
    source.input(from_run, source, [form.fields[n] for n in INHERITED], **QUIET)


def status_id(row: RunRow | None) -> str:
    return row.id if row else ""


def start(pages: Pages, form: spec_form.Form, view: Any, seen: Any, tab: str) -> None:
    """Wires a form's main button: submit, show the run, or say in one sentence why not."""

    def on_start(data: dict[Any, Any]) -> dict[Any, Any]:
        now: View = data[view]
        try:
            run, reused = form.submit(pages.service, data)
        except Exception as error:
            return {form.refusal: spec_form.refusal(spec_form.refused(error))}
        words = (
            "This very run is there already; it is shown. Check Compute anew to run it again."
            if reused
            else ""
        )
        return {view: now.at(tab, run).saying(words), form.refusal: ""}

    form.start.click(on_start, {*form.inputs, view}, [view, form.refusal], **QUIET)


def run_panel(pages: Pages, row: RunRow | None) -> str:
    """State, numbers and what can be done with the run."""
    if row is None:
        return (
            '<p class="empty">No training yet. Start one: the first pictures come within'
            " seconds.</p>"
        )
    s = pages.service.status(row.id)
    last = s.metrics[-1] if s.metrics else {}
    result = s.result or {}
    rate = result.get("images_per_second") or last.get("images_per_second")
    loss = result.get("loss") if result.get("loss") is not None else last.get("loss")
    running = row.state in ("running", "stopping")
    third = (
        (html.clock(s.eta_seconds) or "\u2013", "left")
        if running
        else (html.duration(row.seconds) or "\u2013", "took")
    )
    pairs = [
        (f"{s.step:,}", f"of {s.total:,} steps" if s.total else "steps"),
        (f"{loss:.3f}" if loss is not None else "\u2013", "loss"),
        (f"{rate:,.0f}" if rate else "\u2013", "images / s"),
        third,
    ]
    share = s.step / s.total if s.total else 0.0
    head = f'<h2 class="head"><b>{html.esc(row.name)}</b>{html.demo_chip(row.demo)}<span>{html.state_chip(row.state)}</span></h2>'
    bar = (
        f"<p class='note' style='margin:8px 0 0'>{html.track(share)} {html.esc(s.text)}</p>"
        if running
        else ""
    )
    error = (
        f'<p class="refusal">{html.esc(row.error)}</p>'
        if row.error and row.state in ("failed", "interrupted")
        else ""
    )
    warnings = "".join(
        f'<p class="note warn">{html.esc(m["text"])}</p>'
        for m in s.messages[-3:]
        if m.get("level") in ("warning", "error")
    )
    names = pages.service.checkpoints(row.id)
    kept = f'<p class="note">Kept: {html.esc(", ".join(names))}.</p>' if names else ""
    return (
        head + html.stats(pairs) + bar + error + warnings + kept + '<div class="acts"'
        f' style="margin-top:12px">{actions(row, pages.service.get(row.id).spec)}</div>'
    )


def actions(row: RunRow, spec: Spec) -> str:
    """The buttons of a training run in its state; one that upsamples has nothing to sample from
    alone."""
    buttons = []
    if row.state in ("queued", "running", "interrupted"):
        buttons.append(html.button("Stop and keep", "stop", id="train-stop", run=row.id))
    if row.state == "running":
        buttons.append(html.button("Preview now", "preview", id="train-preview", run=row.id))
        buttons.append(html.button("Keep checkpoint", "snapshot", id="train-snapshot", run=row.id))
    if row.state in ("running", "stopping"):
        buttons.append(
            html.button(
                "Stop now",
                "stop-now",
                id="train-stop-now",
                run=row.id,
                confirm="Lose what is unsaved?",
            )
        )
    if row.resumable:
        buttons.append(html.button("Resume", "resume", id="train-resume", run=row.id))
    if row.state in ("done", "stopped") and not getattr(spec, "low_size", 0):
        buttons.append(
            html.button("Sample now", "open", id="train-sample", run=row.id, tab="sample")
        )
    return "".join(buttons)


def film_panel(pages: Pages, row: RunRow | None) -> str:
    """Every preview of the run, with a timeline."""
    if row is None:
        return '<p class="empty">The samples of the run will sharpen here.</p>'
    service = pages.service
    status, run = service.status(row.id), service.get(row.id)
    events = [e for e in status.images if e.get("name") == "preview"]
    if not events:
        waiting = (
            "The first preview is on its way."
            if row.state in ACTIVE
            else "This run has no previews."
        )
        return html.panel_head("Samples") + f'<p class="empty">{waiting}</p>'
    rows, cols = int(events[-1].get("rows", 10)), max(1, int(events[-1].get("cols", 16)))
    width, height = picture_size(run.path / events[-1]["path"])
    frames = [
        {
            "srcs": [f"/media/{row.id}/{e['path']}?v={e['t']}"],
            "w": width,
            "h": height,
            "cell": width // cols,
            "title": f"Samples at step {int(e['step']):,}",
            "caption": str(e.get("caption", "")),
        }
        for e in events
    ]
    ends = (f"{int(events[0]['step']):,}", f"{max(status.total, int(events[-1]['step'])):,}")
    return html.film(
        row.id, frames, [("", "samples of the generator")], drawn_names(run.spec)[:rows], ends=ends
    )


def drawn_names(spec: Any) -> tuple[str, ...]:
    """Names beside the rows of what a generator draws: its classes, none where it draws all
    alike."""
    return catalog.drawn_classes(spec) if isinstance(spec, TrainSpec) and spec.conditional else ()


def picture_size(path: Any) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def loss_figure(pages: Pages, row: RunRow | None, theme: str) -> Any:
    points = [m for m in pages.service.status(row.id).metrics if "loss" in m] if row else []
    return curves.loss(
        [m["step"] for m in points], [m["loss"] for m in points], theme, row.id if row else "none"
    )


def bands_figure(pages: Pages, row: RunRow | None, theme: str) -> Any:
    return curves.bands(
        pages.service.status(row.id).metrics if row else [], theme, row.id if row else "none"
    )


def real_panel(pages: Pages, dataset: str, data_dir: str, image_size: int) -> str:
    """Real training images of the same classes in the real colour, at the size that is trained on,
    as many a class as fit."""
    images, labels, classes = pages.service.real_images(dataset, data_dir)
    side = image_size or int(images.shape[1])
    cols = min(10, max(2, REAL_WIDTH // side))
    members = [np.flatnonzero(labels == c)[:cols] for c in range(len(classes))]
    members = [m for m in members if len(m) == cols][:MOST_CLASSES]
    sheet = imageset.sheet(imageset.resized(images[np.concatenate(members)], side), cols)
    picture = html.sheet(
        html.data_uri(imageset.png(sheet)),
        sheet.shape[1],
        sheet.shape[0],
        side,
        frame="real",
        alt="real images of the same classes",
        zoom=1,
    )
    return html.panel_head("Real images", "same classes, training split") + picture


def command_panel(pages: Pages, row: RunRow | None) -> str:
    if row is None:
        return ""
    record = pages.service.get(row.id).record
    return html.panel_head("This run from a terminal") + html.command_line(record.command)
