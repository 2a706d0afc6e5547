"""The network, its facts, its optimiser, the loss and the averaged weights."""

from __future__ import annotations

import pytest
import torch

from dreamlab.diffusion import schedules
from dreamlab.diffusion.ema import ema_decay, ema_update
from dreamlab.diffusion.losses import SNR_FLOOR, loss_weights, stratified_t, target_of, weighted_mse
from dreamlab.diffusion.optim import FlatOptimizer, learning_rate_factor, orthogonalise
from dreamlab.diffusion.process import diffuse, x0_from
from dreamlab.spec import SpecError, TrainSpec
from dreamlab.spec.facts import check_network, check_sampling, parameter_count
from dreamlab.tasks.generator import build


@pytest.mark.parametrize(
    ("settings", "size", "channels"),
    [
        ({}, 28, 1), ({"stem_patch": 4, "base_width": 48, "multipliers": (2,)}, 28, 1), ({"blocks_per_level": 2}, 8, 1),
        ({"multipliers": (1, 2, 3), "stem_patch": 1}, 32, 3), ({"base_width": 16, "multipliers": (3, 1, 1, 2)}, 32, 3),
    ],
)  # fmt: skip
def test_parameters_are_counted_without_torch(settings: dict, size: int, channels: int) -> None:
    spec = TrainSpec(**settings)
    network = build(spec, channels, 10)
    assert parameter_count(spec, size, channels, 10) == sum(p.numel() for p in network.parameters())
    x = torch.randn(2, channels, size, size)
    out = network(x, torch.tensor([0, 999]), torch.tensor([3, 10]))
    assert out.shape == x.shape
    assert torch.equal(out, torch.zeros_like(out))  # the last layer starts at zero


def test_the_default_network_has_the_size_it_was_chosen_for() -> None:
    assert 450_000 < parameter_count(TrainSpec(), 28, 1, 10) < 650_000


@pytest.mark.parametrize(
    ("settings", "size", "field"),
    [
        ({"stem_patch": 4}, 30, "stem_patch"),
        ({"multipliers": (1, 2, 2)}, 28, "multipliers"),
        ({"multipliers": (1,) * 6}, 32, "multipliers"),
    ],
)
def test_a_network_that_does_not_fit_the_images_is_refused(settings: dict, size: int, field: str) -> None:
    with pytest.raises(SpecError, match=r"--.*(use|at most)") as error:
        check_network(TrainSpec(**settings), size)
    assert error.value.field == field


@pytest.mark.parametrize(
    ("steps", "chosen", "field"), [(101, (), "num_steps"), (5, (0, 10), "classes"), (5, (1, 1), "classes")]
)
def test_sampling_that_cannot_be_done_is_refused(steps: int, chosen: tuple[int, ...], field: str) -> None:
    check_sampling(100, (0, 9), 100, 10)
    with pytest.raises(SpecError) as error:
        check_sampling(steps, chosen, 100, 10)
    assert error.value.field == field


def test_flat_parameters_are_the_networks_own() -> None:
    torch.manual_seed(0)
    network = build(TrainSpec(base_width=8), 1, 10)
    before = {n: p.detach().clone() for n, p in network.named_parameters()}
    optimizer = FlatOptimizer(network, matrices=True)
    for name, p in network.named_parameters():
        torch.testing.assert_close(p.detach(), before[name], rtol=0, atol=0)
    out = network(torch.randn(4, 1, 8, 8), torch.tensor([1, 5, 9, 800]), torch.tensor([0, 1, 2, 10]))
    (out - 1).square().mean().backward()
    assert optimizer.grad.abs().sum() > 0
    optimizer.step(1, 1e-3, 1e-2)
    assert not torch.equal(network.head.bias, before["head.bias"]) and optimizer.grad.abs().sum() == 0


def test_adamw_on_the_flat_buffer_is_torchs_adamw() -> None:
    torch.manual_seed(1)
    own, theirs = (torch.nn.Linear(3, 2) for _ in range(2))
    theirs.load_state_dict(own.state_dict())
    flat = FlatOptimizer(own, matrices=False)
    reference = torch.optim.AdamW(theirs.parameters(), lr=0.01, betas=(0.9, 0.99), weight_decay=0.0)
    for step in range(1, 6):
        x = torch.randn(5, 3)
        for network in (own, theirs):
            network(x).square().sum().backward()
        flat.step(step, 0.01, 0.0)
        reference.step()
        reference.zero_grad()
    torch.testing.assert_close(own.weight, theirs.weight)


@pytest.mark.parametrize("shape", [(3, 6, 20), (2, 20, 6)])
def test_orthogonalise_pushes_singular_values_towards_one(shape: tuple[int, int, int]) -> None:
    g = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(g, steps=5))
    assert values.min() > 0.5 and values.max() < 1.5
    torch.testing.assert_close(
        orthogonalise(g)[:1], orthogonalise(g[:1]), rtol=1e-3, atol=1e-4
    )  # a batch is its members


def test_learning_rate_warms_up_and_ends_near_zero() -> None:
    factors = [learning_rate_factor(p) for p in (0.0, 0.025, 0.05, 0.5, 0.9, 1.0)]
    assert factors[0] < factors[1] == pytest.approx(0.5) and factors[2] == pytest.approx(1.0)
    assert factors[2] > factors[3] > factors[4] > factors[5] > 0 and factors[5] < 0.01


def test_the_average_of_a_constant_is_the_constant_and_follows_a_change() -> None:
    average, value = torch.full((3,), 2.0), torch.full((3,), 2.0)
    for step in range(1, 50):
        ema_update(average, value, step, 0.06)
    torch.testing.assert_close(average, value)
    for step in range(1000, 1240):  # four horizons of 60 steps
        ema_update(average, torch.full((3,), 5.0), step, 0.06)
    assert 4.8 < float(average[0]) < 5.0
    assert ema_decay(1000, 0.06) == pytest.approx(1 - 1 / 61) and ema_decay(5, 0.0) == 0.0


@pytest.mark.parametrize("target", ["x0", "eps", "v"])
def test_weighted_losses_measure_the_x0_error(target: str) -> None:
    alpha_bar = torch.tensor(schedules.alpha_bar("cosine", 1000))
    weights = loss_weights(target, "sqrt_snr", alpha_bar)
    chance = torch.Generator().manual_seed(0)
    x0, eps, wrong = torch.randn(3, 1, 1, 4, 4, generator=chance, dtype=torch.float64).unbind()
    for t in (50, 400, 800):
        a = alpha_bar[t]
        ratio = float(a / (1 - a))
        assert ratio > SNR_FLOOR
        x_t, output = diffuse(x0, eps, a), target_of(target, x0, eps, a) + 0.1 * wrong
        error = (x0_from(target, output, x_t, a) - x0).square().mean()
        expected = min(max(ratio**0.5, 0.1), 3.0) * float(error)
        found = float(weights[t]) * float((output - target_of(target, x0, eps, a)).square().mean())
        assert found == pytest.approx(expected, rel=1e-6)
    assert torch.isfinite(weights).all() and torch.equal(
        loss_weights(target, "simple", alpha_bar), torch.ones_like(alpha_bar)
    )


def test_weighted_mse_weighs_images() -> None:
    output, wanted = torch.tensor([[1.0, 1.0], [2.0, 0.0]]), torch.zeros(2, 2)
    assert float(weighted_mse(output, wanted, torch.tensor([1.0, 3.0]))) == pytest.approx((1 + 3 * 2) / 2)


@pytest.mark.parametrize(("n", "T"), [(64, 1000), (7, 10), (64, 10)])
def test_stratified_t_takes_one_from_every_stratum(n: int, T: int) -> None:
    chance = torch.Generator().manual_seed(3)
    draws = torch.stack([stratified_t(n, T, chance) for _ in range(50)])
    strata = torch.arange(n)
    assert (draws >= (strata * T // n)).all() and (draws <= ((strata + 1) * T / n).ceil()).all() and draws.max() < T
    assert draws.min() == 0 and draws.max() == T - 1
