"""Forms for specs: one control per setting, the estimated cost, and the command that does the
same."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import gradio as gr
from markupsafe import Markup

from dreamlab.checks.machine import disk_warning
from dreamlab.data.catalog import DataError
from dreamlab.service import Refused, Service
from dreamlab.settings import ImportSpec, Spec, SpecError, command, settings_of
from dreamlab.ui.forms import controls
from dreamlab.ui.forms.controls import Section
from dreamlab.ui.render import macro, part
from dreamlab.ui.view import QUIET, Pages, View, report_error

TEMPLATE = "forms.html"


@dataclasses.dataclass(frozen=True)
class Form:
    """The components of the form for a spec. `extra` shows what `describe` returns for a valid
    spec, such as the image counts of a mix."""

    cls: type[Spec]
    fields: dict[str, Any]
    sections: list[Section]
    fresh: gr.Checkbox
    start: gr.Button
    cost: gr.HTML
    refusal: gr.HTML
    command: gr.HTML
    extra: gr.HTML
    describe: Callable[[Spec], str]

    @property
    def inputs(self) -> set[Any]:
        """All components whose values are submitted."""
        return {*self.fields.values(), self.fresh}

    @property
    def replies(self) -> list[Any]:
        """All components that `look` updates."""
        return [
            self.command,
            self.cost,
            self.refusal,
            self.extra,
            *(s.accordion for s in self.sections),
        ]

    def values(self, data: dict[Any, Any]) -> dict[str, Any]:
        """The values of the form as the spec expects them."""
        by_name = {k.name: k for k in settings_of(self.cls)}
        return {
            name: controls.read(by_name[name], data[c])
            for name, c in self.fields.items()
            if c in data
        }

    def filled(self, values: dict[str, Any]) -> dict[Any, Any]:
        """Updates that put values into the form. Names that the form does not have are ignored."""
        by_name = {k.name: k for k in settings_of(self.cls)}
        return {
            self.fields[n]: controls.shown(by_name[n], v)
            for n, v in values.items()
            if n in self.fields
        }

    def submit(self, service: Service, data: dict[Any, Any]) -> tuple[str, bool]:
        """Submits the form. Returns (run id, whether the run existed already). Raises Refused."""
        spec = service.check(self.cls.kind, self.values(data))
        if isinstance(spec, ImportSpec):
            service.looker.settled(spec)
        submitted = service.submit(spec, fresh=bool(data.get(self.fresh)))
        return submitted.run, submitted.reused

    def look(self, service: Service, data: dict[Any, Any]) -> dict[Any, Any]:
        """Updates that show what the current values mean: command, cost and description, or the
        reason why they are refused."""
        values = self.values(data)
        differing = controls.changed(self.cls, values)
        heads = {s.accordion: gr.update(label=s.header(differing)) for s in self.sections}
        if any(k.required and not values.get(k.name) for k in settings_of(self.cls)):
            return {self.refusal: "", self.cost: "", self.extra: "", **heads}
        try:
            spec = service.check(self.cls.kind, values)
            cost, extra = cost_note(service, spec), self.describe(spec)
        except Exception as error:  # any error must be shown as a sentence
            return {self.refusal: refusal(refused(error)), self.cost: "", self.extra: "", **heads}
        return {
            self.command: terminal(spec),
            self.cost: cost,
            self.refusal: warning(service.warning(spec)),
            self.extra: extra,
            **heads,
        }


def cost_note(service: Service, spec: Spec) -> Markup:
    """The estimated cost of a run, where the numbers come from, and whether the disk is large
    enough for it."""
    found = service.estimate(spec)
    full = disk_warning(service.store, found.disk_bytes or 0)
    device = getattr(spec, "device", "auto")
    large = service.described().memory_warning(found.memory_bytes or 0, device)
    full = " ".join(filter(None, (full, large)))
    return part(TEMPLATE, "cost", found, found.origin, full)


def terminal(spec: Spec) -> Markup:
    """The command that starts the same run."""
    return part(TEMPLATE, "terminal", command(spec))


def refusal(sentence: str) -> Markup:
    """The sentence beside the form that says why nothing was started."""
    return macro("refusal", sentence)


def warning(sentence: str) -> Markup:
    """The sentence beside the form that warns about a known problem."""
    return macro("warning", sentence)


def build(
    service: Service,
    cls: type[Spec],
    button: str,
    prefix: str,
    *,
    describe: Callable[[Spec], str] = lambda spec: "",
    after: str = "",
    extra: Any = None,
    state: Any = None,
    corrected: Callable[[Form, dict[Any, Any]], dict[Any, Any]] = lambda form, data: {},
) -> Form:
    """Creates the form in the current column. The ids of its components are `prefix-field`. The
    result of `describe` is shown after the field `after`, by default after the last field that is
    not advanced; or in the component `extra`, which the caller renders elsewhere. `corrected` gives
    values that replace those of fields, or of `state`, after a change. It is no listener of its
    own, because a field has only one for its changes."""
    shown = settings_of(cls)
    fields: dict[str, Any] = {}
    plain = [k for k in shown if not k.advanced]
    here = extra is None
    if here:
        extra = gr.HTML("", elem_id=f"{prefix}-extra", render=False)
    for k in plain:
        fields[k.name] = controls.placed(service, k, f"{prefix}-{k.name}")
        if here and k.name == (after or plain[-1].name):
            extra.render()
    more, sections = controls.folded(service, shown, prefix)
    fresh = gr.Checkbox(
        False,
        label="Compute again",
        info="Even if a finished run has the same settings.",
        elem_id=f"{prefix}-fresh",
    )
    with gr.Column(elem_classes="foot"):
        start = gr.Button(button, variant="primary", elem_id=f"{prefix}-start")
        refused = gr.HTML("", elem_id=f"{prefix}-refusal")
        cost = gr.HTML("", elem_id=f"{prefix}-cost")
    line = gr.HTML("", elem_id=f"{prefix}-command")
    form = Form(cls, fields | more, sections, fresh, start, cost, refused, line, extra, describe)

    def look(data: dict[Any, Any]) -> dict[Any, Any]:
        new = corrected(form, data)
        return {**form.look(service, {**data, **new}), **new}

    for filler in controls.fillers(cls):
        _fill(form, filler)
    _first_look(form, service)
    changes = [c.change for c in form.fields.values()]
    inputs, outputs = form.inputs, form.replies
    if state is not None:
        inputs, outputs = inputs | {state}, [*outputs, state, *form.fields.values()]
    gr.on(changes, look, inputs, outputs, trigger_mode="always_last", **QUIET)
    return form


def _fill(form: Form, filler: str) -> None:
    """Lets a preset or recipe fill in the other fields."""
    names = controls.filled_by(form.cls, filler, "")
    form.fields[filler].input(
        lambda choice: form.filled(controls.filled_by(form.cls, filler, choice)),
        form.fields[filler],
        [form.fields[n] for n in names],
        **QUIET,
    )


def _first_look(form: Form, service: Service) -> None:
    """Fills in command, cost and description for the default values before the page is sent."""
    answers = form.look(service, {c: c.value for c in form.fields.values()})
    for component in (form.command, form.cost, form.extra):
        if component in answers:
            component.value = answers[component]


def refine(
    pages: Pages,
    tab: str,
    shown: list[Any],
    inputs: set[Any],
    look: Callable[[dict[Any, Any]], dict[Any, Any]],
    version: Callable[[], int],
) -> None:
    """Updates the components `shown` when work in the background is done, such as a measurement
    that improves an estimate. A hidden element changes with `version`; its change event sends the
    values of the form."""
    done = gr.HTML("0", elem_classes="bridge")

    def now(view: View) -> str:
        return str(version())

    def update(data: dict[Any, Any]) -> dict[Any, Any]:
        found = look(data)
        return {component: found.get(component, "") for component in shown}

    pages.add(tab, done, now, now)
    done.change(update, inputs, shown, trigger_mode="always_last", **QUIET)


def add_choices(pages: Pages, tab: str, form: Form, name: str, view: Any) -> None:
    """Keeps a drop-down list of runs or data sets up to date. It stays on the value that was
    chosen, here or by opening the page with it; otherwise it has its initial value (see
    `controls.usual_run`)."""
    k = next(k for k in settings_of(form.cls) if k.name == name)
    service = pages.service
    field, chosen = form.fields[name], f"{form.cls.kind}-{name}"

    def draw(now: View) -> Any:
        choices = controls.run_choices(k, service.choices(k.run_kind))
        if k.type == "list":
            return gr.Dropdown(choices=choices)
        wanted = now.pick(chosen)
        return gr.Dropdown(
            choices=choices,
            value=(
                wanted if wanted in {run for _, run in choices} else controls.usual_run(k, choices)
            ),
        )

    pages.add(tab, field, lambda now: (tuple(service.choices(k.run_kind)), now.pick(chosen)), draw)
    if k.type != "list":
        field.input(lambda now, run: now.with_pick(chosen, run or ""), [view, field], view, **QUIET)


def refused(error: Exception) -> str:
    """The sentence to show for an error. Unexpected errors are printed to the terminal."""
    if isinstance(error, (Refused, SpecError, DataError)):
        return str(error)
    report_error(error)
    return "An error occurred; DreamLab's terminal shows it."
