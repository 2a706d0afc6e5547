"""The cost of experiments: composed of their parts, on the devices of a machine, and corrected
while they run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from dreamlab import studies
from dreamlab.data import catalog, contents
from dreamlab.estimates import generators, groups, knowledge, work
from dreamlab.estimates.cost import Estimate, duration, weakest
from dreamlab.estimates.estimate import estimate
from dreamlab.estimates.machine import Machine, described, gpu_name, stored
from dreamlab.estimates.remaining import Remaining
from dreamlab.estimates.schedule import Job, outcome
from dreamlab.estimates.work import C, ClassifierCost, FeatureCost, SearchCost, TrainingCost, Work
from dreamlab.service import Service
from dreamlab.settings import MixSpec, SpecError, StudySpec, SweepSpec, make
from dreamlab.store import RunStatus, RunStore
from dreamlab.store.machine import Device
from dreamlab.ui.parts import study_tables
from tests.conftest import dreamlab
from tests.study_helpers import standing_in

SCALES = [(name, scale) for name in studies.names() for scale in studies.load(name).scales]
CPU = [Device("cpu", 2)]
GPUS = [Device("cuda:0", 4), Device("cuda:1", 4), Device("cpu", 8)]
COSTS = {
    "train": TrainingCost(64, 0.1, 0.001, 10**9, "fp32"),
    "classify": ClassifierCost(0.01, 0.0001, 6 * 10**8),
    "features": FeatureCost(0.5, 0.0002, 0.2, 0.0005, 1e-7, 7 * 10**8),
    "search": SearchCost(0.1, 0.001, 5 * 10**8),
}


def known(work: Work[C]) -> C | None:
    return COSTS[work.kind]  # type: ignore[return-value]


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


@pytest.mark.parametrize(
    ("jobs", "devices", "seconds", "gpu"),
    [
        ([Job("classify", 10.0)] * 3, CPU, 20, 0),
        ([Job("train", 5.0), Job("classify", 10.0), Job("classify", 10.0)], CPU, 15, 0),
        ([Job("classify", 10.0), Job("train", 5.0), Job("classify", 1.0)], CPU, 16, 0),
        ([Job("train", 5.0), Job("classify", 1.0, needs=(0,)), Job("train", 5.0)], CPU, 11, 0),
        ([Job("train", 5.0)] * 2, GPUS, 5, 10),
        ([Job("train", 5.0, count=2), Job("train", 5.0)], GPUS, 10, 15),
        ([Job("classify", 4.0)] * 8, GPUS, 4, 8),
        ([Job("train", 5.0, device="cpu"), Job("train", 3.0)], GPUS, 5, 3),
        ([Job("mix", 2.0), Job("train", 5.0)], CPU, 5, 0),
    ],
)
def test_runs_take_the_places_that_the_engine_gives_them(
    jobs: list[Job], devices: list[Device], seconds: float, gpu: float
) -> None:
    found = outcome(jobs, devices)
    assert (found.seconds, found.gpu_seconds) == (seconds, gpu)


def test_memory_is_that_of_runs_at_the_same_time() -> None:
    classifiers = [Job("classify", 5.0, 3)] * 4
    assert outcome([Job("train", 5.0, 4), *classifiers], CPU).memory_bytes == 6
    assert outcome([Job("train", 5.0, 9), *classifiers], CPU).memory_bytes == 9


def test_a_job_that_cannot_start_does_not_hang() -> None:
    assert outcome([Job("train", 5.0, device="cuda")], CPU).seconds == 0


@pytest.mark.parametrize(
    ("parts", "source"),
    [
        ([(10.0, "probe"), (1.0, "arithmetic")], "probe"),
        ([(10.0, "probe"), (2.0, "arithmetic")], "arithmetic"),
        ([(10.0, "probe"), (2.0, "history")], "history"),
        ([(10.0, "probe"), (None, "probe")], "arithmetic"),
    ],
)
def test_a_sum_is_as_sure_as_its_parts(parts: Any, source: str) -> None:
    assert weakest(parts) == source


def test_a_mix_costs_its_parts(store: RunStore) -> None:
    spec = make(
        MixSpec, {"dataset": "digits", "images_per_class": 10, "train_steps": 100, "seeds": 3}
    )
    found = estimate(spec, store, known=known, on=Machine(2, 8 * 10**9, tuple(CPU)))
    parts = groups.parts_of(
        spec, knowledge.Knowledge(store, known, [], Machine(2, 8 * 10**9, tuple(CPU)))
    )
    kinds = [p.spec.kind for p in parts]
    one_after_another = sum(p.cost.seconds for p in parts if p.spec.kind != "classify" and p.cost)
    side_by_side = sum(p.cost.seconds for p in parts if p.spec.kind == "classify" and p.cost)
    assert {"train", "synthesize", "classify"} == set(kinds)
    assert found.source == "probe" and "not measured" not in found.text
    least = one_after_another + side_by_side / 2
    assert least < found.seconds < 1.5 * least
    assert found.memory_bytes >= 2 * COSTS["classify"].peak_memory_bytes
    each = kinds.count("classify") * (spec.steps * 0.01 + 597 * 0.0001) / 2
    assert found.seed_seconds == pytest.approx(each, rel=0.35)


def test_a_finished_part_costs_nothing(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make(StudySpec, {"study": "s1-cas"})
    whole = estimate(spec, store, known=known)

    class Done:
        """The finished run of the first part."""

    Done.spec = groups.plan(spec, store)[0].made({})

    def get(self: RunStore, name: str) -> type[Done]:
        assert name == "kept", f"there is no run {name}"
        return Done

    monkeypatch.setattr(RunStore, "get", get)
    found = estimate(
        spec, store, known=known, done=lambda part: "kept" if part.kind == "train" else None
    )
    assert found.seconds < whole.seconds - 60 * 0.9, "600 steps of 0.1 s are there already"


def test_more_seeds_cost_what_one_more_seed_was_said_to_cost(store: RunStore) -> None:
    few, more = (
        estimate(make(StudySpec, {"study": "s2-cnn", "seeds": n}), store, known=known)
        for n in (4, 5)
    )
    assert more.seconds - few.seconds == pytest.approx(few.seed_seconds, rel=0.05)


def test_a_sweep_measures_its_reference_once(tmp_path: Path) -> None:
    from dreamlab.service import Service
    from tests.test_checkpoints import finished

    service = Service(tmp_path / "runs")
    service.store.prepare()
    base = finished(service)
    one, two = (
        make(SweepSpec, {"source": base.id, "values": values, "per_class": 20})
        for values in ("0", "0,1")
    )
    first, both = (estimate(s, service.store, known=known).seconds for s in (one, two))
    assert first is not None and both is not None
    assert both < 2.6 * first and both > first + 1


def test_a_described_machine_is_read() -> None:
    found = described("cores=16, memory=128,gpu=NVIDIA H100,gpus=2")
    assert (found.cores, found.memory_bytes, found.gpu) == (16, 128 * 10**9, "h100")
    assert [d.name for d in found.devices] == ["cuda:0", "cuda:1", "cpu"]
    assert found.name == "16 cores, 128 GB, 2 x h100"
    assert (found.key("auto"), found.key("cpu")) == ("h100", "16 cores")
    assert described("cores=2,memory=24").devices == (Device("cpu", 2),)


@pytest.mark.parametrize(
    "text",
    ["cores=16", "cores=x,memory=1", "cores=0,memory=8", "16", "cores=2,cores=3,memory=8"]
    + ["cores=2,memory=8,gpus=2", "cores=2,memory=8,disk=3", "cores=²,memory=8", "gpu=,cores=2"],
)
def test_a_machine_that_is_not_described_well_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match=r"--as-if.*cores=16,memory=128,gpu=h100"):
        described(text)


@pytest.mark.parametrize(
    ("said", "name"),
    [("NVIDIA H100 80GB HBM3", "h100"), ("Tesla P40", "p40")]
    + [
        ("NVIDIA GeForce RTX 4090", "rtx 4090"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("cuda", "cuda"),
    ],
)
def test_a_gpu_is_named_by_its_model(said: str, name: str) -> None:
    assert gpu_name(said) == name


def test_too_little_memory_is_said() -> None:
    small = described("cores=2,memory=4,gpu=p40")
    assert small.memory_warning(4 * 10**9, "cpu") == ""
    assert "5 GB of memory, but this machine has 4 GB" in small.memory_warning(5 * 10**9, "cpu")
    assert small.memory_warning(5 * 10**9, "auto") == "", "a training is split until it fits"


def test_a_gpu_without_measurements_has_no_time_but_memory_and_disk(store: RunStore) -> None:
    spec = make(StudySpec, {"study": "s0-mnist"})
    found = estimate(spec, store, on=described("cores=16,memory=128,gpu=h100"))
    assert found.seconds is None and found.gpu_seconds is None and found.seed_seconds is None
    assert found.memory_bytes and found.disk_bytes
    assert "about" not in found.text


def test_a_gpu_with_measurements_has_gpu_hours(store: RunStore) -> None:
    spec = make(StudySpec, {"study": "s0-mnist"})
    found = estimate(spec, store, known=known, on=described("cores=16,memory=128,gpu=h100"))
    assert found.seconds and 0 < found.gpu_seconds <= found.seconds and "GPU-hours" in found.text


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_every_scale_fits_a_machine_that_can_bear_it(
    name: str, scale: str, store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = standing_in(name, scale, tmp_path / "sets", monkeypatch)
    large = described("cores=16,memory=128,gpu=h100")
    monkeypatch.setattr(contents, "images_of", lambda name, folder="": name)
    plain = estimate(spec, store, on=large)
    found = estimate(spec, store, known=known, on=large)
    assert plain.seconds is None and "not measured" in str(plain.doubt or "not measured here")
    assert found.seconds and found.source == "probe" and found.gpu_seconds
    assert large.memory_warning(found.memory_bytes, "auto") == ""
    assert found.disk_bytes < 200e9
    assert (found.seed_seconds is None) == all(
        part.kind != "classify" for part in studies.load(name).scales[scale].parts
    )


def test_stored_measurements_are_of_work_that_exists() -> None:
    kinds = {"train": TrainingCost, "classify": ClassifierCost, "features": FeatureCost}
    kinds["search"] = SearchCost
    for costs in stored().values():
        for key, values in costs.items():
            cost = kinds[key.split("-")[0]](**values)
            assert all(v is not None for v in dataclasses.astuple(cost))


def test_as_if_says_the_machine_and_starts_nothing(tmp_path: Path) -> None:
    words = ("study", "s0-mnist", "--dry-run")
    status, answer, err = dreamlab(tmp_path / "runs", *words, "--as-if", "cores=1,memory=1")
    estimated = answer["result"]["estimate"]
    assert status == 0 and answer["run"] is None
    assert estimated["machine"] == "1 cores, 1 GB" and estimated["seconds"]
    status, answer, _ = dreamlab(tmp_path / "runs", *words, "--as-if", "h100")
    assert status == 2 and "cores=16,memory=128,gpu=h100" in answer["error"]
    status, answer, _ = dreamlab(tmp_path / "runs", *words[:-1], "--as-if", "cores=1,memory=1")
    assert status == 2 and "--dry-run" in answer["error"]
    assert not (tmp_path / "runs").exists()


def test_a_described_machine_has_the_data_sets(tmp_path: Path) -> None:
    runs, large = tmp_path / "runs", "cores=16,memory=128,gpu=h100"
    paper = ("study", "s1-cas", "--scale", "paper", "--dry-run")
    status, answer, _ = dreamlab(runs, *paper)
    assert status == 2 and "Needs ImageNet" in answer["error"]
    status, answer, _ = dreamlab(runs, *paper, "--as-if", large)
    found = answer["result"]["estimate"]
    assert status == 0 and found["seconds"] > 86400 and found["gpu_hours"] > 24
    assert not answer["result"]["spec"]["dataset"], "the command stays the one that was given"
    status, answer, _ = dreamlab(
        runs, "train", "--dataset", "cifar10", "--preset", "s0", "--dry-run", "--as-if", large
    )
    assert status == 0
    assert not runs.exists()


def test_a_set_is_estimated_without_the_data_of_its_generator(store: RunStore) -> None:
    about = knowledge.Knowledge(store, known, [], described("cores=2,memory=8"))
    seconds, source = generators.searching(10, "cifar10", "/nowhere", about)
    assert seconds and source == "probe"


def test_a_scale_whose_data_are_not_here_says_what_it_needs_and_what_it_will_cost(
    tmp_path: Path,
) -> None:
    service = Service(tmp_path / "runs")
    found = {c.scale: c for c in service.study_costs(name="s1-cas")}
    assert not found["laptop"].needs
    for scale in ("middle", "corrected", "paper"):
        cost = found[scale]
        assert cost.estimate and cost.estimate.seconds
        assert "not measured here" in cost.estimate.text
        assert ("ImageNet" if scale == "paper" else "CIFAR-10") in cost.needs
    page = study_tables.costs_html(found.values(), "laptop")
    assert "not measured here<br><span" in page and "--dataset" in page


def test_every_scale_has_a_cost_without_its_data(tmp_path: Path) -> None:
    service = Service(tmp_path / "runs")
    costs = list(service.study_costs(on=service.described("cores=16,memory=128,gpu=h100")))
    assert len(costs) == len(SCALES)
    for cost in costs:
        assert cost.estimate and not cost.needs, cost
        assert cost.estimate.memory_bytes < 128e9, cost
        assert "GPU memory" in cost.estimate.text
    measured = [c for c in costs if c.estimate and c.estimate.seconds]
    assert len(measured) > len(costs) / 3
    assert all("stored measurements" in c.estimate.text for c in measured if c.estimate)
    few = next(c for c in measured if (c.study, c.scale) == ("s0-mnist", "laptop"))
    assert few.estimate and few.estimate.seconds and few.estimate.seconds < 600
    assert catalog.INFO["cifar10"] == catalog.info("cifar10"), "only while it is estimated"
    with pytest.raises(catalog.DataError):
        catalog.info("imagenet-64")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (39.6, "40 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (3 * 86400 + 4 * 3600, "3 days 4 h"),
    ],
)
def test_a_time_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text


class Part:
    """A part of an experiment, as Remaining sees it."""

    def __init__(self, name: str, kind: str = "train", needs: tuple[str, ...] = ()):
        self.id, self.kind = name, kind
        values = {"source": "a"} if kind == "synthesize" else {}
        self.spec = make(groups.KINDS[kind], values)
        self.record = type("Record", (), {"needs": needs})


def status(state: str, took: float = 0.0, **values: Any) -> RunStatus:
    plain = {f.name: None for f in dataclasses.fields(RunStatus)}
    plain |= {"state": state, "step": 0, "total": 0, "metrics": [], "started": 100.0}
    return RunStatus(**{**plain, "ended": 100.0 + took if took else None, **values})


def test_the_first_parts_of_a_study_correct_what_is_left() -> None:
    parts = [Part(f"{kind}-{i}", kind) for i in range(20) for kind in ("train", "synthesize")]
    left = Remaining(lambda spec: Estimate(seconds=10.0 if spec.kind == "train" else 4.0))
    waiting = [(p, status("queued")) for p in parts]
    assert left.seconds(waiting) == pytest.approx(20 * 14)
    done = [status("done", 25.0), status("done", 6.0), status("done", 35.0)]
    some = [(p, s) for p, s in zip(parts, done, strict=False)] + waiting[3:]
    assert left.seconds(some) == pytest.approx(18 * 30 + 19 * 6), "3 and 1.5 times as long"
    under_way = [*some[:3], (parts[3], status("running", eta_seconds=2.0)), *some[4:]]
    assert left.seconds(under_way) == pytest.approx(18 * 30 + 18 * 6 + 2)
    reused = [(parts[0], status("done", 0.1)), *waiting[1:]]
    assert left.seconds(reused) == pytest.approx(20 * 14 - 10), "a part that was there says nothing"


def test_a_part_that_cannot_be_estimated_counts_as_nothing() -> None:
    def gone(spec: Any) -> Estimate:
        raise SpecError("gone", "source")

    assert Remaining(gone).seconds([(Part("a"), status("queued"))]) == 0.0  # type: ignore[list-item]


def test_work_of_one_shape_has_one_key() -> None:
    one = work.classifier_step("digits", "small_cnn", 64, "adamw", False, "auto", 1)
    assert one.key == work.classifier_step("digits", "small_cnn", 64, "adamw", False, "auto", 1).key
    for other in (
        ("mnist5k", "small_cnn", 64, "adamw", False, "auto", 1),
        ("digits", "cnn", 64, "adamw", False, "auto", 1),
        ("digits", "small_cnn", 32, "adamw", False, "auto", 1),
        ("digits", "small_cnn", 64, "adamw", False, "auto", 2),
        ("digits", "small_cnn", 64, "adamw", False, "cpu", 1),
    ):
        assert work.classifier_step(*other).key != one.key
