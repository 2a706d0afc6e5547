"""What every kind of run that samples says about its steps and its guidance weight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dreamlab.checks import Known, check
from dreamlab.checks.sampling_warnings import cautions_of_set
from dreamlab.checks.warnings import warning
from dreamlab.experiments import plan
from dreamlab.settings import KINDS, SpecError, SweepSpec, SynthesizeSpec, TrainSpec, make
from dreamlab.store import RunStore
from tests.evidence_helpers import new_run, new_store
from tests.test_studies import planned

COSINE = {"dataset": "digits", "num_train_timesteps": 1000}


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return new_store(tmp_path)


def said_of(store: RunStore, kind: str, **values: Any) -> str:
    return warning(make(KINDS[kind], values), Known(store))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, []),
        ({"num_steps": 6}, []),
        ({"num_steps": 1}, ["1 step the images", "keep less than 1 %", "Use at least 10 steps."]),
        ({"num_steps": 5}, ["dpmpp_2m and 5 steps", "too little", "83 %", "at least 10 steps"]),
        ({"sampler": "heun", "num_steps": 8}, ["too much", "143 %", "dpmpp_2m, or at least 20"]),
        ({"sampler": "heun", "num_steps": 12}, ["too much", "116 %"]),
        ({"sampler": "heun", "num_steps": 20}, []),
        ({"sampler": "ddim", "num_steps": 100}, []),
        ({"sampler": "ddim", "num_steps": 20, "eta": 1.0}, ["86 %", "dpmpp_2m, or at least 100"]),
        ({"sampler": "ddpm", "num_steps": 5}, ["too little", "dpmpp_2m with 10 steps, or at"]),
        ({"sampler": "ddpm", "num_steps": 20, "variance": "learned"}, []),
        ({"guidance_weight": 6.0}, []),
        ({"guidance_weight": 7.5}, ["above 6", "--clip dynamic"]),
        ({"guidance_weight": 7.5, "clip": "dynamic"}, []),
        (
            {"guidance_weight": 9.0, "sampler": "ddim", "num_steps": 20, "eta": 1.0},
            ["86 %", "above 6", "--clip dynamic"],
        ),
    ],
)
def test_a_set_says_all_its_cautions(values: dict[str, Any], words: list[str]) -> None:
    spec = make(SynthesizeSpec, {"source": "a", **values})
    said = " ".join(cautions_of_set(spec, [make(TrainSpec, COSINE)]))
    assert bool(said) == bool(words) and all(word in said for word in words), said


def test_an_upsampling_stage_counts_too(store: RunStore) -> None:
    base = new_run(store, "train", COSINE)
    stage = new_run(store, "train", {**COSINE, "schedule": "linear"})
    values = {"source": base.id, "sampler": "ddim", "num_steps": 20, "eta": 1.0}
    assert "they keep 86 % of" in said_of(store, "synthesize", **values)
    both = said_of(store, "synthesize", **values, upsample=(stage.id,))
    assert "they keep 78 % to 86 % of" in both and both.count("too little") == 1


def test_a_mix_says_each_caution_once(store: RunStore) -> None:
    one, two = (new_run(store, "train", {**COSINE, "seed": n}) for n in (0, 1))
    mix = {"dataset": "digits", "images_per_class": 10, "arms": ("real", "real+1x")}
    assert said_of(store, "mix", **mix) == ""
    said = said_of(store, "mix", **mix, sources=(one.id, two.id), sampler="ddpm", num_steps=5)
    assert said.count("too little") == 1 and "ddpm and 5 steps" in said
    # the generator is yet to be trained
    said = said_of(store, "mix", **mix, seeds=2, num_steps=5, guidance_weight=6.5)
    assert all(said.count(w) == 1 for w in ("at least 3 seeds", "83 %", "above 6")), said


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"axis": "num_steps"}, ["num_steps 4 keep only 58 % of"]),
        ({"axis": "num_steps", "values": (10, 20)}, []),
        (
            {"axis": "num_steps", "values": (2, 5, 50), "sampler": "dpmpp_2m"},
            ["With dpmpp_2m, the images at num_steps 2 and 5 keep only 1 % and 83 % of the spread"],
        ),
        (
            {"axis": "num_steps", "values": (8, 9, 20), "sampler": "heun"},
            ["num_steps 8 and 9 have 143 % and 134 % of the spread"],
        ),
        (
            {"axis": "num_steps", "values": (1, 2, 3, 4, 5)},
            ["num_steps 1 to 5 keep only less than 1 % to 83 % of"],
        ),
        ({"axis": "num_steps", "values": (20,), "guidance_weight": 9}, ["above 6"]),
        ({"axis": "guidance_weight"}, []),
        ({"axis": "guidance_weight", "values": (0, 9, 12)}, ["above 6 (here 9 and 12) usually"]),
        ({"axis": "guidance_weight", "values": (0, 1), "num_steps": 5}, ["too little", "83 %"]),
        (
            {"axis": "num_train_timesteps", "values": (50, 1000), "sampler": "ddpm"},
            ["num_train_timesteps 50 and 1000 keep only", "Gaussian"],
        ),
    ],
)
def test_a_sweep_says_which_points(
    store: RunStore, values: dict[str, Any], words: list[str]
) -> None:
    source = new_run(store, "train", COSINE)
    said = said_of(store, "sweep", source=source.id, **values)
    assert bool(said) == bool(words) and all(said.count(word) == 1 for word in words), said


def test_a_sweep_over_t_says_where_x_t_still_shows_the_image(store: RunStore) -> None:
    source = new_run(store, "train", {**COSINE, "schedule": "linear"})
    said = said_of(store, "sweep", source=source.id, axis="num_train_timesteps")
    assert "num_train_timesteps 50 and 200 x_T in training still contains 78 % and 36 %" in said


def test_a_study_says_which_of_its_parts(
    store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of(name: str) -> str:
        planned(name, "laptop", store, tmp_path, monkeypatch)
        data = {} if name == "s3-background" else {"dataset": f"{name}-laptop"}
        return said_of(store, "study", study=name, **data)

    assert of("s3-background") == ""
    assert "the images of its part set:50:snr keep only 89 % of the spread" in of("s4-tsweep")


@pytest.mark.parametrize("axis", ["num_steps", "guidance_weight", "num_train_timesteps"])
@pytest.mark.parametrize("sampler", ["dpmpp_2m", "ddim", "ddpm", "heun"])
@pytest.mark.parametrize("T", [20, 1000])
def test_the_default_points_of_a_sweep_can_be_used(
    store: RunStore, axis: str, sampler: str, T: int
) -> None:
    source = new_run(store, "train", {"dataset": "digits", "num_train_timesteps": T})
    spec = make(SweepSpec, {"source": source.id, "axis": axis, "sampler": sampler})
    check(spec, Known(store))
    steps = [c.values["num_steps"] for c in plan(spec, store) if c.kind == "synthesize"]
    if axis == "num_steps":
        assert min(steps) == (10 if sampler == "heun" else 4)


def test_guidance_is_not_swept_where_there_is_none(store: RunStore) -> None:
    source = new_run(store, "train", {"dataset": "digits", "label_dropout": 0})
    with pytest.raises(SpecError, match=r"\(--axis\): guidance_weight cannot be varied"):
        check(make(SweepSpec, {"source": source.id}), Known(store))
