"""Precision `auto`: bf16 or fp32 is chosen once, before the first step, and kept."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dreamlab.settings import SynthesizeSpec, make
from dreamlab.store import ArtefactCache, RunStore, checkpoints
from dreamlab.store.cache import user_cache
from dreamlab.tasks import precision
from dreamlab.tasks.generator import read_safetensors
from dreamlab.tasks.synthesize import sampling_precision
from dreamlab.tasks.synthesize.pipeline import Pipeline, load_pipeline
from dreamlab.tasks.synthesize.sampling_precision import SAME, batch_difference, fastest
from dreamlab.tasks.synthesize.task import synthesize
from dreamlab.tasks.train.task import train
from tests.sampling_helpers import random_generator, trained_run
from tests.task_helpers import CPU, again, context, stop_after
from tests.train_helpers import TINY, steps, trainer

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DREAMLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(precision, "has_fast_bf16", lambda device: True)


class Machine:
    """Work with a given time in each number format. The machine is three times slower from a call
    on, the first two calls load kernels, and `noise` is a share of the time."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        fp32: float,
        bf16: float,
        noise: float = 0.0,
        slower_from: int = 1000,
    ):
        self.seconds = {"fp32": fp32, "bf16": bf16}
        self.clock, self.calls, self.noise, self.slower_from = 0.0, 0, noise, slower_from
        self.chance = random.Random(0)
        monkeypatch.setattr(time, "perf_counter", lambda: self.clock)

    def __call__(self, chosen: str) -> None:
        self.calls += 1
        slow = (5.0 if self.calls <= 2 else 1.0) * (3.0 if self.calls >= self.slower_from else 1.0)
        noise = self.chance.uniform(1 - self.noise, 1 + self.noise)
        self.clock += self.seconds[chosen] * slow * noise


@pytest.mark.parametrize(
    ("fp32", "bf16", "choice"),
    [(0.10, 0.05, "bf16"), (0.05, 0.25, "fp32"), (0.10, 0.08, "fp32"), (0.10, 0.075, "bf16")],
)
def test_bf16_is_chosen_where_it_is_1_3_times_as_fast(
    monkeypatch: pytest.MonkeyPatch, fp32: float, bf16: float, choice: str
) -> None:
    machine = Machine(monkeypatch, fp32, bf16)
    assert precision.choose("network", CPU, machine) == choice
    calls = machine.calls
    assert precision.choose("network", CPU, machine) == choice and machine.calls == calls
    precision.choose("another network", CPU, machine)
    assert machine.calls == 2 * calls


def test_a_clear_difference_is_seen_early(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    for fp32, bf16 in ((0.1, 0.05), (0.1, 0.2), (0.1, 0.08)):
        machine = Machine(monkeypatch, fp32, bf16)
        precision.is_faster(machine, CPU)
        calls.append(machine.calls)
    assert calls[0] == calls[1] < calls[2]
    slow = Machine(monkeypatch, 9.0, 5.0)
    assert precision.is_faster(slow, CPU) and slow.calls == 4


@pytest.mark.parametrize("slower_from", range(3, 14))
def test_a_machine_that_grows_busy_or_is_noisy_does_not_mislead(
    monkeypatch: pytest.MonkeyPatch, slower_from: int
) -> None:
    for fp32, bf16, faster in ((0.071, 0.047, True), (0.052, 0.055, False)):
        machine = Machine(monkeypatch, fp32, bf16, noise=0.05, slower_from=slower_from)
        assert precision.is_faster(machine, CPU) == faster


def test_bf16_is_not_tried_where_it_is_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_fast_bf16", lambda device: False)
    machine = Machine(monkeypatch, 0.1, 0.01)
    assert precision.choose("network", CPU, machine) == "fp32" and not machine.calls


def test_the_first_of_two_processes_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    def decided_meanwhile(work: Callable[[str], object], device: torch.device) -> bool:
        with monkeypatch.context() as other:
            other.setattr(precision, "is_faster", lambda work, device: True)
            precision.choose("network", CPU, work)
        return False

    monkeypatch.setattr(precision, "is_faster", decided_meanwhile)
    assert precision.choose("network", CPU, lambda chosen: None) == "bf16"


def test_a_cache_that_cannot_be_written_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DREAMLAB_CACHE", str(tmp_path / "file" / "cache"))
    user_cache().put("key", value=torch.ones(1).numpy())
    assert user_cache().get("key") is not None


def test_the_probe_of_a_training_changes_nothing() -> None:
    plain, probed = (trainer(dropout=0.2, flip=True) for _ in range(2))
    for chosen in ("fp32", "bf16"):
        probed.probe(chosen, 4)
    assert steps(plain, 3) == steps(probed, 3)
    assert torch.equal(plain.optimizer.weights, probed.optimizer.weights)
    assert plain.loss_bands() == probed.loss_bands()


@pytest.mark.parametrize("faster", [True, False])
def test_the_same_training_gives_the_same_bits(
    store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faster: bool
) -> None:
    """Twice in one runs folder, once in another, and once stopped in the middle and resumed on a
    machine that would choose the other number format."""
    monkeypatch.setattr(precision, "is_faster", lambda work, device: faster)
    values = {**TINY, "precision": "auto", "steps": 8}
    elsewhere = RunStore(tmp_path / "runs")
    elsewhere.prepare()
    found = [context(s, "train", **values) for s in (store, store, elsewhere)]
    results = [list(train(ctx))[-1]["values"] for ctx in found]
    assert {r["precision"] for r in results} == {"bf16" if faster else "fp32"}
    assert len({r["loss"] for r in results}) == 1 and results[0]["loss_steps"] == 8
    stopped = context(store, "train", **values)
    stop_after(stopped, train, lambda e: e["type"] == "image")
    monkeypatch.setenv("DREAMLAB_CACHE", str(tmp_path / "another machine"))
    monkeypatch.setattr(precision, "is_faster", lambda work, device: not faster)
    list(train(again(stopped)))
    tensors = [
        [read_safetensors(ctx.run.path / f)[1] for f in (checkpoints.LAST, checkpoints.STATE)]
        for ctx in (*found, stopped)
    ]
    files = [(ctx.run.path / checkpoints.LAST).read_bytes() for ctx in (*found, stopped)]
    assert files.count(files[0]) == 4, "equal content gives equal bytes"
    for other in tensors[1:]:
        for a, b in zip(tensors[0], other, strict=True):
            assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_resumed_training_of_given_steps_keeps_its_number_of_threads(store: RunStore) -> None:
    """Sums are rounded differently by another number of threads."""
    values, weights = {**TINY, "base_width": 16, "batch_size": 32, "steps": 8}, []
    for resumed in (1, 2):
        ctx = context(store, "train", **values)
        torch.set_num_threads(1)
        stop_after(ctx, train, lambda e: e["type"] == "image")
        torch.set_num_threads(resumed)
        list(train(again(ctx)))
        assert torch.get_num_threads() == 1
        weights.append((ctx.run.path / checkpoints.LAST).read_bytes())
    assert weights[0] == weights[1]


def test_a_training_that_is_killed_before_its_first_step_keeps_its_choice(
    store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = context(store, "train", **{**TINY, "precision": "auto"})
    monkeypatch.setattr(precision, "is_faster", lambda work, device: True)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("dreamlab.tasks.train.trainer.Trainer.step", killed)
        list(train(ctx))
    monkeypatch.setenv("DREAMLAB_CACHE", str(tmp_path / "another machine"))
    monkeypatch.setattr(precision, "is_faster", lambda work, device: False)
    assert list(train(again(ctx)))[-1]["values"]["precision"] == "bf16"


@pytest.mark.parametrize(
    ("faster", "difference", "choice"),
    [(True, 0.0, "bf16"), (True, 4e-3, "fp32"), (False, 0.0, "fp32")],
)
def test_sampling_takes_bf16_only_where_it_is_faster_and_no_image_depends_on_its_batch(
    monkeypatch: pytest.MonkeyPatch, faster: bool, difference: float, choice: str
) -> None:
    probes: list[object] = []
    monkeypatch.setattr(precision, "is_faster", lambda work, _: probes.append(work) or faster)
    monkeypatch.setattr(sampling_precision, "batch_difference", lambda generator: difference)
    assert fastest(random_generator()) == choice
    assert fastest(random_generator(7)) == choice and len(probes) == 1  # known for this shape
    fastest(random_generator(base_width=16))
    assert len(probes) == 2


def test_the_probe_sees_an_output_that_depends_on_its_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = random_generator()
    assert batch_difference(generator) <= SAME
    assert batch_difference(random_generator(image_size=16, low_size=8)) <= SAME
    plain = generator.predict
    monkeypatch.setattr(
        generator, "predict", lambda x, *rest: plain(x, *rest) * (1 + 1e-2 / len(x))
    )
    assert batch_difference(generator) > SAME


def chosen_by_size(monkeypatch: pytest.MonkeyPatch, bf16_at: int) -> None:
    monkeypatch.setattr(
        "dreamlab.tasks.synthesize.pipeline.fastest",
        lambda g: "bf16" if g.image_size == bf16_at else "fp32",
    )


def test_every_model_of_a_run_is_sampled_in_its_own_format(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, up = trained_run(store), trained_run(store, 2, image_size=16, low_size=8)
    chosen_by_size(monkeypatch, 16)

    def load(**values: Any) -> Pipeline:
        settings = {"source": base.id, "upsample": (up.id,), "guide": base.id, **values}
        spec = make(SynthesizeSpec, settings)
        return load_pipeline(lambda name: store.get(name).path, spec, CPU)

    pipeline = load()
    assert pipeline.formats == ["fp32", "bf16", "fp32"] and pipeline.precision == "fp32, bf16"
    assert load(precision="bf16").formats == ["bf16"] * 3


def test_a_resumed_set_keeps_its_number_format(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"source": trained_run(store).id, "per_class": 4, "num_steps": 4, "batch_size": 8}
    chosen_by_size(monkeypatch, 8)
    ctx = context(store, "synthesize", **values)
    stop_after(ctx, synthesize, lambda e: e["type"] == "progress")
    chosen_by_size(monkeypatch, 0)
    assert list(synthesize(again(ctx)))[-1]["values"]["precision"] == "bf16"


def test_an_entry_is_added_once(tmp_path: Path) -> None:
    cache = ArtefactCache(tmp_path)
    for value in (1.0, 2.0):
        found = cache.add("key", value=torch.tensor(value).numpy())
        assert float(found["value"]) == 1.0
