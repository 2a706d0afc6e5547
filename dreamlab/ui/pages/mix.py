"""Mix: does synthetic data help? The verdict in large words, the chart that shows it, the arms, the
classes, and the form."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import gradio as gr

from dreamlab.data import catalog, mixing
from dreamlab.experiments.mix import plan as plans
from dreamlab.service import RunRow
from dreamlab.settings import MixSpec, Spec
from dreamlab.store.states import ACTIVE
from dreamlab.ui import html
from dreamlab.ui.charts import mix_chart
from dreamlab.ui.forms import controls, spec_form
from dreamlab.ui.pages.train import start
from dreamlab.ui.parts import arm_tables, class_tables
from dreamlab.ui.view import QUIET, Pages, View

BAND = "small points: seeds; lines: 95 % intervals; blue band: real only; hollow: controls"


@dataclasses.dataclass(frozen=True)
class Panels:
    """The components that show the chosen mix."""

    answer: Any
    chart: Any
    best: Any
    table: Any
    worth: Any
    surface_panel: Any
    rate: Any
    surface: Any
    arm: Any
    by_class: Any
    taken: Any


def create(pages: Pages, view: Any, seen: Any) -> None:
    """Lays out the tab and wires its form."""
    service = pages.service

    def describe(spec: Spec) -> str:
        assert isinstance(spec, MixSpec)
        return planned(spec, service.available(spec))

    with gr.Row(elem_classes="columns"):
        with gr.Column(elem_classes="formcol"), gr.Column(elem_classes="dl-panel"):
            gr.HTML(html.panel_head("A new mix"))
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
    start(pages, form, view, seen, "mix")


def _panels() -> Panels:
    """The answer from its words down to its classes."""
    answer = gr.HTML("", elem_id="mix-verdict")
    with gr.Column(elem_classes="dl-panel"):
        gr.HTML(html.panel_head("Accuracy on real test images, %", BAND))
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
    taken = gr.HTML("", elem_id="mix-run-command")
    return Panels(
        answer, chart, best, table, worth, surface_panel, rate, surface, arm, by_class, taken
    )


def _draw(pages: Pages, p: Panels) -> None:
    """What the panels show of the chosen mix, and when they are drawn anew."""

    def shown(now: View) -> RunRow | None:
        return pages.chosen(now, "mix", ("mix",))

    def key(now: View) -> Any:
        return pages.version_of(shown(now))

    def report(now: View) -> dict[str, Any]:
        return pages.report(shown(now))

    def themed(now: View) -> Any:
        return (key(now), now.theme)

    def with_arm(now: View) -> Any:
        return (key(now), now.pick("mix-arm"))

    def revision(now: View) -> str:
        row = shown(now)
        return row.id if row else "none"

    pages.add(
        "mix",
        p.answer,
        key,
        lambda now: answer_html(shown(now), report(now), spec_of(pages, shown(now))),
    )
    pages.add(
        "mix", p.chart, themed, lambda now: mix_chart.mix(report(now), now.theme, revision(now))
    )
    pages.add("mix", p.best, key, lambda now: best_html(report(now)))
    pages.add("mix", p.table, key, lambda now: arm_tables.arms_html(report(now)))
    pages.add("mix", p.worth, key, lambda now: panel(arm_tables.worth_html(report(now))))
    pages.add(
        "mix", p.surface_panel, key, lambda now: gr.Column(visible=bool(report(now).get("surface")))
    )
    pages.add("mix", p.rate, key, lambda now: rate_html(report(now)))
    pages.add(
        "mix",
        p.surface,
        themed,
        lambda now: mix_chart.surface(report(now), now.theme, revision(now)),
    )
    pages.add("mix", p.arm, with_arm, lambda now: arm_choice(report(now), now.pick("mix-arm")))
    pages.add(
        "mix", p.by_class, with_arm, lambda now: class_panel(report(now), now.pick("mix-arm"))
    )
    pages.add(
        "mix", p.taken, with_arm, lambda now: take_out(pages, shown(now), now.pick("mix-arm"))
    )


def panel(inside: str) -> Any:
    """A panel of its own, or nothing where there is nothing to say."""
    return gr.HTML(f'<div class="dl-panel">{inside}</div>', visible=bool(inside))


def spec_of(pages: Pages, row: RunRow | None) -> MixSpec | None:
    spec = pages.service.get(row.id).spec if row else None
    return spec if isinstance(spec, MixSpec) else None


def planned(spec: MixSpec, available: Sequence[int]) -> str:
    """The exact counts of every arm, before anything runs, and the classes before and after.

    `available`: real images of every class that the mix may use. Raises ValueError where an arm is
    impossible.
    """
    info = catalog.info(spec.dataset)
    cells = {
        cell.arm: cell
        for cell in sorted(
            plans.cells(spec), key=lambda cell: (cell.arm != "real", not cell.treatment)
        )
    }
    rows, tiles = [], []
    for name, cell in cells.items():
        counts = mixing.counts(name, available)
        real, synthetic, other = (
            sum(getattr(c, part) for c in counts) for part in ("real", "synthetic", "other")
        )
        mark = arm_tables.dot(
            synthetic / (real + synthetic + other), hollow=not cell.treatment and name != "real"
        )
        words = mixing.label(name, info.classes)
        rows.append(
            [mark + html.esc(words), f"{real:,}", f"{synthetic:,}", f"{other:,}" if other else ""]
        )
        per_class = {
            part: [getattr(c, part) for c in counts] for part in ("real", "synthetic", "other")
        }
        tiles.append((words, per_class))
    keys = plans.keys(spec)
    classifiers = len(plans.cells(spec)) * spec.seeds
    about = f"{len(cells)} arms x {spec.seeds} seeds" + (
        f", {len(keys)} sources of synthetic images" if len(keys) > 1 else ""
    )
    sizes = f"; and {len(plans.surface(spec))} cells of the surface" if spec.real_sizes else ""
    return (
        html.table(["Images per classifier", "real", "synth.", "other"], rows, kind="small")
        + f'<p class="note">{about}: {classifiers:,} classifiers{sizes}; tested on {info.test:,}'
        " real images. Hollow marks are controls; other images are repeated real ones or"
        " noise.</p>"
        + '<details class="more"><summary>Images per class, before and after</summary>'
        + class_tables.histograms(info.classes, tiles)
        + "</details>"
    )


def quiet_line(spec: MixSpec, report: dict[str, Any]) -> str:
    """What the answer is about, in one quiet line with a badge per generator."""
    info = catalog.info(spec.dataset)
    control = class_tables.reference(report)
    real = f"{control['real']:,}" if control else f"up to {info.train:,}"
    network = controls.WORDS.get(spec.classifier, spec.classifier)
    test = report.get("test_images") or info.test
    words = (
        f"{info.title}, {real} real images, {network}, {spec.seeds} seeds, tested on {test:,}"
        " held-out real images"
    )
    badges = "".join(
        html.chip(f"{g['name']}: {g['badge']}")
        for g in report.get("generators", [])
        if g.get("badge")
    )
    return (
        f'<p class="quiet"><span style="margin-right:8px">{html.esc(words)}</span> <span'
        f' class="chips" style="display:inline-flex">{badges}</span></p>'
    )


def verdict_html(verdict: dict[str, Any], size: str = "") -> str:
    """One sentence in large words, its verb in the colour of its kind (the word itself says the
    same)."""
    text = html.esc(verdict.get("text", ""))
    kind = str(verdict.get("kind", ""))
    marked = re.sub(
        r"\b(helps|hurts|undecided|Undecided|does not help)\b",
        lambda m: f'<b class="{html.esc(kind)}">{m[0]}</b>',
        text,
        count=1,
    )
    long = " long" if len(text) > 220 else ""
    return f'<p class="verdict {size}{long}" data-kind="{html.esc(kind)}">{marked}</p>'


def answer_html(row: RunRow | None, report: dict[str, Any], spec: MixSpec | None) -> str:
    """The answer, or what is coming and when."""
    if row is None or spec is None:
        return html.page_head(
            "Does synthetic data help?",
            "No mix yet. The form on the left asks the question; the card on Home asks it for 100"
            " digits.",
        )
    line = quiet_line(spec, report)
    if row.state == "done" and report.get("verdict"):
        return (
            line.replace("</p>", f"{html.demo_chip(row.demo)}</p>", 1)
            + verdict_html(report["verdict"])
            + others(report)
            + f'<p class="sub">{html.esc(" ".join(report.get("notes") or []))}</p>'
        )
    return line + progress(row, "The verdict comes when all cells are there", "mix")


def progress(row: RunRow, coming: str, tab: str, small: bool = False) -> str:
    """What stands in the answer's place while a group runs, or after it ended without one."""
    if row.state in ACTIVE:
        share = row.step / row.total if row.total else 0.0
        left = (
            f"{html.clock(row.eta_seconds)} left"
            if row.eta_seconds is not None
            else "the time left is not known yet"
        )
        now = row.text or ("waiting for its turn" if row.state == "queued" else "preparing")
        done = f"{row.step} of {row.total} {row.unit}" if row.total else row.state
        stop = (
            html.button("Stop and keep", "stop", small=True, id=f"{tab}-stop", run=row.id)
            if row.state != "stopping"
            else ""
        )
        return (
            f'<p class="{"sub" if small else "verdict"}">{html.esc(coming)}:'
            f' {html.esc(left)}.</p><p class="sub">{html.track(share)} {html.esc(done)}; now:'
            f" {html.esc(now)}. What is finished appears below, cell by cell. {stop}</p>"
        )
    why = f" {row.error}" if row.error else ""
    resume = (
        html.button("Resume", "resume", id=f"{tab}-resume", run=row.id) if row.resumable else ""
    )
    word = html.STATE_WORDS.get(row.state, row.state)
    return (
        f'<p class="verdict small">No verdict: this {row.kind} is'
        f' {html.esc(word)}.{html.esc(why)}</p><p class="sub">{resume}</p>'
    )


def others(report: dict[str, Any]) -> str:
    """With several generators: what each of them found, with what it saw."""
    found = [g for g in report.get("generators", []) if g.get("verdict")]
    if len(found) < 2:
        return ""
    items = "".join(
        f'<tr><td>{html.esc(g["name"])}</td><td class="left">{html.chip(g["badge"])}</td><td'
        f' class="left wrap">{html.esc(g["verdict"].get("text", ""))}</td></tr>'
        for g in found
    )
    return (
        '<div class="wide" id="mix-generators"><table'
        f' class="leftish"><tbody>{items}</tbody></table></div><p class="note"></p>'
    )


def best_html(report: dict[str, Any]) -> str:
    """What the grey band of the chart says in words."""
    text = str((report.get("best") or {}).get("text") or "")
    return f'<p class="note">Grey band: {html.esc(text)}</p>' if text else ""


def rate_html(report: dict[str, Any]) -> str:
    """What one real image is worth, in words, above the learning curves."""
    text = str(
        (report.get("exchange") or {}).get("text")
        or "The exchange rate comes when all sizes are there."
    )
    return (
        html.panel_head(
            "How many synthetic images are worth one more real one?",
            "95 % intervals over seeds and test images",
        )
        + f'<p class="sub">{html.esc(text)}</p>'
    )


def chosen_arm(report: dict[str, Any], asked: str) -> dict[str, Any] | None:
    """The arm that is looked at class by class: the one asked for, else that of the verdict, else
    the best mean of what is done."""
    done = [
        a
        for a in arm_tables.ordered(report)
        if a.get("per_class") and arm_tables.role(a) != "reference"
    ]
    verdict = report.get("verdict") or {}
    told = f"{verdict.get('generator', '')} {verdict.get('arm', '')}".strip()
    for wanted in (asked, told):
        if found := next((a for a in done if arm_tables.key(a) == wanted), None):
            return found
    mixes = [a for a in done if arm_tables.role(a) == "treatment" and a.get("interval")]
    return max(mixes, key=lambda a: a["interval"]["mean"], default=None)


def arm_choice(report: dict[str, Any], asked: str) -> Any:
    """The drop-down of the arms that are done."""
    names = {g["key"]: g["name"] for g in report.get("generators", [])}
    listed = [
        a
        for a in arm_tables.ordered(report)
        if a.get("per_class") and arm_tables.role(a) != "reference"
    ]
    choices = [
        (
            a["label"]
            + (
                f", {names[a['generator']]}"
                if len(names) > 1 and a.get("generator") in names
                else ""
            ),
            arm_tables.key(a),
        )
        for a in listed
    ]
    chosen = chosen_arm(report, asked)
    return gr.Dropdown(choices=choices, value=arm_tables.key(chosen) if chosen else None)


def class_panel(report: dict[str, Any], asked: str) -> str:
    """Gains, confusion and histograms of the chosen arm."""
    arm = chosen_arm(report, asked)
    parts = [
        class_tables.gains_html(report, arm),
        class_tables.confusion_html(report, arm),
        class_tables.histograms_html(report),
    ]
    return "".join(f'<div class="block-apart">{p}</div>' for p in parts if p)


def take_out(pages: Pages, row: RunRow | None, asked: str) -> str:
    """The command of the run, its table as CSV and LaTeX, and the images of the chosen arm."""
    if row is None:
        return ""
    made = html.panel_head("This run from a terminal") + html.command_line(
        pages.service.get(row.id).record.command
    )
    if row.state != "done":
        return made
    arm = chosen_arm(pages.report(row), asked)
    images = (
        html.export_links(arm["run"], f"Images of {arm['label']}")
        if arm and arm.get("run") and not arm["arm"].startswith("noise")
        else ""
    )
    return (
        made + '<div class="acts"'
        f' style="margin-top:12px;align-items:center">{table_links(pages, row)}{images}</div>'
    )


def table_links(pages: Pages, row: RunRow) -> str:
    """The table of a mix or a study as files."""
    table = pages.service.table
    return html.download(
        table(row.id, "csv"), f"{row.id}.csv", "text/csv", "Table as CSV"
    ) + html.download(
        table(row.id, "latex"), f"{row.id}.tex", "application/x-tex", "Table as LaTeX"
    )
