"""The pure parts of the dashboard: words for numbers, escaped HTML, figures, forms made from
settings, the page's address."""

from __future__ import annotations

import gradio as gr
import pytest

from dreamlab.service import RunRow
from dreamlab.settings import KINDS, TrainSpec, make, settings_of
from dreamlab.ui import shell, words
from dreamlab.ui.charts import curves, sweep_chart
from dreamlab.ui.forms import controls, spec_form
from dreamlab.ui.pages import runs
from dreamlab.ui.parts.verdicts import split, verdict_html
from dreamlab.ui.render import macro, part
from dreamlab.ui.theme import mix_colour, mix_css, palette
from dreamlab.ui.view import View, from_query
from tests.html_helpers import bold, parsed, rows, text

NASTY = "<img src=x onerror=alert(1)>\"'&"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, ""), (0, "0:00"), (41, "0:41"), (119.6, "2:00"), (3600, "1:00:00"), (-3, "0:00")],
)
def test_time_left_is_written_as_a_clock(seconds: float | None, said: str) -> None:
    assert words.clock(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (None, ""),
        (0, "0 B"),
        (999, "999 B"),
        (1500, "1.5 kB"),
        (8_600_000, "8.6 MB"),
        (52e9, "52 GB"),
    ],
)
def test_sizes_have_a_unit_and_no_more_digits_than_needed(count: int | None, said: str) -> None:
    assert words.size(count) == said


def test_a_difference_always_carries_its_sign() -> None:
    assert words.signed(0.94) == "+0.9"
    assert words.signed(-2) == "\u22122.0"


@pytest.mark.parametrize(
    "made",
    [
        macro("button", NASTY, NASTY, run=NASTY, id=NASTY),
        macro("run_link", NASTY, NASTY, NASTY),
        macro("chip", NASTY),
        macro("state_chip", NASTY),
        macro("panel_head", NASTY, NASTY),
        macro("key_values", [(NASTY, NASTY)]),
        macro("export_links", NASTY, NASTY),
        macro("download", "x", NASTY, "text/csv", NASTY),
        macro("page_head", NASTY, NASTY),
        macro("stats", [(NASTY, NASTY)]),
        macro("table", [NASTY], []),
        macro("command_line", NASTY),
        macro("gains", [NASTY], [1.0], 0.5),
        macro("sheet", NASTY, 10, 10, 5, frame=NASTY, alt=NASTY, rows=[NASTY]),
        spec_form.refusal(NASTY),
        shell.notice(View(notice=NASTY, undo=NASTY)),
        macro(
            "film",
            NASTY,
            [{"srcs": [NASTY, NASTY], "w": 4, "h": 4, "cell": 2, "title": NASTY, "caption": NASTY}],
            [(NASTY, NASTY)] * 2,
            [NASTY],
            ends=(NASTY, NASTY),
        ),
    ],
)
def test_names_cannot_become_markup(made: str) -> None:
    assert "<img src=x" not in made
    assert 'onerror=alert(1)>"' not in made


def test_the_colour_scale_ends_in_real_and_synthetic() -> None:
    for theme in ("light", "dark"):
        assert (
            mix_colour(0, theme) == palette(theme)["real"]
            and mix_colour(1, theme) == palette(theme)["synthetic"]
        )
    assert (
        mix_css(0) == "var(--real)"
        and mix_css(1) == "var(--synthetic)"
        and "color-mix" in mix_css(0.6)
    )


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_contrast(theme: str) -> None:
    light = {name: luminance(colour) for name, colour in palette(theme).items()}
    for ink in ("ink", "ink-2", "ink-3", "good", "bad", "warn"):
        for ground in ("paper", "panel", "sunken"):
            a, b = sorted((light[ink], light[ground]), reverse=True)
            assert (a + 0.05) / (b + 0.05) >= 4.5, (ink, ground)


def test_decimation_keeps_ends_and_extremes() -> None:
    xs, ys = list(range(10_000)), [0.5] * 10_000
    ys[1234], ys[8765] = 9.0, -9.0
    kept_x, kept_y = curves.decimate(xs, ys, 600)
    assert len(kept_x) <= 602 and kept_x[0] == 0 and kept_x[-1] == 9999
    assert max(kept_y) == 9.0 and min(kept_y) == -9.0 and kept_x == sorted(kept_x)


def test_loss_axis_ticks_are_round_and_inside() -> None:
    assert curves.log_ticks(0.03, 0.9) == pytest.approx([0.05, 0.1, 0.2, 0.5, 1.0])
    assert curves.loss([], [], "dark", "r").layout.xaxis.visible is False


def test_curve_draws_only_points_that_are_there() -> None:
    points = [
        {"x": 1.0, "value": 2.0, "low": 1.5, "high": 2.5, "floor": 0.5},
        {"x": 0.0, "value": None, "low": None, "high": None, "floor": None},
    ]
    line = sweep_chart.Line("", points, "fd_classifier")
    figure = sweep_chart.curve([line], "num_steps", "light", "r")
    assert list(figure.data[-1].x) == [1.0]
    assert "fd_classifier" in figure.layout.yaxis.title.text


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_setting_has_a_control_with_label_help_and_default(kind: str) -> None:
    with gr.Blocks(analytics_enabled=False):
        for k in settings_of(KINDS[kind]):
            c = controls.control(k, [("one", "id-1")] if k.run_kind else [], f"x-{k.name}")
            assert (
                c.label.startswith(k.label) and c.info == k.full_help and c.elem_id == f"x-{k.name}"
            )
            if k.run_kind:
                assert isinstance(c, gr.Dropdown)
                assert c.value == ([] if k.type == "list" else "id-1" if k.required else k.default)
                assert {run for _, run in c.choices} >= {"id-1", *k.choices}
                continue
            if k.required:
                assert not c.value
                continue
            values = {
                n.name: n.choices[0] if n.choices else "r"
                for n in settings_of(KINDS[kind])
                if n.required
            }
            usual = getattr(make(KINDS[kind], values), k.name)
            assert (
                getattr(make(KINDS[kind], {**values, k.name: controls.read(k, c.value)}), k.name)
                == usual
            )


def test_a_slider_hands_on_what_was_typed() -> None:
    k = next(k for k in settings_of(TrainSpec) if k.name == "num_train_timesteps")
    with gr.Blocks(analytics_enabled=False):
        assert controls.control(k, [], "x").preprocess(99_999) == 99_999


def test_an_address_comes_back_to_the_same_page() -> None:
    view = View(tab="train", theme="dark").at("train", "20261121-101503-train-digits-7f3a")
    assert from_query(view.query(), "dark") == view
    assert from_query("?tab=nonsense&x=1", "blue") == View()
    assert from_query("?tab=data&run=cifar10", "light").run("data") == "cifar10"


def test_settings_mark_what_is_not_the_default() -> None:
    found = runs.settings("train", make(TrainSpec, {"steps": 30}).model_dump(mode="json"))
    assert [(label, value) for label, value, changed in found if changed] == [("Steps", "30")]
    made = part("runs.html", "values", found)
    assert rows(made) == [[label, value] for label, value, _ in found]
    assert bold(made) == ["30"]


def test_the_dock_says_what_runs_and_what_waits() -> None:
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
    assert "10 of 40 steps, 0:41 left" in text(made) and "queued: train two" in text(made)
    buttons = [(b.text, b.attributes["data-act"]) for b in parsed(made).all("button")]
    assert buttons == [("Stop and keep", "stop")]
    assert text(shell.dock([], "")) == "Nothing is running."


def test_a_run_that_cannot_be_read_can_only_be_deleted() -> None:
    row = RunRow(
        id="id-one",
        name=NASTY,
        kind="train",
        state="unreadable",
        step=0,
        total=0,
        unit="",
        eta_seconds=None,
        text="",
        headline="",
        error=f"spec.json of {NASTY} is cut.",
        seconds=None,
        created="",
        resumable=False,
        group="",
        parents=[],
        disk_bytes=None,
        demo=False,
    )
    for made in (part("runs.html", "row", row, False), part("runs.html", "unreadable", row)):
        assert "is cut." in text(made) and "Open" not in text(made) and "<img" not in made
    (button,) = parsed(part("runs.html", "unreadable", row)).all("button")
    assert (button.text, button.attributes["data-confirm"]) == ("Delete", "Really delete?")


@pytest.mark.parametrize(
    ("text", "headline"),
    [
        (
            "Synthetic data helps: +3.5 points. The mix beats it.",
            "Synthetic data helps: +3.5 points.",
        ),
        (
            "Under-trained: 0.9 is needed. Synthetic data hurts. More.",
            "Under-trained: 0.9 is needed. Synthetic data hurts.",
        ),
        ("Undecided: too few seeds", "Undecided: too few seeds"),
    ],
)
def test_the_headline_of_a_verdict_ends_with_the_sentence_of_its_verb(
    text: str, headline: str
) -> None:
    assert split(text) == (headline, text[len(headline) :].strip())
    shown = str(verdict_html({"text": text, "kind": "helps"}))
    assert shown.count("</p>") == (2 if text != headline else 1)
