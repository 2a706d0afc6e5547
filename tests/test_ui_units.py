"""The pure parts of the dashboard: words for numbers, escaped HTML, figures, forms made from knobs, the page's address."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr
import pytest

from dreamlab.spec import KINDS, MixSpec, TrainSpec, knobs, make
from dreamlab.ui import controls, figures, forms, html, mix, runs, shell
from dreamlab.ui.theme import mix_colour, mix_css, palette
from dreamlab.ui.view import View, from_query

NASTY = "<img src=x onerror=alert(1)>\"'&"


def arm(name: str, label: str, generator: str, mean: float, fraction: float, **more: Any) -> dict[str, Any]:
    accuracies = [mean - 0.01, mean, mean + 0.01]
    interval = {"mean": mean, "low": mean - 0.025, "high": mean + 0.025}
    return {
        "arm": name, "label": label, "generator": generator, "real": 100, "synthetic": round(100 * fraction / (1 - fraction)) if fraction < 1 else 100,
        "synthetic_fraction": fraction, "seeds": [0, 1, 2], "accuracies": accuracies, "macro_f1": accuracies, "interval": interval,
        "macro_f1_interval": interval, "per_class": [mean] * 10, "difference": None, "leakage": None, **more,
    }  # fmt: skip


@pytest.fixture
def report() -> dict[str, Any]:
    gain = {"mean": 3.0, "low": 1.0, "high": 5.0, "level": 0.95, "p": 0.01, "p_holm": 0.02}
    loss = {"mean": -1.0, "low": -3.0, "high": 1.0, "level": 0.95, "p": 0.4, "p_holm": 0.8}
    return {
        "verdict": {"text": "Synthetic data helps: +3.0 points.", "kind": "helps"}, "steps": 200, "budget": "steps", "classes": [str(i) for i in range(10)],
        "generators": [
            {"key": "own", "run": "a", "name": "trained here", "badge": "generator saw the same 100 images", "verdict": {"text": "Undecided.", "kind": "undecided"}},
            {"key": "b", "run": "b", "name": NASTY, "badge": "generator saw 2,900 more real images", "verdict": {"text": "helps", "kind": "helps"}},
        ],
        "arms": [
            arm("real", "Real only", "", 0.90, 0.0), arm("50/50", "50 / 50", "own", 0.89, 0.5, difference=loss),
            arm("real+1x", "Real + 1x synthetic", "b", 0.93, 0.5, difference=gain),
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, ""), (0, "0:00"), (41, "0:41"), (119.6, "2:00"), (3600, "1:00:00"), (-3, "0:00")]
)
def test_time_left_is_written_as_a_clock(seconds: float | None, words: str) -> None:
    assert html.clock(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(None, ""), (0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (8_600_000, "8.6 MB"), (52e9, "52 GB")],
)
def test_sizes_have_a_unit_and_no_more_digits_than_needed(count: int | None, words: str) -> None:
    assert html.size(count) == words


def test_a_difference_always_carries_its_sign() -> None:
    assert html.signed(0.94) == "+0.9"
    assert html.signed(-2) == "\u22122.0"


@pytest.mark.parametrize(
    "made",
    [
        html.button(NASTY, NASTY, run=NASTY, id=NASTY), html.run_link(NASTY, NASTY, NASTY), html.chip(NASTY), html.state_chip(NASTY), html.panel_head(NASTY, NASTY),
        html.page_head(NASTY, NASTY), html.stats([(NASTY, NASTY)]), html.table([NASTY], []), html.command_line(NASTY), html.gains([NASTY], [1.0], 0.5),
        html.sheet(NASTY, 10, 10, 5, frame=NASTY, alt=NASTY, rows=[NASTY]), forms.refusal(NASTY), shell.notice(View(notice=NASTY, undo=NASTY)),
        html.film(NASTY, [{"srcs": [NASTY, NASTY], "w": 4, "h": 4, "cell": 2, "title": NASTY, "caption": NASTY}], [(NASTY, NASTY)] * 2, [NASTY], ends=(NASTY, NASTY)),
    ],
)  # fmt: skip
def test_names_cannot_become_markup(made: str) -> None:
    assert "<img src=x" not in made
    assert 'onerror=alert(1)>"' not in made


def test_a_mix_with_a_nasty_name_stays_text(report: dict[str, Any]) -> None:
    made = mix.arms_html(None, report) + mix.others(report) + mix.gains_html(report)
    assert "<img" not in made and "&lt;img" in made
    figure = json.dumps(figures.mix(report, "light", "r").to_plotly_json(), default=str)
    assert "<img" not in figure


def test_the_table_names_what_each_generator_saw(report: dict[str, Any]) -> None:
    made = mix.arms_html(None, report)
    assert "generator saw the same 100 images" in made and "generator saw 2,900 more real images" in made
    assert "reference" in made


def test_better_is_green_only_when_its_interval_leaves_zero(report: dict[str, Any]) -> None:
    _, unsure, sure = report["arms"]
    assert 'class="mut">\u22121.0' in mix.difference(unsure)
    assert 'class="good">+3.0' in mix.difference(sure)


def test_an_interval_of_accuracy_does_not_leave_zero_to_hundred() -> None:
    assert mix.measured({"mean": 0.95, "low": 0.8, "high": 1.1}, 2).endswith("80.0 to 100.0</span>")


def test_cells_that_are_not_there_are_said_to_come(report: dict[str, Any]) -> None:
    waiting = {**report["arms"][1], "accuracies": [], "interval": None, "macro_f1_interval": None, "difference": None}
    assert mix.arm_cells(waiting, 200, "").count('<span class="mut">to come</span>') == 3


def test_the_word_of_the_verdict_wears_its_kind(report: dict[str, Any]) -> None:
    assert '<b class="helps">helps</b>' in mix.verdict_html(report["verdict"])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_mix_figure_shows_every_seed_and_stays_on_the_scale(report: dict[str, Any], theme: str) -> None:
    figure = figures.mix(report, theme, "run")
    seeds = [t for t in figure.data if t.mode == "markers" and t.marker.size == 6]
    assert sum(len(t.y) for t in seeds) == 9
    assert figure.layout.uirevision == "run"
    low, high = figure.layout.yaxis.range
    assert low < 87.5 and high <= 100.2
    means = [t.marker.color for t in figure.data if t.mode == "markers+text"]
    assert means == [palette(theme)["real"], mix_colour(0.5, theme), mix_colour(0.5, theme)]


def test_mix_figure_has_no_scale_before_its_first_cell(report: dict[str, Any]) -> None:
    waiting = {**report, "arms": [{**a, "accuracies": [], "interval": None} for a in report["arms"]]}
    assert figures.mix(waiting, "light", "r").layout.yaxis.showticklabels is False
    assert figures.mix(report, "light", "r").layout.yaxis.showticklabels is not False


def test_mix_figure_of_nothing_says_so() -> None:
    assert "appear" in figures.mix({}, "light", "r").layout.annotations[0].text


def test_the_colour_scale_ends_in_real_and_synthetic() -> None:
    for theme in ("light", "dark"):
        assert mix_colour(0, theme) == palette(theme)["real"] and mix_colour(1, theme) == palette(theme)["synthetic"]
    assert mix_css(0) == "var(--real)" and mix_css(1) == "var(--synthetic)" and "color-mix" in mix_css(0.6)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("text", ["ink", "ink-2", "ink-3", "good", "bad", "warn"])
@pytest.mark.parametrize("ground", ["paper", "panel", "sunken"])
def test_text_has_contrast(theme: str, text: str, ground: str) -> None:
    a, b = sorted((luminance(palette(theme)[text]), luminance(palette(theme)[ground])), reverse=True)
    assert (a + 0.05) / (b + 0.05) >= 4.5


def test_decimation_keeps_ends_and_extremes() -> None:
    xs, ys = list(range(10_000)), [0.5] * 10_000
    ys[1234], ys[8765] = 9.0, -9.0
    kept_x, kept_y = figures.decimate(xs, ys, 600)
    assert len(kept_x) <= 602 and kept_x[0] == 0 and kept_x[-1] == 9999
    assert max(kept_y) == 9.0 and min(kept_y) == -9.0 and kept_x == sorted(kept_x)


def test_loss_axis_ticks_are_round_and_inside() -> None:
    assert figures.log_ticks(0.03, 0.9) == pytest.approx([0.05, 0.1, 0.2, 0.5, 1.0])
    assert figures.loss([], [], "dark", "r").layout.xaxis.visible is False


def test_curve_draws_only_points_that_are_there() -> None:
    points = [
        {"x": 1.0, "value": 2.0, "low": 1.5, "high": 2.5, "floor": 0.5},
        {"x": 0.0, "value": None, "low": None, "high": None, "floor": None},
    ]
    figure = figures.curve(points, "guidance_weight", "fd_classifier", "light", "r")
    assert list(figure.data[0].x) == [1.0]
    assert "fd_classifier" in figure.layout.yaxis.title.text


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_knob_has_a_control_with_label_help_and_default(kind: str) -> None:
    with gr.Blocks(analytics_enabled=False):
        for k in knobs(KINDS[kind]):
            c = controls.control(k, [("one", "id-1")] if k.run_kind else [], f"x-{k.name}")
            assert c.label.startswith(k.label) and c.info == k.help and c.elem_id == f"x-{k.name}"
            if k.run_kind:
                assert isinstance(c, gr.Dropdown)
                assert c.value == ([] if k.type == "list" else "id-1" if k.required else "")
                continue
            spec_default = make(KINDS[kind], {n.name: "r" for n in knobs(KINDS[kind]) if n.required}).__getattribute__(
                k.name
            )
            values = {n.name: "r" for n in knobs(KINDS[kind]) if n.required} | {k.name: controls.read(k, c.value)}
            assert getattr(make(KINDS[kind], values), k.name) == spec_default


def test_a_slider_hands_on_what_was_typed() -> None:
    k = next(k for k in knobs(TrainSpec) if k.name == "num_train_timesteps")
    with gr.Blocks(analytics_enabled=False):
        assert controls.control(k, [], "x").preprocess(99_999) == 99_999


def test_planned_counts_are_exact_totals() -> None:
    made = mix.planned(make(MixSpec, {"images_per_class": 10, "arms": ("real", "90/10", "real+3x")}))
    for words in ("<td>90</td><td>10</td>", "<td>100</td><td>300</td>", "3 arms x 5 seeds", "2,000 real images"):
        assert words in made


def test_an_address_comes_back_to_the_same_page() -> None:
    view = View(tab="train", theme="dark").at("train", "20261121-101503-train-digits-7f3a")
    assert from_query(view.query(), "dark") == view
    assert from_query("?tab=nonsense&x=1", "blue") == View()


def test_settings_mark_what_is_not_the_default() -> None:
    made = runs.settings("train", make(TrainSpec, {"seconds": 30}).model_dump(mode="json"))
    assert "<b>30.0 s</b>" in made and made.count("<b>") == 1


def test_the_dock_says_what_runs_and_what_waits() -> None:
    from dreamlab.service import RunRow

    def row(state: str, name: str) -> RunRow:
        return RunRow(
            "id-" + name,
            name,
            "train",
            state,
            10,
            40,
            "steps",
            41.0,
            "training",
            "",
            "",
            1.0,
            "",
            False,
            "",
            [],
            None,
            False,
        )

    made = shell.dock([row("running", "one"), row("queued", "two")], "")
    assert "10 of 40 steps, 0:41 left" in made and "queued: train two" in made and 'data-act="stop"' in made
    assert "Nothing runs" in shell.dock([], "")
