"""Each scale of a study says what is run: the sampler, and where it differs from the paper."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from denoising_diffusion_pytorch import classifier_free_guidance

from dreamlab import studies
from dreamlab.architecture.cost import parameter_count
from dreamlab.architecture.network import network_of
from dreamlab.checks.sampling_warnings import cautions_of_set
from dreamlab.diffusion.guidance import Prediction
from dreamlab.diffusion.samplers import dpmpp_2m
from dreamlab.noise import schedules
from dreamlab.noise.spread import spread_kept
from dreamlab.service import tables
from dreamlab.settings import SynthesizeSpec, TrainSpec, command, make
from dreamlab.settings.names import ScheduleName
from dreamlab.settings.setting import added_later
from dreamlab.store import RunStore
from dreamlab.ui.parts import study_tables
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
    for role, spec in made.items():
        if not isinstance(spec, SynthesizeSpec):
            continue
        trained = made[spec.source[1:]]
        assert isinstance(trained, TrainSpec)
        samplers.add(spec.sampler)
        if name == "s1-fid" and role != "set":  # its subject is what the number of steps does
            assert spec.sampler == "ddpm" and f"{spec.num_steps:,}" in said
            continue
        if spec.sampler == "ddpm":
            assert spec.num_steps == trained.num_train_timesteps, "ancestral takes every step"
            if name.startswith("s0"):
                assert spec.variance == "beta", "as the study says"
        elif spec.sampler == "dpmpp_2m":
            assert spec.num_steps == 20
        if name != "s4-tsweep":  # its subject is what a small T does
            assert not cautions_of_set(spec, [trained]), "the images would vary too little"
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


def test_presets_of_papers_have_adams_own_beta2_and_runs_from_before_keep_theirs() -> None:
    for preset in ("s0", "s2", "s2-1222", "s2-112244", "s4"):
        spec = make(TrainSpec, {"preset": preset})
        assert (spec.optimizer, spec.beta2) == ("adam", 0.999)
        assert f"--beta2 {spec.beta2}" not in command(spec)
    assert make(TrainSpec, {}).beta2 == 0.99 == added_later(TrainSpec)["beta2"]
    assert make(TrainSpec, {"beta2": 0.999}).content_hash() != make(TrainSpec, {}).content_hash()
    s4 = make(TrainSpec, {"preset": "s4"})
    assert s4.ema_horizon == 0
    assert s4.warmup * 50 * 7169 / 16 == pytest.approx(500, rel=0.02), "the tutorial's 500 steps"


@pytest.mark.parametrize("name", studies.names())
def test_large_scales_list_what_their_papers_leave_open(name: str) -> None:
    for scale in ("paper", "corrected"):
        said = " ".join(studies.load(name).scales[scale].assumptions)
        if "The generator and the images of s2-mlp" in said:
            continue
        assert "fp32" in said and re.search("[Ww]arm-up", said)
        assert "averaged weights" in said or "EMA" in said
        if name.startswith("s0"):
            assert "58.2 M" in said and "38.4 M" in said


def test_numbers_that_no_paper_prints_are_marked_wherever_they_are_shown(tmp_path: Path) -> None:
    marked = {
        (name, c.id, c.derived)
        for name in studies.names()
        for c in studies.load(name).cells
        if c.derived
    }
    assert marked == {
        ("s2-mlp", "gain", "Not printed: 46.47 - 44."),
        ("s3-replacement", "real", "Not printed: 77.37 - 0.74."),
    }
    study = studies.load("s2-mlp")
    rows = study_tables.published_rows(study)
    page = str(study_tables.table_html(rows, None))
    assert "2.47*" in page and "46.47*" not in page and "Not printed: 46.47 - 44." in page
    row = next(r for r in rows if r["id"] == "gain")
    assert tables.published(row) == "+2.47 points*"
    result = {
        "rows": [{**r, "our_metric": ""} for r in rows],
        "study": "s2-mlp",
        "scale": "laptop",
        "data": "",
    }
    assert r"\multicolumn{6}{l}{* Gain, same epochs: Not printed: 46.47 - 44.}" in tables.as_latex(
        result
    )
    assert "derived" in tables.as_csv(result).splitlines()[0]


def test_lucidrains_network_has_the_size_that_the_assumption_names() -> None:
    spec = make(TrainSpec, {"preset": "s0", "dataset": "mnist5k"})
    ours = parameter_count(network_of(spec))
    theirs = classifier_free_guidance.Unet(
        dim=64, dim_mults=(1, 2, 4, 8), num_classes=10, channels=1
    )
    numbers = ours, sum(p.numel() for p in theirs.parameters())
    assert [f"{n / 1e6:.1f} M" for n in numbers] == ["58.2 M", "38.4 M"]
