"""The Sample tab: images from a generator, shown while they are denoised. They are not a run; the
button "Keep as a set" makes one."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Iterator
from typing import Any

import gradio as gr
from markupsafe import Markup

from dreamlab.service import LiveFrame, Refused, Service
from dreamlab.settings import SynthesizeSpec, settings_of
from dreamlab.ui import render
from dreamlab.ui.forms import controls, generators, spec_form
from dreamlab.ui.forms.controls import Section
from dreamlab.ui.parts import pictures
from dreamlab.ui.view import QUIET, Pages, View

PAGE = "sample.html"
SETTINGS = {k.name: k for k in settings_of(SynthesizeSpec)}
PLAIN = ("num_steps", "sampler", "seed")
FRAMES = 8


@dataclasses.dataclass(frozen=True)
class SampleControls:
    """The components of the tab."""

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
        """All components whose values are submitted."""
        return {*self.fields.values(), self.per_class, self.keep_per_class}

    @property
    def replies(self) -> list[Any]:
        """All components that `look` updates."""
        return [
            self.scale,
            self.refusal,
            self.cost,
            self.line,
            *(s.accordion for s in self.sections),
        ]

    def values(self, data: dict[Any, Any], per_class: Any) -> dict[str, Any]:
        """The settings of a synthesize spec. `per_class` is the component with the number of
        images."""
        found = {name: controls.read(SETTINGS[name], data[c]) for name, c in self.fields.items()}
        return {**found, "per_class": controls.read(SETTINGS["per_class"], data[per_class])}


def create(pages: Pages, view: Any) -> None:
    """Creates the components of the tab and connects its buttons."""
    service = pages.service
    gr.HTML(
        render.macro(
            "page_head",
            "Sample from a generator",
            "Noise becomes images step by step: on the left the noisy images, on the right the"
            " clean images that the network predicts from them.",
        )
    )
    with gr.Row(elem_classes="columns"):
        with gr.Column(elem_classes="formcol"), gr.Column(elem_classes="dl-panel"):
            fields, scale = _plain_fields(service)
            source = str(fields["source"].value or "")
            shown_count = gr.Number(
                generators.shown_per_class(service, source),
                label="Images per class, on this page",
                elem_id="sample-per_class",
            )
            of_run = {"checkpoint": source, "guide_checkpoint": ""}
            special = {
                name: functools.partial(generators.checkpoint_control, service, run=run)
                for name, run in of_run.items()
            }
            more, sections = controls.folded(service, list(SETTINGS.values()), "sample", special)
            with gr.Column(elem_classes="foot"):
                go = gr.Button("Sample", variant="primary", elem_id="sample-start")
                refusal = gr.HTML("", elem_id="sample-refusal")
            keep_count = gr.Number(
                SETTINGS["per_class"].default,
                label="Images per class to keep",
                info="Keep as a set starts a run that makes a labelled set with these settings.",
                elem_id="sample-keep_per_class",
            )
            keep = gr.Button("Keep as a set", elem_id="sample-keep")
            cost = gr.HTML("", elem_id="sample-cost")
            kept = gr.HTML("", elem_id="sample-kept")
        with gr.Column(elem_classes="maincol"):
            with gr.Column(elem_classes="dl-panel"):
                picture = gr.HTML(before(pages, source), elem_id="sample-picture")
            line = gr.HTML("", elem_id="sample-command")
    found = SampleControls(
        fields | more, sections, shown_count, keep_count, scale, refusal, cost, kept, line, picture
    )
    _follow(pages, found)
    _wire_settings(pages, found, view)
    _wire_buttons(pages, found, view, go, keep)


def _plain_fields(service: Service) -> tuple[dict[str, Any], Any]:
    """The settings that are always visible, and the line below the guidance weight."""
    choices = generators.listed(service)
    fields = {"source": controls.control(SETTINGS["source"], choices, "sample-source")}
    source = str(fields["source"].value or "")
    weight = SETTINGS["guidance_weight"].default if generators.guidable(service, source) else 0
    fields["guidance_weight"] = controls.control(
        SETTINGS["guidance_weight"], [], "sample-guidance_weight"
    )
    fields["guidance_weight"].value = weight
    scale = gr.HTML(scale_note(weight), elem_id="sample-scale")
    fields |= {name: controls.control(SETTINGS[name], [], f"sample-{name}") for name in PLAIN}
    fields["classes"] = gr.Dropdown(
        choices=generators.class_choices(service, source),
        value=[],
        multiselect=True,
        label="Classes",
        info="Empty samples all.",
        elem_id="sample-classes",
    )
    return fields, scale


def _follow(pages: Pages, found: SampleControls) -> None:
    """Keeps the list of generators up to date, selects the one that the page was opened with, and
    updates the cost after a measurement."""
    service = pages.service

    def key(view: View) -> Any:
        return tuple(service.choices("train"))

    def source(view: View) -> Any:
        choices, asked = generators.listed(pages.service), view.run("sample")
        known = {run for _, run in choices}
        return gr.Dropdown(
            choices=choices, value=asked if asked in known else (choices[0][1] if choices else None)
        )

    def guide(view: View) -> Any:
        return gr.Dropdown(
            choices=controls.run_choices(SETTINGS["guide"], service.choices("train"))
        )

    def stages(view: View) -> Any:
        return gr.Dropdown(choices=generators.listed(pages.service, stages=True))

    pages.add(
        "sample", found.fields["source"], lambda view: (key(view), view.run("sample")), source
    )
    pages.add("sample", found.fields["guide"], key, guide)
    pages.add("sample", found.fields["upsample"], key, stages)
    spec_form.refine(
        pages,
        "sample",
        [found.cost],
        found.all,
        lambda data: look(pages, found, data),
        pages.service.estimate_version,
    )


def look(pages: Pages, found: SampleControls, data: dict[Any, Any]) -> dict[Any, Any]:
    """Updates that show what the settings mean for a set: guidance weight and scale, command and
    cost, or the reason why they are refused."""
    values = found.values(data, found.keep_per_class)
    differing = controls.changed(SynthesizeSpec, values)
    replies: dict[Any, Any] = {
        s.accordion: gr.update(label=s.header(differing)) for s in found.sections
    }
    replies[found.scale] = scale_note(values["guidance_weight"])
    try:
        spec = pages.service.check("synthesize", values)
        cost = spec_form.cost_note(pages.service, spec)
        said = spec_form.warning(pages.service.warning(spec))
    except ValueError as error:
        return {**replies, found.refusal: spec_form.refusal(str(error)), found.cost: ""}
    return {**replies, found.refusal: said, found.cost: cost, found.line: spec_form.terminal(spec)}


def _wire_settings(pages: Pages, found: SampleControls, view: Any) -> None:
    fields = found.fields

    def on_change(data: dict[Any, Any]) -> dict[Any, Any]:
        return look(pages, found, data)

    def on_source(source: str) -> dict[Any, Any]:
        """What a newly chosen generator changes in the form, and its last preview."""
        return {
            fields["classes"]: gr.Dropdown(
                choices=generators.class_choices(pages.service, source), value=[]
            ),
            fields["checkpoint"]: gr.Dropdown(
                choices=generators.checkpoint_choices(pages.service, source), value=""
            ),
            found.per_class: generators.shown_per_class(pages.service, source),
            found.picture: before(pages, source),
            **(
                {} if generators.guidable(pages.service, source) else {fields["guidance_weight"]: 0}
            ),
        }

    def on_guide(guide: str) -> Any:
        return gr.Dropdown(choices=generators.checkpoint_choices(pages.service, guide), value="")

    new_source = [
        *(fields[n] for n in ("classes", "checkpoint", "guidance_weight")),
        found.per_class,
        found.picture,
    ]
    # If an event occurs again before an "always_last" listener has ended, Gradio repeats all
    # listeners of that event. So each event has only one listener, followed by `then`.
    plain = [c for name, c in fields.items() if name not in ("source", "guide")]
    changes = [c.change for c in (*plain, found.keep_per_class)]
    look_again = (on_change, found.all, found.replies)
    gr.on(changes, *look_again, trigger_mode="always_last", **QUIET)
    new_guide = fields["guide_checkpoint"]
    for name, on_new, replies in (
        ("source", on_source, new_source),
        ("guide", on_guide, new_guide),
    ):
        fields[name].change(on_new, fields[name], replies, **QUIET).then(*look_again, **QUIET)
    fields["source"].input(
        lambda now, run: now.at("sample", run or ""), [view, fields["source"]], view, **QUIET
    )


def _wire_buttons(pages: Pages, found: SampleControls, view: Any, go: Any, keep: Any) -> None:
    service = pages.service

    def on_sample(data: dict[Any, Any]) -> Iterator[dict[Any, Any]]:
        """Yields the frames of live sampling, or the sentence of a refusal."""
        source = data[found.fields["source"]] or ""
        # keep this generator selected even if another training finishes
        yield {found.refusal: "", view: data[view].at("sample", source)}
        try:
            values = found.values(data, found.per_class)
            names = pictures.drawn_names(service.get(source).spec) if source else ()
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
        return {found.kept: render.part(PAGE, "kept", submitted.run, submitted.reused)}

    streamed = {
        "show_progress": "hidden",
        "api_visibility": "private",
        "concurrency_limit": 4,
        "concurrency_id": "live",
    }
    replies = [found.picture, found.refusal, view]
    go.click(on_sample, {*found.all, view}, replies, trigger_mode="always_last", **streamed)
    keep.click(on_keep, found.all, [found.kept], **QUIET)


def before(pages: Pages, source: str | None) -> Markup:
    """The last preview of the generator's training, shown before the first sample."""
    try:
        run = pages.service.get(source or "")
        events = pictures.previews(pages.service.status(run.id))
    except Refused:
        return render.part(PAGE, "before")
    if not events:
        return render.part(PAGE, "before")
    last = events[-1]
    preview = pictures.stored(run.id, run.path, last, int(last.get("cols", 16)))
    names = pictures.drawn_names(run.spec)[: int(last.get("rows", 10))]
    return render.part(PAGE, "before", preview, names)


def scale_note(weight: Any) -> Markup:
    """The guidance weight as the scale that other tools use; empty if it is not a number."""
    if not isinstance(weight, (int, float)):
        return Markup()
    return render.part(PAGE, "scale", f"{weight:g}", f"{1 + weight:g}")


def frame_html(frame: LiveFrame, key: str, rows: list[str]) -> Markup:
    """x_t and the predicted x0 side by side at the same zoom. The page collects the frames with one
    `key`, so that one can go back."""
    width, height = pictures.png_size(frame.png)
    srcs = [render.data_uri(frame.png), render.data_uri(frame.x0_png)]
    like = pictures.Sheet(srcs[0], width, height, width // max(1, frame.cols))
    step = f"step {frame.step} of {frame.total}"
    title = f"Stage {frame.stage + 1}, {step}" if frame.stage else step.capitalize()
    shown = pictures.frame(srcs, like, title, f"{frame.seconds:.1f} s")
    return render.part(PAGE, "frame", key, shown, pictures.STEP_PANELS, rows, frame.done)
