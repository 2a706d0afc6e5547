"""The form of a training in a browser: presets, the schedule and its warning, refusals, cost.
Nothing is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dreamlab.engine import client
from tests.ui.test_story import fill, go, kinds, pick, says

pytestmark = pytest.mark.ui


@pytest.fixture
def form(page: Any) -> Any:
    go(page, "train")
    page.wait_for_selector("#train-extra svg")
    return page


def value(page: Any, field: str) -> str:
    return str(
        page.locator(f"#{field}").locator("input[type=number], textarea, input").first.input_value()
    )


def test_a_preset_fills_the_form_and_the_next_one_puts_it_back(form: Any, runs: Path) -> None:
    form.click("#train-network button")
    pick(form, "train-preset", "S0")
    says(form, "#train-command", r"dreamlab train --preset s0$|--preset s0\s+Copy")
    assert (
        value(form, "train-num_train_timesteps") == "400"
        and value(form, "train-multipliers") == "1, 2, 4, 8"
    )
    assert "eps" in value(form, "train-target")
    says(form, "#train-network button", r"Network, \d+ settings\s+.$")
    says(form, "#train-cost", r"58,225,\d{3} parameters|5\d,\d{3},\d{3} parameters")
    fill(form, train__base_width=32)
    says(form, "#train-network button", "1 changed")
    says(form, "#train-command", "--preset s0 --base-width 32")
    pick(form, "train-preset", "tiny")
    says(form, "#train-command", r"--preset tiny\s+Copy")
    assert (
        value(form, "train-num_train_timesteps") == "1000"
        and value(form, "train-base_width") == "16"
    )
    assert kinds(runs) == []


def test_the_schedule_warns_where_sampling_would_start_off_distribution(form: Any) -> None:
    assert form.locator("#train-extra svg path").count() == 2
    drawn = form.locator("#train-extra svg path").first.get_attribute("d")
    pick(form, "train-schedule", "linear (fixed betas)")
    fill(form, train__num_train_timesteps=100)
    says(form, "#train-refusal .warn", "still contains.*60 %")
    says(form, "#train-extra", r"Terminal SNR 5\.7e-01")
    assert form.locator("#train-extra svg path").first.get_attribute("d") != drawn
    pick(form, "train-schedule", "linear_scaled (to T)")
    says(form, "#train-extra", r"Terminal SNR 4\.0e-05")
    assert form.locator("#train-refusal .warn").count() == 0
    pick(form, "train-schedule", "linear (fixed betas)")
    says(form, "#train-refusal .warn", "still contains")
    form.click("#train-noise button")
    form.check("#train-zero_terminal_snr input")
    says(form, "#train-extra", r"Terminal SNR 0")
    assert form.locator("#train-refusal .warn").count() == 0


def test_what_cannot_work_together_is_refused_and_starts_nothing(form: Any, runs: Path) -> None:
    form.click("#train-noise button")
    form.check("#train-zero_terminal_snr input")
    pick(form, "train-target", "eps")
    says(
        form,
        "#train-refusal",
        r"Target \(--target\): eps cannot be used with zero terminal SNR.*use v or x0",
    )
    form.click("#train-start")
    form.wait_for_timeout(1500)
    says(form, "#train-refusal", "cannot be used")
    form.uncheck("#train-zero_terminal_snr input")
    form.click("#train-network button")
    fill(form, train__multipliers="1, 2, 2, 2")
    says(form, "#train-refusal", r"Multipliers \(--multipliers\): 1,2,2,2 are 4 levels")
    form.click("#train-stages button")
    assert value(form, "train-init_from") == "none"
    pick(form, "train-freeze", "stem")
    assert kinds(runs) == []
    assert client.engine_info(runs) is not None, "the engine is there: it was given nothing"
