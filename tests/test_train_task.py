"""Tasks train and synthesize and the live sampler on a tiny spec, inside this process."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dreamlab.data import imageset
from dreamlab.spec import KINDS, make
from dreamlab.store import ArtefactCache, Record, RunStore
from dreamlab.tasks.context import Stopped, TaskContext, TaskError
from dreamlab.tasks.devices import PrecisionProbe, ThreadChoice
from dreamlab.tasks.generator import CHECKPOINT, load_generator
from dreamlab.tasks.live import LiveSampler
from dreamlab.tasks.synthesize import synthesize
from dreamlab.tasks.train import train
from dreamlab.tasks.trainer import STATE

TINY: dict[str, Any] = {"dataset": "digits", "base_width": 8, "batch_size": 16, "steps": 12, "precision": "fp32"}
CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    store = RunStore(tmp_path_factory.mktemp("lab") / "runs")
    store.prepare()
    return store


def context(store: RunStore, kind: str, **values: Any) -> TaskContext:
    spec = make(KINDS[kind], values)
    record = Record(
        id=store.new_id(kind, "tiny"), kind=kind, name="tiny", created="2026-11-21T10:00:00", hash=spec.content_hash(),
        spec=spec.model_dump(),
    )  # fmt: skip
    return TaskContext(store.create(record), store, ArtefactCache(store.folders.cache))


def again(ctx: TaskContext) -> TaskContext:
    """The next attempt of the same run."""
    (ctx.run.path / "stop").unlink(missing_ok=True)
    return TaskContext(ctx.run, ctx.store, ctx.cache, attempt=ctx.attempt + 1)


def stop_after(ctx: TaskContext, task: Any, stop: Any) -> list[dict[str, Any]]:
    """Runs a task, asks it to stop at the first event for which `stop` is true, and expects Stopped."""
    events = []
    with pytest.raises(Stopped):
        for event in task(ctx):
            events.append(event)
            if stop(event):
                (ctx.run.path / "stop").write_text("")
                ctx._looked = 0.0
    return events


@pytest.fixture(scope="module")
def trained(store: RunStore) -> tuple[TaskContext, list[dict[str, Any]]]:
    ctx = context(store, "train", **TINY)
    return ctx, list(train(ctx))


def test_training_reports_shows_and_ends_with_its_result(trained) -> None:
    ctx, events = trained
    assert events[0]["type"] == "metric" and events[0]["step"] == 1
    assert set(events[0]["values"]) == {"loss", "images_per_second", "learning_rate"}
    progress = [e for e in events if e["type"] == "progress"]
    assert progress[-1]["step"] == progress[-1]["total"] == 12 and progress[-1]["unit"] == "steps"
    images = [e for e in events if e["type"] == "image"]
    assert [images[0]["step"], images[-1]["step"]] == [1, 12]
    for event in images:
        assert Image.open(ctx.run.path / event["path"]).size == (16 * 8, 10 * 8)
        assert (event["name"], event["rows"], event["cols"]) == ("preview", 10, 16)
    result = events[-1]["values"]
    assert events[-1]["type"] == "result"
    assert {k: result[k] for k in ("steps", "images_seen", "image_size", "channels", "classes", "real_images", "device", "precision")} == {
        "steps": 12, "images_seen": 192, "image_size": 8, "channels": 1, "classes": 10, "real_images": 1200, "device": "cpu",
        "precision": "fp32",
    }  # fmt: skip
    assert 0 < result["loss"] < 2 and result["seconds"] > 0 and result["peak_memory_bytes"] < 2 * 2**30
    json.dumps(events, allow_nan=False)


def test_training_learns(store: RunStore) -> None:
    ctx = context(store, "train", **{**TINY, "steps": 120, "learning_rate": 4e-3})
    losses = [e["values"]["loss"] for e in train(ctx) if e["type"] == "metric"]
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize(
    "settings",
    [{}, {"target": "eps", "schedule": "linear", "weighting": "simple", "optimizer": "adamw"}, {"target": "v"}],
)
def test_a_resumed_run_equals_an_uninterrupted_one(store: RunStore, settings: dict[str, Any]) -> None:
    whole, parts = (context(store, "train", **{**TINY, **settings}) for _ in range(2))
    list(train(whole))
    events = stop_after(parts, train, lambda e: e["type"] == "image")
    assert events[-1]["type"] == "result" and 0 < events[-1]["values"]["steps"] < 12
    events = list(train(again(parts)))
    assert events[0]["type"] == "message" and events[-1]["values"]["steps"] == 12
    a, b = (load_generator(c.run.path, CPU).network.state_dict() for c in (whole, parts))
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-5, atol=1e-6)


def test_a_time_budget_is_kept_also_over_a_stop(store: RunStore) -> None:
    ctx = context(store, "train", **{**TINY, "steps": 0, "seconds": 2.0})
    events = stop_after(ctx, train, lambda e: e["type"] == "progress" and e["eta_seconds"] < 1.2)
    used = events[-1]["values"]["seconds"]
    assert 0.5 < used < 1.9
    result = list(train(again(ctx)))[-1]["values"]
    assert 2.0 <= result["seconds"] < 3.0 and result["steps"] > events[-1]["values"]["steps"]


def test_a_run_stopped_again_before_its_next_step_keeps_what_it_has(store: RunStore) -> None:
    ctx = context(store, "train", **{**TINY, "steps": 1000})
    done = stop_after(ctx, train, lambda e: e["type"] == "metric")[-1]["values"]["steps"]
    (ctx.run.path / "stop").write_text("")
    resumed, events = TaskContext(ctx.run, ctx.store, ctx.cache, attempt=2), []
    with pytest.raises(Stopped):
        for event in train(resumed):
            events.append(event)
    assert events[-1]["type"] == "result" and events[-1]["values"]["steps"] == done > 0
    assert events[-1]["values"]["loss"] is None  # no step of this attempt: none was measured


def test_few_images_of_a_class_are_used_alone(store: RunStore) -> None:
    ctx = context(store, "train", **{**TINY, "steps": 2, "images_per_class": 1, "batch_size": 24})
    assert list(train(ctx))[-1]["values"]["real_images"] == 10


@pytest.mark.parametrize(
    ("settings", "text"), [({"images_per_class": 5000}, "fewer than"), ({"multipliers": (1, 1, 1, 1)}, "--multipliers")]
)
def test_what_cannot_be_trained_says_so(store: RunStore, settings: dict[str, Any], text: str) -> None:
    with pytest.raises(TaskError, match=text):
        list(train(context(store, "train", **{**TINY, **settings})))


def test_a_loss_that_is_not_finite_ends_the_run_and_saves_nothing(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = context(store, "train", **TINY)
    monkeypatch.setattr("dreamlab.tasks.trainer.weighted_mse", lambda out, wanted, weight: (out * float("nan")).mean())
    with pytest.raises(TaskError, match="diverged"):
        list(train(ctx))
    assert not (ctx.run.path / CHECKPOINT).exists()


def test_a_set_is_sampled_class_by_class_and_goes_on_after_a_stop(store: RunStore, trained) -> None:
    source = trained[0].run.id
    settings = {"source": source, "per_class": 3, "classes": (7, 2), "num_steps": 3, "seed": 4}
    whole, parts = context(store, "synthesize", **settings), context(store, "synthesize", **settings, batch_size=2)
    events = list(synthesize(whole))
    images, labels = imageset.load(whole.run.path)
    assert images.shape == (6, 8, 8, 1) and images.dtype == np.uint8 and labels.tolist() == [7, 7, 7, 2, 2, 2]
    result = events[-1]["values"]
    assert (result["images"], result["guidance_scale"], result["network_calls"], result["grid"]) == (
        6,
        2.0,
        6,
        "samples/grid.png",
    )
    assert events[-2]["name"] == "grid" and Image.open(whole.run.path / "samples/grid.png").size == (24, 16)
    stop_after(parts, synthesize, lambda e: e["type"] == "progress" and e["step"] == 4)
    assert not (parts.run.path / "images.npy").exists()
    events = list(synthesize(again(parts)))
    assert events[0]["step"] == 6
    assert np.abs(imageset.load(parts.run.path)[0].astype(int) - images.astype(int)).max() <= 2
    assert not list(parts.run.path.glob("partial*"))


@pytest.mark.parametrize(
    ("settings", "text"), [({"num_steps": 2000}, "--num-steps"), ({"classes": (11,)}, "--classes")]
)
def test_a_set_that_cannot_be_sampled_says_so(store: RunStore, trained, settings: dict[str, Any], text: str) -> None:
    with pytest.raises(TaskError, match=text):
        list(synthesize(context(store, "synthesize", source=trained[0].run.id, **settings)))


def test_damaged_and_foreign_checkpoints_are_refused_in_one_sentence(store: RunStore, trained, tmp_path: Path) -> None:
    good = (trained[0].run.path / CHECKPOINT).read_bytes()
    state = (trained[0].run.path / STATE).read_bytes()
    (tmp_path / "checkpoints").mkdir()
    for content, text in (
        (None, "no checkpoint"),
        (good[: len(good) // 2], "damaged"),
        (b"hello", "damaged"),
        (state, "not a generator"),
    ):
        if content is not None:
            (tmp_path / CHECKPOINT).write_bytes(content)
        with pytest.raises(TaskError, match=text) as error:
            load_generator(tmp_path, CPU)
        assert "\n" not in str(error.value)


def test_live_frames_end_in_the_image_of_a_synthesize_run(store: RunStore, trained) -> None:
    ctx = context(store, "synthesize", source=trained[0].run.id, per_class=2, classes=(1, 5), num_steps=12, seed=9)
    list(synthesize(ctx))
    live = LiveSampler("cpu")
    request = {
        "classes": [1, 5],
        "per_class": 2,
        "guidance_weight": 1.0,
        "num_steps": 12,
        "sampler": "dpmpp_2m",
        "seed": 9,
        "frames": 5,
    }
    frames = list(live.frames(trained[0].run.path, request))
    assert (
        [f["step"] for f in frames][0] == 0 and len(frames) == 6 and [f["done"] for f in frames] == [False] * 5 + [True]
    )
    assert all((f["total"], f["rows"], f["cols"]) == (12, 2, 2) for f in frames)
    last = np.asarray(Image.open(io.BytesIO(frames[-1]["png"])))
    expected = imageset.sheet(np.asarray(imageset.load(ctx.run.path)[0]), 2)[..., 0]
    assert np.abs(last.astype(int) - expected.astype(int)).max() <= 2
    assert live.generator(trained[0].run.path) is live.generator(trained[0].run.path)
    live.release()
    with pytest.raises(TaskError, match="--num-steps"):
        next(live.frames(trained[0].run.path, {**request, "num_steps": 5000}))


@pytest.mark.parametrize(
    ("fp32", "bf16", "choice"), [(0.10, 0.05, "bf16"), (0.05, 0.25, "fp32"), (0.10, 0.099, "fp32")]
)
def test_the_probe_takes_bf16_only_where_it_pays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fp32: float, bf16: float, choice: str
) -> None:
    monkeypatch.setattr("dreamlab.tasks.devices.has_fast_bf16", lambda device: True)
    cache = ArtefactCache(tmp_path)
    probe = PrecisionProbe("auto", CPU, cache, "network")
    for step in range(1, 11):
        probe.record(step, {"fp32": fp32, "bf16": bf16}[probe.precision(step)])
    assert probe.choice == choice
    assert PrecisionProbe("auto", CPU, cache, "network").choice == choice  # remembered
    assert PrecisionProbe("fp32", CPU, cache, "network").choice == "fp32"
    monkeypatch.setattr("dreamlab.tasks.devices.has_fast_bf16", lambda device: False)
    assert PrecisionProbe("auto", CPU, cache, "other").choice == "fp32"  # not even tried


class Cores:
    """A step's seconds where 2 threads take 1, or 6 while somebody else is busy, and 1 thread takes 2 always."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.busy, self.clock = False, 0.0
        monkeypatch.setattr(torch, "set_num_threads", lambda n: None)

    def run(self, choice: ThreadChoice, steps: int) -> list[int]:
        used = []
        for _ in range(steps):
            used.append(choice.now)
            seconds = (6.0 if self.busy else 1.0) if choice.now == 2 else 2.0
            self.clock += seconds
            choice.record(seconds, self.clock)
        return used


def test_threads_give_way_to_others_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    cores, choice = Cores(monkeypatch), ThreadChoice(2)
    assert cores.run(choice, 100).count(1) == 1  # tried once, at rest: no more
    cores.busy = True
    assert cores.run(choice, 100).count(2) < 20
    cores.busy = False
    assert cores.run(choice, 100)[-50:] == [2] * 50


def test_a_machine_that_is_busy_from_the_start_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    cores, choice = Cores(monkeypatch), ThreadChoice(2)
    cores.busy = True
    assert cores.run(choice, 60)[20:].count(1) > 30
