"""Forms made from spec fields: a control per knob, the advanced ones folded away, the command that does the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from dreamlab.data.catalog import INFO
from dreamlab.service import Refused, Service
from dreamlab.spec import Knob, Spec, command, knobs
from dreamlab.ui import html
from dreamlab.ui.view import QUIET, report_error

WORDS = {
    "dpmpp_2m": "DPM-Solver++(2M)", "ddim": "DDIM", "ddpm": "DDPM (ancestral)", "small_cnn": "small CNN", "cnn": "CNN", "resnet18": "ResNet-18",
    "classifier": "trained here (fd_classifier)", "inception": "Inception-v3 (FID)", "guidance_weight": "guidance weight w",
    "num_steps": "sampler steps", "num_train_timesteps": "noise steps T (retrains)", "test": "test images", "train": "training images",
    **{name: info.title for name, info in INFO.items()},
}  # fmt: skip


def label(k: Knob) -> str:
    return f"{k.label}, {k.unit}" if k.unit else k.label


def _as_typed(payload: float) -> float:
    return payload


def control(k: Knob, choices: Sequence[tuple[str, str]], elem_id: str) -> Any:
    """One Gradio component for one knob. Bounds are left to the spec, which says what would be right."""
    common: dict[str, Any] = {"label": label(k), "info": k.help, "elem_id": elem_id, "show_label": True}
    if k.run_kind:
        many = k.type == "list"
        first = [] if many else (choices[0][1] if choices else None)
        return gr.Dropdown(
            choices=list(choices), value=first, multiselect=many, allow_custom_value=True, filterable=True, **common
        )
    if k.choices:
        return gr.Dropdown(
            choices=[(WORDS.get(c, c), c) for c in k.choices], value=k.default, filterable=False, **common
        )
    if k.type == "bool":
        return gr.Checkbox(value=bool(k.default), **common)
    if k.type == "list":
        return gr.Textbox(
            value=", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in k.default), max_lines=2, **common
        )
    if k.type in ("int", "float"):
        if k.low is not None and k.high is not None and not k.log:
            step = k.step or (1 if k.type == "int" else (k.high - k.low) / 100)
            slider = gr.Slider(k.low, k.high, value=k.default, step=step, buttons=[], **common)
            # hand on what was typed: the spec refuses it with a sentence beside the form, Gradio with a passing toast
            slider.preprocess = _as_typed  # type: ignore[method-assign]
            return slider
        return gr.Number(value=k.default, **common)
    return gr.Textbox(value=k.default or "", max_lines=1, **common)


def read(k: Knob, value: Any) -> Any:
    """A component's value as the spec takes it."""
    if k.type == "list":
        return tuple(value) if isinstance(value, list) else (value or "")
    if k.type == "int" and isinstance(value, float) and value.is_integer():
        return int(value)
    if k.type == "str":
        return "" if value is None else value
    return value


@dataclasses.dataclass(frozen=True)
class Form:
    """The components of one spec's form. `extra` is drawn from every valid spec (the counts of a mix, ...)."""

    cls: type[Spec]
    fields: dict[str, Any]
    fresh: gr.Checkbox
    start: gr.Button
    cost: gr.HTML
    refusal: gr.HTML
    command: gr.HTML
    extra: gr.HTML
    describe: Callable[[Spec], str]

    @property
    def inputs(self) -> set[Any]:
        return {*self.fields.values(), self.fresh}

    @property
    def replies(self) -> list[Any]:
        return [self.command, self.cost, self.refusal, self.extra]

    def values(self, data: dict[Any, Any]) -> dict[str, Any]:
        by_name = {k.name: k for k in knobs(self.cls)}
        return {name: read(by_name[name], data[c]) for name, c in self.fields.items() if c in data}

    def submit(self, service: Service, data: dict[Any, Any]) -> tuple[str, bool]:
        """Starts the run of these values; (id, reused). Raises Refused."""
        submitted = service.submit(service.check(self.cls.kind, self.values(data)), fresh=bool(data.get(self.fresh)))
        return submitted.run, submitted.reused

    def look(self, service: Service, data: dict[Any, Any]) -> dict[Any, Any]:
        """What the values mean, before anything is started: command, cost, counts, or the sentence of a refusal."""
        try:
            spec = service.check(self.cls.kind, self.values(data))
            cost, extra = service.estimate(spec).text, self.describe(spec)
        except ValueError as error:
            return {self.refusal: refusal(str(error)), self.cost: ""}
        return {
            self.command: terminal(spec),
            self.cost: f'<p class="note">{html.esc(cost)}</p>',
            self.refusal: "",
            self.extra: extra,
        }


def terminal(spec: Spec) -> str:
    return html.panel_head("The same from a terminal") + html.command_line(command(spec))


def refusal(sentence: str) -> str:
    """The reason why nothing was started, beside the form."""
    return f'<p class="refusal" role="alert">{html.esc(sentence)}</p>' if sentence else ""


def build(
    service: Service, cls: type[Spec], button: str, prefix: str, *, skip: Sequence[str] = (), describe: Callable[[Spec], str] = lambda spec: "",
    notes: dict[str, str] | None = None,
) -> Form:  # fmt: skip
    """Lays the form out in the current column. `skip` leaves knobs at their defaults; ids are `prefix-field`."""
    shown = [k for k in knobs(cls) if k.name not in skip]
    sources = {k.run_kind: service.choices(k.run_kind) for k in shown if k.run_kind}
    fields: dict[str, Any] = {}
    for k in (k for k in shown if not k.advanced):
        fields[k.name] = control(k, sources.get(k.run_kind, []), f"{prefix}-{k.name}")
    extra = gr.HTML("", elem_id=f"{prefix}-extra")
    advanced = [k for k in shown if k.advanced]
    with gr.Accordion(
        f"{len(advanced) + 1} more settings, all at their defaults", open=False, elem_id=f"{prefix}-more"
    ):
        for k in advanced:
            fields[k.name] = control(k, sources.get(k.run_kind, []), f"{prefix}-{k.name}")
        fresh = gr.Checkbox(
            False,
            label="Compute anew",
            info="Also where a finished run of the same settings could be shown at once.",
            elem_id=f"{prefix}-fresh",
        )
    with gr.Column(elem_classes="foot"):
        start = gr.Button(button, variant="primary", elem_id=f"{prefix}-start")
        refused = gr.HTML("", elem_id=f"{prefix}-refusal")
        cost = gr.HTML("", elem_id=f"{prefix}-cost")
    line = gr.HTML("", elem_id=f"{prefix}-command")
    form = Form(cls, fields, fresh, start, cost, refused, line, extra, describe)

    def look(data: dict[Any, Any]) -> dict[Any, Any]:
        return form.look(service, data)

    _first_look(form, service)
    gr.on([c.change for c in fields.values()], look, form.inputs, form.replies, trigger_mode="always_last", **QUIET)
    return form


def _first_look(form: Form, service: Service) -> None:
    """What the defaults mean, already in the page as it is sent."""
    answers = form.look(service, {c: c.value for c in form.fields.values()})
    for component, value in answers.items():
        if component is not form.refusal:
            component.value = value


def add_choices(pages: Any, tab: str, form: Form, name: str, view: Any) -> None:
    """Keeps a drop-down of runs fresh: on the run that was chosen here, else on the one that the page was asked to use, else the newest."""
    k = next(k for k in knobs(form.cls) if k.name == name)
    service: Service = pages.service
    field, chosen = form.fields[name], f"{form.cls.kind}-{name}"

    def draw(now: Any) -> Any:
        choices = service.choices(k.run_kind)
        if k.type == "list":
            return gr.Dropdown(choices=choices)
        known = {run for _, run in choices}
        wanted = now.pick(chosen)
        return gr.Dropdown(choices=choices, value=wanted if wanted in known else (choices[0][1] if choices else None))

    pages.add(tab, field, lambda now: (tuple(service.choices(k.run_kind)), now.pick(chosen)), draw)
    if k.type != "list":
        field.input(lambda now, run: now.with_pick(chosen, run or ""), [view, field], view, **QUIET)


def refused(error: Exception) -> str:
    """The sentence for a page; anything that is not a refusal is reported to the terminal."""
    if isinstance(error, Refused):
        return str(error)
    report_error(error)
    return "That did not work; the terminal of DreamLab says why."
