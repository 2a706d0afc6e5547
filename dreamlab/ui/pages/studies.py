"""Studies: the published studies as recipes. Their question, their numbers beside ours, their
mistakes, and one button that runs them."""

from __future__ import annotations

import dataclasses
from typing import Any

import gradio as gr

from dreamlab.service import RunRow
from dreamlab.settings import Spec, StudySpec
from dreamlab.store.states import ACTIVE
from dreamlab.studies import Study
from dreamlab.ui import html
from dreamlab.ui.charts import study_chart
from dreamlab.ui.forms import spec_form
from dreamlab.ui.pages.mix import progress, table_links, verdict_html
from dreamlab.ui.pages.train import start
from dreamlab.ui.parts.study_tables import about_html, list_html, scale_note, table_html
from dreamlab.ui.view import Pages, View

KEYS = "open diamonds: published; filled: ours with its 95 % interval; amber: doubtful"


@dataclasses.dataclass(frozen=True)
class Panels:
    """The components that show the chosen study."""

    listed: Any
    head: Any
    chart: Any
    table: Any
    about: Any
    taken: Any


def create(pages: Pages, view: Any, seen: Any) -> None:
    """Lays out the tab and wires its form."""
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
                gr.HTML(html.panel_head("Published beside ours", KEYS))
                chart = gr.Plot(show_label=False, elem_id="studies-chart")
            with gr.Column(elem_classes="dl-panel"):
                table = gr.HTML("", elem_id="studies-table")
            about = gr.HTML("", elem_id="studies-about")
            taken = gr.HTML("", elem_id="studies-command")
    _draw(pages, Panels(listed, head, chart, table, about, taken))
    _follow(pages, form, view)
    start(pages, form, view, seen, "studies")
    pages.openers["studies"] = lambda now, run: opened(pages, now, run)


def describe(pages: Pages, spec: Spec) -> str:
    assert isinstance(spec, StudySpec)
    return scale_note(find(pages, spec.study), spec.scale)


def opened(pages: Pages, view: View, run: str) -> View:
    """A study's run is opened: its study is chosen too."""
    spec = pages.service.get(run).spec
    return view.with_pick("study", spec.study) if isinstance(spec, StudySpec) else view


def find(pages: Pages, name: str) -> Study:
    studies = pages.service.studies()
    return next((s for s in studies if s.id == name), studies[0])


def chosen(pages: Pages, view: View) -> Study:
    """The study that is looked at: the one picked, that of the run in the address or of the newest
    run, else the first."""
    name = view.pick("study")
    if not name and (row := pages.chosen(view, "studies", ("study",))) is not None:
        name = spec_of(pages, row).study
    return find(pages, name)


def spec_of(pages: Pages, row: RunRow) -> StudySpec:
    spec = pages.service.get(row.id).spec
    assert isinstance(spec, StudySpec)
    return spec


def shown(pages: Pages, view: View) -> RunRow | None:
    """The run of the chosen study: the one asked for, else one that is active, else the newest, the
    demo's last."""
    name = chosen(pages, view).id
    rows = [r for r in pages.service.rows("study") if spec_of(pages, r).study == name]
    asked = [r for r in rows if r.id == view.run("studies")]
    rows.sort(key=lambda r: (r.state not in ACTIVE, r.demo))
    return (asked or rows or [None])[0]


def _draw(pages: Pages, panels: Panels) -> None:
    """What the panels show of the chosen study and of its run."""
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
        lambda now: study_chart.study(rows(now), now.theme, revision(now)),
    )
    pages.add("studies", panels.table, key, lambda now: table_html(rows(now), shown(pages, now)))
    pages.add(
        "studies",
        panels.about,
        key,
        lambda now: about_html(chosen(pages, now), pages.report(shown(pages, now))),
    )
    pages.add("studies", panels.taken, key, lambda now: taken_html(pages, shown(pages, now)))


def _follow(pages: Pages, form: spec_form.Form, view: Any) -> None:
    """The list chooses what the form runs: its hidden study field, and the scales that this study
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
    """State of the newest run of every study that has one."""
    found: dict[str, str] = {}
    for row in pages.service.rows("study"):
        found.setdefault(spec_of(pages, row).study, row.state)
    return found


def published_rows(study: Study) -> list[dict[str, Any]]:
    """The rows of a study that has not been run: the paper's numbers alone."""
    return [
        {
            "id": c.id,
            "arm": c.arm,
            "metric": c.metric,
            "unit": c.unit,
            "published": c.published,
            "setting": c.setting,
            "flag": c.flag,
            "published_low": c.low,
            "published_high": c.high,
            "ours": None,
            "low": None,
            "high": None,
            "seeds": None,
            "stand_in": "",
            "difference": None,
            "state": "",
            "child": "",
        }
        for c in study.cells
    ]


def head_html(study: Study, row: RunRow | None, report: dict[str, Any]) -> str:
    """The question in large words, or above it the verdict once it is there."""
    line = f"{study.study}, {study.source}"
    chips = ""
    if row is not None:
        chips = (
            html.chip(f"{report.get('scale', '')} scale")
            + " "
            + html.state_chip(row.state)
            + html.demo_chip(row.demo)
        )
    top = f'<p class="quiet"><span style="margin-right:8px">{html.esc(line)}</span> {chips}</p>'
    title = html.esc(study.question)
    if row is not None and row.state == "done" and report.get("verdict"):
        asked = f'<p class="sub">{html.esc(study.title)}: {title}</p>'
        remarks = f'<p class="sub">{html.esc(" ".join(report.get("remarks") or []))}</p>'
        return top + verdict_html(report["verdict"]) + asked + remarks + data_line(report)
    top += (
        f'<p class="verdict" id="studies-question">{title}</p><p'
        f' class="sub">{html.esc(study.title)}</p>'
    )
    if row is None:
        return top + '<p class="sub">Not run here yet: the table holds what was published.</p>'
    if row.state == "done":
        return top + data_line(report)
    return (
        top + "<div"
        f' class="running">{progress(row, "Our numbers come one by one", "studies", small=True)}</div>'
    )


def data_line(report: dict[str, Any]) -> str:
    """What ours ran on and how long it took."""
    took = (
        f" It took {html.duration(report['seconds'])} of computing."
        if report.get("seconds")
        else ""
    )
    return f'<p class="sub">{html.esc(str(report.get("data") or "") + took)}</p>'


def taken_html(pages: Pages, row: RunRow | None) -> str:
    """The command of the run and its table as files."""
    if row is None:
        return ""
    made = html.panel_head("This run from a terminal") + html.command_line(
        pages.service.get(row.id).record.command
    )
    return made + (
        f'<div class="acts" style="margin-top:12px">{table_links(pages, row)}</div>'
        if row.state == "done"
        else ""
    )
