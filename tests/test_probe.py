"""The probe of a training: what it measures, and that the training does not depend on it."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import Any

import numpy as np
import pytest
import torch

from dreamlab.architecture.preview_size import PROBE_STEPS
from dreamlab.checks import Known, check
from dreamlab.data import catalog
from dreamlab.data.catalog import Info
from dreamlab.fidelity.kid import kid
from dreamlab.fidelity.strata import Labels
from dreamlab.settings import SpecError, SynthesizeSpec, TrainSpec, make
from dreamlab.settings.budget import probes
from dreamlab.store import RunStore, checkpoints
from dreamlab.store.checkpoints import STATE
from dreamlab.tasks.context import TaskContext
from dreamlab.tasks.fidelity.reference_classifier import reference_classifier
from dreamlab.tasks.generator import load_generator, read_safetensors
from dreamlab.tasks.synthesize.pipeline import Pipeline
from dreamlab.tasks.train.probe import SEED, Probe, drawn
from dreamlab.tasks.train.task import train
from dreamlab.ui.charts import probe_chart
from tests.near_copy_helpers import drained
from tests.task_helpers import CPU, again, context, stop_after
from tests.train_helpers import TINY

pytestmark = pytest.mark.usefixtures("one_thread")
PROBED = {**TINY, "steps": 10, "probe_every": 4, "probe_images": 200}


def probed(events: list[dict[str, Any]]) -> list[tuple[int, dict[str, float]]]:
    """(step, values) of the probes among some events, without their times."""
    return [
        (e["step"], {k: v for k, v in e["values"].items() if not k.endswith("seconds")})
        for e in events
        if e["type"] == "metric" and "probe_seconds" in e["values"]
    ]


def tensors(ctx: TaskContext) -> dict[str, torch.Tensor]:
    """All tensors that a training has saved, with its random stream after it."""
    found = {}
    for file in (checkpoints.LAST, STATE):
        found |= {f"{file}: {k}": v for k, v in read_safetensors(ctx.run.path / file)[1].items()}
    return found


@pytest.fixture(scope="module")
def trained(store: RunStore) -> tuple[TaskContext, list[dict[str, Any]]]:
    ctx = context(store, "train", **PROBED)
    return ctx, list(train(ctx))


@pytest.mark.parametrize("more", [{}, {"dropout": 0.2, "flip": True}])
def test_the_weights_are_the_same_bit_for_bit_with_and_without_probes(
    store: RunStore, more: dict[str, Any]
) -> None:
    before = torch.get_rng_state()
    plain = context(store, "train", **{**PROBED, **more, "probe_every": 0})
    list(train(plain))
    often = context(store, "train", **{**PROBED, **more, "probe_every": 1})
    torch.set_rng_state(before)
    assert len(probed(list(train(often)))) == 10
    assert torch.equal(torch.get_rng_state(), before) or more.get("dropout")
    a, b = tensors(plain), tensors(often)
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_stopped_and_resumed_training_has_the_same_weights_and_probes(
    store: RunStore, trained: Any
) -> None:
    ctx, events = trained
    parts = context(store, "train", **PROBED)
    found = stop_after(parts, train, lambda e: "probe_seconds" in e.get("values", {}))
    assert [step for step, _ in probed(found)] == [4] and "probe" in found[-1]["values"]
    found += list(train(again(parts)))
    assert probed(found) == probed(events)
    a, b = tensors(ctx), tensors(parts)
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_probes_come_at_their_interval_and_at_the_last_step(trained: Any) -> None:
    ctx, events = trained
    found = probed(events)
    assert [step for step, _ in found] == [4, 8, 10]
    assert len(found) == probes(ctx.run.spec, 10) == 3
    assert probes(make(TrainSpec, {**PROBED, "probe_every": 5}), 10) == 2
    json.dumps(events, allow_nan=False)
    said = [e["text"] for e in events if e["type"] == "message"]
    assert any(t.startswith("A probe takes ") and "% of the time so far" in t for t in said)
    last = events[-1]["values"]["probe"]
    assert (last["step"], last["images"], last["num_steps"]) == (10, 200, PROBE_STEPS)
    assert (
        last["reference_images"] == 597 and last["recognised"] == found[-1][1]["probe_recognised"]
    )


def test_its_numbers_are_those_of_the_checkpoint_measured_by_hand(trained: Any) -> None:
    ctx, events = trained
    spec = make(
        SynthesizeSpec,
        {"source": "a", "guidance_weight": 0, "num_steps": PROBE_STEPS, "seed": SEED},
    )
    labels = np.repeat(np.arange(10), 20)
    pipeline = Pipeline(load_generator(ctx.run.path, CPU), spec)
    images = np.concatenate(
        [pipeline.images(labels[p].tolist(), [*range(20)] * 2) for p in np.split(np.arange(200), 5)]
    )
    data = catalog.load("digits")
    judge, accuracy = drained(reference_classifier(ctx, data))
    mine, real = (np.concatenate([*judge.batches(x)]) for x in (images, data.test_images))
    expected = kid(mine, real, Labels(labels, data.test_labels))
    values = probed(events)[-1][1]
    names = ("probe_kid_classifier", "probe_kid_classifier_low", "probe_kid_classifier_high")
    assert [values[n] for n in names] == pytest.approx(
        [expected.mean, expected.low, expected.high], rel=1e-4
    )
    assert values["probe_recognised"] == (judge.predict(mine) == labels).mean()
    assert values["probe_accuracy"] == accuracy > 0.9 and values["probe_images"] == 200
    assert values["probe_recognised_low"] < values["probe_recognised"]


def test_a_better_generator_has_better_probes(store: RunStore) -> None:
    values = {**PROBED, "base_width": 16, "steps": 200, "batch_size": 64, "probe_every": 100}
    (_, first), (_, last) = probed(list(train(context(store, "train", **values))))
    assert last["probe_kid_classifier"] < 0.7 * first["probe_kid_classifier"]
    assert last["probe_recognised"] > first["probe_recognised"] > 0.15


def test_its_time_is_outside_of_the_budget(store: RunStore, monkeypatch: Any) -> None:
    waited = []

    def slow(self: Probe, precision: str) -> dict[str, float]:
        waited.append(1)
        time.sleep(0.4)
        return {"kid_classifier": 1.0}

    monkeypatch.setattr(Probe, "_measured", slow)
    ctx = context(store, "train", **{**PROBED, "steps": 0, "seconds": 1.0, "probe_every": 5})
    events = list(train(ctx))
    result = events[-1]["values"]
    assert len(waited) >= 3 and 1.0 <= result["seconds"] < 1.35
    probe = [e["values"] for e in events if "probe_seconds" in e.get("values", {})]
    assert all(0.4 <= p["probe_seconds"] < 0.6 for p in probe)
    assert probe[-1]["training_seconds"] == pytest.approx(result["seconds"], abs=0.02)


def test_too_little_memory_ends_the_probes_and_not_the_training(
    store: RunStore, monkeypatch: Any
) -> None:
    def poor(self: Probe, precision: str) -> dict[str, float]:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Probe, "_measured", poor)
    events = list(train(context(store, "train", **PROBED)))
    said = [e["text"] for e in events if e["type"] == "message" and e["level"] == "warning"]
    assert said == ["There is too little free memory for a probe, so the training goes on without."]
    assert events[-1]["values"]["steps"] == 10 and "probe" not in events[-1]["values"]


def test_a_generator_without_classes_has_kid_alone(store: RunStore) -> None:
    plain = {"conditional": False, "label_dropout": 0.0, "steps": 2}
    found = probed(list(train(context(store, "train", **{**PROBED, **plain}))))
    names = {"probe_kid_classifier", "probe_kid_classifier_low", "probe_kid_classifier_high"}
    assert len(found) == 1 and found[0][1].keys() == names | {"probe_images"}


@pytest.mark.parametrize(
    ("images", "classes", "counts"), [(200, 10, {20}), (205, 10, {20, 21}), (200, 1000, {0, 1})]
)
def test_samples_are_spread_over_the_classes(images: int, classes: int, counts: set) -> None:
    labels, indices = drawn(images, classes)
    assert set(np.bincount(labels, minlength=classes).tolist()) == counts
    assert len(set(zip(labels, indices, strict=True))) == images and min(indices) == 0
    assert drawn(images, classes) == (labels, indices)


def test_a_training_without_probes_keeps_its_hash() -> None:
    plain, off, on = (
        make(TrainSpec, {**TINY, **values}).content_hash()
        for values in ({}, {"probe_every": 0, "probe_images": 500}, {"probe_every": 5})
    )
    assert plain == off != on


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"image_size": 16, "low_size": 8}, "super-resolution model"),
        ({"probe_images": 199}, "200 to 5,000"),
    ],
)
def test_what_cannot_be_probed_is_refused(store: RunStore, values: Any, words: str) -> None:
    with pytest.raises(SpecError, match=rf"\(--probe-\w+\).*{words}"):
        check(make(TrainSpec, {**PROBED, **values}), Known(store))


def test_data_without_a_judge_are_refused(store: RunStore, monkeypatch: Any) -> None:
    def of(**values: Any) -> Any:
        known: Info = catalog.INFO["digits"]
        return lambda name: dataclasses.replace(known, **values)

    spec = make(TrainSpec, {**PROBED, "conditional": False, "label_dropout": 0.0})
    check(spec, Known(store))
    monkeypatch.setattr("dreamlab.checks.one_class.catalog.info", of(classes=("all",)))
    with pytest.raises(
        SpecError, match=r"has one class, all, but a probe \(--probe-every\)"
    ) as one:
        check(spec, Known(store))
    assert one.value.field == "probe_every"
    monkeypatch.setattr("dreamlab.checks.one_class.catalog.info", of(test=40))
    with pytest.raises(SpecError, match=r"There are 40 held-out real images .* use 0"):
        check(spec, Known(store))


def test_the_chart_and_its_note_say_the_probes_and_their_cost(trained: Any) -> None:
    metrics = [{"step": e["step"], **e["values"]} for e in trained[1] if e["type"] == "metric"]
    points = probe_chart.of(metrics)
    assert [p["step"] for p in points] == [4, 8, 10]
    drawn = probe_chart.figure(points, "light", "a").data
    lines = [list(t.y) for t in drawn if "markers" in t.mode]
    assert lines == [
        [p["probe_kid_classifier"] for p in points],
        [100 * p["probe_recognised"] for p in points],
    ]
    costs = [{**p, "probe_seconds": 2.0, "training_seconds": 54.0} for p in points]
    said = probe_chart.note(costs)
    assert said.startswith("200 samples of the averaged weights, w = 0, 10 steps;")
    assert "Each probe took 2.0 s, 10 % of the time so far" in said
    alone = [{k: v for k, v in p.items() if "recog" not in k and "acc" not in k} for p in points]
    assert len([t for t in probe_chart.figure(alone, "dark", "a").data if "markers" in t.mode]) == 1
    assert "recognises" not in probe_chart.note(alone) and probe_chart.note([]) == ""
