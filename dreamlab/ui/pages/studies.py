"""The Studies tab: the published studies with their questions, their numbers beside those measured
here, their mistakes, and a button to run them."""

from __future__ import annotations

import dataclasses
from typing import Any

import gradio as gr
from markupsafe import Markup

from dreamlab.service import RunRow
from dreamlab.settings import Spec, StudySpec
from dreamlab.store.states import ACTIVE
from dreamlab.studies import Study
from dreamlab.ui import render, words
from dreamlab.ui.charts import study_chart
from dreamlab.ui.forms import spec_form
from dreamlab.ui.forms.start import start
from dreamlab.ui.parts.study_tables import (
    about_html,
    costs_html,
    list_html,
    published_rows,
    scale_html,
    table_html,
)
from dreamlab.ui.parts.verdicts import files_html, progress_html, verdict_html
from dreamlab.ui.view import Pages, View

KEYS = (
    "open diamonds: published (with a dot: computed from printed numbers); filled: measured here,"
    " with 95 % interval; amber: doubtful"
)


@dataclasses.dataclass(frozen=True)
class StudyPanels:
    """The components that show the chosen study."""

    listed: Any
    head: Any
    chart: Any
    table: Any
    costs: Any
    about: Any
    files: Any


def create(pages: Pages, view: Any) -> None:
    """Creates the components of the tab and connects its form."""
    with gr.Row(elem_classes="columns"):
        with gr.Column(elem_classes="formcol"), gr.Column(elem_classes="dl-panel"):
            listed = gr.HTML("", elem_id="studies-list")
            form = spec_form.build(
                pages.service,
                StudySpec,
                "Run this study",
                "study",
                describe=lambda spec: describe(pages, spec),
            )
        with gr.Column(elem_classes="maincol"):
            head = gr.HTML("", elem_id="studies-head")
            with gr.Column(elem_classes="dl-panel"):
                gr.HTML(render.macro("panel_head", "Published beside ours", KEYS))
                chart = gr.Plot(show_label=False, elem_id="studies-chart")
            with gr.Column(elem_classes="dl-panel"):
                table = gr.HTML("", elem_id="studies-table")
            with gr.Column(elem_classes="dl-panel"):
                costs = gr.HTML("", elem_id="studies-costs")
            about = gr.HTML("", elem_id="studies-about")
            files = gr.HTML("", elem_id="studies-command")
    _draw(pages, StudyPanels(listed, head, chart, table, costs, about, files))
    _follow(pages, form, view)
    start(pages, form, view, "studies")
    pages.openers["studies"] = lambda now, run: opened(pages, now, run)


def describe(pages: Pages, spec: Spec) -> Markup:
    """What the chosen scale of a study does."""
    assert isinstance(spec, StudySpec)
    return scale_html(find(pages, spec.study), spec.scale)


def opened(pages: Pages, view: View, run: str) -> View:
    """The view when a run of a study is opened: its study is chosen too."""
    spec = pages.service.get(run).spec
    return view.with_pick("study", spec.study) if isinstance(spec, StudySpec) else view


def find(pages: Pages, name: str) -> Study:
    """The study with this id; the first one if there is none."""
    studies = pages.service.studies()
    return next((s for s in studies if s.id == name), studies[0])


def chosen(pages: Pages, view: View) -> Study:
    """The study that is shown: the one that was picked, else that of the run in the address or of
    the newest run, else the first."""
    name = view.pick("study")
    if not name and (row := pages.chosen(view, "studies", ("study",))) is not None:
        name = spec_of(pages, row).study
    return find(pages, name)


def spec_of(pages: Pages, row: RunRow) -> StudySpec:
    """The settings of a study's run."""
    spec = pages.service.get(row.id).spec
    assert isinstance(spec, StudySpec)
    return spec


def shown(pages: Pages, view: View) -> RunRow | None:
    """The run of the chosen study that is shown: the one in the address, else an active one, else
    the newest. Runs of the demo come last."""
    name = chosen(pages, view).id
    rows = [r for r in pages.service.rows("study") if spec_of(pages, r).study == name]
    asked = [r for r in rows if r.id == view.run("studies")]
    rows.sort(key=lambda r: (r.state not in ACTIVE, r.demo))
    return next(iter(asked or rows), None)


def _draw(pages: Pages, panels: StudyPanels) -> None:
    """Connects the panels with the chosen study and its run."""
    service = pages.service

    def key(now: View) -> Any:
        row = shown(pages, now)
        return (chosen(pages, now).id, pages.version_of(row))

    def rows(now: View) -> list[dict[str, Any]]:
        found = pages.report(shown(pages, now)).get("rows")
        return found or published_rows(chosen(pages, now))

    def revision(now: View) -> str:
        row = shown(pages, now)
        return f"{chosen(pages, now).id} {row.id if row else ''}"

    def states(now: View) -> Any:
        return tuple((r.id, r.state) for r in service.rows("study"))

    pages.add(
        "studies",
        panels.listed,
        lambda now: (chosen(pages, now).id, states(now)),
        lambda now: list_html(service.studies(), chosen(pages, now).id, run_states(pages)),
    )
    pages.add(
        "studies",
        panels.head,
        key,
        lambda now: head_html(
            chosen(pages, now), shown(pages, now), pages.report(shown(pages, now))
        ),
    )
    pages.add(
        "studies",
        panels.chart,
        lambda now: (key(now), now.theme),
        lambda now: study_chart.study(
            rows(now), chosen(pages, now).steps, now.theme, revision(now)
        ),
    )
    pages.add("studies", panels.table, key, lambda now: table_html(rows(now), shown(pages, now)))
    pages.add(
        "studies",
        panels.costs,
        lambda now: (key(now), service.estimate_version()),
        lambda now: costs_html(
            service.study_costs(service.data_folders(), name=chosen(pages, now).id),
            pages.report(shown(pages, now)).get("scale", ""),
        ),
    )
    pages.add(
        "studies",
        panels.about,
        key,
        lambda now: about_html(chosen(pages, now), pages.report(shown(pages, now))),
    )
    pages.add("studies", panels.files, key, lambda now: files_html(service, shown(pages, now)))


def _follow(pages: Pages, form: spec_form.Form, view: Any) -> None:
    """Lets the list of studies set the form's hidden study field and the scales that this study
    has."""

    def scales(now: View) -> Any:
        names = list(chosen(pages, now).scales)
        return gr.Dropdown(
            choices=[(name.capitalize(), name) for name in names], value=names[0] if names else None
        )

    pages.add(
        "studies",
        form.fields["study"],
        lambda now: chosen(pages, now).id,
        lambda now: gr.Dropdown(value=chosen(pages, now).id),
    )
    pages.add("studies", form.fields["scale"], lambda now: chosen(pages, now).id, scales)
    spec_form.add_choices(pages, "studies", form, "dataset", view)


def run_states(pages: Pages) -> dict[str, str]:
    """Study -> state of its newest run, for studies that have one."""
    found: dict[str, str] = {}
    for row in pages.service.rows("study"):
        found.setdefault(spec_of(pages, row).study, row.state)
    return found


def head_html(study: Study, row: RunRow | None, report: dict[str, Any]) -> Markup:
    """The question in large type, below the verdict if there is one."""
    done = row is not None and row.state == "done"
    verdict = progress = Markup()
    if done and report.get("verdict"):
        verdict = verdict_html(report["verdict"])
    elif row is not None and not done:
        progress = progress_html(
            row, "Numbers are shown as they are measured", "studies", small=True
        )
    return render.part(
        "studies.html",
        "top",
        study,
        row,
        scale=report.get("scale", ""),
        verdict=verdict,
        remarks=" ".join(report.get("remarks") or []),
        data=ran_on(report),
        progress=progress,
        done=done,
    )


def ran_on(report: dict[str, Any]) -> str:
    """The data that was used, and the computing time."""
    took = words.duration(report["seconds"]) if report.get("seconds") else ""
    said = str(report.get("data") or "")
    return f"{said} It took {took} of computing." if took else said
