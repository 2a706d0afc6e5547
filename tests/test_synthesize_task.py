"""Task synthesize, the live sampler, and what reads sets of another image size; inside this
process."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dreamlab.data import catalog, imageset
from dreamlab.settings import SpecError
from dreamlab.store import RunStore
from dreamlab.tasks.classify import task as classify
from dreamlab.tasks.classify.training_set import mixed
from dreamlab.tasks.context import TaskContext, TaskError
from dreamlab.tasks.fidelity import task as fidelity
from dreamlab.tasks.generator import TrainedGenerator, load_generator
from dreamlab.tasks.synthesize.live import LiveSampler
from dreamlab.tasks.synthesize.task import synthesize
from tests.sampling_helpers import trained_run
from tests.task_helpers import CPU, again, context, stop_after

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def source(store: RunStore) -> str:
    return trained_run(store).id


def images_of(ctx: TaskContext) -> np.ndarray:
    return np.asarray(imageset.load(ctx.run.path)[0]).astype(int)


def test_a_set_is_sampled_class_by_class_and_goes_on_after_a_stop(
    store: RunStore, source: str
) -> None:
    settings = {"source": source, "per_class": 3, "classes": (7, 2), "num_steps": 3, "seed": 4}
    whole, parts = (
        context(store, "synthesize", **settings),
        context(store, "synthesize", **settings, batch_size=2),
    )
    events = list(synthesize(whole))
    images, labels = imageset.load(whole.run.path)
    assert (
        images.shape == (6, 8, 8, 1)
        and images.dtype == np.uint8
        and labels.tolist() == [7, 7, 7, 2, 2, 2]
    )
    result = events[-1]["values"]
    wanted = {
        "images": 6,
        "guidance_scale": 2.0,
        "network_calls": 6,
        "grid": "samples/grid.png",
        "image_size": 8,
        "channels": 1,
        "stages": 1,
        "sampler": "dpmpp_2m",
        "num_steps": 3,
        "device": "cpu",
    }
    assert {k: result[k] for k in wanted} == wanted and result["images_per_second"] > 0
    json.dumps(events, allow_nan=False)
    assert events[-2]["name"] == "grid" and Image.open(
        whole.run.path / "samples/grid.png"
    ).size == (24, 16)
    stop_after(parts, synthesize, lambda e: e["type"] == "progress" and e["step"] == 4)
    assert not (parts.run.path / "images.npy").exists()
    events = list(synthesize(again(parts)))
    assert events[0]["step"] == 6
    assert np.abs(images_of(parts) - images).max() <= 2
    assert not list(parts.run.path.glob("partial*"))


def test_a_stop_ends_within_a_batch(
    store: RunStore, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = context(store, "synthesize", source=source, per_class=10, num_steps=50, sampler="ddpm")
    monkeypatch.setattr("dreamlab.tasks.synthesize.image_set.REPORT_EVERY", 0.0)
    events = stop_after(ctx, synthesize, lambda e: e["type"] == "progress" and e["step"] > 10)
    assert events[-1]["step"] < 100 and events[-1]["eta_seconds"] > 0
    assert [e["step"] for e in events] == sorted(e["step"] for e in events)
    assert json.loads((ctx.run.path / "partial.json").read_text())["done"] == 0


def test_the_trajectory_shows_noise_and_both_pictures_of_every_chosen_step(
    store: RunStore, source: str
) -> None:
    settings = {"source": source, "per_class": 10, "classes": (7, 2), "num_steps": 20, "seed": 4}
    plain = context(store, "synthesize", **settings)
    shown = context(store, "synthesize", **settings, trajectory=5, batch_size=7)
    list(synthesize(plain))
    events = [e for e in synthesize(shown) if e["type"] == "image" and e["name"] != "grid"]
    assert [(e["name"], e["step"]) for e in events] == [
        (n, s) for s in (0, 5, 10, 15, 20) for n in ("x_t", "x0")
    ]
    assert all((e["rows"], e["cols"]) == (2, 8) for e in events)
    assert events[2]["path"] == "samples/x_t-005.png" and events[3]["path"] == "samples/x0-005.png"
    assert events[2]["caption"].startswith("x_t after step 5 of 20, t = ")
    last = np.asarray(Image.open(shown.run.path / events[-1]["path"])).astype(int)
    firsts = images_of(plain).reshape(2, 10, 8, 8, 1)[:, :8].reshape(16, 8, 8, 1).astype(np.uint8)
    assert np.abs(last - imageset.sheet(firsts, 8)[..., 0]).max() <= 2
    assert np.abs(images_of(shown) - images_of(plain)).max() <= 2


def test_a_run_stopped_in_its_trajectory_keeps_its_images(store: RunStore, source: str) -> None:
    ctx = context(store, "synthesize", source=source, per_class=2, num_steps=20, trajectory=20)
    stop_after(ctx, synthesize, lambda e: e["type"] == "image")
    events = list(synthesize(again(ctx)))
    sampled = [e for e in events if e["type"] == "progress" and e["text"].startswith("sampling")]
    assert not sampled and events[-1]["type"] == "result"
    assert len([e for e in events if e.get("name") == "x_t"]) == 20 and len(images_of(ctx)) == 20


def test_a_cascade_makes_sets_of_its_last_size(store: RunStore, source: str) -> None:
    up = trained_run(store, 2, image_size=16, low_size=8)
    ctx = context(
        store,
        "synthesize",
        source=source,
        upsample=(up.id,),
        per_class=1,
        classes=(3,),
        num_steps=4,
        trajectory=3,
    )
    events = list(synthesize(ctx))
    result = events[-1]["values"]
    assert images_of(ctx).shape == (1, 16, 16, 1) and (result["stages"], result["image_size"]) == (
        2,
        16,
    )
    assert result["network_calls"] == 16
    shown = [e for e in events if e.get("name") == "x_t"]
    assert [e["step"] for e in shown] == [0, 4, 8] and shown[-1]["caption"].endswith("stage 2")
    assert [Image.open(ctx.run.path / e["path"]).size for e in shown] == [(8, 8), (8, 8), (16, 16)]


def test_a_generator_without_classes_makes_one_kind_of_image(store: RunStore) -> None:
    plain = trained_run(store, conditional=False, label_dropout=0.0)
    ctx = context(
        store, "synthesize", source=plain.id, per_class=12, num_steps=2, guidance_weight=0.0
    )
    list(synthesize(ctx))
    images, labels = imageset.load(ctx.run.path)
    assert images.shape == (12, 8, 8, 1) and labels.tolist() == [0] * 12
    comparing = context(store, "fidelity", images=ctx.run.id)
    assert not fidelity.compared_sets(comparing, comparing.spec).labelled


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"num_steps": 2000}, "--num-steps"),
        ({"classes": (11,)}, "--classes"),
        ({"checkpoint": "step-000007"}, "step-000007"),
    ],
)
def test_a_set_that_cannot_be_sampled_says_so(
    store: RunStore, source: str, settings: dict[str, Any], text: str
) -> None:
    with pytest.raises(TaskError, match=text):
        list(synthesize(context(store, "synthesize", source=source, **settings)))


def request(store: RunStore, ctx: TaskContext, frames: int, **more: Any) -> dict[str, Any]:
    """What the service asks of the live process for the images of a run."""
    paths = {name: str(store.get(name).path) for name in ctx.spec.references()}
    return {**ctx.spec.model_dump(mode="json"), "paths": paths, "frames": frames, **more}


def test_live_frames_end_in_the_image_of_a_synthesize_run(store: RunStore, source: str) -> None:
    ctx = context(
        store, "synthesize", source=source, per_class=2, classes=(1, 5), num_steps=12, seed=9
    )
    list(synthesize(ctx))
    live = LiveSampler("cpu")
    wanted = json.loads(json.dumps(request(store, ctx, 5)))  # as it comes over the wire
    frames = list(live.frames(wanted))
    assert frames[0]["step"] == 0 and [f["done"] for f in frames] == [False] * 5 + [True]
    assert all((f["total"], f["rows"], f["cols"], f["stage"]) == (12, 2, 2, 0) for f in frames)
    last = np.asarray(Image.open(io.BytesIO(frames[-1]["png"])))
    expected = imageset.sheet(np.asarray(imageset.load(ctx.run.path)[0]), 2)[..., 0]
    assert np.abs(last.astype(int) - expected.astype(int)).max() <= 2
    path = store.get(source).path
    assert live.generator(path, CPU) is live.generator(path, CPU)
    live.release()
    with pytest.raises(TaskError, match="--num-steps"):
        next(live.frames({**wanted, "num_steps": 4000}))
    with pytest.raises(SpecError, match="--sampler"):
        next(live.frames({**wanted, "sampler": "euler"}))


def test_live_frames_of_a_cascade_with_a_guide_name_their_stage(
    store: RunStore, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def load(run: Path, *more: Any) -> TrainedGenerator:
        read.append(run.name)
        return load_generator(run, *more)

    monkeypatch.setattr("dreamlab.tasks.synthesize.live.load_weights", load)
    up, weak = trained_run(store, 2, image_size=16, low_size=8), trained_run(store, 3)
    ctx = context(
        store,
        "synthesize",
        source=source,
        upsample=(up.id,),
        guide=weak.id,
        per_class=2,
        classes=(1,),
        num_steps=4,
    )
    list(synthesize(ctx))
    live = LiveSampler("cpu")
    for _ in range(2):
        frames = list(live.frames(request(store, ctx, 8)))
        assert [f["stage"] for f in frames] == [0] * 5 + [1] * 4 and frames[-1]["done"]
    # all that it needs are kept between requests, although more than otherwise
    assert sorted(read) == sorted((source, up.id, weak.id))
    smaller = context(store, "synthesize", source=source, per_class=1, num_steps=2)
    list(live.frames(request(store, smaller, 1)))
    for _ in range(2):
        for name in (source, up.id, weak.id):
            live.generator(store.get(name).path, CPU)
    assert len(read) == 4  # two are kept otherwise: one of the three was read again
    last = np.asarray(Image.open(io.BytesIO(frames[-1]["png"])))
    expected = imageset.sheet(np.asarray(imageset.load(ctx.run.path)[0]), 2)[..., 0]
    assert last.shape == (16, 32) and np.abs(last.astype(int) - expected.astype(int)).max() <= 2


@pytest.fixture(scope="module")
def large_set(store: RunStore) -> TaskContext:
    """Digits of 16 pixels, where the data set has 8."""
    wide = trained_run(store, 6, image_size=16)
    ctx = context(store, "synthesize", source=wide.id, per_class=4, num_steps=2)
    list(synthesize(ctx))
    return ctx


def test_a_set_of_another_size_is_resized_for_a_classifier_and_says_so(
    store: RunStore, large_set: TaskContext, tmp_path: Path
) -> None:
    ctx = context(
        store,
        "classify",
        dataset="digits",
        images_per_class=4,
        arm="50/50",
        synthetic=large_set.run.id,
        seeds=1,
        steps=1,
    )
    mix = mixed(ctx, ctx.spec, catalog.load("digits"))
    assert mix.synthetic.shape[1:] == (8, 8, 1) and mix.made_at == 16
    events = list(classify.classify(ctx))
    said = [e["text"] for e in events if e["type"] == "message"]
    assert any("16x16 pixels and resized to 8x8" in text for text in said)


def test_a_set_of_another_size_is_resized_for_fidelity_and_says_so(
    store: RunStore, large_set: TaskContext
) -> None:
    ctx = context(store, "fidelity", images=large_set.run.id)
    sets = fidelity.compared_sets(ctx, ctx.spec)
    assert sets.images.shape == (40, 8, 8, 1) and sets.made_at == 16 and sets.labelled
    first = next(iter(fidelity.fidelity(ctx)))
    assert "16x16 pixels and resized to 8x8" in first["text"]
