"""The task `train` on a tiny spec inside this process: what it reports, how it stops, goes on and
answers while it runs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from dreamlab.settings.budget import kept_checkpoints
from dreamlab.store import RunStore, checkpoints
from dreamlab.store.checkpoints import STATE
from dreamlab.tasks.context import Stopped, TaskContext, TaskError
from dreamlab.tasks.generator import load_generator, read_safetensors
from dreamlab.tasks.train.task import train
from tests.task_helpers import CPU, again, context, stop_after
from tests.train_helpers import TINY

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trained(store: RunStore) -> tuple[TaskContext, list[dict[str, Any]]]:
    ctx = context(store, "train", **TINY)
    return ctx, list(train(ctx))


def result_of(events: list[dict[str, Any]]) -> dict[str, Any]:
    assert events[-1]["type"] == "result"
    return events[-1]["values"]


def texts(events: list[dict[str, Any]], level: str) -> list[str]:
    return [e["text"] for e in events if e["type"] == "message" and e["level"] == level]


def test_training_reports_shows_and_ends_with_its_result(trained) -> None:
    ctx, events = trained
    assert events[0]["type"] == "metric" and events[0]["step"] == 1
    bands = {f"loss_band_{i}" for i in range(4)}
    assert set(events[0]["values"]) == {"loss", "images_per_second", "learning_rate"} | bands
    progress = [e for e in events if e["type"] == "progress"]
    assert progress[-1]["step"] == progress[-1]["total"] == 12 and progress[-1]["unit"] == "steps"
    images = [e for e in events if e["type"] == "image"]
    assert [images[0]["step"], images[-1]["step"]] == [1, 12] and images[0]["caption"] == "noise"
    for event in images:
        assert Image.open(ctx.run.path / event["path"]).size == (16 * 8, 10 * 8)
        assert (event["name"], event["rows"], event["cols"]) == ("preview", 10, 16)
    result = result_of(events)
    expected = {
        "steps": 12,
        "images_seen": 192,
        "image_size": 8,
        "channels": 1,
        "classes": 10,
        "real_images": 1200,
        "device": "cpu",
        "devices": 1,
        "accumulate": 1,
        "precision": "fp32",
        "checkpoint": checkpoints.LAST,
    }
    assert {k: result[k] for k in expected} == expected
    assert 0 < result["loss"] < 2 and result["seconds"] > 0 and result["peak_memory_bytes"] > 10**8
    assert result["images_per_second"] > 0 and progress[-1]["eta_seconds"] == 0
    assert result["parameters"] == checkpoints.read_header(ctx.run.path / checkpoints.LAST).numbers
    json.dumps(events, allow_nan=False)


def test_training_learns(store: RunStore) -> None:
    ctx = context(store, "train", **{**TINY, "steps": 120, "learning_rate": 4e-3})
    losses = [e["values"]["loss"] for e in train(ctx) if e["type"] == "metric"]
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize(
    "settings",
    [
        {"dropout": 0.2, "flip": True},
        {"optimizer": "adam", "weight_decay": 0.01, "dropout": 0.1, "accumulate": 3},
        {
            "optimizer": "adafactor",
            "learn_variance": True,
            "target": "eps",
            "schedule": "linear",
            "weighting": "simple",
        },
        {"optimizer": "sgd", "ema_horizon": 0.0, "grad_clip": 0.5},
        {"optimizer": "adamw", "target": "v", "zero_terminal_snr": True},
        {"image_size": 16, "low_size": 8},
        {"conditional": False, "label_dropout": 0.0, "wiring": "ddpm", "stem_patch": 1},
    ],
)
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    store: RunStore, settings: dict[str, Any]
) -> None:
    whole, parts = (context(store, "train", **{**TINY, "steps": 8, **settings}) for _ in range(2))
    list(train(whole))
    events = stop_after(parts, train, lambda e: e["type"] == "image")
    assert 0 < result_of(events)["steps"] < 8
    events = list(train(again(parts)))
    assert events[0]["text"].startswith("Continues from step") and result_of(events)["steps"] == 8
    for file in (checkpoints.LAST, STATE):
        a, b = (read_safetensors(c.run.path / file)[1] for c in (whole, parts))
        assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a), file


def test_a_run_that_is_killed_goes_on_from_its_last_checkpoint(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dreamlab.tasks.train.task.FIRST_CHECKPOINT", 0.0)
    whole, parts = (context(store, "train", **TINY) for _ in range(2))
    list(train(whole))
    events = train(parts)
    next(e for e in events if e["type"] == "image")
    next(events, None)  # goes on past the first checkpoint
    assert 0 < int(read_safetensors(parts.run.path / STATE)[0]["step"]) < 12
    list(train(again(parts)))  # and the first attempt is never heard of again
    a, b = (load_generator(c.run.path, CPU).network.state_dict() for c in (whole, parts))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_time_budget_is_kept_also_over_a_stop(store: RunStore) -> None:
    ctx = context(store, "train", **{**TINY, "steps": 0, "seconds": 2.0})
    events = stop_after(ctx, train, lambda e: e["type"] == "progress" and e["eta_seconds"] < 1.2)
    used = result_of(events)["seconds"]
    assert 0.5 < used
    result = result_of(list(train(again(ctx))))
    assert 2.0 <= result["seconds"] < 2.0 + used, "what was used before counts"
    assert result["steps"] > result_of(events)["steps"]


@pytest.mark.parametrize(("epochs", "count"), [(2.0, 4), (0.5, 1), (1.3, 3)])
def test_epochs_are_passes_over_the_images(store: RunStore, epochs: float, count: int) -> None:
    ctx = context(store, "train", **{**TINY, "steps": 0, "epochs": epochs, "images_per_class": 3})
    assert result_of(list(train(ctx)))["steps"] == count == math.ceil(epochs * 30 / 16)


def test_a_run_stopped_again_before_its_next_step_keeps_what_it_has(store: RunStore) -> None:
    ctx = context(store, "train", **{**TINY, "steps": 1000})
    done = result_of(stop_after(ctx, train, lambda e: e["type"] == "metric"))["steps"]
    (ctx.run.path / "stop").write_text("")
    resumed, events = TaskContext(ctx.run, ctx.store, ctx.cache, attempt=2), []
    with pytest.raises(Stopped):
        for event in train(resumed):
            events.append(event)
    assert result_of(events)["steps"] == done > 0
    assert result_of(events)["loss"] is None  # no step of this attempt: none was measured


def test_few_images_of_a_class_are_used_alone(store: RunStore) -> None:
    ctx = context(store, "train", **{**TINY, "steps": 2, "images_per_class": 1, "batch_size": 24})
    assert result_of(list(train(ctx)))["real_images"] == 10


def test_a_preview_and_a_checkpoint_can_be_asked_for_while_it_runs(
    store: RunStore, monkeypatch
) -> None:
    monkeypatch.setattr("dreamlab.tasks.train.task.STAT_EVERY", 0.0)
    ctx = context(store, "train", **{**TINY, "steps": 30, "preview_every": 3600})
    events = []
    for event in train(ctx):
        events.append(event)
        if event["type"] == "image" and event["step"] == 1:
            for name in ("preview", "snapshot"):
                (ctx.run.path / name).write_text("")
    assert [e["step"] for e in events if e["type"] == "image"] == [1, 2, 30]
    assert texts(events, "info") == ["Kept checkpoint step-000002."]
    assert checkpoints.kept(ctx.run.path) == ["step-000002"]
    kept = load_generator(ctx.run.path, CPU, "step-000002")
    last = load_generator(ctx.run.path, CPU)
    assert kept.step == 2 and not torch.equal(kept.network.stem.weight, last.network.stem.weight)
    assert not (ctx.run.path / "preview").exists() and not (ctx.run.path / "snapshot").exists()


def test_what_is_asked_for_with_the_last_step_is_done(store: RunStore) -> None:
    ctx = context(store, "train", **{**TINY, "steps": 1})
    (ctx.run.path / "snapshot").write_text("")
    assert texts(list(train(ctx)), "info") == ["Kept checkpoint step-000001."]


def test_the_last_step_is_reported_also_where_a_checkpoint_was_written_at_it(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dreamlab.tasks.train.task.STAT_EVERY", 0.0)
    monkeypatch.setattr("dreamlab.tasks.train.task.METRIC_EVERY", 1000.0)
    ctx, found = context(store, "train", **{**TINY, "steps": 2}), []
    for event in train(ctx):
        if event["type"] == "metric":
            found.append(event["step"])
            (ctx.run.path / "snapshot").write_text("")  # for the second step, the last one
    assert found == [1, 2]


def test_checkpoints_are_kept_at_even_shares_of_the_run(store: RunStore) -> None:
    ctx = context(store, "train", **TINY, snapshots=3)
    events = stop_after(ctx, train, lambda e: e["type"] == "message")  # after the first
    assert checkpoints.kept(ctx.run.path) == ["step-000003"]
    events += list(train(again(ctx)))
    assert checkpoints.kept(ctx.run.path) == ["step-000009", "step-000006", "step-000003"]
    kept = [t for t in texts(events, "info") if t.startswith("Kept")]
    assert kept == [f"Kept checkpoint step-00000{n}." for n in (3, 6, 9)]


def test_checkpoints_are_kept_every_so_many_epochs(store: RunStore) -> None:
    # 1,200 digits in batches of 400: an epoch is 3 steps, one and a half are due after the fifth
    values = {**TINY, "steps": 12, "batch_size": 400}
    ctx = context(store, "train", **values, snapshot_epochs=1.5)
    events = stop_after(ctx, train, lambda e: "step-000005" in e.get("text", ""))
    assert checkpoints.kept(ctx.run.path) == ["step-000005"]
    events += list(train(again(ctx)))
    assert checkpoints.kept(ctx.run.path) == ["step-000009", "step-000005"]
    assert kept_checkpoints(ctx.run.spec, 1200) == 2, "the last one is kept as always"
    assert result_of(events)["steps"] == 12


def test_too_little_memory_is_said_and_the_run_goes_on(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dreamlab.diffusion.unet import UNet

    forward = UNet.forward

    def poor(self: UNet, x: torch.Tensor, *rest: Any) -> torch.Tensor:
        if self.training and len(x) > 8:
            raise RuntimeError(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate"
                " 8 GB"
            )
        return forward(self, x, *rest)

    monkeypatch.setattr(UNet, "forward", poor)
    events = list(train(context(store, "train", **TINY)))
    text = "Out of memory with 16 images at once: the batch is now computed in 2 parts of 8."
    assert texts(events, "warning") == [text]
    assert (result_of(events)["steps"], result_of(events)["accumulate"]) == (12, 2)


def test_clipping_shows_the_norm_of_the_gradient(store: RunStore) -> None:
    events = list(train(context(store, "train", **{**TINY, "steps": 2, "grad_clip": 1.0})))
    assert events[0]["values"]["grad_norm"] > 0


def test_fp16_trains_and_is_resumed_with_its_scale(store: RunStore) -> None:
    ctx = context(store, "train", **{**TINY, "precision": "fp16"})
    stop_after(ctx, train, lambda e: e["type"] == "image")
    assert float(read_safetensors(ctx.run.path / STATE)[0]["scale"]) >= 1
    result = result_of(list(train(again(ctx))))
    assert result["precision"] == "fp16" and result["steps"] == 12 and 0 < result["loss"] < 2


def test_compiling_is_announced(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda network: lambda *inputs: network(*inputs))
    events = list(train(context(store, "train", **{**TINY, "steps": 2}, compile=True)))
    assert events[0]["text"].startswith("Compiling the network") and texts(events, "warning") == []


def test_a_model_is_fine_tuned_from_another_run_and_resumed_without_it(
    store: RunStore, trained
) -> None:
    source = trained[0].run.id
    ctx = context(
        store, "train", **TINY, init_from=source, freeze=("stem", "down"), images_per_class=5
    )
    stop_after(ctx, train, lambda e: e["type"] == "image")
    hidden = store.folder / f"{source}-hidden"
    (store.folder / source).rename(hidden)
    try:
        assert result_of(list(train(again(ctx))))["steps"] == 12
    finally:
        hidden.rename(store.folder / source)
    before, after = (
        load_generator(c.run.path, CPU).network.state_dict() for c in (trained[0], ctx)
    )
    same = {name.split(".")[0] for name in before if torch.equal(before[name], after[name])}
    assert same == {"stem", "down", "shrink"}


def test_a_run_to_start_from_that_is_gone_is_named(store: RunStore) -> None:
    with pytest.raises(TaskError, match="20200101-000000-train-none-0000"):
        list(train(context(store, "train", **TINY, init_from="20200101-000000-train-none-0000")))


@pytest.mark.parametrize(
    "settings", [{"image_size": 16, "low_size": 8}, {"conditional": False, "label_dropout": 0.0}]
)
def test_previews_of_other_stages(store: RunStore, settings: dict[str, Any]) -> None:
    ctx = context(store, "train", **{**TINY, "steps": 2, **settings})
    last = [e for e in train(ctx) if e["type"] == "image"][-1]
    rows, side = (1, 8) if "conditional" in settings else (10, 16)
    assert (last["rows"], last["cols"]) == (rows, 16)
    assert Image.open(ctx.run.path / last["path"]).size == (16 * side, rows * side)


def test_a_large_network_shows_fewer_images(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dreamlab.architecture.preview_size.PREVIEW_WORK", 1.0)
    events = list(train(context(store, "train", **{**TINY, "steps": 1})))
    assert [e["cols"] for e in events if e["type"] == "image"] == [2, 2]


@pytest.mark.parametrize(
    ("settings", "text"),
    [({"images_per_class": 5000}, "fewer than"), ({"multipliers": (1, 1, 1, 1)}, "--multipliers")],
)
def test_what_cannot_be_trained_says_so(
    store: RunStore, settings: dict[str, Any], text: str
) -> None:
    with pytest.raises(TaskError, match=text):
        list(train(context(store, "train", **{**TINY, **settings})))


def test_a_loss_that_is_not_finite_ends_the_run_and_saves_nothing(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = context(store, "train", **TINY)
    monkeypatch.setattr(
        "dreamlab.tasks.train.trainer.squared_errors",
        lambda out, wanted: out.flatten(1).mean(1) * math.nan,
    )
    with pytest.raises(TaskError, match="diverged"):
        list(train(ctx))
    assert not (ctx.run.path / checkpoints.LAST).exists()


def test_damaged_and_foreign_checkpoints_are_refused_in_one_sentence(
    store: RunStore, trained, tmp_path: Path
) -> None:
    good = (trained[0].run.path / checkpoints.LAST).read_bytes()
    state = (trained[0].run.path / STATE).read_bytes()
    (tmp_path / "checkpoints").mkdir()
    for content, text in (
        (None, "no checkpoint"),
        (good[: len(good) // 2], "damaged"),
        (b"hello", "damaged"),
        (state, "not a generator"),
    ):
        if content is not None:
            (tmp_path / checkpoints.LAST).write_bytes(content)
        with pytest.raises(TaskError, match=text) as error:
            load_generator(tmp_path, CPU)
        assert "\n" not in str(error.value)


def test_a_state_of_another_training_is_refused(store: RunStore, trained) -> None:
    ctx = context(store, "train", **{**TINY, "optimizer": "adam"})
    (ctx.run.path / "checkpoints").mkdir()
    (ctx.run.path / STATE).write_bytes((trained[0].run.path / STATE).read_bytes())
    with pytest.raises(TaskError, match="does not belong to these settings"):
        list(train(ctx))
