"""Pipelines: guidance, stages and samplers of whole networks; an image depends on its seed and
settings alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dreamlab.estimates import generators
from dreamlab.noise.timesteps import SAMPLERS
from dreamlab.settings import SynthesizeSpec, make
from dreamlab.store import RunStore, checkpoints
from dreamlab.tasks.context import TaskError
from dreamlab.tasks.generator import TrainedGenerator, load_generator, save_generator
from dreamlab.tasks.synthesize.pipeline import Pipeline, load_pipeline, spread
from tests.sampling_helpers import random_generator, trained_run
from tests.task_helpers import CPU

pytestmark = pytest.mark.usefixtures("one_thread")
LABELS, INDICES = [3, 1, 3, 7, 0, 9, 3, 2], [0, 4, 2, 0, 1, 1, 5, 0]


def settings(**values: Any) -> SynthesizeSpec:
    return make(SynthesizeSpec, {"source": "run", "num_steps": 5, "seed": 5, **values})


def difference(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def cascade(**values: Any) -> Pipeline:
    """8 to 16 to 32 pixels."""
    stages = [
        random_generator(2, image_size=16, low_size=8),
        random_generator(3, image_size=32, low_size=16),
    ]
    return Pipeline(random_generator(1), settings(upsample=("a", "b"), **values), stages=stages)


@pytest.mark.parametrize(
    "more", [{}, {"guidance_weight": 0.0}, {"guidance_t_max": 0.6, "clip": "dynamic"}]
)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_an_image_does_not_depend_on_its_batch(sampler: str, more: dict[str, Any]) -> None:
    if sampler == "ddim":
        more = {**more, "eta": 0.5}
    pipeline = Pipeline(random_generator(), settings(sampler=sampler, **more))
    together = pipeline.images(LABELS, INDICES)
    assert together.shape == (8, 8, 8, 1) and together.dtype == np.uint8
    for size in (1, 3):
        for k in range(0, 8, size):
            part = slice(k, k + size)
            assert difference(pipeline.images(LABELS[part], INDICES[part]), together[part]) <= 2
    assert (
        np.abs(together[0].astype(int) - together[2].astype(int)).mean() > 10
    )  # another index: another image


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_an_image_of_a_cascade_does_not_depend_on_its_batch_either(sampler: str) -> None:
    pipeline = cascade(sampler=sampler, num_steps=3)
    together = pipeline.images(LABELS, INDICES)
    assert together.shape == (8, 32, 32, 1) and pipeline.image_shape == (32, 32, 1)
    for k in (0, 5):
        assert (
            difference(pipeline.images(LABELS[k : k + 1], INDICES[k : k + 1])[0], together[k]) <= 2
        )


@pytest.mark.parametrize("size", [1, 3])
def test_an_image_of_the_ddpm_network_with_attention_does_not_depend_on_its_batch(
    size: int,
) -> None:
    network = {
        "wiring": "ddpm",
        "base_width": 32,
        "attention": (4,),
        "stem_patch": 1,
        "blocks_per_level": 2,
        "heads": 2,
    }
    pipeline = Pipeline(random_generator(**network), settings(num_steps=3))
    together = pipeline.images(LABELS, INDICES)
    assert difference(pipeline.images(LABELS[:size], INDICES[:size]), together[:size]) <= 2


@pytest.mark.parametrize("wanted", ["bf16", "fp16"])
def test_a_precision_that_is_asked_for_is_used(wanted: str) -> None:
    generator = random_generator()
    full, low = (Pipeline(generator, settings(precision=p)) for p in ("fp32", wanted))
    images = [p.images(LABELS, INDICES).astype(int) for p in (full, low)]
    assert low.precision == wanted and generator.precision == "fp32"
    assert 0 < np.abs(images[0] - images[1]).mean() < 8  # rounded, and the same image


def test_a_cascade_passes_its_image_on_and_counts_its_steps_on() -> None:
    pipeline = cascade(num_steps=4, guidance_weight=0.0)
    steps = list(pipeline.frames([0, 1], [0, 0]))
    assert [s.index for s in steps] == list(range(13)) and {s.total for s in steps} == {12}
    assert [s.stage for s in steps] == [0] * 5 + [1] * 4 + [2] * 4
    assert [s.x.shape[-1] for s in steps] == [8] * 5 + [16] * 4 + [32] * 4
    last_low = steps[4].x0.clamp(-1, 1)
    upsampler = Pipeline(pipeline.models[1], settings(num_steps=4, guidance_weight=0.0))
    other = upsampler.images([0, 1], [0, 0], low=last_low + 0.5)
    assert (
        difference(upsampler.images([0, 1], [0, 0], low=last_low), other) > 2
    )  # it looks at what it is given
    assert pipeline.network_calls == 12
    with pytest.raises(TaskError, match="pixels to start from"):
        upsampler.images([0], [0])


def test_the_noise_on_the_low_resolution_image_follows_its_setting() -> None:
    quiet, loud = (cascade(upsample_noise=n, guidance_weight=0.0) for n in (0.0, 0.3))
    a, b = list(quiet.frames([1], [0])), list(loud.frames([1], [0]))
    for x, y in zip(a, b, strict=True):
        assert torch.equal(x.x, y.x) is (x.stage == 0)


class Counted:
    """Counts the images that go through a network."""

    def __init__(self, g: TrainedGenerator):
        self.images = 0
        g.network.register_forward_hook(lambda module, inputs, output: self.add(len(inputs[0])))

    def add(self, n: int) -> None:
        self.images += n


@pytest.mark.parametrize(
    ("values", "calls"),
    [
        ({"guidance_weight": 0.0}, 10),
        ({}, 20),
        ({"sampler": "heun", "guidance_weight": 0.0}, None),
        ({"guidance_t_min": 0.3, "guidance_t_max": 0.8}, None),
        ({"sampler": "heun", "guidance_t_max": 0.5}, None),
        ({"sampler": "ddim", "guidance_t_min": 1.0}, 10),
    ],
)
def test_network_calls_are_those_that_are_made(values: dict[str, Any], calls: int | None) -> None:
    generator = random_generator()
    pipeline, counted = Pipeline(generator, settings(num_steps=10, **values)), Counted(generator)
    pipeline.images([0, 4, 2], [0, 0, 0])
    assert counted.images == 3 * pipeline.network_calls
    assert 10 <= pipeline.network_calls <= 40 and calls in (None, pipeline.network_calls)
    assert generators.calls(pipeline.spec, generator.spec) == pipeline.network_calls, (
        "what is said before is what is done"
    )


def test_guidance_changes_images_within_its_interval_only() -> None:
    generator = random_generator()
    plain, full, part, off = (
        Pipeline(generator, settings(**v)).images(LABELS, INDICES)
        for v in ({"guidance_weight": 0.0}, {}, {"guidance_t_max": 0.5}, {"guidance_t_min": 1.0})
    )
    assert difference(plain, off) == 0
    assert min(difference(plain, full), difference(plain, part), difference(full, part)) > 2


def test_autoguidance_by_the_same_model_changes_nothing_and_by_another_it_does() -> None:
    generator = random_generator()
    plain = Pipeline(generator, settings(guidance_weight=0.0)).images(LABELS, INDICES)
    same, other = (
        Pipeline(generator, settings(guide="g", guidance_weight=2.0), guide=g).images(
            LABELS, INDICES
        )
        for g in (random_generator(), random_generator(9))
    )
    assert difference(plain, same) <= 2 and difference(plain, other) > 2


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("conditional", [True, False])
def test_zero_terminal_snr_and_no_classes_can_be_sampled(sampler: str, conditional: bool) -> None:
    generator = random_generator(zero_terminal_snr=True, conditional=conditional)
    assert generator.classes == (10 if conditional else 1) and generator.alpha_bar[-1] == 0
    weight = 1.0 if conditional else 0.0
    steps = list(
        Pipeline(generator, settings(sampler=sampler, guidance_weight=weight)).frames(
            [0, 0], [0, 1]
        )
    )
    assert (
        all(torch.isfinite(s.x).all() and s.x0.abs().max() <= 1 for s in steps) and len(steps) == 6
    )


def test_a_learned_variance_is_used_where_it_is_asked_for() -> None:
    generator = random_generator(learn_variance=True)
    images = [
        Pipeline(generator, settings(sampler="ddpm", variance=v)).images(LABELS, INDICES)
        for v in ("learned", "posterior")
    ]
    assert images[0].shape == (8, 8, 8, 1) and difference(*images) > 2


def test_pictures_are_the_frames_whatever_the_size_of_their_batch() -> None:
    pipelines = [Pipeline(random_generator(), settings(batch_size=n)) for n in (3, 100)]
    small, large = (list(p.pictures(LABELS, INDICES, {0, 2, 5})) for p in pipelines)
    assert [p.index if p else None for p in small] == [0, None, 2, None, None, 5]
    for a, b in zip(small, large, strict=True):
        if a is not None and b is not None:
            assert difference(a.x, b.x) <= 2 and difference(a.x0, b.x0) <= 2 and len(a.x) == 8
    assert (
        small[-1] is not None and difference(small[-1].x, pipelines[1].images(LABELS, INDICES)) <= 2
    )
    assert (
        spread(0, 20, 5) == [0, 5, 10, 15, 20]
        and spread(0, 3, 50) == [0, 1, 2, 3]
        and spread(0, 9, 1) == [9]
    )


def test_a_pipeline_is_loaded_from_runs_and_what_does_not_fit_is_refused(
    store: RunStore, tmp_path: Path
) -> None:
    base, other = trained_run(store), trained_run(store, 1, schedule="linear")
    up = trained_run(store, 2, image_size=16, low_size=8, low_noise=0.2)
    short = trained_run(store, 3, num_train_timesteps=10)
    plain = trained_run(store, 4, conditional=False)

    def load(**values: Any) -> Pipeline:
        return load_pipeline(
            lambda name: store.get(name).path, settings(**{"source": base.id, **values}), CPU
        )

    assert load(upsample=(up.id,)).image_shape == (16, 16, 1) and load().precision in (
        "fp32",
        "bf16",
    )
    for values, text in (
        ({"guide": other.id}, "--guide.*schedule"),
        ({"upsample": (other.id,)}, "--upsample"),
        ({"source": up.id}, "--from"),
        ({"source": short.id, "num_steps": 11}, "--num-steps"),
        ({"classes": (10,)}, "--classes"),
        ({"source": plain.id}, "--guidance-weight"),
        ({"sampler": "ddpm", "variance": "learned"}, "--variance"),
        ({"upsample": (up.id,), "upsample_noise": 0.3}, "--upsample-noise"),
    ):
        with pytest.raises(TaskError, match=text) as error:
            load(**values)
        assert "\n" not in str(error.value)


def test_a_kept_checkpoint_is_read_by_name_and_an_absent_one_says_which_there_are(
    store: RunStore,
) -> None:
    run = trained_run(store)
    for step in (400, 800):
        save_generator(run.path, random_generator(step, step=step), checkpoints.name_at(step))
    kept = load_generator(run.path, CPU, "step-000400")
    wanted = random_generator(400).network.state_dict()
    assert kept.step == 400 and all(
        torch.equal(v, wanted[k]) for k, v in kept.network.state_dict().items()
    )
    assert load_generator(run.path, CPU).step == 1
    with pytest.raises(
        TaskError, match="no checkpoint step-000500; it has step-000800, step-000400"
    ):
        load_generator(run.path, CPU, "step-000500")
    with pytest.raises(TaskError, match="it has kept none"):
        load_generator(trained_run(store).path, CPU, "step-000400")


def test_a_checkpoint_of_another_shape_is_refused_in_one_sentence(store: RunStore) -> None:
    run, wide = trained_run(store), random_generator(base_width=16)
    wide.spec = random_generator().spec
    save_generator(run.path, wide)
    with pytest.raises(TaskError, match="does not fit") as error:
        load_generator(run.path, CPU)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "settings_",
    [{}, {"conditional": False, "label_dropout": 0.0}, {"low_size": 4, "learn_variance": True}],
)
def test_a_generator_survives_being_written(store: RunStore, settings_: dict[str, Any]) -> None:
    run, wanted = trained_run(store, 5, **settings_), random_generator(5, **settings_)
    found = load_generator(run.path, CPU)
    assert found.network.network == wanted.network.network and found.classes == wanted.classes
    assert all(
        torch.equal(v, wanted.network.state_dict()[k])
        for k, v in found.network.state_dict().items()
    )
