"""Sample: pictures from a generator, streamed while they are denoised. Not a run; Keep makes one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import gradio as gr

from dreamlab.data.catalog import INFO
from dreamlab.service import LiveFrame, Refused
from dreamlab.spec import SynthesizeSpec, TrainSpec, command, knobs
from dreamlab.ui import forms, html
from dreamlab.ui.train import picture_size
from dreamlab.ui.view import QUIET, Pages, View

FIELDS = ("source", "guidance_weight", "num_steps", "sampler", "seed")
SHOWN_PER_CLASS = 10
FRAMES = 8


@dataclasses.dataclass(frozen=True)
class Controls:
    """The components of the tab's form."""

    fields: dict[str, Any]
    classes: Any
    per_class: Any
    keep_per_class: Any

    @property
    def all(self) -> set[Any]:
        return {*self.fields.values(), self.classes, self.per_class, self.keep_per_class}

    def values(self, data: dict[Any, Any], per_class: Any) -> dict[str, Any]:
        """Settings of a synthesize spec."""
        by_name = {k.name: k for k in knobs(SynthesizeSpec)}
        found = {name: forms.read(by_name[name], data[c]) for name, c in self.fields.items()}
        count = forms.read(by_name["per_class"], data[per_class])
        return {**found, "classes": tuple(data[self.classes] or ()), "per_class": count}


def create(pages: Pages, view: Any, seen: Any) -> None:
    """Lays out the tab and wires Sample and Keep."""
    service = pages.service
    by_name = {k.name: k for k in knobs(SynthesizeSpec)}
    gr.HTML(
        html.page_head(
            "Sample from a generator",
            "Noise becomes digits step by step: left what the sampler holds, right what the network believes is behind it.",
        )
    )
    with gr.Row(elem_classes="columns"):
        with gr.Column(elem_classes="formcol"), gr.Column(elem_classes="dl-panel"):
            fields = {
                name: forms.control(
                    by_name[name], service.choices("train") if name == "source" else [], f"sample-{name}"
                )
                for name in FIELDS[:2]
            }
            scale = gr.HTML(scale_note(1.0), elem_id="sample-scale")
            fields |= {name: forms.control(by_name[name], [], f"sample-{name}") for name in FIELDS[2:]}
            classes = gr.Dropdown(
                choices=class_choices(pages, fields["source"].value or ""),
                value=[],
                multiselect=True,
                label="Classes",
                info="Empty samples all.",
                elem_id="sample-classes",
            )
            shown_count = gr.Number(SHOWN_PER_CLASS, label="Images per class, on this page", elem_id="sample-per_class")
            with gr.Column(elem_classes="foot"):
                go = gr.Button("Sample", variant="primary", elem_id="sample-start")
                refusal = gr.HTML("", elem_id="sample-refusal")
            keep_count = gr.Number(
                100,
                label="Images per class to keep",
                info="Keep makes a labelled set of these settings as a run.",
                elem_id="sample-keep_per_class",
            )
            keep = gr.Button("Keep as a set", elem_id="sample-keep")
            kept = gr.HTML("", elem_id="sample-kept")
        with gr.Column(elem_classes="maincol"):
            with gr.Column(elem_classes="dl-panel"):
                picture = gr.HTML(before(pages, fields["source"].value), elem_id="sample-picture")
            line = gr.HTML("", elem_id="sample-command")
    controls = Controls(fields, classes, shown_count, keep_count)
    _follow(pages, controls)
    _wire(pages, controls, view, go, keep, picture, refusal, kept, line, scale)


def _follow(pages: Pages, controls: Controls) -> None:
    """Keeps the generators fresh and selects the one that the page was opened with."""
    service = pages.service

    def generators(view: View) -> Any:
        choices, asked = service.choices("train"), view.run("sample")
        known = {run for _, run in choices}
        return gr.Dropdown(choices=choices, value=asked if asked in known else (choices[0][1] if choices else None))

    pages.add(
        "sample",
        controls.fields["source"],
        lambda view: (tuple(service.choices("train")), view.run("sample")),
        generators,
    )


def _wire(
    pages: Pages,
    controls: Controls,
    view: Any,
    go: Any,
    keep: Any,
    picture: Any,
    refusal: Any,
    kept: Any,
    line: Any,
    scale: Any,
) -> None:
    service = pages.service

    def on_change(data: dict[Any, Any]) -> dict[Any, Any]:
        weight = data[controls.fields["guidance_weight"]]
        try:
            spec = service.check("synthesize", controls.values(data, controls.keep_per_class))
        except ValueError as error:
            return {scale: scale_note(weight), refusal: forms.refusal(str(error))}
        return {
            scale: scale_note(weight),
            refusal: "",
            line: html.panel_head("The same set from a terminal") + html.command_line(command(spec)),
        }

    def on_source(source: str) -> Any:
        return gr.Dropdown(choices=class_choices(pages, source), value=[]), before(pages, source)

    def on_sample(data: dict[Any, Any]) -> Iterator[dict[Any, Any]]:
        source = data[controls.fields["source"]] or ""
        yield {
            refusal: "",
            view: data[view].at("sample", source),
        }  # from now on this one is chosen, whatever else finishes
        try:
            values = controls.values(data, controls.per_class)
            names = dict((index, name) for name, index in class_choices(pages, values["source"]))
            wanted = list(values["classes"]) or sorted(names)
            for frame in service.live(**values, frames=FRAMES):
                yield {picture: frame_html(frame, [names.get(c, str(c)) for c in wanted])}
        except Exception as error:
            yield {refusal: forms.refusal(forms.refused(error))}

    def on_keep(data: dict[Any, Any]) -> dict[Any, Any]:
        try:
            submitted = service.submit(service.check("synthesize", controls.values(data, controls.keep_per_class)))
        except Exception as error:
            return {kept: forms.refusal(forms.refused(error))}
        words = "This set is there already" if submitted.reused else "The set is being made"
        return {
            kept: f'<p class="note">{words}: {html.run_link(submitted.run, "see it in the Gallery", "gallery")}.</p>'
        }

    changes = [c.change for c in (*controls.fields.values(), controls.classes, controls.keep_per_class)]
    gr.on(changes, on_change, controls.all, [scale, refusal, line], trigger_mode="always_last", **QUIET)
    controls.fields["source"].change(on_source, controls.fields["source"], [controls.classes, picture], **QUIET)
    streamed = {
        "show_progress": "hidden",
        "api_visibility": "private",
        "concurrency_limit": 4,
        "concurrency_id": "live",
    }
    controls.fields["source"].input(
        lambda now, run: now.at("sample", run or ""), [view, controls.fields["source"]], view, **QUIET
    )
    go.click(on_sample, {*controls.all, view}, [picture, refusal, view], trigger_mode="always_last", **streamed)
    keep.click(on_keep, controls.all, [kept], **QUIET)


def class_choices(pages: Pages, source: str) -> list[tuple[str, int]]:
    """(name, number) of the classes of a generator; none where there is no such generator."""
    if not source:
        return []
    try:
        spec = pages.service.get(source).spec
    except Refused:
        return []
    return [(name, i) for i, name in enumerate(INFO[spec.dataset].classes)] if isinstance(spec, TrainSpec) else []


def before(pages: Pages, source: str | None) -> str:
    """What the generator drew last while it was trained: something to look at before the first sample."""
    try:
        run = pages.service.get(source or "")
        events = [e for e in pages.service.status(run.id).images if e.get("name") == "preview"]
    except Refused:
        return waiting()
    if not events:
        return waiting()
    event = events[-1]
    width, height = picture_size(run.path / event["path"])
    names = [name for name, _ in class_choices(pages, run.id)][: int(event.get("rows", 10))]
    picture = html.sheet(
        f"/media/{run.id}/{event['path']}?v={event['t']}", width, height, width // max(1, int(event.get("cols", 16))), frame="synthetic",
        alt="the last preview of this generator", rows=names,
    )  # fmt: skip
    return html.panel_head("The last preview of its training", "press Sample for new ones, step by step") + picture


def scale_note(weight: Any) -> str:
    if not isinstance(weight, (int, float)):
        return ""
    return f'<p class="note">w = {weight:g} is scale s = 1 + w = {1 + weight:g} in most other tools.</p>'


def waiting(
    text: str = "Choose a generator and press Sample: the first picture comes within half a second once the model is warm.",
) -> str:
    return html.panel_head("Samples") + f'<p class="empty">{html.esc(text)}</p>'


def frame_html(frame: LiveFrame, rows: list[str]) -> str:
    """x_t and the predicted x0 side by side at the same zoom."""
    width, height = png_size(frame.png)
    cell = width // max(1, frame.cols)
    note = "done" if frame.done else f"step {frame.step} of {frame.total}"
    left = html.sheet(html.data_uri(frame.png), width, height, cell, frame="synthetic", alt="samples", rows=rows)
    right = html.sheet(
        html.data_uri(frame.x0_png), width, height, cell, frame="synthetic", alt="predicted clean images", rows=rows
    )
    return (
        f'<div class="pair" id="sample-frames" data-done="{int(frame.done)}"><div>{html.panel_head("Samples" if frame.done else "x_t, what the sampler holds", f"{note}, {frame.seconds:.1f} s")}{left}</div>'
        f"<div>{html.panel_head('Predicted x0', 'what the network believes is there')}{right}</div></div>"
    )


def png_size(png: bytes) -> tuple[int, int]:
    """Width and height from a PNG's header (IHDR, big-endian)."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
