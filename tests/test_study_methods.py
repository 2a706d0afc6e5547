"""Each scale of a study says what is run: the sampler, and where it differs from the paper."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dreamlab import studies
from dreamlab.checks.warnings import sampling_warning
from dreamlab.diffusion.guidance import Prediction
from dreamlab.diffusion.samplers import dpmpp_2m
from dreamlab.noise import schedules
from dreamlab.noise.spread import spread_kept
from dreamlab.settings import SynthesizeSpec, TrainSpec
from dreamlab.settings.names import ScheduleName
from dreamlab.store import RunStore
from tests.test_studies import SCALES, planned, specs


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_the_text_names_the_sampler_that_is_run(
    name: str, scale: str, store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = specs(planned(name, scale, store, tmp_path, monkeypatch))
    said = " ".join(studies.load(name).scales[scale].assumptions)
    samplers = set()
    for spec in made.values():
        if not isinstance(spec, SynthesizeSpec):
            continue
        trained = made[spec.source[1:]]
        assert isinstance(trained, TrainSpec)
        samplers.add(spec.sampler)
        if spec.sampler == "ddpm":
            assert spec.num_steps == trained.num_train_timesteps, "ancestral takes every step"
            if name.startswith("s0"):
                assert spec.variance == "beta", "as the study says"
        elif spec.sampler == "dpmpp_2m":
            assert spec.num_steps == 20
        if name != "s4-tsweep":  # its subject is what a small T does
            assert not sampling_warning(spec, trained), "the images would vary too little"
    assert samplers <= {"ddpm", "dpmpp_2m"}
    assert ("20 steps of DPM-Solver++(2M)" in said) == ("dpmpp_2m" in samplers)
    assert "DDIM" not in said


@pytest.mark.parametrize(
    ("schedule", "T", "ddim"),
    [("linear", 400, 0.60), ("linear", 1000, 0.47), ("cosine", 1000, 0.64)],
)
def test_the_sampler_of_the_small_scales_keeps_the_spread_of_gaussian_data(
    schedule: ScheduleName, T: int, ddim: float
) -> None:
    alpha_bar = schedules.alpha_bar(schedule, T, False)
    x = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    for data in (0.1, 0.5):
        *_, last = dpmpp_2m(
            lambda x, t, v=data**2: Prediction(  # type: ignore[misc]
                alpha_bar[t] ** 0.5 * v / (alpha_bar[t] * v + 1 - alpha_bar[t]) * x
            ),
            x,
            alpha_bar,
            20,
            lambda: x,
        )
        assert float(last.x) / data == pytest.approx(1.0, abs=0.02)
    before = spread_kept("ddim", alpha_bar, 20, eta=1.0, deviation=0.1)
    assert before == pytest.approx(ddim, abs=0.005), "what these scales used before"
