"""Mix: does synthetic data help? The verdict in large words, the chart that shows it, the arms, and the form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import gradio as gr

from dreamlab.data import mixing
from dreamlab.data.catalog import INFO
from dreamlab.service import RunRow
from dreamlab.spec import ACTIVE, MixSpec, Spec
from dreamlab.ui import figures, forms, html
from dreamlab.ui.theme import mix_css
from dreamlab.ui.train import start
from dreamlab.ui.view import Pages, View

CLASSIFIERS = {"small_cnn": "small CNN", "cnn": "CNN", "resnet18": "ResNet-18"}


def create(pages: Pages, view: Any, seen: Any) -> None:
    """Lays out the tab and wires its form."""
    with gr.Row(elem_classes="columns"):
        with gr.Column(elem_classes="formcol"), gr.Column(elem_classes="dl-panel"):
            gr.HTML(html.panel_head("A new mix"))
            form = forms.build(pages.service, MixSpec, "Start the mix", "mix", describe=planned)
        with gr.Column(elem_classes="maincol"):
            answer = gr.HTML("", elem_id="mix-verdict")
            with gr.Column(elem_classes="dl-panel"):
                gr.HTML(
                    html.panel_head(
                        "Accuracy on real test images, %", "small points: seeds; lines: 95 % intervals; band: real only"
                    )
                )
                chart = gr.Plot(show_label=False, elem_id="mix-chart")
            with gr.Column(elem_classes="dl-panel"):
                arms = gr.HTML("", elem_id="mix-table")
            with gr.Column(elem_classes="dl-panel"):
                gains = gr.HTML("", elem_id="mix-gains")
            command = gr.HTML("", elem_id="mix-run-command")

    def shown(now: View) -> RunRow | None:
        return pages.chosen(now, "mix", ("mix",))

    def key(now: View) -> Any:
        row = shown(now)
        return (row.id, pages.service.status(row.id).version, row.state) if row else None

    def report(now: View) -> tuple[RunRow | None, dict[str, Any]]:
        row = shown(now)
        return row, pages.service.report(row.id) if row else {}

    def command_panel(now: View) -> str:
        row = shown(now)
        return (
            html.panel_head("This run from a terminal") + html.command_line(pages.service.get(row.id).record.command)
            if row
            else ""
        )

    pages.add("mix", answer, key, lambda now: answer_html(*report(now), spec_of(pages, shown(now))))
    pages.add(
        "mix",
        chart,
        lambda now: (key(now), now.theme),
        lambda now: figures.mix(report(now)[1], now.theme, status_id(shown(now))),
    )
    pages.add("mix", arms, key, lambda now: arms_html(*report(now)))
    pages.add("mix", gains, key, lambda now: gains_html(report(now)[1]))
    pages.add("mix", command, lambda now: status_id(shown(now)), command_panel)
    forms.add_choices(pages, "mix", form, "sources", view)
    start(pages, form, view, seen, "mix")


def status_id(row: RunRow | None) -> str:
    return row.id if row else "none"


def spec_of(pages: Pages, row: RunRow | None) -> MixSpec | None:
    spec = pages.service.get(row.id).spec if row else None
    return spec if isinstance(spec, MixSpec) else None


def planned(spec: Spec) -> str:
    """The exact counts of every arm, before anything runs: totals over all classes."""
    assert isinstance(spec, MixSpec)
    info = INFO[spec.dataset]
    classes = len(info.classes)
    per_class = spec.images_per_class or info.train // classes
    rows = []
    for arm in spec.arms:
        c = mixing.counts(arm, per_class)
        rows.append(
            [
                dot(c.synthetic_fraction) + html.esc(mixing.label(arm)),
                f"{c.real * classes:,}",
                f"{c.synthetic * classes:,}",
            ]
        )
    about = "" if spec.images_per_class else " (about: classes differ a little)"
    seeds = f"{len(spec.arms)} arms x {spec.seeds} seeds" + (
        f", for each of {len(spec.sources) + spec.train_own} generators"
        if len(spec.sources) + spec.train_own > 1
        else ""
    )
    return (
        html.table(["Arm", "real", "synthetic"], rows)
        + f'<p class="note">Images per classifier{about}; {seeds}; tested on {info.test:,} real images.</p>'
    )


def dot(fraction: float) -> str:
    """The mark of an arm in the colour of its synthetic fraction."""
    return f'<span class="mark" style="background:{mix_css(fraction)}"></span>'


def quiet_line(spec: MixSpec, report: dict[str, Any]) -> str:
    """What the answer is about, in one quiet line with a badge per generator."""
    info = INFO[spec.dataset]
    real = f"{spec.images_per_class * len(info.classes):,}" if spec.images_per_class else f"all {info.train:,}"
    test = report.get("test_images") or info.test
    words = f"{info.title}, {real} real images, {CLASSIFIERS[spec.classifier]}, {spec.seeds} seeds, tested on {test:,} held-out real images"
    badges = "".join(html.chip(f"{g['name']}: {g['badge']}") for g in report.get("generators", []) if g.get("badge"))
    return f'<p class="quiet"><span style="margin-right:8px">{html.esc(words)}</span> <span class="chips" style="display:inline-flex">{badges}</span></p>'


def verdict_html(verdict: dict[str, Any], size: str = "") -> str:
    """One sentence in large words, its verb in the colour of its kind (the word itself says the same)."""
    text = html.esc(verdict.get("text", ""))
    kind = str(verdict.get("kind", ""))
    marked = re.sub(
        r"\b(helps|hurts|undecided|Undecided|does not help)\b",
        lambda m: f'<b class="{html.esc(kind)}">{m[0]}</b>',
        text,
        count=1,
    )
    return f'<p class="verdict {size}" data-kind="{html.esc(kind)}">{marked}</p>'


def answer_html(row: RunRow | None, report: dict[str, Any], spec: MixSpec | None) -> str:
    """The answer, or what is coming and when."""
    if row is None or spec is None:
        return html.page_head(
            "Does synthetic data help?",
            "No mix yet. The form on the left asks the question; the card on Home asks it for 100 digits.",
        )
    line = quiet_line(spec, report)
    if row.state == "done" and report.get("verdict"):
        notes = " ".join(report.get("notes") or [])
        return (
            line.replace("</p>", f"{html.demo_chip(row.demo)}</p>", 1)
            + verdict_html(report["verdict"])
            + others(report)
            + f'<p class="sub">{html.esc(notes)}</p>'
        )
    if row.state in ACTIVE:
        share = row.step / row.total if row.total else 0.0
        left = (
            f"{html.clock(row.eta_seconds)} left" if row.eta_seconds is not None else "the time left is not known yet"
        )
        now = row.text or ("waiting for its turn" if row.state == "queued" else "preparing")
        done = f"{row.step} of {row.total} {row.unit}" if row.total else row.state
        stop = (
            html.button("Stop and keep", "stop", small=True, id="mix-stop", run=row.id)
            if row.state != "stopping"
            else ""
        )
        return line + (
            f'<p class="verdict">The verdict comes when all cells are there: {html.esc(left)}.</p>'
            f'<p class="sub">{html.track(share)} {html.esc(done)}; now: {html.esc(now)}. What is finished appears below, cell by cell. {stop}</p>'
        )
    why = f" {row.error}" if row.error else ""
    resume = html.button("Resume", "resume", id="mix-resume", run=row.id) if row.resumable else ""
    return (
        line
        + f'<p class="verdict small">No verdict: this mix is {html.esc(html.STATE_WORDS.get(row.state, row.state))}.{html.esc(why)}</p><p class="sub">{resume}</p>'
    )


def others(report: dict[str, Any]) -> str:
    """With several generators: what each of them found, with what it saw."""
    found = report.get("generators", [])
    if len(found) < 2:
        return ""
    items = "".join(
        f'<tr><td>{html.esc(g["name"])}</td><td class="left">{html.chip(g["badge"])}</td><td class="left wrap">{html.esc(g["verdict"].get("text", ""))}</td></tr>'
        for g in found if g.get("verdict")
    )  # fmt: skip
    return (
        f'<div class="wide" id="mix-generators"><table class="leftish"><tbody>{items}</tbody></table></div><p class="note"></p>'
        if items
        else ""
    )


def arms_html(row: RunRow | None, report: dict[str, Any]) -> str:
    """The table of arms: counts, bar, accuracy and macro-F1 with intervals, difference with its interval; grouped by generator."""
    arms = report.get("arms", [])
    if not arms:
        return html.panel_head("Arms") + '<p class="empty">The arms of a mix are listed here.</p>'
    largest = max(a["real"] + a["synthetic"] for a in arms)
    names = {g["key"]: g for g in report.get("generators", [])}
    several, last, body = len(names) > 1, "", ""
    for arm in arms:
        key = arm.get("generator", "")
        if several and key and key != last:
            g = names.get(key, {"name": key, "badge": ""})
            body += f'<tr class="group"><td colspan="8">{html.esc(g["name"])} {html.chip(g["badge"])}</td></tr>'
        last = key
        body += (
            "<tr>"
            + "".join(
                f"<td>{c}</td>"
                for c in arm_cells(arm, largest, names[key]["badge"] if several and key in names else "")
            )
            + "</tr>"
        )
    heads = ["Arm", "real", "synthetic", "", "accuracy, %", "macro-F1, %", "against real only, points", "p (Holm)"]
    top = "".join(f'<th scope="col">{h}</th>' for h in heads)
    note = (
        f"{report.get('budget', 'steps')}: {report['steps']:,} optimiser steps for every arm"
        if report.get("budget") == "steps" and report.get("steps")
        else "equal epochs"
    )
    return (
        html.panel_head("Arms", note)
        + f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def arm_cells(arm: dict[str, Any], largest: int, known_badge: str) -> list[str]:
    """The cells of one arm; what the generator saw is named where the group's heading has not said it."""
    badge = (arm.get("leakage") or {}).get("badge", "") if arm.get("synthetic") else ""
    name = (
        dot(arm.get("synthetic_fraction", 0.0))
        + html.esc(arm["label"])
        + (f'<br><span class="note">{html.esc(badge)}</span>' if badge and badge != known_badge else "")
    )
    seeds = len(arm.get("accuracies") or [])
    p = (arm.get("difference") or {}).get("p_holm")
    return [
        name, f"{arm['real']:,}", f"{arm['synthetic']:,}", html.mix_bar(arm["real"], arm["synthetic"], largest), measured(arm.get("interval"), seeds),
        measured(arm.get("macro_f1_interval"), seeds), difference(arm), "" if p is None else ("&lt; 0.001" if p < 0.001 else f"{p:.3f}"),
    ]  # fmt: skip


def measured(interval: dict[str, Any] | None, seeds: int) -> str:
    """Percent with its interval in grey behind it."""
    if not interval or interval.get("mean") is None or seeds == 0:
        return '<span class="mut">to come</span>'
    mean, low, high = interval["mean"], interval.get("low"), interval.get("high")
    if low is None or high is None or seeds < 2:
        return f'{100 * mean:.1f} <span class="mut">({seeds} seed{"s" if seeds != 1 else ""})</span>'
    return f'{100 * mean:.1f} <span class="mut">{100 * max(low, 0):.1f} to {100 * min(high, 1):.1f}</span>'


def difference(arm: dict[str, Any]) -> str:
    """Points against the control: a colour only where the interval leaves zero, always with a sign."""
    if arm.get("arm") == "real":
        return '<span class="mut">reference</span>'
    d = arm.get("difference")
    if not d or d.get("mean") is None:
        return '<span class="mut">to come</span>'
    low, high = d.get("low"), d.get("high")
    sure = low is not None and high is not None and (low > 0 or high < 0)
    word = ("good" if d["mean"] > 0 else "bad") if sure else "mut"
    tail = (
        f' <span class="mut">{html.signed(low)} to {html.signed(high)}</span>'
        if low is not None and high is not None
        else ""
    )
    return f'<span class="{word}">{html.signed(d["mean"])}</span>{tail}'


def gains_html(report: dict[str, Any]) -> str:
    """Gain of each class: the best arm of each generator against real only."""
    arms = report.get("arms", [])
    control = next((a for a in arms if a["arm"] == "real" and a.get("per_class")), None)
    names = {g["key"]: g["name"] for g in report.get("generators", [])}
    blocks: list[str] = []
    for key in names or {"": ""}:
        mine = [a for a in arms if a.get("generator") == key and a.get("per_class") and a.get("interval")]
        if not mine or control is None:
            continue
        best = max(mine, key=lambda a: a["interval"]["mean"])
        points = [100 * (a - b) for a, b in zip(best["per_class"], control["per_class"], strict=True)]
        who = f", {names[key]}" if len(names) > 1 else ""
        blocks.append(
            html.panel_head(f"Gain by class, points{who}", f"{best['label']} against real only")
            + html.gains(report.get("classes") or class_names(points), points, best["synthetic_fraction"])
        )
    if not blocks:
        return (
            html.panel_head("Gain by class, points")
            + '<p class="empty">Comes with the first finished arm beside real only.</p>'
        )
    return '<div class="pair">' + "".join(f"<div>{b}</div>" for b in blocks) + "</div>"


def class_names(points: Sequence[float]) -> list[str]:
    return [str(i) for i in range(len(points))]
