"""Targets, weights over noise levels, the learned variance and how t is drawn."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from dreamlab.diffusion.forward_process import diffuse, posterior, x0_from
from dreamlab.diffusion.losses import (
    MIN_SNR_GAMMA,
    SNR_FLOOR,
    loss_weights,
    pixel_log_likelihood,
    squared_errors,
    stratified_t,
    target_of,
    variance_loss,
)
from dreamlab.noise import schedules

ALPHA_BAR = torch.tensor(schedules.alpha_bar("cosine", 1000))
WEIGHTS = {
    "sqrt_snr": lambda snr: min(max(snr**0.5, 0.1), 3.0),
    "min_snr": lambda snr: min(snr, MIN_SNR_GAMMA),
}


@pytest.mark.parametrize("weighting", WEIGHTS)
@pytest.mark.parametrize("target", ["x0", "eps", "v"])
def test_weighted_losses_measure_the_x0_error(target: str, weighting: str) -> None:
    weights = loss_weights(target, weighting, ALPHA_BAR)
    chance = torch.Generator().manual_seed(0)
    x0, eps, wrong = torch.randn(3, 1, 1, 4, 4, generator=chance, dtype=torch.float64).unbind()
    for t in (50, 400, 800):
        a = ALPHA_BAR[t]
        ratio = float(a / (1 - a))
        assert ratio > SNR_FLOOR
        x_t, output = diffuse(x0, eps, a), target_of(target, x0, eps, a) + 0.1 * wrong
        error = (x0_from(target, output, x_t, a) - x0).square().mean()
        found = float(weights[t]) * float((output - target_of(target, x0, eps, a)).square().mean())
        assert found == pytest.approx(WEIGHTS[weighting](ratio) * float(error), rel=1e-6)


@pytest.mark.parametrize("target", ["x0", "eps", "v"])
def test_weights_are_finite_at_every_noise_level(target: str) -> None:
    for weighting, zero in itertools.product(("simple", "sqrt_snr", "min_snr"), (False, True)):
        alpha_bar = torch.tensor(schedules.alpha_bar("linear", 400, zero))
        weights = loss_weights(target, weighting, alpha_bar)
        assert weights.shape == (400,), (weighting, zero)
        assert torch.isfinite(weights).all() and (weights >= 0).all(), (weighting, zero)
        if weighting == "simple":
            assert torch.equal(weights, torch.ones(400, dtype=torch.float64))


def test_min_snr_for_eps_is_that_of_hang_et_al() -> None:
    snr = ALPHA_BAR / (1 - ALPHA_BAR)
    weights = loss_weights("eps", "min_snr", ALPHA_BAR)
    torch.testing.assert_close(weights, torch.minimum(snr, torch.tensor(5.0)) / snr)
    torch.testing.assert_close(
        loss_weights("v", "min_snr", ALPHA_BAR), torch.minimum(snr, torch.tensor(5.0)) / (snr + 1)
    )


def test_squared_errors_are_one_number_an_image() -> None:
    output = torch.tensor([[1.0, 1.0], [2.0, 0.0]]).view(2, 1, 1, 2).bfloat16()
    found = squared_errors(output, torch.zeros(2, 1, 1, 2))
    assert found.tolist() == [1.0, 2.0] and found.dtype == torch.float32


@pytest.mark.parametrize("t", [1, 300, 999])
@pytest.mark.parametrize("zero", [False, True])
def test_variance_loss_is_the_kl_divergence_of_the_reverse_step(t: int, zero: bool) -> None:
    alpha_bar = torch.tensor(schedules.alpha_bar("linear", 1000, zero))
    chance = torch.Generator().manual_seed(1)
    x0, eps, wrong, raw = torch.randn(4, 2, 3, 4, 4, generator=chance).unbind()
    x_t, predicted = diffuse(x0, eps, alpha_bar[t].float()), x0 + 0.1 * wrong
    ab, before = float(alpha_bar[t]), float(alpha_bar[t - 1])
    beta = 1 - ab / before
    true, own = posterior(x_t, x0, ab, before), posterior(x_t, predicted, ab, before)
    fraction = (raw + 1) / 2
    log_variance = fraction * math.log(beta) + (1 - fraction) * math.log(
        true.variance
    )  # Nichol & Dhariwal 2021, Eq. 15
    normal = torch.distributions.Normal
    wanted = torch.distributions.kl_divergence(
        normal(true.mean, true.variance**0.5), normal(own.mean, torch.exp(0.5 * log_variance))
    )
    found = variance_loss(raw, predicted, x0, x_t, torch.full((2,), t), alpha_bar)
    torch.testing.assert_close(
        found, 1000 * wanted.mean((1, 2, 3)) / math.log(2), rtol=2e-3, atol=1e-4
    )


def test_variance_loss_at_t_0_is_the_likelihood_of_the_pixels() -> None:
    x0 = torch.randint(0, 256, (2, 1, 4, 4), generator=torch.Generator().manual_seed(0)) / 127.5 - 1
    t, alpha_bar = torch.tensor([0, 5]), torch.tensor(schedules.alpha_bar("linear", 1000))
    x_t = diffuse(x0, torch.randn(x0.shape, generator=torch.Generator().manual_seed(1)), 0.9999)
    raw = torch.full_like(x0, 1.0)  # log beta
    found = variance_loss(raw, x0, x0, x_t, t, alpha_bar)[0]
    # half a pixel is 1/255; the deviation sqrt(beta_0) is 0.01
    inside = math.erf((1 / 255) / (1e-4**0.5) / math.sqrt(2))
    assert float(found) == pytest.approx(
        -1000 * math.log2(inside), rel=0.05
    )  # end pixels take a tail more


def test_the_best_variance_is_learned_and_the_mean_is_not() -> None:
    """Where the predicted x0 is right the posterior variance is, at f = 0; the gradient reaches the
    variance alone."""
    alpha_bar = torch.tensor(schedules.alpha_bar("cosine", 1000))
    x0, eps = torch.randn(2, 64, 1, 4, 4, generator=torch.Generator().manual_seed(0)).unbind()
    t = torch.randint(1, 1000, (64,), generator=torch.Generator().manual_seed(1))
    x_t = diffuse(x0, eps, alpha_bar[t].float()[:, None, None, None])
    losses = []
    for raw in (-1.5, -1.0, 0.0, 1.0):
        losses.append(
            float(variance_loss(torch.full_like(x0, raw), x0, x0, x_t, t, alpha_bar).mean())
        )
    assert (
        losses[1] == pytest.approx(0, abs=1e-2)
        and losses[1] < losses[0]
        and losses[1] < losses[2] < losses[3]
    )
    raw = torch.zeros_like(x0, requires_grad=True)
    variance_loss(raw, x0, x0, x_t, t, alpha_bar).sum().backward()
    assert raw.grad is not None and torch.isfinite(raw.grad).all() and (raw.grad != 0).any()


def test_the_probabilities_of_all_pixel_values_add_up_to_1() -> None:
    values = torch.arange(256, dtype=torch.float64) / 127.5 - 1
    for mean, deviation in ((0.1, 0.05), (-0.99, 0.3), (0.5, 2.0)):
        log = pixel_log_likelihood(
            values, torch.full_like(values, mean), torch.full_like(values, math.log(deviation))
        )
        assert float(log.exp().sum()) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("n", "T"), [(64, 1000), (7, 10), (64, 10)])
def test_stratified_t_takes_one_from_every_stratum(n: int, T: int) -> None:
    chance = torch.Generator().manual_seed(3)
    draws = torch.stack([stratified_t(n, T, chance) for _ in range(50)])
    strata = torch.arange(n)
    assert (
        (draws >= (strata * T // n)).all()
        and (draws <= ((strata + 1) * T / n).ceil()).all()
        and draws.max() < T
    )
    assert draws.min() == 0 and draws.max() == T - 1
    assert np.all(np.diff(draws.numpy(), axis=1) >= 0)
