"""The Mix tab: the form, the verdict in large type, the chart, the table of arms, and results by
class."""

from __future__ import annotations

import dataclasses
from typing import Any

import gradio as gr
from markupsafe import Markup

from dreamlab.service import RunRow
from dreamlab.settings import MixSpec, Spec
from dreamlab.ui import render
from dreamlab.ui.charts import mix_chart
from dreamlab.ui.forms import spec_form
from dreamlab.ui.forms.start import start
from dreamlab.ui.parts import arm_tables, class_tables, memory, mix_answer, mix_report
from dreamlab.ui.parts.mix_pictures import contact_html
from dreamlab.ui.parts.mix_plan import planned_html
from dreamlab.ui.parts.panels import panel
from dreamlab.ui.parts.verdicts import files_html
from dreamlab.ui.view import QUIET, Pages, View

BAND = "small points: seeds; lines: 95 % intervals; blue band: real only; hollow: controls"


@dataclasses.dataclass(frozen=True)
class MixPanels:
    """The components that show the chosen mix."""

    answer: Any
    contact: Any
    chart: Any
    best: Any
    table: Any
    worth: Any
    surface_panel: Any
    rate: Any
    surface: Any
    arm: Any
    by_class: Any
    files: Any


def create(pages: Pages, view: Any) -> None:
    """Creates the components of the tab and connects its form."""
    service = pages.service

    def describe(spec: Spec) -> str:
        assert isinstance(spec, MixSpec)
        return planned_html(spec, service.available(spec))

    with gr.Row(elem_classes="columns"):
        with gr.Column(elem_classes="formcol"), gr.Column(elem_classes="dl-panel"):
            gr.HTML(render.macro("panel_head", "A new mix"))
            form = spec_form.build(
                service, MixSpec, "Start the mix", "mix", describe=describe, after="controls"
            )
        with gr.Column(elem_classes="maincol"):
            panels = _panels()
    _draw(pages, panels)
    panels.arm.input(
        lambda now, name: now.with_pick("mix-arm", name or ""), [view, panels.arm], view, **QUIET
    )
    for name in ("dataset", "sources", "sets"):
        spec_form.add_choices(pages, "mix", form, name, view)
    start(pages, form, view, "mix")


def _panels() -> MixPanels:
    """The panels of the answer, from the verdict to the results by class."""
    answer = gr.HTML("", elem_id="mix-verdict")
    contact = gr.HTML("", elem_id="mix-contact", visible=False)
    with gr.Column(elem_classes="dl-panel"):
        gr.HTML(render.macro("panel_head", "Accuracy on real test images, %", BAND))
        chart = gr.Plot(show_label=False, elem_id="mix-chart")
        best = gr.HTML("", elem_id="mix-best")
    with gr.Column(elem_classes="dl-panel"):
        table = gr.HTML("", elem_id="mix-table")
    worth = gr.HTML("", elem_id="mix-worth", visible=False)
    with gr.Column(elem_classes="dl-panel", visible=False) as surface_panel:
        rate = gr.HTML("", elem_id="mix-rate")
        surface = gr.Plot(show_label=False, elem_id="mix-surface")
    with gr.Column(elem_classes="dl-panel"):
        arm = gr.Dropdown(
            [],
            label="Arm, class by class",
            elem_id="mix-arm",
            filterable=False,
            elem_classes="short",
        )
        by_class = gr.HTML("", elem_id="mix-gains")
    files = gr.HTML("", elem_id="mix-run-command")
    return MixPanels(
        answer,
        contact,
        chart,
        best,
        table,
        worth,
        surface_panel,
        rate,
        surface,
        arm,
        by_class,
        files,
    )


def _draw(pages: Pages, p: MixPanels) -> None:
    """Connects the panels with the chosen mix."""

    def shown(now: View) -> RunRow | None:
        return pages.chosen(now, "mix", ("mix",))

    def key(now: View) -> Any:
        return pages.version_of(shown(now))

    def report(now: View) -> dict[str, Any]:
        return pages.report(shown(now))

    def revision(now: View) -> str:
        row = shown(now)
        return row.id if row else "none"

    def asked(now: View) -> str:
        return str(now.pick("mix-arm") or "")

    def add(component: Any, draw: Any, by: Any = key) -> None:
        pages.add("mix", component, by, draw)

    add(
        p.answer,
        lambda now: answer(pages, shown(now)),
        lambda now: (key(now), tuple(memory.copied(pages.service, shown(now)).items())),
    )
    add(p.contact, lambda now: contact_panel(pages, shown(now)))
    add(p.best, lambda now: mix_answer.best_html(report(now)))
    add(p.table, lambda now: arm_tables.arms_html(report(now)))
    add(p.worth, lambda now: panel([arm_tables.worth_html(report(now))]))
    add(p.surface_panel, lambda now: gr.Column(visible=bool(report(now).get("surface"))))
    add(p.rate, lambda now: mix_answer.exchange_html(report(now)))
    for component, chart in ((p.chart, mix_chart.mix), (p.surface, mix_chart.surface)):
        add(
            component,
            lambda now, chart=chart: chart(report(now), now.theme, revision(now)),
            lambda now: (key(now), now.theme),
        )
    for component, draw in (
        (p.arm, lambda now: arm_choice(report(now), asked(now))),
        (p.by_class, lambda now: class_tables.arm_html(report(now), asked(now))),
        (p.files, lambda now: files(pages, shown(now), asked(now))),
    ):
        add(component, draw, lambda now: (key(now), asked(now)))


def answer(pages: Pages, row: RunRow | None) -> Markup:
    """The answer of a mix, or its progress, and whether it can be repeated without near-copies."""
    service = pages.service
    said = mix_answer.answer_html(row, pages.report(row), mix_answer.spec_of(service, row))
    return said + memory.offer_html(service, row)


def contact_panel(pages: Pages, row: RunRow | None) -> Any:
    """Samples of each generator beside real images, in a panel; hidden while there are none."""
    return panel([contact_html(pages.service, row, pages.report(row))])


def arm_choice(report: dict[str, Any], asked: str) -> Any:
    """The drop-down list of finished arms."""
    names = {g["key"]: g["name"] for g in report.get("generators") or []}

    def label(arm: dict[str, Any]) -> str:
        own = names.get(arm.get("generator", ""), "") if len(names) > 1 else ""
        return f"{arm['label']}, {own}" if own else str(arm["label"])

    choices = [(label(a), mix_report.key(a)) for a in mix_report.finished(report)]
    chosen = mix_report.chosen_arm(report, asked)
    return gr.Dropdown(choices=choices, value=mix_report.key(chosen) if chosen else None)


def files(pages: Pages, row: RunRow | None, asked: str) -> Markup:
    """The command of a mix, its table as CSV and LaTeX, and links to the images of the chosen
    arm."""
    arm = mix_report.chosen_arm(pages.report(row), asked)
    # noise images are not stored, so an arm with them cannot be downloaded
    stored = arm and arm.get("run") and not arm["arm"].startswith("noise")
    return files_html(pages.service, row, (arm["run"], arm["label"]) if arm and stored else None)
