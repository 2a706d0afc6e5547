"""Sample: pictures from a generator, streamed while they are denoised. Not a run; Keep makes
one."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import gradio as gr

from dreamlab.architecture.network import network_of
from dreamlab.data import catalog
from dreamlab.service import LiveFrame, Refused
from dreamlab.settings import Setting, SynthesizeSpec, TrainSpec, settings_of
from dreamlab.settings.guidance import can_be_guided
from dreamlab.ui import html
from dreamlab.ui.forms import controls, spec_form
from dreamlab.ui.forms.controls import Section
from dreamlab.ui.pages.train import drawn_names, picture_size
from dreamlab.ui.view import QUIET, Pages, View

SETTINGS = {k.name: k for k in settings_of(SynthesizeSpec)}
PLAIN = ("num_steps", "sampler", "seed")
SHOWN_PER_CLASS, FINE_PER_CLASS = 10, 4
"""Images per class on the page, of small images and of fine ones."""
FINE = 64
FRAMES = 8
PANELS = [
    ("x_t, what the sampler holds", "samples"),
    ("Predicted x0, what the network believes", "predicted clean images"),
]


@dataclasses.dataclass(frozen=True)
class Controls:
    """The components of the tab: the settings, and what is said about them."""

    fields: dict[str, Any]
    sections: list[Section]
    per_class: Any
    keep_per_class: Any
    scale: Any
    refusal: Any
    cost: Any
    kept: Any
    line: Any
    picture: Any

    @property
    def all(self) -> set[Any]:
        return {*self.fields.values(), self.per_class, self.keep_per_class}

    @property
    def replies(self) -> list[Any]:
        return [
            self.scale,
            self.refusal,
            self.cost,
            self.line,
            *(s.accordion for s in self.sections),
        ]

    def values(self, data: dict[Any, Any], per_class: Any) -> dict[str, Any]:
        """Settings of a synthesize spec."""
        found = {name: controls.read(SETTINGS[name], data[c]) for name, c in self.fields.items()}
        return {**found, "per_class": controls.read(SETTINGS["per_class"], data[per_class])}


def create(pages: Pages, view: Any, seen: Any) -> None:
    """Lays out the tab and wires Sample and Keep."""
    service = pages.service
    gr.HTML(
        html.page_head(
            "Sample from a generator",
            "Noise becomes images step by step: left what the sampler holds, right what the network"
            " believes is behind it.",
        )
    )
    with gr.Row(elem_classes="columns"):
        with gr.Column(elem_classes="formcol"), gr.Column(elem_classes="dl-panel"):
            fields = {
                "source": controls.control(SETTINGS["source"], generators(pages), "sample-source")
            }
            source = str(fields["source"].value or "")
            weight = SETTINGS["guidance_weight"].default if guidable(pages, source) else 0
            fields["guidance_weight"] = controls.control(
                SETTINGS["guidance_weight"], [], "sample-guidance_weight"
            )
            fields["guidance_weight"].value = weight
            scale = gr.HTML(scale_note(weight), elem_id="sample-scale")
            fields |= {
                name: controls.control(SETTINGS[name], [], f"sample-{name}") for name in PLAIN
            }
            fields["classes"] = gr.Dropdown(
                choices=class_choices(pages, source),
                value=[],
                multiselect=True,
                label="Classes",
                info="Empty samples all.",
                elem_id="sample-classes",
            )
            shown_count = gr.Number(
                page_count(pages, source),
                label="Images per class, on this page",
                elem_id="sample-per_class",
            )
            kept_of = {
                "checkpoint": lambda k, name: checkpoint_control(pages, k, name, source),
                "guide_checkpoint": lambda k, name: checkpoint_control(pages, k, name, ""),
            }
            more, sections = controls.folded(service, list(SETTINGS.values()), "sample", kept_of)
            with gr.Column(elem_classes="foot"):
                go = gr.Button("Sample", variant="primary", elem_id="sample-start")
                refusal = gr.HTML("", elem_id="sample-refusal")
            keep_count = gr.Number(
                SETTINGS["per_class"].default,
                label="Images per class to keep",
                info="Keep makes a labelled set of these settings as a run.",
                elem_id="sample-keep_per_class",
            )
            keep = gr.Button("Keep as a set", elem_id="sample-keep")
            cost = gr.HTML("", elem_id="sample-cost")
            kept = gr.HTML("", elem_id="sample-kept")
        with gr.Column(elem_classes="maincol"):
            with gr.Column(elem_classes="dl-panel"):
                picture = gr.HTML(before(pages, source), elem_id="sample-picture")
            line = gr.HTML("", elem_id="sample-command")
    found = Controls(
        fields | more, sections, shown_count, keep_count, scale, refusal, cost, kept, line, picture
    )
    _follow(pages, found)
    _wire_settings(pages, found, view)
    _wire_buttons(pages, found, view, go, keep)


def _follow(pages: Pages, found: Controls) -> None:
    """Keeps the generators fresh, selects the one that the page was opened with, and looks again
    after a measurement."""
    service = pages.service

    def key(view: View) -> Any:
        return tuple(service.choices("train"))

    def source(view: View) -> Any:
        choices, asked = generators(pages), view.run("sample")
        known = {run for _, run in choices}
        return gr.Dropdown(
            choices=choices, value=asked if asked in known else (choices[0][1] if choices else None)
        )

    def guide(view: View) -> Any:
        return gr.Dropdown(
            choices=controls.run_choices(SETTINGS["guide"], service.choices("train"))
        )

    def stages(view: View) -> Any:
        return gr.Dropdown(choices=generators(pages, stages=True))

    pages.add(
        "sample", found.fields["source"], lambda view: (key(view), view.run("sample")), source
    )
    pages.add("sample", found.fields["guide"], key, guide)
    pages.add("sample", found.fields["upsample"], key, stages)
    spec_form.refine(pages, "sample", found.cost, found.all, lambda data: look(pages, found, data))


def look(pages: Pages, found: Controls, data: dict[Any, Any]) -> dict[Any, Any]:
    """What the settings mean for a kept set: both conventions of guidance, the command, the cost,
    or a refusal."""
    values = found.values(data, found.keep_per_class)
    differing = controls.changed(SynthesizeSpec, values)
    replies: dict[Any, Any] = {
        s.accordion: gr.update(label=s.header(differing)) for s in found.sections
    }
    replies[found.scale] = scale_note(values["guidance_weight"])
    try:
        spec = pages.service.check("synthesize", values)
        cost = spec_form.cost_note(pages.service, spec)
    except ValueError as error:
        return {**replies, found.refusal: spec_form.refusal(str(error)), found.cost: ""}
    return {**replies, found.refusal: "", found.cost: cost, found.line: spec_form.terminal(spec)}


def _wire_settings(pages: Pages, found: Controls, view: Any) -> None:
    fields = found.fields

    def on_change(data: dict[Any, Any]) -> dict[Any, Any]:
        return look(pages, found, data)

    def on_source(source: str) -> dict[Any, Any]:
        return {
            fields["classes"]: gr.Dropdown(choices=class_choices(pages, source), value=[]),
            fields["checkpoint"]: gr.Dropdown(choices=checkpoint_choices(pages, source), value=""),
            found.per_class: page_count(pages, source),
            found.picture: before(pages, source),
            **({} if guidable(pages, source) else {fields["guidance_weight"]: 0}),
        }

    def on_guide(guide: str) -> Any:
        return gr.Dropdown(choices=checkpoint_choices(pages, guide), value="")

    changes = [c.change for c in (*fields.values(), found.keep_per_class)]
    gr.on(changes, on_change, found.all, found.replies, trigger_mode="always_last", **QUIET)
    new_source = [
        *(fields[n] for n in ("classes", "checkpoint", "guidance_weight")),
        found.per_class,
        found.picture,
    ]
    fields["source"].change(on_source, fields["source"], new_source, **QUIET)
    fields["guide"].change(on_guide, fields["guide"], fields["guide_checkpoint"], **QUIET)
    fields["source"].input(
        lambda now, run: now.at("sample", run or ""), [view, fields["source"]], view, **QUIET
    )


def _wire_buttons(pages: Pages, found: Controls, view: Any, go: Any, keep: Any) -> None:
    service = pages.service

    def on_sample(data: dict[Any, Any]) -> Iterator[dict[Any, Any]]:
        source = data[found.fields["source"]] or ""
        # from now on this one is chosen, whatever else finishes
        yield {found.refusal: "", view: data[view].at("sample", source)}
        try:
            values = found.values(data, found.per_class)
            names = drawn_names(service.get(source).spec) if source else ()
            wanted = [names[c] for c in values["classes"] if c < len(names)] or list(names)
            key = f"live-{time.time_ns()}"
            for frame in service.live(values, frames=FRAMES):
                yield {found.picture: frame_html(frame, key, wanted)}
        except Exception as error:
            yield {found.refusal: spec_form.refusal(spec_form.refused(error))}

    def on_keep(data: dict[Any, Any]) -> dict[Any, Any]:
        try:
            submitted = service.submit(
                service.check("synthesize", found.values(data, found.keep_per_class))
            )
        except Exception as error:
            return {found.kept: spec_form.refusal(spec_form.refused(error))}
        words = "This set is there already" if submitted.reused else "The set is being made"
        link = html.run_link(submitted.run, "see it in the Gallery", "gallery")
        return {found.kept: f'<p class="note">{words}: {link}.</p>'}

    streamed = {
        "show_progress": "hidden",
        "api_visibility": "private",
        "concurrency_limit": 4,
        "concurrency_id": "live",
    }
    replies = [found.picture, found.refusal, view]
    go.click(on_sample, {*found.all, view}, replies, trigger_mode="always_last", **streamed)
    keep.click(on_keep, found.all, [found.kept], **QUIET)


def trained(pages: Pages, source: str | None) -> TrainSpec | None:
    """How a generator was trained; None where there is no such generator."""
    try:
        spec = pages.service.get(source).spec if source else None
    except Refused:
        return None
    return spec if isinstance(spec, TrainSpec) else None


def guidable(pages: Pages, source: str) -> bool:
    """Whether a generator has an unconditional model of its own to be guided by."""
    spec = trained(pages, source)
    return spec is None or can_be_guided(spec)


def generators(pages: Pages, stages: bool = False) -> list[tuple[str, str]]:
    """(label, id) of the trained models that start from noise, or of those that make images
    larger."""
    found = [(words, run, trained(pages, run)) for words, run in pages.service.choices("train")]
    return [(words, run) for words, run, spec in found if spec and bool(spec.low_size) == stages]


def class_choices(pages: Pages, source: str) -> list[tuple[str, int]]:
    """(name, number) of what a generator can draw; none where there is no such generator."""
    spec = trained(pages, source)
    return [(name, i) for i, name in enumerate(catalog.drawn_classes(spec))] if spec else []


def page_count(pages: Pages, source: str) -> int:
    """Images per class that fit on a page."""
    spec = trained(pages, source)
    return FINE_PER_CLASS if spec and network_of(spec).image_size >= FINE else SHOWN_PER_CLASS


def checkpoint_choices(pages: Pages, run: str) -> list[tuple[str, str]]:
    """The kept checkpoints of a generator, after its last one."""
    kept = pages.service.checkpoints(run) if trained(pages, run) else []
    return [("the last", ""), *((name, name) for name in kept)]


def checkpoint_control(pages: Pages, k: Setting, elem_id: str, run: str) -> Any:
    """A drop-down of what a run has kept."""
    return gr.Dropdown(
        choices=checkpoint_choices(pages, run),
        value="",
        allow_custom_value=True,
        label=k.label,
        info=k.full_help,
        elem_id=elem_id,
    )


def before(pages: Pages, source: str | None) -> str:
    """What the generator drew last while it was trained: something to look at before the first
    sample."""
    try:
        run = pages.service.get(source or "")
        events = [e for e in pages.service.status(run.id).images if e.get("name") == "preview"]
    except Refused:
        return waiting()
    if not events:
        return waiting()
    event = events[-1]
    width, height = picture_size(run.path / event["path"])
    names = drawn_names(run.spec)[: int(event.get("rows", 10))]
    picture = html.sheet(
        f"/media/{run.id}/{event['path']}?v={event['t']}",
        width,
        height,
        width // max(1, int(event.get("cols", 16))),
        frame="synthetic",
        alt="the last preview of this generator",
        rows=names,
    )
    return (
        html.panel_head(
            "The last preview of its training", "press Sample for new ones, step by step"
        )
        + picture
    )


def scale_note(weight: Any) -> str:
    if not isinstance(weight, (int, float)):
        return ""
    return (
        f'<p class="note">w = {weight:g} is scale s = 1 + w = {1 + weight:g} in most other'
        " tools.</p>"
    )


def waiting(
    text: str = "Choose a generator and press Sample: the first picture comes within half a second once the model is warm.",
) -> str:
    return html.panel_head("Samples") + f'<p class="empty">{html.esc(text)}</p>'


def frame_html(frame: LiveFrame, key: str, rows: list[str]) -> str:
    """x_t and the predicted x0 side by side at the same zoom; the page keeps the frames of one
    stream to go back through."""
    width, height = png_size(frame.png)
    note = f"step {frame.step} of {frame.total}"
    shown = {
        "srcs": [html.data_uri(frame.png), html.data_uri(frame.x0_png)],
        "w": width,
        "h": height,
        "cell": width // max(1, frame.cols),
        "title": f"Stage {frame.stage + 1}, {note}" if frame.stage else note.capitalize(),
        "caption": f"{frame.seconds:.1f} s",
    }
    film = html.film(key, [shown], PANELS, rows, ends=("noise", "image"), append=True)
    return f'<div id="sample-frames" data-done="{int(frame.done)}">{film}</div>'


def png_size(png: bytes) -> tuple[int, int]:
    """Width and height from a PNG's header (IHDR, big-endian)."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
