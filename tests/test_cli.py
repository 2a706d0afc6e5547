"""The command line end to end, on a spec small enough for every machine: real engine, real
training, real verdict."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dreamlab.engine import client
from dreamlab.paths import program
from tests.conftest import ROOT, dreamlab

TINY = ("--dataset", "digits", "--steps", "60", "--base-width", "16", "--precision", "fp32")


@pytest.fixture(scope="module")
def generator(runs: Path) -> str:
    status, answer, err = dreamlab(runs, "train", *TINY)
    assert status == 0 and answer["state"] == "done", err
    return answer["run"]


@pytest.fixture(scope="module")
def images(runs: Path, generator: str) -> str:
    status, answer, err = dreamlab(
        runs,
        "synthesize",
        "--from",
        generator,
        "--per-class",
        "12",
        "--num-steps",
        "5",
        "--sampler",
        "ddim",
    )
    assert status == 0, err
    return answer["run"]


def test_train_reports_what_it_did(runs: Path, generator: str) -> None:
    _, answer, _ = dreamlab(runs, "runs", "show", generator)
    result = answer["result"]
    assert (
        result["steps"] == 60 and result["images_seen"] == 60 * 64 and result["parameters"] > 10_000
    )
    assert result["images_per_second"] > 0 and result["peak_memory_bytes"] < 2e9
    assert answer["command"].startswith(f"{program()} train --dataset digits")


def test_synthesize_leaves_a_labelled_set(runs: Path, images: str) -> None:
    x, y = np.load(runs / images / "images.npy"), np.load(runs / images / "labels.npy")
    assert x.dtype == np.uint8 and x.shape == (120, 8, 8, 1)
    assert np.bincount(y).tolist() == [12] * 10


def test_the_same_spec_again_is_not_computed_again(runs: Path, generator: str) -> None:
    status, answer, _ = dreamlab(runs, "train", *TINY, "--device", "cpu")
    assert status == 0 and answer["reused"] is True and answer["run"] == generator
    status, answer, _ = dreamlab(runs, "train", *TINY, "--fresh")
    assert status == 0 and answer["reused"] is False and answer["run"] != generator


def test_fidelity_names_what_it_measured_with(runs: Path, images: str) -> None:
    status, answer, err = dreamlab(runs, "fidelity", "--images", images)
    assert status == 0, err
    result = answer["result"]
    names = [m["name"] for m in result["metrics"]]
    assert names[:3] == ["fd_classifier", "kid_classifier", "precision"] and names[-1] == "spread"
    assert all(m["low"] <= m["value"] <= m["high"] for m in result["metrics"])
    assert (
        result["images"] == 120
        and result["reference"]["images"] == 597
        and result["extractor"]["accuracy"] > 0.9
    )


def test_a_mix_ends_in_a_verdict(runs: Path, generator: str) -> None:
    words = (
        "--dataset",
        "digits",
        "--images-per-class",
        "10",
        "--from",
        generator,
        "--seeds",
        "3",
        "--steps",
        "40",
        "--num-steps",
        "5",
    )
    status, answer, err = dreamlab(runs, "mix", *words, "--follow")
    assert status == 0, err
    result = answer["result"]
    assert (
        result["verdict"]["kind"] in ("helps", "hurts", "undecided")
        and "points" in result["verdict"]["text"]
    )
    controls = ["real", "duplicated+1x", "augmented", "noise+1x"]
    assert [a["arm"] for a in result["arms"]] == [
        *controls,
        "90/10",
        "50/50",
        "10/90",
        "real+1x",
        "synthetic",
    ]
    for arm in result["arms"]:
        assert len(arm["accuracies"]) == len(arm["macro_f1"]) == 3
        assert arm["interval"]["low"] <= arm["interval"]["mean"] <= arm["interval"]["high"]
    add = next(a for a in result["arms"] if a["arm"] == "real+1x")
    assert (add["real"], add["synthetic"]) == (100, 100) and add["leakage"]["extra"] == 1100
    assert '"type": "metric"' in err  # --follow streams the children's events, beside stdout
    # more seeds compute only the new ones
    status, answer, _ = dreamlab(runs, "mix", *words[:-6], "--seeds", "4", *words[-4:])
    assert status == 0
    again = answer["result"]["arms"][0]["accuracies"]
    assert again[:3] == result["arms"][0]["accuracies"] and len(again) == 4


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("train", "--seconds", "0"), ["--seconds", "1 to 604,800 s"]),
        (("train", "--dataset", "cifar10"), ["--data-dir"]),
        (("train", "--images-per-class", "999"), ["--images-per-class", "300"]),
        (("train", "--nonsense", "1"), ["--nonsense"]),
        (("synthesize",), ["--from"]),
        (("synthesize", "--from", "nothing"), ["no run 'nothing'"]),
        (("fidelity", "--images", "GENERATOR"), ["a synthesize or import run is needed"]),
        (
            ("synthesize", "--from", "GENERATOR", "--num-steps", "2000"),
            ["--num-steps", "1 to 1000"],
        ),
        (("synthesize", "--from", "GENERATOR", "--classes", "3,12"), ["0 to 9"]),
        (("mix", "--dataset", "mnist5k", "--from", "GENERATOR"), ["digits"]),
        (("mix", "--arms", "real,1/2"), ["'1/2'"]),
        (("train", "--device", "cuda"), ["CUDA"]),
        (("train", "--schedule", "straight"), ["--schedule", "linear_scaled"]),
        (("train", "--target", "eps", "--zero-terminal-snr"), ["--target", "v or x0"]),
        (("train", "--freeze", "stem"), ["--init-from"]),
        (("train", "--init-from", "GENERATOR", "--base-width", "32"), ["--base-width", "16"]),
        (("train", "--multipliers", "1,2,4,8", "--dry-run"), ["--multipliers", "at most 2"]),
        (("synthesize", "--from", "GENERATOR", "--eta", "0.5"), ["--eta", "ddim"]),
        (
            ("synthesize", "--from", "GENERATOR", "--checkpoint", "step-000007"),
            ["--checkpoint", "has no step-000007"],
        ),
        (("synthesize", "--from", "GENERATOR", "--upsample", "GENERATOR"), ["--upsample"]),
        (("runs", "stop", "GENERATOR"), ["done"]),
        (("runs", "preview", "GENERATOR"), ["only a running training"]),
    ],
)
def test_a_refusal_starts_nothing(
    runs: Path, generator: str, words: tuple[str, ...], says: list[str]
) -> None:
    before = sorted(p.name for p in runs.iterdir())
    status, answer, _ = dreamlab(runs, *(generator if w == "GENERATOR" else w for w in words))
    assert status == 2 and answer["run"] is None and answer["result"] is None
    for text in says:
        assert text in answer["error"]
    assert sorted(p.name for p in runs.iterdir()) == before


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("train", ("--preset", "tiny", "--steps", "50")),
        ("synthesize", ("--from", "GENERATOR", "--sampler", "ddim", "--eta", "0.5")),
        ("sweep", ("--from", "GENERATOR", "--per-class", "20")),
        ("mix", ("--images-per-class", "10", "--train-own")),
        ("classify", ("--images-per-class", "10")),
    ],
)
def test_a_dry_run_says_what_it_would_cost_and_starts_nothing(
    runs: Path, generator: str, kind: str, words: tuple[str, ...]
) -> None:
    before = sorted(p.name for p in runs.iterdir())
    data = ("--dataset", "digits") if "GENERATOR" not in words else ()
    words = tuple(generator if w == "GENERATOR" else w for w in words)
    status, answer, err = dreamlab(runs, kind, *data, *words, "--dry-run")
    assert status == 0, err
    assert answer["run"] is None and answer["state"] == "dry-run" and answer["error"] is None
    assert answer["result"]["command"].startswith(f"{program()} {kind} ")
    estimate = answer["result"]["estimate"]
    assert estimate["seconds"] > 0 and estimate["disk_bytes"] > 0 and estimate["source"]
    if kind == "train":
        assert estimate["steps"] == 50 and estimate["images_seen"] == 50 * 64
        assert estimate["parameters"] > 10_000 and estimate["peak_memory_bytes"] > 10**8
        assert answer["result"]["spec"]["base_width"] == 16
    assert sorted(p.name for p in runs.iterdir()) == before


def test_a_dry_run_needs_no_engine_and_is_read_by_a_person(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    line = [
        sys.executable,
        "-m",
        "dreamlab",
        "train",
        "--dataset",
        "digits",
        "--preset",
        "tiny",
        "--dry-run",
        "--runs",
        str(folder),
    ]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=True)
    assert (
        f"{program()} train --dataset digits --preset tiny" in done.stdout
        and "images per second" in done.stdout
    )
    assert "Nothing was started." in done.stderr
    assert client.engine_info(folder) is None
    assert not folder.exists()


def test_the_help_is_grouped_and_names_what_the_issue_asked_for() -> None:
    said = {}
    for kind in ("train", "synthesize"):
        line = [sys.executable, "-m", "dreamlab", kind, "--help"]
        said[kind] = subprocess.run(
            line, capture_output=True, text=True, cwd=ROOT, check=True
        ).stdout
    for head in ("Data:", "Noise:", "Network:", "Training:", "Stages:", "Machine:", "this run:"):
        assert f"\n{head}\n" in said["train"]
    for head in ("Guidance:", "Sampler:", "Stages:", "Machine:"):
        assert f"\n{head}\n" in said["synthesize"]
    for flag in (
        "--schedule",
        "--target",
        "--seed",
        "--batch-size",
        "--precision",
        "--preset",
        "--init-from",
        "--dry-run",
    ):
        assert f"\n  {flag} " in said["train"] or f"\n  {flag}\n" in said["train"]
    for flag in ("--sampler", "--eta", "--seed", "--batch-size", "--precision", "--dry-run"):
        assert f"\n  {flag} " in said["synthesize"]


def test_a_full_disk_is_said_before_the_start(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dreamlab.checks import machine
    from dreamlab.service import Refused, Service

    monkeypatch.setattr(
        machine.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10**6})()
    )
    service = Service(runs)
    with pytest.raises(Refused, match="Too little free disk.*1 MB are free"):
        service.submit(service.check("train", {"dataset": "digits", "seed": 5}))
    assert not any(r.kind == "train" and r.spec.model_dump()["seed"] == 5 for r in service.store)


def test_detach_stop_resume_delete_restore(runs: Path) -> None:
    status, answer, _ = dreamlab(
        runs, "train", "--dataset", "digits", "--seconds", "120", "--base-width", "16", "--detach"
    )
    run = answer["run"]
    assert status == 0 and answer["state"] in ("queued", "running")
    deadline = time.monotonic() + 60
    while not (runs / run / "checkpoints" / "ema.safetensors").exists():
        assert time.monotonic() < deadline, "no checkpoint"
        time.sleep(0.2)
    previews = len(list((runs / run / "samples").glob("*.png")))
    assert (
        dreamlab(runs, "runs", "preview", run)[0] == dreamlab(runs, "runs", "snapshot", run)[0] == 0
    )
    while not list((runs / run / "checkpoints").glob("step-*.safetensors")):
        assert time.monotonic() < deadline + 30, "no snapshot"
        time.sleep(0.2)
    status, answer, _ = dreamlab(runs, "runs", "stop", run)
    assert status == 0 and answer["state"] == "stopped" and answer["result"]["steps"] > 0
    assert len(list((runs / run / "samples").glob("*.png"))) > previews
    _, shown, _ = dreamlab(runs, "runs", "show", run)
    assert [f"{name}.safetensors" for name in shown["checkpoints"]] == [
        p.name for p in (runs / run / "checkpoints").glob("step-*")
    ]
    words = (
        "synthesize",
        "--from",
        run,
        "--per-class",
        "1",
        "--num-steps",
        "2",
        "--checkpoint",
        shown["checkpoints"][0],
    )
    assert dreamlab(runs, *words)[0] == 0
    steps = answer["result"]["steps"]
    assert (
        dreamlab(runs, "synthesize", "--from", run, "--per-class", "1", "--num-steps", "2")[0] == 0
    )  # what was kept can be used
    status, answer, _ = dreamlab(runs, "runs", "resume", run, "--detach")
    assert status == 0 and answer["state"] in ("queued", "running")
    time.sleep(3)
    status, answer, _ = dreamlab(runs, "runs", "stop", run)
    assert answer["result"]["steps"] > steps
    status, answer, _ = dreamlab(runs, "runs", "delete", run)
    assert status == 0 and not (runs / run).exists()
    assert dreamlab(runs, "runs", "restore", run)[0] == 0 and (runs / run / "spec.json").exists()
    _, answer, _ = dreamlab(runs, "runs", "list")
    assert run in [r["run"] for r in answer["result"]["runs"]]


def test_without_json_a_person_reads_words(runs: Path, generator: str) -> None:
    line = [sys.executable, "-m", "dreamlab", "runs", "show", generator, "--runs", str(runs)]
    out = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert "Noise steps T" in out and "done" in out
    with pytest.raises(ValueError):
        json.loads(out)
