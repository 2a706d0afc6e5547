"""Forms as pure functions: presets, sections, the schedule's picture, the loss by noise level, the
page of a kept set."""

from __future__ import annotations

import contextlib
import itertools
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from dreamlab.checks.noise_levels import schedule_warning
from dreamlab.checks.sampling import check_sampling
from dreamlab.service import Refused, Service
from dreamlab.settings import (
    ImportSpec,
    MixSpec,
    SpecError,
    SynthesizeSpec,
    TrainSpec,
    make,
    settings_of,
)
from dreamlab.settings.classifier_recipe import RECIPES
from dreamlab.settings.presets import PRESETS
from dreamlab.ui import shell
from dreamlab.ui.charts import curves, noise_schedule
from dreamlab.ui.forms import controls
from dreamlab.ui.forms.start import REUSED, start
from dreamlab.ui.view import View
from tests.html_helpers import parsed, text

BY_NAME = {k.name: k for k in settings_of(TrainSpec)}


def usual(**more: Any) -> dict[str, Any]:
    """The values of an untouched form."""
    return {
        k.name: controls.read(k, controls.shown(k, k.default)) for k in settings_of(TrainSpec)
    } | more


def test_a_listener_that_is_called_again_is_the_only_one_of_its_event(tmp_path: Path) -> None:
    """Gradio repeats the whole event when an "always_last" listener ends and was asked again
    meanwhile. A second listener would be called too, and the two can keep each other busy for
    ever."""
    page = shell.build(Service(tmp_path / "runs"))
    listeners: dict[Any, list[str]] = defaultdict(list)
    for listener in page.fns.values():
        for target in listener.targets:
            listeners[target].append(listener.trigger_mode)
    repeated = {target: modes for target, modes in listeners.items() if "always_last" in modes}
    assert repeated, "the forms listen to their fields"
    assert not {target for target, modes in repeated.items() if len(modes) > 1}


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_preset_fills_what_presets_set_and_the_form_means_the_same(preset: str) -> None:
    filled = controls.filled_by(TrainSpec, "preset", preset)
    assert set(filled) == {name for fields in PRESETS.values() for name in fields}
    shown = {
        name: controls.read(BY_NAME[name], controls.shown(BY_NAME[name], v))
        for name, v in filled.items()
    }
    values = usual(preset=preset) | shown
    assert make(TrainSpec, values) == make(TrainSpec, {"preset": preset})
    assert controls.changed(TrainSpec, values) == ({"preset"} if preset != "small" else set())


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_a_recipe_fills_the_classifier_and_the_form_means_the_same(recipe: str) -> None:
    by_name = {k.name: k for k in settings_of(MixSpec)}
    untouched = {
        name: controls.read(k, controls.shown(k, k.default)) for name, k in by_name.items()
    }
    filled = controls.filled_by(MixSpec, "recipe", recipe)
    shown = {
        name: controls.read(by_name[name], controls.shown(by_name[name], v))
        for name, v in filled.items()
    }
    values = untouched | {"recipe": recipe} | shown
    assert make(MixSpec, values) == make(MixSpec, {"recipe": recipe})
    assert controls.changed(MixSpec, values) == ({"recipe"} if recipe != "fast" else set())
    assert "learning_rate" in controls.changed(MixSpec, values | {"learning_rate": 0.123})


def test_settings_that_fill_others_are_known_by_their_spec() -> None:
    assert controls.fillers(TrainSpec) == ["preset"] and controls.fillers(MixSpec) == ["recipe"]
    assert controls.fillers(SynthesizeSpec) == []


def test_a_data_set_is_chosen_by_name_or_among_the_imports() -> None:
    dataset = next(k for k in settings_of(MixSpec) if k.name == "dataset")
    classes_of = next(k for k in settings_of(ImportSpec) if k.name == "dataset")
    with gr.Blocks(analytics_enabled=False):
        made = controls.control(dataset, [("my pictures", "id-1")], "x")
        other = controls.control(classes_of, [("my pictures", "id-1")], "y")
    assert made.value == "mnist5k" and made.choices[0] == (
        "Handwritten digits (MNIST, 5,000)",
        "mnist5k",
    )
    assert made.choices[-1] == ("my pictures", "id-1") and controls.NONE not in made.choices
    assert other.value == "" and other.choices[0] == controls.NONE


def test_every_choice_of_the_evidence_has_a_word_of_its_own() -> None:
    for name in ("controls", "recipe", "budget"):
        k = next(k for k in settings_of(MixSpec) if k.name == name)
        words = [controls.word(k, c) for c in k.choices]
        assert len(set(words)) == len(words) and not {"duplicated", "fast", "steps"} & set(words)


def test_what_is_not_as_the_preset_says_counts_as_changed() -> None:
    assert controls.changed(TrainSpec, usual(base_width=40, multipliers="1,2")) == {"base_width"}
    assert controls.changed(TrainSpec, usual(preset="tiny", base_width=16)) == {"preset"}
    assert controls.changed(TrainSpec, usual(freeze=("stem",))) == {"freeze"}


@pytest.mark.parametrize(
    ("title", "differing", "words"),
    [
        ("Noise", 0, "Noise, 3 settings"),
        ("Noise", 2, "Noise, 3 settings, 2 changed"),
        ("", 0, "3 more settings"),
    ],
)
def test_the_head_of_a_section_counts(title: str, differing: int, words: str) -> None:
    assert controls.header(title, 3, differing) == words


def test_every_advanced_setting_is_in_one_section(tmp_path: Path) -> None:
    service = Service(tmp_path / "runs")
    for cls in (TrainSpec, SynthesizeSpec, MixSpec):
        with gr.Blocks(analytics_enabled=False):
            fields, sections = controls.folded(service, settings_of(cls), "x")
        advanced = [k.name for k in settings_of(cls) if k.advanced]
        assert sorted(fields) == sorted(advanced)
        assert sorted(name for s in sections for name in s.names) == sorted(advanced)


def test_a_list_with_choices_is_chosen_from_and_a_run_may_be_none() -> None:
    with gr.Blocks(analytics_enabled=False):
        freeze = controls.control(BY_NAME["freeze"], [], "x")
        source = controls.control(BY_NAME["init_from"], [("one", "id-1")], "y")
    assert freeze.multiselect and [c for _, c in freeze.choices] == list(BY_NAME["freeze"].choices)
    assert source.value == "" and source.choices[0] == controls.NONE and len(source.choices) == 2


def train(**values: Any) -> TrainSpec:
    return make(TrainSpec, values)


def test_the_confound_of_s4_is_said() -> None:
    said = schedule_warning(train(schedule="linear", num_train_timesteps=100))
    assert "still contains" in said and "60 %" in said and "linear_scaled" in said
    assert schedule_warning(train(schedule="linear_scaled", num_train_timesteps=100)) == ""
    assert schedule_warning(train(schedule="linear")) == "" and schedule_warning(train()) == ""
    assert (
        schedule_warning(train(schedule="linear", num_train_timesteps=100, zero_terminal_snr=True))
        == ""
    )


def test_heun_with_too_few_steps_is_refused() -> None:
    for steps in (7, 8):
        spec = make(SynthesizeSpec, {"source": "a", "sampler": "heun", "num_steps": steps})
        refused = pytest.raises(SpecError, match="7 is too few for heun.*at least 8")
        with refused if steps == 7 else contextlib.nullcontext():
            check_sampling(spec, train(), 10)


@pytest.mark.parametrize("name", BY_NAME["schedule"].choices)
def test_every_schedule_can_be_drawn(name: str) -> None:
    for zero, steps in itertools.product((False, True), (10, 1000, 4000)):
        made = noise_schedule.describe(
            train(schedule=name, zero_terminal_snr=zero, num_train_timesteps=steps)
        )
        assert "nan" not in made and "inf" not in made
        drawn = list(parsed(made).all("path"))
        assert len(drawn) == 2
        for curve in drawn:
            points = [p.split(",") for p in curve.attributes["d"].removeprefix("M").split(" L")]
            assert all(0 <= float(x) <= 100 and 0 <= float(y) <= 40 for x, y in points), (
                zero,
                steps,
            )
        assert ("\u221e" in text(made)) == zero, steps


def test_loss_bands_are_four_lines_over_what_was_measured() -> None:
    points = [
        {"step": s, **{f"loss_band_{i}": 0.1 / (i + 1) / s for i in range(4) if s > 1 or i}}
        for s in (1, 2, 3)
    ]
    figure = curves.bands(points, "light", "r")
    assert [t.name for t in figure.data] == list(curves.BANDS)
    assert [len(t.x) for t in figure.data] == [2, 3, 3, 3]
    assert len({t.line.color for t in figure.data}) == 4 and figure.layout.yaxis.type == "log"
    assert curves.bands([{"step": 1, "loss": 1.0}], "dark", "r").layout.xaxis.visible is False


def started(submit: Any) -> tuple[View, str]:
    """Presses the main button of a form: the page as it is then, and the sentence beside the
    button."""
    with gr.Blocks(analytics_enabled=False) as page:
        view = gr.State(View(tab="mix"))
        button, refusal = gr.Button("Start"), gr.HTML("")
        form: Any = SimpleNamespace(submit=submit, inputs=set(), start=button, refusal=refusal)
        start(SimpleNamespace(service=None), form, view, "mix")  # type: ignore[arg-type]
    press = next(iter(page.fns.values()))
    assert set(press.outputs) == {view, refusal}
    found = press.fn({view: View(tab="mix")})
    return found.get(view, View(tab="mix")), found[refusal]


def test_the_main_button_shows_the_run_or_says_why_there_is_none() -> None:
    view, sentence = started(lambda service, data: ("run-1", False))
    assert (view.run("mix"), view.notice, sentence) == ("run-1", "", "")
    view, _ = started(lambda service, data: ("run-1", True))
    assert (view.run("mix"), view.notice) == ("run-1", REUSED)

    def refuse(service: Any, data: Any) -> tuple[str, bool]:
        raise Refused("Seeds (--seeds): 0 is too few.")

    view, sentence = started(refuse)
    assert view.run("mix") == "" and "Seeds (--seeds): 0 is too few." in sentence
