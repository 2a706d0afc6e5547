"""The raw weights of a training, those that are not averaged, sampled beside the averaged ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dreamlab.checks import Known, check
from dreamlab.data import imageset
from dreamlab.service import Service
from dreamlab.settings import SpecError, SynthesizeSpec, make
from dreamlab.settings.synthesize import RAW
from dreamlab.store import RunStore, checkpoints
from dreamlab.tasks.context import TaskContext, TaskError
from dreamlab.tasks.synthesize.task import synthesize
from dreamlab.tasks.train.state import load_weights
from dreamlab.tasks.train.task import train
from dreamlab.tasks.train.trainer import Trainer
from dreamlab.ui.forms import generators
from tests.task_helpers import CPU, context
from tests.train_helpers import TINY, trainer

pytestmark = pytest.mark.usefixtures("one_thread")


def resumed(ctx: TaskContext, source: Any = None, **values: Any) -> Trainer:
    """The trainer of a run, as it was when it was saved."""
    t = trainer(source=source, **values)
    t.resume(ctx.run.path)
    return t


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"optimizer": "adam", "weight_decay": 0.01, "ema_horizon": 1.0},
        {"optimizer": "adafactor", "wiring": "ddpm", "stem_patch": 1},
        {"conditional": False, "label_dropout": 0.0, "optimizer": "sgd"},
    ],
)
def test_raw_weights_are_those_of_the_trainer(store: RunStore, values: dict[str, Any]) -> None:
    ctx = context(store, "train", **TINY, **values)
    list(train(ctx))
    t, raw, ema = (
        resumed(ctx, **values),
        load_weights(ctx.run.path, CPU, RAW),
        load_weights(ctx.run.path, CPU),
    )
    own, averaged = t.network.state_dict(), ema.network.state_dict()
    found = raw.network.state_dict()
    assert found.keys() == own.keys() and all(torch.equal(found[n], own[n]) for n in own)
    assert not all(torch.equal(found[n], averaged[n]) for n in own)
    assert (raw.step, raw.precision, raw.classes) == (12, "fp32", ema.classes)
    assert not any(p.requires_grad for p in raw.network.parameters()) and not raw.network.training


def test_frozen_parts_are_the_same_in_both(store: RunStore) -> None:
    source = context(store, "train", **TINY)
    list(train(source))
    ctx = context(store, "train", **TINY, init_from=source.run.id, freeze=("stem", "down"))
    list(train(ctx))
    raw, ema, began = (
        load_weights(path, CPU, name).network
        for path, name in ((ctx.run.path, RAW), (ctx.run.path, ""), (source.run.path, ""))
    )
    assert torch.equal(raw.stem.weight, began.stem.weight)
    assert torch.equal(raw.stem.weight, ema.stem.weight)
    assert not torch.equal(raw.head.weight, ema.head.weight)


def test_without_averaging_both_are_the_same(store: RunStore) -> None:
    ctx = context(store, "train", **TINY, ema_horizon=0.0)
    list(train(ctx))
    raw, ema = (load_weights(ctx.run.path, CPU, name).network.state_dict() for name in (RAW, ""))
    assert all(torch.equal(raw[n], ema[n]) for n in ema)


def test_a_set_of_raw_weights_is_another_set_of_the_same_noise(store: RunStore) -> None:
    ctx = context(store, "train", **TINY)
    list(train(ctx))

    def images(**values: Any) -> np.ndarray:
        made = context(store, "synthesize", source=ctx.run.id, per_class=2, num_steps=4, **values)
        list(synthesize(made))
        return np.asarray(imageset.load(made.run.path)[0])

    ema, raw, guided = (
        images(),
        images(checkpoint=RAW),
        images(guide=ctx.run.id, guide_checkpoint=RAW),
    )
    assert not np.array_equal(ema, raw) and not np.array_equal(ema, guided)
    t = resumed(ctx)
    t.generator.network = t.network  # the sampler is then given the trainer's own weights
    t.network.requires_grad_(False).eval()
    from dreamlab.tasks.synthesize.pipeline import Pipeline

    spec = make(SynthesizeSpec, {"source": "a", "num_steps": 4})
    labels = np.repeat(np.arange(10), 2).tolist()
    assert np.array_equal(raw, Pipeline(t.generator, spec).images(labels, [0, 1] * 10))


def test_the_hash_of_a_set_tells_them_apart() -> None:
    plain, named, raw = (
        make(SynthesizeSpec, {"source": "a", **values}).content_hash()
        for values in ({}, {"checkpoint": ""}, {"checkpoint": RAW})
    )
    assert plain == named != raw


def test_a_run_without_raw_weights_is_refused_in_one_sentence(store: RunStore) -> None:
    ctx = context(store, "train", **TINY)
    list(train(ctx))
    spec = make(SynthesizeSpec, {"source": ctx.run.id, "checkpoint": RAW})
    check(spec, Known(store))
    state: Path = ctx.run.path / checkpoints.STATE
    whole = state.read_bytes()
    state.write_bytes(whole[:-8])
    with pytest.raises(SpecError, match=r"\(--checkpoint\): .*is cut off") as cut:
        check(spec, Known(store))
    state.unlink()
    with pytest.raises(SpecError, match=r"\(--checkpoint\): .* has no raw weights .*empty") as none:
        check(spec, Known(store))
    assert cut.value.field == none.value.field == "checkpoint"
    with pytest.raises(TaskError, match="has no raw weights"):
        load_weights(ctx.run.path, CPU, RAW)
    guided = make(
        SynthesizeSpec, {"source": ctx.run.id, "guide": ctx.run.id, "guide_checkpoint": RAW}
    )
    with pytest.raises(SpecError, match=r"Guide checkpoint \(--guide-checkpoint\)"):
        check(guided, Known(store))
    checkpoints.path_of(ctx.run.path).unlink()  # as before its first checkpoint: the set waits
    check(spec, Known(store))


def test_raw_weights_of_another_step_are_not_mixed_with_the_averaged_ones(store: RunStore) -> None:
    ctx = context(store, "train", **TINY)
    list(train(ctx))
    longer = context(store, "train", **{**TINY, "steps": 14})
    list(train(longer))
    (ctx.run.path / checkpoints.STATE).write_bytes(
        (longer.run.path / checkpoints.STATE).read_bytes()
    )
    with pytest.raises(TaskError, match=r"raw weights of step 14 and averaged ones of step 12"):
        load_weights(ctx.run.path, CPU, RAW)
    other = context(store, "train", **TINY, optimizer="adam")
    list(train(other))
    (ctx.run.path / checkpoints.STATE).write_bytes(
        (other.run.path / checkpoints.STATE).read_bytes()
    )
    with pytest.raises(TaskError, match="does not fit this version"):
        load_weights(ctx.run.path, CPU, RAW)


def test_the_list_of_checkpoints_offers_raw_weights_where_there_are_some(store: RunStore) -> None:
    ctx = context(store, "train", **TINY)
    service = Service(store.folder)
    assert generators.checkpoint_choices(service, ctx.run.id) == [("the last", "")]
    list(train(ctx))
    assert generators.checkpoint_choices(service, ctx.run.id) == [
        ("the last", ""),
        ("the last, not averaged", RAW),
    ]
