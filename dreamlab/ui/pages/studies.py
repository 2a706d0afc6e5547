"""The Studies tab: the published studies with their questions, their numbers beside those measured
here, their mistakes, and a button to run them."""

from __future__ import annotations

import dataclasses
from typing import Any

import gradio as gr
from markupsafe import Markup

from dreamlab.service import Refused, RunRow
from dreamlab.settings import Spec, StudySpec
from dreamlab.store.states import ACTIVE
from dreamlab.studies import Study
from dreamlab.ui import render, words
from dreamlab.ui.charts import class_scatter, grid_chart, study_chart
from dreamlab.ui.forms import spec_form
from dreamlab.ui.forms.start import start
from dreamlab.ui.parts import study_classes
from dreamlab.ui.parts.study_tables import (
    about_html,
    costs_html,
    list_html,
    published_rows,
    scale_html,
    table_html,
)
from dreamlab.ui.parts.verdicts import files_html, progress_html, verdict_html
from dreamlab.ui.view import QUIET, Pages, View

KEYS = (
    "open diamonds: published (with a dot: computed from printed numbers); filled: measured here,"
    " with 95 % interval; amber: doubtful"
)


GRID_KEYS = (
    "the stronger the colour, the lower the distance; as low: not told apart from the lowest"
)
CLASS_KEYS = "one point for each class, lines: 95 % intervals; above the diagonal: right more often"


@dataclasses.dataclass(frozen=True)
class StudyPanels:
    """The components that show the chosen study."""

    head: Any
    chart: Any
    grid_panel: Any
    grid: Any
    table: Any
    class_panel: Any
    pair: Any
    scatter: Any
    confusion: Any
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
            panels = _panels()
    _draw(pages, listed, panels)
    _draw_charts(pages, panels)
    _draw_classes(pages, panels)
    panels.pair.input(
        lambda now, key: now.with_pick("study-pair", key or ""), [view, panels.pair], view, **QUIET
    )
    _follow(pages, form, view)
    start(pages, form, view, "studies")
    pages.openers["studies"] = lambda now, run: opened(pages, now, run)


def _panels() -> StudyPanels:
    """The panels of the chosen study, from the question to the files."""
    head = gr.HTML("", elem_id="studies-head")
    with gr.Column(elem_classes="dl-panel"):
        gr.HTML(render.macro("panel_head", "Published beside ours", KEYS))
        chart = gr.Plot(show_label=False, elem_id="studies-chart")
    with gr.Column(elem_classes="dl-panel", visible=False) as grid_panel:
        gr.HTML(render.macro("panel_head", "Sampling settings on a grid", GRID_KEYS))
        grid = gr.Plot(show_label=False, elem_id="studies-grid")
    with gr.Column(elem_classes="dl-panel"):
        table = gr.HTML("", elem_id="studies-table")
    with gr.Column(elem_classes="dl-panel", visible=False) as class_panel:
        gr.HTML(render.macro("panel_head", "Class by class", CLASS_KEYS))
        pair = gr.Dropdown(
            [], label="Classifiers", elem_id="studies-pair", filterable=False, elem_classes="short"
        )
        scatter = gr.Plot(show_label=False, elem_id="studies-scatter")
        confusion = gr.HTML("", elem_id="studies-confusion")
    with gr.Column(elem_classes="dl-panel"):
        costs = gr.HTML("", elem_id="studies-costs")
    about = gr.HTML("", elem_id="studies-about")
    files = gr.HTML("", elem_id="studies-command")
    classes = (class_panel, pair, scatter, confusion)
    return StudyPanels(head, chart, grid_panel, grid, table, *classes, costs, about, files)


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


def key_of(pages: Pages, now: View) -> Any:
    """Changes with the chosen study and its run."""
    return (chosen(pages, now).id, pages.version_of(shown(pages, now)))


def rows_of(pages: Pages, now: View) -> list[dict[str, Any]]:
    """The rows of the run that is shown, or those that were published."""
    found: list[dict[str, Any]] = pages.report(shown(pages, now)).get("rows") or []
    return found or published_rows(chosen(pages, now))


def revision_of(pages: Pages, now: View) -> str:
    """A zoom of a chart is kept as long as this stays the same."""
    row = shown(pages, now)
    return f"{chosen(pages, now).id} {row.id if row else ''}"


def _draw(pages: Pages, listed: Any, panels: StudyPanels) -> None:
    """Connects the list and the panels with the chosen study and its run."""
    service = pages.service

    def key(now: View) -> Any:
        return key_of(pages, now)

    def states(now: View) -> Any:
        return tuple((r.id, r.state) for r in service.rows("study"))

    def add(component: Any, draw: Any, by: Any = key) -> None:
        pages.add("studies", component, by, draw)

    add(
        listed,
        lambda now: list_html(service.studies(), chosen(pages, now).id, run_states(pages)),
        lambda now: (chosen(pages, now).id, states(now)),
    )
    add(
        panels.head,
        lambda now: head_html(
            chosen(pages, now), shown(pages, now), pages.report(shown(pages, now))
        ),
    )
    add(panels.table, lambda now: table_html(rows_of(pages, now), shown(pages, now)))
    pages.add(
        "studies",
        panels.costs,
        lambda now: (key_of(pages, now), service.estimate_version()),
        lambda now: costs_html(
            service.study_costs(service.data_folders(), name=chosen(pages, now).id),
            pages.report(shown(pages, now)).get("scale", ""),
        ),
    )
    add(panels.about, lambda now: about_html(chosen(pages, now), pages.report(shown(pages, now))))
    add(panels.files, lambda now: files_html(service, shown(pages, now)))


def _draw_charts(pages: Pages, panels: StudyPanels) -> None:
    """Connects the chart of all arms and that of a grid of settings with the chosen study."""

    def drawn(now: View) -> Any:
        return (key_of(pages, now), now.theme)

    def arms(now: View) -> Any:
        study = chosen(pages, now)
        listed = [r for r in rows_of(pages, now) if r["id"] not in study.places]
        return study_chart.study(listed, study.steps, now.theme, revision_of(pages, now))

    def grid(now: View) -> Any:
        places = chosen(pages, now).places
        return grid_chart.grid(rows_of(pages, now), places, now.theme, revision_of(pages, now))

    def seen(now: View) -> Any:
        found = grid_chart.on_grid(rows_of(pages, now), chosen(pages, now).places)
        return gr.Column(visible=bool(found))

    pages.add("studies", panels.chart, drawn, arms)
    pages.add("studies", panels.grid_panel, lambda now: key_of(pages, now), seen)
    pages.add("studies", panels.grid, drawn, grid)


def _draw_classes(pages: Pages, panels: StudyPanels) -> None:
    """Connects the results class by class with the chosen study and its finished classifiers."""
    held: dict[str, tuple[Any, list[study_classes.Group]]] = {}

    def key(now: View) -> Any:
        return key_of(pages, now)

    def groups(now: View) -> list[study_classes.Group]:
        # read once for all parts that show it
        wanted, found = key(now), held.get("last")
        if found is None or found[0] != wanted:
            found = held["last"] = (wanted, classes_of(pages, shown(pages, now)))
        return found[1]

    def asked(now: View) -> str:
        return str(now.pick("study-pair") or "")

    def pair(now: View) -> Any:
        choices = study_classes.pairs(groups(now))
        values = [value for _, value in choices]
        first = asked(now) if asked(now) in values else values[0] if values else None
        return gr.Dropdown(choices=choices, value=first)

    def scatter(now: View) -> Any:
        found = study_classes.chosen(groups(now), asked(now))
        group, arm = found or ({"classes": [], "arms": [None]}, None)
        revision = f"{revision_of(pages, now)} {asked(now)}"
        return class_scatter.scatter(group["classes"], group["arms"][0], arm, now.theme, revision)

    def confusion(now: View) -> Markup:
        return study_classes.confusion_html(groups(now), asked(now))

    def picked(now: View) -> Any:
        return (key(now), asked(now))

    add = pages.add
    add("studies", panels.class_panel, key, lambda now: gr.Column(visible=bool(groups(now))))
    add("studies", panels.pair, picked, pair)
    add("studies", panels.scatter, lambda now: (picked(now), now.theme), scatter)
    add("studies", panels.confusion, picked, confusion)


def classes_of(pages: Pages, row: RunRow | None) -> list[study_classes.Group]:
    """The finished classifiers of a run class by class; none if its data cannot be read."""
    try:
        return pages.service.by_class(row.id) if row is not None else []
    except Refused:
        return []


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
    for name in ("dataset", "synthetic"):
        spec_form.add_choices(pages, "studies", form, name, view)


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
