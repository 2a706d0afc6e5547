"""What a run will cost: arithmetic, a probe's measurement, or an alike run of this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from dreamlab.architecture.network import network_of
from dreamlab.architecture.preview_size import (
    PREVIEW_SHARE,
    PREVIEW_STEPS,
    PROBE_STEPS,
    preview_columns,
)
from dreamlab.checks import machine
from dreamlab.data import catalog, contents, judge
from dreamlab.engine.launcher import environment
from dreamlab.estimates import generators, judges, work
from dreamlab.estimates import machine as machines
from dreamlab.estimates.estimate import estimate, nothing
from dreamlab.estimates.knowledge import START_SECONDS, Knowledge
from dreamlab.estimates.probes import KID_SECONDS
from dreamlab.estimates.work import C, TrainingCost, Work
from dreamlab.service import Service
from dreamlab.settings import MixSpec, SpecError, StudySpec, SynthesizeSpec, TrainSpec, make
from dreamlab.settings.names import OPTIMIZER_NUMBERS
from dreamlab.store import ArtefactCache, RunStore
from tests.engine_helpers import until
from tests.study_helpers import EMPTY, pretend
from tests.test_checkpoints import finished

DIGITS = {"dataset": "digits", "preset": "tiny"}
MEASURED = TrainingCost(
    images=32,
    seconds_per_step=0.5,
    seconds_per_call=0.001,
    peak_memory_bytes=10**9,
    precision="fp32",
)


def trained(work: Work[C]) -> C | None:
    """Knows the cost of every training, and of nothing else."""
    return MEASURED if work.kind == "train" else None


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


def test_a_measurement_decides_and_scales_with_the_batch(store: RunStore) -> None:
    spec = make(TrainSpec, {**DIGITS, "steps": 10, "batch_size": 64, "preview_every": 3600})
    guess = estimate(spec, store)
    probed = estimate(spec, store, known=trained)
    assert (guess.source, probed.source) == ("arithmetic", "probe")
    assert probed.seconds == pytest.approx(10 * 1.0 + START_SECONDS, rel=0.01)
    assert probed.memory_bytes > 10**9, "64 images at once hold more than the 32 that were measured"
    assert (probed.steps, probed.images_seen, probed.parameters) == (10, 640, guess.parameters)


def test_a_time_budget_says_how_many_steps_fit_and_epochs_how_long_they_take(
    store: RunStore,
) -> None:
    timed = make(TrainSpec, {**DIGITS, "seconds": 60, "batch_size": 32, "preview_every": 3600})
    found = estimate(timed, store, known=trained)
    assert found.steps == pytest.approx(120, abs=2) and found.seconds == pytest.approx(
        60 + START_SECONDS
    )
    epochs = estimate(timed.model_copy(update={"epochs": 2.0}), store, known=trained)
    assert epochs.steps == 75, "2 x 1,200 images in batches of 32"


def test_previews_take_time_and_snapshots_take_disk(store: RunStore) -> None:
    spec = make(TrainSpec, {**DIGITS, "seconds": 60, "batch_size": 32})
    often = estimate(spec.model_copy(update={"preview_every": 1.0}), store, known=trained)
    seldom = estimate(spec.model_copy(update={"preview_every": 3600.0}), store, known=trained)
    assert often.steps < seldom.steps
    kept = estimate(
        spec.model_copy(update={"preview_every": 3600.0, "snapshots": 10}), store, known=trained
    )
    assert kept.disk_bytes - seldom.disk_bytes == pytest.approx(10 * 4 * seldom.parameters, abs=10)
    plain, every = (
        estimate(
            make(TrainSpec, {**DIGITS, "epochs": 10, "snapshot_epochs": n, "preview_every": 3600}),
            store,
            known=trained,
        )
        for n in (0, 2)
    )
    assert every.disk_bytes - plain.disk_bytes == 4 * 4 * plain.parameters


def test_probes_take_time_of_their_own(store: RunStore) -> None:
    spec = make(TrainSpec, {**DIGITS, "seconds": 60, "batch_size": 32, "preview_every": 3600})
    more = {"probe_every": 50, "probe_images": 200}
    plain, probed = (estimate(spec.model_copy(update=u), store, known=trained) for u in ({}, more))
    assert probed.steps == plain.steps and 100 < plain.steps <= 150, "they are outside the budget"
    known = Knowledge(store, trained, (), machines.here())
    once, _ = judges.recognising(0, "digits", "", "auto", known, False)
    judged, _ = judges.recognising(200, "digits", "", "auto", known, True)
    each = 200 * PROBE_STEPS * MEASURED.seconds_per_call + judged + KID_SECONDS * (200 + 597) ** 2
    assert probed.seconds - plain.seconds == pytest.approx(once + 3 * each)
    assert probed.memory_bytes > plain.memory_bytes


@pytest.mark.parametrize(
    ("asked", "trained", "stage", "calls"),
    [
        ({}, {}, 0, 40),
        ({"guidance_weight": 0}, {}, 0, 20),
        ({"sampler": "heun", "guidance_weight": 0}, {"schedule": "linear"}, 0, 39),
        ({"sampler": "ddim", "guidance_t_max": 0.5}, {}, 0, 30),
        ({"guidance_weight": 1.0}, {"label_dropout": 0}, 0, 20),
        ({"guide": "b"}, {"conditional": False}, 0, 40),
        ({"guide": "b"}, {"conditional": False}, 1, 20),
    ],
)
def test_calls_of_the_network_are_counted(
    asked: dict, trained: dict, stage: int, calls: int
) -> None:
    spec = make(SynthesizeSpec, {"source": "a", **asked})
    assert generators.calls(spec, make(TrainSpec, {**DIGITS, **trained}), stage) == calls


def test_a_large_network_is_estimated_with_the_previews_that_it_shows(store: RunStore) -> None:
    spec = make(
        TrainSpec,
        {
            "preset": "s4",
            "dataset": "mnist5k",
            "seconds": 3600,
            "preview_every": 60,
            "device": "cpu",
        },
    )
    found = estimate(spec, store, known=trained)
    network = network_of(spec)
    shown = (
        0.001 * PREVIEW_STEPS * preview_columns(network, on_cpu=True)
    )  # one row: it knows no classes
    assert preview_columns(network, on_cpu=True) < preview_columns(network, on_cpu=False)
    assert found.steps == int(
        3600 * (1 - shown / (60 + shown)) / (0.5 * spec.batch_size / MEASURED.images)
    )


def test_a_set_costs_its_calls_and_every_stage_of_its_cascade(tmp_path: Path) -> None:
    service = Service(tmp_path / "runs")
    service.store.prepare()
    base, up = finished(service), finished(service, image_size=16, low_size=8)
    spec = make(SynthesizeSpec, {"source": base.id, "per_class": 2, "guidance_weight": 0})
    alone = estimate(spec, service.store, known=trained)
    assert (
        alone.seconds == pytest.approx(20 * 20 * 0.001 + START_SECONDS) and alone.images_seen == 20
    )
    both = estimate(spec.model_copy(update={"upsample": (up.id,)}), service.store, known=trained)
    assert both.seconds == pytest.approx(2 * 20 * 20 * 0.001 + START_SECONDS)


def test_a_measurement_belongs_to_its_network_and_batch() -> None:
    spec = make(TrainSpec, DIGITS)
    same = (
        {"seed": 4},
        {"seconds": 9.0},
        {"label_dropout": 0.3},
        {"schedule": "linear"},
        {"grad_clip": 1.0},
    )
    other = (
        {"base_width": 24},
        {"batch_size": 8},
        {"accumulate": 2},
        {"optimizer": "sgd"},
        {"precision": "fp32"},
    )
    for change in same:
        assert work.training(spec.model_copy(update=change)).key == work.training(spec).key, change
    for change in other:
        assert work.training(spec.model_copy(update=change)).key != work.training(spec).key, change


def test_a_set_labelled_by_a_classifier_has_every_class(tmp_path: Path) -> None:
    service = Service(tmp_path / "runs")
    service.store.prepare()
    plain = finished(service, conditional=False, label_dropout=0.0)
    values = {"source": plain.id, "per_class": 2, "guidance_weight": 0}
    labelled = make(SynthesizeSpec, {**values, "labeller": "own"})
    assert estimate(labelled, service.store).images_seen == 20
    assert estimate(make(SynthesizeSpec, values), service.store).images_seen == 2


def test_a_probe_measures_once_and_starts_no_run(tmp_path: Path) -> None:
    service = Service(tmp_path / "runs")
    service.store.prepare()
    spec = service.check("train", {**DIGITS, "batch_size": 8, "precision": "fp32", "base_width": 8})
    first = service.dry_run(spec)
    assert first.source == "probe" and first.seconds and first.memory_bytes > 10**8
    assert set(first.as_dict()) == {
        "parameters",
        "steps",
        "images_seen",
        "seconds",
        "images_per_second",
        "peak_memory_bytes",
        "disk_bytes",
        "gpu_hours",
        "seconds_of_one_more_seed",
        "source",
    }
    assert service.dry_run(spec) == first, "the second answer comes from the cache"
    assert not service.store.ids()


def test_what_cannot_be_probed_falls_back_to_arithmetic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(tmp_path / "runs")
    service.store.prepare()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert service.dry_run(service.check("train", DIGITS)).source == "arithmetic"


def probes() -> list[psutil.Process]:
    """The probes that this process has started and that still run."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            if "dreamlab.processes.probe" in child.cmdline():
                found.append(child)
    return found


def test_a_probe_ends_with_the_process_that_asked(tmp_path: Path) -> None:
    large = work.training(make(TrainSpec, {"preset": "s0"}))
    request = json.dumps(
        {"works": [{"kind": large.kind, **large.request}], "runs": str(tmp_path / "runs")}
    )
    asking = (
        "import subprocess, sys, time\n"
        "line = [sys.executable, '-P', '-m', 'dreamlab.processes.probe']\n"
        "p = subprocess.Popen(line, stdin=subprocess.PIPE, text=True, start_new_session=True)\n"
        "p.stdin.write(sys.argv[1])\np.stdin.close()\n"
        "print(p.pid, flush=True)\ntime.sleep(600)"
    )
    line = [sys.executable, "-c", asking, request]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=environment()) as parent:
        try:
            assert parent.stdout is not None
            probe = psutil.Process(int(parent.stdout.readline()))
            until(lambda: probe.children(), seconds=180)  # the work is measured in a fork
            (fork,) = probe.children()
        finally:
            parent.kill()
    until(lambda: not alive(probe) and not alive(fork), seconds=20)


def alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_a_new_wish_ends_the_probe_that_nobody_waits_for(tmp_path: Path) -> None:
    service = Service(tmp_path / "runs")
    service.store.prepare()
    prober = service.prober
    spec = work.training(make(TrainSpec, {**DIGITS, "precision": "fp32"}))
    large = work.training(make(TrainSpec, {"preset": "s0"}))
    prober.wish([large], lambda: True)
    until(lambda: prober.under_way == (large.key,))
    (first,) = probes()
    until(lambda: first.children(), seconds=180)  # the work is measured in a fork
    (fork,) = first.children()
    prober.wish([spec], lambda: True)
    until(lambda: prober.version == 1, seconds=180)
    assert not first.is_running() and not fork.is_running() and not probes()
    assert prober.known(spec) is not None and prober.known(large) is None
    prober.wish([large], lambda: True)  # one that was ended is not counted as one that failed
    until(lambda: prober.under_way == (large.key,))
    prober.cancel()
    until(lambda: not prober.under_way and not probes())


def test_a_guess_of_disk_space_warns_and_refuses_nothing(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make(TrainSpec, {"preset": "s2", "dataset": "mnist5k", "steps": 500_000})
    guess = estimate(spec, store)
    checkpoints = 4 * guess.parameters * (1 + 2 + OPTIMIZER_NUMBERS["adam"])
    assert guess.source == "arithmetic" and guess.text.endswith("; not measured here")
    assert guess.sure_bytes == checkpoints < guess.disk_bytes
    probed = estimate(spec, store, known=trained)
    assert probed.sure_bytes == probed.disk_bytes and "not measured" not in probed.text

    def free(count: int) -> None:
        monkeypatch.setattr(
            machine.shutil, "disk_usage", lambda _: type("Usage", (), {"free": count})()
        )

    free(guess.sure_bytes + machine.SPARE_DISK)
    machine.check_disk(store, guess.sure_bytes)
    assert "not measured here" in machine.disk_warning(store, guess.disk_bytes)
    with pytest.raises(SpecError, match="Too little free disk space"):
        machine.check_disk(store, probed.sure_bytes)
    free(guess.sure_bytes + machine.SPARE_DISK - 1)
    with pytest.raises(SpecError, match="Too little free disk space"):
        machine.check_disk(store, guess.sure_bytes)
    free(guess.disk_bytes + machine.SPARE_DISK)
    assert machine.disk_warning(store, guess.disk_bytes) == ""


def test_a_corrected_study_is_not_refused_for_previews_that_nobody_would_write(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch)
    spec = make(StudySpec, {"study": "s1-cas", "scale": "corrected", "data_dir": EMPTY})
    found = estimate(spec, store)
    assert 1e9 < found.sure_bytes < 2e9, "a generator of 60 M weights and 50,000 images"
    assert found.disk_bytes < 10e9


def test_a_slow_preview_keeps_its_share_of_the_time_and_of_the_disk(store: RunStore) -> None:
    spec = make(TrainSpec, {**DIGITS, "steps": 100, "preview_every": 1})
    slow = dataclasses.replace(MEASURED, seconds_per_call=1.0)
    found = estimate(spec, store, known=lambda _: slow)
    alone = 100 * slow.seconds_per_step * spec.batch_size / slow.images
    assert found.seconds == pytest.approx(alone / (1 - 1 / (1 + 1 / PREVIEW_SHARE)) + START_SECONDS)


def knowing(store: RunStore) -> Knowledge:
    return Knowledge(store, nothing, [], machines.here())


@pytest.mark.parametrize(("dataset", "steps", "size"), [("digits", 600, 8), ("cifar10", 4000, 32)])
def test_the_training_of_the_judge_is_counted_until_it_is_kept(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, dataset: str, steps: int, size: int
) -> None:
    pretend(monkeypatch)
    monkeypatch.setattr(contents, "images_of", lambda name, folder="": name)
    monkeypatch.setattr(judges, "_judge_key", judges._judge_key.__wrapped__)
    monkeypatch.setattr(judges, "shipped", lambda key: None)
    mix = make(MixSpec, {"dataset": dataset, "data_dir": EMPTY, "images_per_class": 10})
    before = estimate(mix, store)
    assert before.text.endswith("not measured here")
    info = catalog.info(dataset)
    images = steps * 64 + info.test / 3
    per_image = 2.1 * (size / 28) ** 2 * judges.CLASSIFY_SECONDS_PER_IMAGE
    wanted = images * per_image
    key = judge.cache_key(catalog.load(dataset, EMPTY), EMPTY)
    with contextlib.closing(ArtefactCache(store.folders.cache)) as cache:
        cache.put(key, accuracy=np.array(0.9))
    after = estimate(mix, store)
    assert before.seconds - after.seconds == pytest.approx(wanted)
    assert judges.judging(dataset, EMPTY, "cpu", knowing(store)) == (0, "probe")


def test_a_judge_that_comes_with_the_demo_costs_nothing(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert judges.judging("mnist5k", "", "cpu", knowing(store)) == (0, "probe")
    monkeypatch.setattr(judges, "shipped", lambda key: None)
    seconds, source = judges.judging("mnist5k", "", "cpu", knowing(store))
    assert 20 < seconds < 40 and source == "arithmetic"
    assert not store.folders.cache.exists()


@pytest.mark.parametrize(("study", "counted"), [("s0-mnist", True), ("s1-cas", False)])
def test_a_study_counts_the_judge_only_if_it_judges_sets(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, study: str, counted: bool
) -> None:
    spec = make(StudySpec, {"study": study})
    asked: list[str] = []

    def judging(dataset: str, *_: object) -> tuple[float, str]:
        asked.append(dataset)
        return 1000.0, "arithmetic"

    plain = estimate(spec, store).seconds
    monkeypatch.setattr(judges, "judging", judging)
    assert (estimate(spec, store).seconds > plain + 500) is counted
    assert bool(asked) is counted
