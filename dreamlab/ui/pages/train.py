"""The Train tab: a form, and the chosen training with its previews."""

from __future__ import annotations

import dataclasses
from typing import Any

import gradio as gr
import numpy as np
from markupsafe import Markup

from dreamlab.service import Refused, RunRow
from dreamlab.settings import TrainSpec
from dreamlab.settings.train import INHERITED
from dreamlab.stats.generator_quality import far_fewer
from dreamlab.store import RunStatus
from dreamlab.store.states import ACTIVE, UNREADABLE
from dreamlab.ui import render, words
from dreamlab.ui.charts import curves, noise_schedule, probe_chart
from dreamlab.ui.forms import spec_form
from dreamlab.ui.forms.start import start
from dreamlab.ui.parts import pictures
from dreamlab.ui.view import QUIET, Pages, View

PAGE = "train.html"

REAL_WIDTH = 290
"""Width in pixels of the side column."""
MOST_CLASSES = 12
"""Most classes for which real images are shown."""
DASH = "\u2013"
LEAD = "All previews start from the same noise, so that only the network changes between them."


@dataclasses.dataclass(frozen=True)
class TrainPanels:
    """The components that show the chosen run."""

    numbers: Any
    film: Any
    loss: Any
    probe_panel: Any
    probe: Any
    probe_note: Any
    bands: Any
    real: Any
    command: Any


def create(pages: Pages, view: Any) -> None:
    """Creates the components of the tab and connects its form."""
    service = pages.service
    gr.HTML(render.macro("page_head", "Train a generator and watch it learn", LEAD))
    with gr.Row(elem_classes="columns"):
        with gr.Column(elem_classes="formcol"), gr.Column(elem_classes="dl-panel"):
            form = spec_form.build(
                service,
                TrainSpec,
                "Start training",
                "train",
                describe=noise_schedule.describe,
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
                gr.HTML(render.macro("panel_head", "Loss", "log scale, with its running mean"))
                loss = gr.Plot(show_label=False, elem_id="train-loss")
            with gr.Column(elem_classes="dl-panel", visible=False) as probe_panel:
                gr.HTML(render.macro("panel_head", "Probe", "KID, lower is closer"))
                probe = gr.Plot(show_label=False, elem_id="train-probe")
                probe_note = gr.HTML("", elem_id="train-probe-note")
            with gr.Column(elem_classes="dl-panel"):
                inks = list(zip(curves.BANDS, curves.BAND_INK, strict=True))
                gr.HTML(render.part(PAGE, "bands", inks))
                bands = gr.Plot(show_label=False, elem_id="train-bands")
            with gr.Column(elem_classes="dl-panel"):
                real = gr.HTML("", elem_id="train-real")

    panels = TrainPanels(numbers, film, loss, probe_panel, probe, probe_note, bands, real, command)
    _draw(pages, panels)
    for name in ("dataset", "init_from"):
        spec_form.add_choices(pages, "train", form, name, view)
    spec_form.refine(
        pages,
        "train",
        [form.cost],
        form.inputs,
        lambda data: form.look(service, data),
        service.estimate_version,
    )
    _fill(pages, form)
    start(pages, form, view, "train")


def _draw(pages: Pages, panels: TrainPanels) -> None:
    """Connects the panels with the chosen run."""
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

    def data_of(now: View) -> tuple[str, str, int]:
        row = shown(now)
        spec = service.get(row.id).spec if row else None
        return (
            (spec.dataset, spec.data_dir, spec.image_size)
            if isinstance(spec, TrainSpec)
            else ("mnist5k", "", 0)
        )

    def data_key(now: View) -> Any:
        dataset, data_dir, size = data_of(now)
        return dataset, data_dir, size, service.data_version(dataset, data_dir)

    pages.add("train", panels.numbers, status_key, lambda now: run_panel(pages, shown(now)))
    pages.add("train", panels.film, film_key, lambda now: film_panel(pages, shown(now)))
    pages.add("train", panels.loss, loss_key, lambda now: loss_figure(pages, shown(now), now.theme))
    pages.add(
        "train", panels.bands, loss_key, lambda now: bands_figure(pages, shown(now), now.theme)
    )
    _draw_probes(pages, panels)
    pages.add("train", panels.real, data_key, lambda now: real_panel(pages, *data_of(now)))
    pages.add(
        "train",
        panels.command,
        lambda now: run_id(shown(now)),
        lambda now: command_panel(pages, shown(now)),
    )


def _draw_probes(pages: Pages, panels: TrainPanels) -> None:
    """Connects the panel of the probes with the chosen run; a run without probes has none."""

    def asked(now: View) -> Any:
        row = pages.chosen(now, "train", ("train",))
        spec = pages.service.get(row.id).spec if row and row.state != UNREADABLE else None
        return gr.Column(visible=isinstance(spec, TrainSpec) and spec.probe_every > 0)

    def found(now: View) -> tuple[str, list[dict[str, Any]]]:
        row = pages.chosen(now, "train", ("train",))
        return run_id(row), probe_chart.of(pages.service.status(row.id).metrics) if row else []

    def key(now: View) -> Any:
        run, points = found(now)
        return run, len(points)

    pages.add("train", panels.probe_panel, lambda now: found(now)[0], asked)
    pages.add(
        "train",
        panels.probe,
        lambda now: (key(now), now.theme),
        lambda now: probe_chart.figure(found(now)[1], now.theme, found(now)[0] or "none"),
    )
    pages.add(
        "train",
        panels.probe_note,
        key,
        lambda now: render.part(PAGE, "probe_note", probe_chart.note(found(now)[1])),
    )


def _fill(pages: Pages, form: spec_form.Form) -> None:
    """When a run to start from is chosen, fills in the settings that are taken over from it."""

    def from_run(run: str) -> dict[Any, Any]:
        try:
            spec = pages.service.get(run).spec if run else None
        except Refused:  # Form.look shows the reason
            spec = None
        return (
            form.filled({n: getattr(spec, n) for n in INHERITED})
            if isinstance(spec, TrainSpec)
            else {}
        )

    source = form.fields["init_from"]
    source.input(from_run, source, [form.fields[n] for n in INHERITED], **QUIET)


def run_id(row: RunRow | None) -> str:
    """The id of a run; empty without one."""
    return row.id if row else ""


def run_panel(pages: Pages, row: RunRow | None) -> Markup:
    """State, numbers and buttons of a training."""
    if row is None:
        return render.part(PAGE, "run", None)
    status = pages.service.status(row.id)
    # a super-resolution model cannot be sampled without a base model
    can_sample = row.state in ("done", "stopped") and not getattr(
        pages.service.get(row.id).spec, "low_size", 0
    )
    return render.part(
        PAGE,
        "run",
        row,
        numbers(row, status),
        status,
        [m["text"] for m in status.messages[-3:] if m.get("level") in ("warning", "error")],
        pages.service.checkpoints(row.id),
        can_sample,
    )


def numbers(row: RunRow, status: RunStatus) -> list[tuple[str, str]]:
    """(value, label) of step, loss, speed and time of a training; a dash for an unknown value."""
    last: dict[str, Any] = next((m for m in reversed(status.metrics) if "loss" in m), {})
    result = status.result or {}
    rate = result.get("images_per_second") or last.get("images_per_second")
    loss = result.get("loss") if result.get("loss") is not None else last.get("loss")
    over = f", last {result['loss_steps']:,} steps" if result.get("loss_steps") else ""
    running = row.state in ("running", "stopping")
    total, promised = f"{status.total:,}" if status.total else "", result.get("promised_steps")
    if not running and far_fewer(result.get("steps"), promised):
        total = f"about {promised:,}"
    time = words.clock(status.eta_seconds) if running else words.duration(row.seconds)
    return [
        (f"{status.step:,}", f"of {total} steps" if total else "steps"),
        (f"{loss:.3f}" if loss is not None else DASH, f"loss{over}"),
        (f"{rate:,.0f}" if rate else DASH, "images / s"),
        (time or DASH, "left" if running else "took"),
    ]


def film_panel(pages: Pages, row: RunRow | None) -> Markup:
    """All previews of the run with a timeline."""
    if row is None:
        return render.part(PAGE, "film", "Preview images of the training are shown here.")
    status, run = pages.service.status(row.id), pages.service.get(row.id)
    events = pictures.previews(status)
    if not events:
        active = row.state in ACTIVE
        waiting = "There is no preview yet." if active else "This run has no previews."
        return render.part(PAGE, "film", waiting, head=True)
    last = events[-1]
    rows = int(last.get("rows", 10))
    like = pictures.stored(row.id, run.path, last, int(last.get("cols", 16)))
    frames = [
        pictures.frame(
            [pictures.address(row.id, e)],
            like,
            f"Samples at step {int(e['step']):,}",
            str(e.get("caption", "")),
        )
        for e in events
    ]
    names = pictures.drawn_names(run.spec)[:rows]
    ends = (f"{int(events[0]['step']):,}", f"{max(status.total, int(last['step'])):,}")
    panels = [("", "samples of the generator")]
    return render.macro("film", row.id, frames, panels, names, ends)


def loss_figure(pages: Pages, row: RunRow | None, theme: str) -> Any:
    """The loss of a run."""
    points = [m for m in pages.service.status(row.id).metrics if "loss" in m] if row else []
    return curves.loss(
        [m["step"] for m in points], [m["loss"] for m in points], theme, run_id(row) or "none"
    )


def bands_figure(pages: Pages, row: RunRow | None, theme: str) -> Any:
    """The loss of a run by noise level."""
    return curves.bands(
        pages.service.status(row.id).metrics if row else [], theme, run_id(row) or "none"
    )


def real_panel(pages: Pages, dataset: str, data_dir: str, image_size: int) -> Markup:
    """Real training images of the same classes at the size of the training, as many per class as
    fit."""
    images, labels, classes = pages.service.real_images(dataset, data_dir)
    side = image_size or int(images.shape[1])
    cols = min(10, max(2, REAL_WIDTH // side), int(np.bincount(labels).max()))
    members = [np.flatnonzero(labels == c)[:cols] for c in range(len(classes))]
    members = [m for m in members if len(m) == cols][:MOST_CLASSES]
    sheet = pictures.sheet(images[np.concatenate(members)], side, cols)
    return render.part(PAGE, "real", sheet)


def command_panel(pages: Pages, row: RunRow | None) -> Markup:
    """The command that makes the same run; empty without a run."""
    if row is None:
        return Markup()
    return render.part("results.html", "run_command", pages.service.get(row.id).record.command)
