"""Optimisers on the flat buffer against torch's own, the learning rate, loss scaling and the
averaged weights."""

from __future__ import annotations

import copy
import math
import subprocess
import sys

import pytest
import torch
from torch import nn

from dreamlab.architecture.network import network_of
from dreamlab.diffusion.ema import ema_decay, ema_update
from dreamlab.diffusion.optim import (
    OPTIMIZERS,
    FlatOptimizer,
    LossScale,
    learning_rate_factor,
    orthogonalise,
)
from dreamlab.diffusion.unet import UNet
from dreamlab.settings import TrainSpec
from tests.optimiser_helpers import WRITTEN


def small() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(2, 6, 3), nn.GELU(), nn.Flatten(), nn.Linear(24, 5))


def follow(
    own: nn.Module,
    flat: FlatOptimizer,
    theirs: nn.Module,
    reference: torch.optim.Optimizer,
    lr: float,
) -> None:
    """Five steps of both on the same data."""
    chance = torch.Generator().manual_seed(2)
    for step in range(1, 6):
        x = torch.randn(7, 2, 4, 4, generator=chance)
        for network in (own, theirs):
            network(x).square().sum().backward()
        flat.step(step, lr, lr)
        flat.zero()
        reference.step()
        reference.zero_grad()


@pytest.mark.parametrize("beta2", [0.99, 0.999])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_elementwise_optimisers_are_torchs(name: str, weight_decay: float, beta2: float) -> None:
    own, theirs = small(), small()
    lr = 0.001 if name == "sgd" else 0.01
    made = {
        "adamw": lambda p: torch.optim.AdamW(p, lr, betas=(0.9, beta2), weight_decay=weight_decay),
        "adam": lambda p: torch.optim.Adam(p, lr, betas=(0.9, beta2), weight_decay=weight_decay),
        "sgd": lambda p: torch.optim.SGD(p, lr, momentum=0.9, weight_decay=weight_decay),
    }[name](theirs.parameters())
    before = own[0].weight.detach().clone()
    ours = FlatOptimizer(own, name, weight_decay, beta2=beta2, spare=False)
    follow(own, ours, theirs, made, lr)
    for a, b in zip(own.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    assert (own[0].weight - before).abs().max() > 1e-3


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("name", list(WRITTEN))
def test_a_state_of_the_rules_once_written_here_goes_on(
    name: str, weight_decay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names and shapes of the state are the same; SGD's numbers to the bit, Adam's to 1e-6 after
    200 steps: torch's kernel rounds in another order."""
    chance = torch.Generator().manual_seed(5)
    now = FlatOptimizer(small(), name, weight_decay, spare=False)
    monkeypatch.setitem(OPTIMIZERS, name, WRITTEN[name])
    before = FlatOptimizer(small(), name, weight_decay, spare=False)
    assert {k: v.shape for k, v in now.state.items()} == {
        k: v.shape for k, v in before.state.items()
    }
    for step in range(1, 301):
        gradient = torch.randn(len(now.grad), generator=chance)
        for flat in (now, before):
            if flat is before or step > 100:  # a run that is resumed after 100 steps
                flat.grad.copy_(gradient)
                flat.step(step, 1e-3, 1e-3)
        if step == 100:
            now.weights.copy_(before.weights)
            for key, value in now.state.items():
                value.copy_(before.state[key])
    tolerance = 0.0 if name == "sgd" else 1e-6
    torch.testing.assert_close(now.weights, before.weights, rtol=0, atol=tolerance)


def test_a_fresh_process_steps_without_torchs_compiler() -> None:
    """Its import takes seconds that the first step of a run would wait for."""
    code = """if True:
        import sys, torch
        from dreamlab.diffusion.optim import FlatOptimizer
        for name in ("muon", "adamw", "adam", "sgd"):
            FlatOptimizer(torch.nn.Linear(2, 2), name).step(1, 0.1, 0.1)
        sys.exit("torch._dynamo" in sys.modules)"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_adafactor_is_torchs_on_matrices() -> None:
    own = nn.Sequential(nn.Flatten(), nn.Linear(32, 16), nn.GELU(), nn.Linear(16, 5))
    theirs = copy.deepcopy(own)
    reference = torch.optim.Adafactor(theirs.parameters(), 0.01, weight_decay=0.1)
    flat = FlatOptimizer(own, "adafactor", 0.1, spare=False)
    follow(own, flat, theirs, reference, 0.01)
    for a, b in zip(own.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert (
        sum(v.numel() for v in flat.state.values()) < 0.3 * flat.weights.numel()
    )  # rows and columns, not entries


def test_adafactor_takes_convolutions_as_matrices() -> None:
    network = small()
    state = FlatOptimizer(network, "adafactor").state
    assert state["adafactor.0.row_var"].shape == (6, 1) and state["adafactor.0.col_var"].shape == (
        1,
        18,
    )


def test_muon_is_torchs_on_its_matrices() -> None:
    """torch's orthogonalises in bf16: the same direction to its rounding, which Newton-Schulz
    enlarges."""
    own = nn.Sequential(
        nn.Flatten(), nn.Linear(32, 16, bias=False), nn.GELU(), nn.Linear(16, 5, bias=False)
    )
    theirs, start = copy.deepcopy(own), own[1].weight.detach().clone()
    reference = torch.optim.Muon(
        theirs.parameters(), 0.02, weight_decay=0.1, momentum=0.95, ns_steps=3
    )
    follow(own, FlatOptimizer(own, "muon", 0.1), theirs, reference, 0.02)
    for a, b in zip(own.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0.02)
    moved, expected = own[1].weight - start, theirs[1].weight - start
    assert torch.nn.functional.cosine_similarity(moved.flatten(), expected.flatten(), dim=0) > 0.995


def test_muon_leaves_vectors_the_ends_and_the_classes_to_adamw() -> None:
    network = UNet(network_of(TrainSpec(dataset="digits", base_width=8)))
    flat = FlatOptimizer(network, "muon")
    vectors = sum(p.numel() for p in network.parameters() if p.ndim < 2)
    ends = (
        network.stem.weight.numel()
        + network.head.weight.numel()
        + network.condition.classes.weight.numel()
    )
    assert flat.state["adamw.first"].numel() == vectors + ends
    assert flat.state["muon.momentum"].numel() == flat.weights.numel() - vectors - ends


@pytest.mark.parametrize("name", list(OPTIMIZERS))
@pytest.mark.parametrize("spare", [True, False])
def test_weight_decay_spares_biases_norms_and_embeddings(name: str, spare: bool) -> None:
    """Without a gradient, only decay moves a weight."""
    network = UNet(network_of(TrainSpec(dataset="digits", base_width=8, attention=(4,))))
    with torch.no_grad():
        for p in network.parameters():
            p.fill_(0.5)
    flat = FlatOptimizer(network, name, 0.2, spare=spare)
    flat.step(1, 0.1, 0.1)
    moved = {n for n, p in network.named_parameters() if (p != 0.5).any()}
    kept = {n for n, _ in network.named_parameters()} - moved
    if not spare:
        assert not kept
        return
    assert "condition.classes.weight" in kept and "stem.weight" in moved
    assert {n for n in moved if n.endswith("bias") or "norm" in n} == set()
    assert moved == {
        f"{n}.weight"
        for n, m in network.named_modules()
        if isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
    }
    sizes = {k: v.numel() for k, v in FlatOptimizer(network, name).state.items()}
    all_alike = FlatOptimizer(network, name, 0.2, spare=False).state
    assert sizes == {k: v.numel() for k, v in all_alike.items()}, "as in version 0.1"


@pytest.mark.parametrize("steps", [1, 3, 5])
def test_the_newton_schulz_steps_are_a_setting(steps: int) -> None:
    network = nn.Sequential(nn.Linear(6, 6, bias=False))
    start, gradient = network[0].weight.detach().clone(), torch.randn(6, 6)
    flat = FlatOptimizer(network, "muon", muon_steps=steps)
    network[0].weight.grad.copy_(gradient)
    flat.step(1, 0.1, 0.1)
    expected = start - 0.1 * orthogonalise(gradient[None], steps)[0]
    torch.testing.assert_close(network[0].weight.detach(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 6, 20), (2, 20, 6)])
def test_orthogonalise_pushes_singular_values_towards_one(shape: tuple[int, int, int]) -> None:
    g = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(g, steps=5))
    assert values.min() > 0.5 and values.max() < 1.5
    torch.testing.assert_close(
        orthogonalise(g)[:1], orthogonalise(g[:1]), rtol=1e-3, atol=1e-4
    )  # a batch is its members


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_flat_parameters_are_the_networks_own(name: str) -> None:
    torch.manual_seed(0)
    network = UNet(network_of(TrainSpec(dataset="digits", base_width=8)))
    before = {n: p.detach().clone() for n, p in network.named_parameters()}
    flat = FlatOptimizer(network, name, extra=3)
    for n, p in network.named_parameters():
        torch.testing.assert_close(p.detach(), before[n], rtol=0, atol=0)
    out = network(
        torch.randn(4, 1, 8, 8), torch.tensor([1, 5, 9, 800]), torch.tensor([0, 1, 2, 10])
    )
    (out - 1).square().mean().backward()
    assert flat.grad.abs().sum() > 0 and flat.buffer.numel() == flat.weights.numel() + 3
    flat.step(1, 1e-3, 1e-2)
    assert not torch.equal(network.head.bias, before["head.bias"])
    flat.zero()
    assert network.head.bias.grad.abs().sum() == 0


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_the_state_is_all_that_a_resumed_optimiser_needs(name: str) -> None:
    chance = torch.Generator().manual_seed(4)
    gradients = [
        torch.randn(sum(p.numel() for p in small().parameters()), generator=chance)
        for _ in range(6)
    ]

    def run(flat: FlatOptimizer, steps: range) -> None:
        for step in steps:
            flat.grad.copy_(gradients[step])
            flat.step(step + 1, 0.01, 0.01)

    whole, first, second = (FlatOptimizer(small(), name, 0.01) for _ in range(3))
    run(whole, range(6))
    run(first, range(3))
    second.weights.copy_(first.weights)
    for key, value in second.state.items():
        value.copy_(first.state[key])
    run(second, range(3, 6))
    assert torch.equal(whole.weights, second.weights)


def test_what_requires_no_gradients_is_not_owned() -> None:
    network = small()
    network[0].requires_grad_(False)
    flat, kept = FlatOptimizer(network, "muon"), network[0].weight.detach().clone()
    assert flat.names == ["3.weight", "3.bias"] and flat.weights.numel() == 125
    network(torch.randn(3, 2, 4, 4)).sum().backward()
    flat.step(1, 0.1, 0.1)
    assert torch.equal(network[0].weight, kept)
    with pytest.raises(ValueError, match="no parameter"):
        FlatOptimizer(network.requires_grad_(False))


def test_clipping_is_torchs() -> None:
    own, theirs = small(), small()
    flat, x = FlatOptimizer(own, "sgd"), torch.randn(7, 2, 4, 4)
    for network in (own, theirs):
        network(x).square().sum().backward()
    norm = torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
    assert float(flat.clip(0.5)) == pytest.approx(float(norm)) and float(norm) > 0.5
    for a, b in zip(own.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)
    assert float(flat.clip(10.0)) == pytest.approx(0.5, rel=1e-4)  # below the limit: left as it is
    assert float(flat.grad.norm()) == pytest.approx(0.5, rel=1e-4)


def test_learning_rate_warms_up_and_ends_near_zero() -> None:
    factors = [learning_rate_factor(p) for p in (0.0, 0.025, 0.05, 0.5, 0.9, 1.0)]
    assert factors[0] < factors[1] == pytest.approx(0.5) and factors[2] == pytest.approx(1.0)
    assert factors[2] > factors[3] > factors[4] > factors[5] > 0 and factors[5] < 0.01
    assert learning_rate_factor(0.1, warmup=0.2) == pytest.approx(0.5)
    assert learning_rate_factor(0.0, warmup=0.0) == pytest.approx(1.0)
    assert [learning_rate_factor(p, 0.05, "constant") for p in (0.025, 0.05, 0.5, 1.0)] == [
        0.5,
        1.0,
        1.0,
        1.0,
    ]


def test_the_loss_scale_halves_on_overflow_and_grows_after_good_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LossScale, "GROW_AFTER", 3)
    scale, grad = LossScale(), torch.full((4,), 2.0**16)
    assert scale.unscale(grad) and torch.equal(grad, torch.ones(4))
    assert (
        not scale.unscale(torch.tensor([1.0, math.inf]))
        and scale.value == 2.0**15
        and scale.good == 0
    )
    assert not scale.unscale(torch.tensor([1.0, math.nan])) and scale.value == 2.0**14
    assert all(scale.unscale(torch.ones(2)) for _ in range(3)) and (scale.value, scale.good) == (
        2.0**15,
        0,
    )


def test_the_average_of_a_constant_is_the_constant_and_follows_a_change() -> None:
    average, value = torch.full((3,), 2.0), torch.full((3,), 2.0)
    for step in range(1, 50):
        ema_update(average, value, step, 0.06)
    torch.testing.assert_close(average, value)
    for step in range(1000, 1240):  # four horizons of 60 steps
        ema_update(average, torch.full((3,), 5.0), step, 0.06)
    assert 4.8 < float(average[0]) < 5.0
    assert ema_decay(1000, 0.06) == pytest.approx(1 - 1 / 61) and ema_decay(5, 0.0) == 0.0
    ema_update(average, value, 7, 0.0)
    assert torch.equal(average, value)  # horizon 0 averages nothing
