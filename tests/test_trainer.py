"""One step of a training, setting by setting, on a tiny network."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dreamlab.data import catalog, imageset
from dreamlab.diffusion.forward_process import upsample
from dreamlab.settings import SpecError
from dreamlab.tasks.context import TaskError
from dreamlab.tasks.generator import from_uint8, to_tensor
from dreamlab.tasks.train.data_parallel import Ranks
from dreamlab.tasks.train.trainer import Trainer, downsample
from tests.task_helpers import CPU
from tests.train_helpers import steps, trainer

SMALL_EPS = {"optimizer": "sgd", "learning_rate": 0.01}


def gradient(t: Trainer, precision: str = "fp32") -> torch.Tensor:
    """The gradient of the first step, scaled as it is; leaves weights as they are."""
    t.step_count += 1
    t.add_gradient(t.draw(1), precision)
    return t.optimizer.grad.clone()


def wake(t: Trainer) -> Trainer:
    """Moves the weights off their start, where layers of zeros hide most gradients."""
    with torch.no_grad():
        t.optimizer.weights.add_(
            torch.randn(t.optimizer.weights.shape, generator=torch.Generator().manual_seed(5)),
            alpha=0.05,
        )
    return t


@pytest.mark.parametrize("parts", [2, 3, 16])
def test_a_batch_in_parts_has_the_gradient_of_the_whole(parts: int) -> None:
    whole, divided = wake(trainer()), wake(trainer(accumulate=parts))
    expected = gradient(whole)
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(gradient(divided), expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(divided.optimizer.extra, whole.optimizer.extra, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("count", [2, 3])
def test_the_shares_of_several_processes_add_up_to_the_whole(count: int) -> None:
    parts = [wake(trainer(ranks=Ranks(i, count), accumulate=2)) for i in range(count)]
    total = sum(gradient(t) for t in parts)
    torch.testing.assert_close(total, gradient(wake(trainer())), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("target", ["x0", "eps", "v"])
@pytest.mark.parametrize("weighting", ["sqrt_snr", "simple", "min_snr"])
@pytest.mark.parametrize("learn_variance", [False, True])
def test_every_target_and_weighting_learns(
    target: str, weighting: str, learn_variance: bool
) -> None:
    t = trainer(
        target=target,
        weighting=weighting,
        learn_variance=learn_variance,
        optimizer="adam",
        learning_rate=4e-3,
    )
    losses = [float(t.step(0.3, "fp32")) for _ in range(40)]
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])


def test_a_zero_terminal_snr_is_trained_at_its_end() -> None:
    assert np.isfinite(
        steps(trainer(zero_terminal_snr=True, target="v", learn_variance=True), 4)
    ).all()


def test_the_variance_does_not_move_the_mean() -> None:
    plain, hybrid = wake(trainer(learn_variance=True)), wake(trainer(learn_variance=True))
    half = (
        plain.generator.channels * 4
    )  # rows of the head that say the target, before the pixels are unfolded
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dreamlab.tasks.train.trainer.VLB_WEIGHT", 0.0)
        gradient(plain)
    gradient(hybrid)
    torch.testing.assert_close(
        plain.network.head.weight.grad[:half], hybrid.network.head.weight.grad[:half]
    )
    assert (
        plain.network.head.weight.grad[half:].abs().max()
        == 0
        < hybrid.network.head.weight.grad[half:].abs().max()
    )


def test_without_labels_there_is_no_class_table() -> None:
    t = trainer(conditional=False, label_dropout=0.0)
    assert not any("classes" in name for name in t.optimizer.names) and t.generator.classes == 1
    assert np.isfinite(steps(t, 3)).all()


def test_labels_are_dropped_and_images_mirrored_by_the_chance_of_the_step() -> None:
    t = trainer(flip=True, label_dropout=0.5, batch_size=256)
    first, second = t.draw(1), t.draw(1)
    for a, b in (
        (first.labels, second.labels),
        (first.mirrored, second.mirrored),
        (first.eps, second.eps),
    ):
        assert torch.equal(a, b)
    assert 90 < int((first.labels == 10).sum()) < 166 and 90 < int(first.mirrored.sum()) < 166
    assert not torch.equal(t.draw(2).mirrored, first.mirrored)


def test_a_mirrored_image_is_learned_mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(
        "dreamlab.tasks.train.trainer.target_of", lambda target, x0, *_: seen.append(x0) or x0
    )
    t = trainer(flip=True)
    batch = t.draw(1)
    t.add_gradient(batch, "fp32")
    plain = from_uint8(batch.images)
    for k, mirrored in enumerate(batch.mirrored.tolist()):
        assert torch.equal(seen[0][k], plain[k].flip(-1) if mirrored else plain[k])


def test_images_are_resized_once() -> None:
    t = trainer(image_size=12)
    assert t.images.batch(0)[0].shape == (16, 12, 12, 1) and t.generator.image_size == 12
    assert np.isfinite(steps(t, 2)).all()


def test_losses_are_told_apart_by_noise_level() -> None:
    t = trainer(batch_size=4)
    losses = steps(t, 3)
    bands = t.loss_bands()
    assert sorted(bands) == [
        f"loss_band_{i}" for i in range(4)
    ]  # stratified: one of each quarter in every batch
    assert np.mean(list(bands.values())) == pytest.approx(np.mean(losses), rel=1e-5)
    assert t.loss_bands() == {}


def test_streamed_and_resident_images_train_alike() -> None:
    there, streamed = (trainer(resident=r, images_per_class=3) for r in (True, False))
    assert there.images.resident and not streamed.images.resident
    assert steps(there, 3) == steps(streamed, 3)


def test_images_stay_on_the_device_where_a_share_of_its_memory_holds_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def available(number: int) -> None:
        monkeypatch.setattr(
            "psutil.virtual_memory", lambda: type("Memory", (), {"available": number})
        )

    available(4 * 1200 * 64)
    assert trainer().images.resident
    available(4 * 1200 * 64 - 4)
    assert not trainer().images.resident


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_follows_fp32(precision: str) -> None:
    exact, rough = wake(trainer()), wake(trainer())
    a, b = gradient(exact), gradient(rough, precision)
    b = b / (rough.loss_scale.value if precision == "fp16" else 1)
    assert torch.nn.functional.cosine_similarity(a, b, dim=0) > 0.99
    assert float(b.norm()) == pytest.approx(float(a.norm()), rel=0.05)


def test_an_overflowing_step_of_fp16_is_left_out() -> None:
    t = wake(trainer(**SMALL_EPS))
    before, average = t.optimizer.weights.clone(), t.average.clone()
    t.loss_scale.value = 2.0**140  # no float holds the scaled loss
    steps(t, 1, "fp16")
    assert torch.equal(t.optimizer.weights, before) and torch.equal(t.average, average)
    assert t.loss_scale.value == 2.0**139 and (t.step_count, t.updates) == (1, 0)
    assert t.optimizer.buffer.abs().max() == 0
    t.loss_scale.value = 2.0**8
    steps(t, 1, "fp16")
    assert not torch.equal(t.optimizer.weights, before) and t.updates == 1


def test_clipping_is_reported_and_shortens_the_step() -> None:
    free, clipped = wake(trainer(**SMALL_EPS)), wake(trainer(**SMALL_EPS, grad_clip=1e-3))
    before = free.optimizer.weights.clone()
    free.step(0.05, "fp32")
    clipped.step(0.05, "fp32")
    assert free.grad_norm is None and float(clipped.grad_norm) > 1e-3
    moved = (clipped.optimizer.weights - before).norm() / (free.optimizer.weights - before).norm()
    assert float(moved) == pytest.approx(1e-3 / float(clipped.grad_norm), rel=1e-2)


def small_memory(t: Trainer, most: int) -> list[int]:
    """Lets the network fail above a number of images; returns the sizes that were tried."""
    sizes: list[int] = []

    def hook(module: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        sizes.append(len(inputs[0]))
        if sizes[-1] > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    t.network.register_forward_pre_hook(hook)
    return sizes


def test_too_little_memory_divides_the_batch_and_does_the_same_step_again(tmp_path: Path) -> None:
    whole, poor = wake(trainer()), wake(trainer())
    sizes = small_memory(poor, 5)
    assert steps(poor, 2) == pytest.approx(steps(whole, 2), rel=1e-4)
    assert sizes == [16, 8, 4, 4, 4, 4, 4, 4, 4, 4]
    assert poor.notes == [
        "Out of memory with 16 images at once: the batch is now computed in 2 parts of 8.",
        "Out of memory with 8 images at once: the batch is now computed in 4 parts of 4.",
    ]
    torch.testing.assert_close(
        poor.optimizer.weights, whole.optimizer.weights, rtol=1e-3, atol=1e-4
    )
    (tmp_path / "checkpoints").mkdir()
    poor.save(tmp_path, "fp32")
    resumed = trainer()
    resumed.resume(tmp_path)
    assert (resumed.parts, resumed.at_once) == (4, 4)


def test_a_single_image_that_does_not_fit_ends_the_run() -> None:
    t = trainer(batch_size=2)
    small_memory(t, 0)
    with pytest.raises(TaskError, match=r"single image.*--base-width"):
        steps(t, 1)


def test_what_cannot_be_compiled_trains_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(network: Any) -> Any:
        def forward(*_: Any) -> None:
            raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found")

        return forward

    monkeypatch.setattr(torch, "compile", broken)
    t = trainer(compile=True)
    assert steps(t, 2) == steps(trainer(), 2)
    assert len(t.notes) == 1 and "cannot be compiled" in t.notes[0] and "C++ compiler" in t.notes[0]


LARGER = {"image_size": 16, "low_size": 8, "base_width": 8}


def test_super_resolution_sees_the_small_image_noised_and_upsampled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    t = trainer(**LARGER, low_noise=0.2, batch_size=64)
    t.step_count = 1
    batch = t.draw(1)
    assert 0 <= int(batch.low_t.min()) < 20 and 180 < int(batch.low_t.max()) <= 200
    seen: list[tuple[torch.Tensor, ...]] = []
    t.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
    t.add_gradient(batch, "fp32")
    x, _, labels, low_t = seen[0]
    assert (
        x.shape == (64, 2, 16, 16)
        and torch.equal(low_t, batch.low_t)
        and 0 < int((labels == 10).sum()) < 20
    )
    a = torch.tensor(t.generator.alpha_bar[batch.low_t.numpy()], dtype=torch.float32)[
        :, None, None, None
    ]
    small = from_uint8(batch.images).unflatten(-1, (8, 2)).unflatten(-3, (8, 2)).mean(dim=(-3, -1))
    torch.testing.assert_close(
        x[:, 1:], a.sqrt() * upsample(small, 16) + (1 - a).sqrt() * batch.low_eps
    )
    assert np.isfinite(steps(t, 2)).all()


def test_previews_of_super_resolution_start_from_real_images() -> None:
    t = trainer(**LARGER)
    low = t.preview_low(3)
    assert low.shape == (30, 1, 8, 8) and trainer().preview_low(3) is None
    first = np.flatnonzero(catalog.load("digits").train_labels == 4)[2]
    pixels = imageset.resized(catalog.load("digits").train_images[[first]], 16)
    assert torch.equal(low[14:15], downsample(from_uint8(to_tensor(pixels, CPU)), 8))
    exact = torch.tensor(catalog.load("digits").train_images[first, ..., 0]) / 127.5 - 1
    assert (low[14, 0] - exact).abs().mean() < 0.1  # up to 16 pixels and down again


def test_fine_tuning_takes_over_weights_and_classes() -> None:
    source = trainer()
    steps(source, 6)
    g, weights = source.generator, source.generator.network.state_dict()
    same = trainer(source=g, init_from="a").network.state_dict()
    assert all(torch.equal(same[name], weights[name]) for name in weights)
    g.spec = g.spec.model_copy(update={"dataset": "mnist5k"})  # as if its classes were others
    other = trainer(source=g, init_from="a", seed=3).network.state_dict()
    table = "condition.classes.weight"
    assert torch.equal(other[table][-1], weights[table][-1])
    assert not any(torch.equal(other[table][c], weights[table][c]) for c in range(10))
    assert all(torch.equal(other[name], weights[name]) for name in weights if name != table)
    with pytest.raises(SpecError, match="--freeze"):
        trainer(source=g, init_from="a", freeze=("condition",))


def test_fine_tuning_from_another_network_or_other_channels_is_refused() -> None:
    source = trainer()
    with pytest.raises(SpecError, match="--base-width"):
        trainer(source=source.generator, init_from="a", base_width=16)
    g = source.generator
    g.network.network = dataclasses.replace(g.network.network, channels=3)
    with pytest.raises(SpecError, match="1 colour channels, but the model to start from has 3"):
        trainer(source=g, init_from="a")


PARTS = {
    "stem": {"stem"},
    "condition": {"condition"},
    "down": {"down", "shrink"},
    "middle": {"middle"},
    "up": {"up", "grow"},
    "head": {"norm", "head"},
}


@pytest.mark.parametrize("part", list(PARTS))
def test_frozen_parts_stay_and_are_resumed(part: str, tmp_path: Path) -> None:
    source = wake(trainer())
    steps(source, 3)
    settings = {"source": source.generator, "init_from": "a", "freeze": (part,)}
    t = trainer(**settings)
    before = {name: p.detach().clone() for name, p in t.network.named_parameters()}
    steps(t, 4)
    moved = {
        name.split(".")[0]
        for name, p in t.network.named_parameters()
        if not torch.equal(p, before[name])
    }
    still = {
        name.split(".")[0]
        for name, p in t.network.named_parameters()
        if torch.equal(p, before[name])
    }
    assert moved == {name.split(".")[0] for name in before} - PARTS[part] and PARTS[part] <= still
    (tmp_path / "checkpoints").mkdir()
    t.save(tmp_path, "fp32")
    resumed = trainer(init_from="a", freeze=(part,), seed=0)  # without the source
    resumed.resume(tmp_path)
    steps(t, 2)
    steps(resumed, 2)
    for a, b in ((t.network, resumed.network), (t.generator.network, resumed.generator.network)):
        for name, value in a.state_dict().items():
            assert torch.equal(value, b.state_dict()[name]), name
