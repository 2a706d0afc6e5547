"""The forward process, the corrected equations of the studies, guidance and clipping."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from dreamlab.diffusion import forward_process as process
from dreamlab.diffusion.guidance import Guidance, Low, Model, Prediction, clipped, combine, denoiser
from dreamlab.diffusion.samplers import Reverse, ddpm
from dreamlab.noise import schedules

BETAS = schedules.linear_betas(1000)
ALPHA_BAR = np.cumprod(1 - BETAS)
HALF = np.array([0.4])
"""One noise level, for networks that are asked once."""


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("alpha_bar", [0.999, 0.5, 0.01])
def test_conversions_are_each_others_inverse(alpha_bar: float) -> None:
    x0, eps = randn(2, 500).unbind()
    x_t = process.diffuse(x0, eps, alpha_bar)
    for target, output in (("x0", x0), ("eps", eps), ("v", process.velocity(x0, eps, alpha_bar))):
        torch.testing.assert_close(process.x0_from(target, output, x_t, alpha_bar), x0)
    torch.testing.assert_close(process.eps_from_x0(x_t, x0, alpha_bar), eps)


def test_at_zero_terminal_snr_v_is_minus_x0_and_x_t_the_noise() -> None:
    x0, eps = randn(2, 50).unbind()
    assert torch.equal(process.diffuse(x0, eps, 0.0), eps) and torch.equal(
        process.eps_from_x0(eps, x0, 0.0), eps
    )
    torch.testing.assert_close(process.x0_from_v(eps, process.velocity(x0, eps, 0.0), 0.0), x0)


@pytest.mark.parametrize("t", [1, 300, 999])
def test_posterior_is_that_of_ddpm(t: int) -> None:
    x_t, x0 = randn(2, 5).unbind()
    found = process.posterior(x_t, x0, ALPHA_BAR[t], ALPHA_BAR[t - 1])
    a = BETAS[t] * ALPHA_BAR[t - 1] ** 0.5 / (1 - ALPHA_BAR[t])
    b = (1 - BETAS[t]) ** 0.5 * (1 - ALPHA_BAR[t - 1]) / (1 - ALPHA_BAR[t])
    torch.testing.assert_close(found.mean, a * x0 + b * x_t)  # Ho et al. 2020, Eq. 7
    assert found.variance == pytest.approx(
        (1 - ALPHA_BAR[t - 1]) / (1 - ALPHA_BAR[t]) * BETAS[t], rel=1e-9
    )


@pytest.mark.parametrize("t", [1, 300, 999])
def test_s0_equation_6_corrected_is_the_posterior_mean(t: int) -> None:
    x_t, eps = randn(2, 5).unbind()
    x0 = process.x0_from_eps(x_t, eps, ALPHA_BAR[t])
    mean = (x_t - BETAS[t] / (1 - ALPHA_BAR[t]) ** 0.5 * eps) / (
        1 - BETAS[t]
    ) ** 0.5  # Ho et al. 2020, Eq. 11
    torch.testing.assert_close(
        process.posterior(x_t, x0, ALPHA_BAR[t], ALPHA_BAR[t - 1]).mean, mean
    )
    printed = (
        x_t / ALPHA_BAR[t] ** 0.5 - BETAS[t] / ((1 - ALPHA_BAR[t]) * (1 - BETAS[t])) ** 0.5 * eps
    )
    assert not torch.allclose(printed, mean, rtol=1e-6)


def one_step(
    t: int, x_t: torch.Tensor, eps: torch.Tensor, z: torch.Tensor, variance: str
) -> torch.Tensor:
    """What the DDPM sampler makes of x_t where the network says eps, in the step from t to t -
    1."""

    def denoise(x: torch.Tensor, now: int) -> Prediction:
        return Prediction(process.x0_from_eps(x, eps, ALPHA_BAR[now]))

    part = ALPHA_BAR[: t + 1]  # a model of t + 1 steps begins at t
    return next(ddpm(denoise, x_t, part, t + 1, lambda: z, Reverse(variance=variance))).x


@pytest.mark.parametrize("t", [1, 300, 999])
def test_s0_algorithm_2_corrected_is_the_ddpm_step(t: int) -> None:
    x_t, eps, z = randn(3, 5).unbind()
    wanted = (x_t - BETAS[t] / (1 - ALPHA_BAR[t]) ** 0.5 * eps) / (1 - BETAS[t]) ** 0.5 + BETAS[
        t
    ] ** 0.5 * z
    torch.testing.assert_close(one_step(t, x_t, eps, z, "beta"), wanted)  # S0 takes Sigma = beta


def test_s2_figure_6_corrected_adds_noise_and_none_at_the_end() -> None:
    x_t, eps, z = randn(3, 5).unbind()
    t, beta = 300, BETAS[300]
    mean = (x_t - beta / (1 - ALPHA_BAR[t]) ** 0.5 * eps) / (1 - beta) ** 0.5
    found = one_step(t, x_t, eps, z, "beta")
    torch.testing.assert_close(found - mean, beta**0.5 * z)
    assert not torch.allclose(found, mean + beta, atol=1e-4)  # a constant shift, as it is printed
    torch.testing.assert_close(
        one_step(0, x_t, eps, z, "beta"), process.x0_from_eps(x_t, eps, ALPHA_BAR[0])
    )


def test_s4_equation_3_5_corrected_adds_the_variances_of_two_steps() -> None:
    alpha, before = 1 - BETAS[500], 1 - BETAS[499]
    deviation = math.sqrt((alpha - alpha * before) + (1 - alpha))
    assert deviation == pytest.approx(math.sqrt(1 - alpha * before), rel=1e-12)
    x, first, second = randn(3, 200_000).unbind()
    two = process.diffuse(process.diffuse(0 * x, first, before), second, alpha)
    assert float(two.std()) == pytest.approx(deviation, rel=0.01)
    printed = math.sqrt(math.sqrt((alpha - before) ** 2) + math.sqrt((1 - alpha) ** 2))
    assert printed != pytest.approx(deviation, rel=0.1)


def knows(
    cond: torch.Tensor, uncond: torch.Tensor, target: str, seen: list[int] | None = None
) -> Model:
    """A model that knows eps for a label, and for the null label 9, and says it in the words of its
    target."""

    def network(x: torch.Tensor, t: torch.Tensor, labels: torch.Tensor, low_t: Any) -> torch.Tensor:
        if seen is not None:
            seen.append(len(x))
        repeat = (len(x) // len(cond), 1, 1, 1)
        known = torch.where(
            (labels == 9)[:, None, None, None], uncond.repeat(repeat), cond.repeat(repeat)
        )
        x0 = process.x0_from_eps(x, known, HALF[0])
        return {"x0": x0, "eps": known, "v": process.velocity(x0, known, HALF[0])}[target]

    return Model(network, target, HALF, null_class=9)


LABELS = torch.zeros(4, dtype=torch.int64)


@pytest.mark.parametrize("target", ["x0", "eps", "v"])
def test_guidance_says_the_same_for_every_target(target: str) -> None:
    x_t, cond, uncond = randn(3, 4, 1, 2, 2).unbind()
    eps = (1 + 1.5) * cond - 1.5 * uncond  # Ho & Salimans 2022, Eq. 6
    denoise = denoiser(knows(cond, uncond, target), LABELS, Guidance(1.5, clip="none"))
    torch.testing.assert_close(denoise(x_t, 0).x0, process.x0_from_eps(x_t, eps, HALF[0]))
    scale = 1 + 1.5  # the other convention, s = 1 + w: uncond + s (cond - uncond)
    torch.testing.assert_close(uncond + scale * (cond - uncond), eps)


@pytest.mark.parametrize("target", ["x0", "eps", "v"])
def test_without_weight_it_is_the_conditional_model(target: str) -> None:
    x_t, cond, uncond = randn(3, 4, 1, 2, 2).unbind()
    seen: list[int] = []
    found = denoiser(knows(cond, uncond, target, seen), LABELS, Guidance(0.0, clip="none"))(
        x_t, 0
    ).x0
    torch.testing.assert_close(found, process.x0_from_eps(x_t, cond, HALF[0]))
    assert seen == [4] and torch.equal(combine(cond, uncond, 0.0), cond)


@pytest.mark.parametrize(
    ("guidance", "batches"),
    [
        (Guidance(2.0), [8]),
        (Guidance(2.0, t_min=0.5), [4]),
        (Guidance(2.0, t_max=0.5), [8]),
        (Guidance(0.0), [4]),
        (Guidance(2.0, t_min=0.1, t_max=0.9), [4]),
    ],
)
def test_guidance_costs_one_pass_and_outside_its_interval_nothing(
    guidance: Guidance, batches: list[int]
) -> None:
    x_t, cond, uncond = randn(3, 4, 1, 2, 2).unbind()
    seen: list[int] = []
    denoiser(knows(cond, uncond, "eps", seen), LABELS, guidance)(x_t, 0)  # t / T = 0
    assert seen == batches


def test_autoguidance_leads_away_from_the_weaker_model_and_by_itself_changes_nothing() -> None:
    x_t, cond, other, uncond = randn(4, 4, 1, 2, 2).unbind()
    main, guide = knows(cond, uncond, "eps"), knows(other, uncond, "v")
    plain = denoiser(main, LABELS, Guidance(0.0, clip="none"))(x_t, 0).x0
    weak = process.x0_from_eps(x_t, other, HALF[0])
    found = denoiser(main, LABELS, Guidance(0.7, clip="none"), guide)(x_t, 0).x0
    torch.testing.assert_close(found, 1.7 * plain - 0.7 * weak)  # Karras et al. 2024
    torch.testing.assert_close(
        denoiser(main, LABELS, Guidance(3.0, clip="none"), main)(x_t, 0).x0, plain
    )


def test_a_learned_variance_is_read_from_the_second_half_of_the_conditional_output() -> None:
    raw = randn(4, 1, 2, 2)

    def network(x: torch.Tensor, t: torch.Tensor, labels: torch.Tensor, low_t: Any) -> torch.Tensor:
        second = torch.cat([raw, torch.full_like(raw, 7.0)]) if len(x) == 8 else raw
        return torch.cat([x, second], dim=1)

    model = Model(network, "x0", HALF, null_class=9, learns_variance=True)
    for weight in (0.0, 1.0):
        found = denoiser(model, LABELS, Guidance(weight, clip="none"))(randn(4, 1, 2, 2, seed=1), 0)
        torch.testing.assert_close(found.variance_fraction, (raw + 1) / 2)
        assert found.x0.shape == raw.shape


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_the_low_resolution_image_and_its_noise_level_reach_the_network(weight: float) -> None:
    low = Low(randn(4, 1, 2, 2, seed=3), 37)
    seen = []

    def network(x: torch.Tensor, t: torch.Tensor, labels: torch.Tensor, low_t: Any) -> torch.Tensor:
        seen.append((x.shape, low_t.tolist()))
        assert torch.equal(x[:4, 1:], low.image)
        return x[:, :1]

    x_t = randn(4, 1, 2, 2)
    found = denoiser(Model(network, "x0", HALF, 9), LABELS, Guidance(weight, clip="none"), low=low)(
        x_t, 0
    )
    n = 8 if weight else 4
    assert seen == [((n, 2, 2, 2), [37] * n)]
    torch.testing.assert_close(found.x0, x_t)


def test_dynamic_clipping_scales_every_image_by_its_own_percentile() -> None:
    x0 = torch.cat([torch.linspace(-4, 4, 400), torch.linspace(-0.5, 0.5, 400)]).view(2, 1, 20, 20)
    found = clipped(x0, "dynamic", 0.9)
    bound = float(x0[0].abs().flatten().sort().values[359])  # 90 % of 400 pixels lie within it
    torch.testing.assert_close(found[0], x0[0].clamp(-bound, bound) / bound)
    assert torch.equal(found[1], x0[1])  # it lay in range
    torch.testing.assert_close(clipped(x0, "dynamic", 1.0)[0], x0[0] / 4)
    assert torch.equal(clipped(x0, "static"), x0.clamp(-1, 1)) and torch.equal(
        clipped(x0, "none"), x0
    )


def test_levels_and_upsampling_of_a_cascade() -> None:
    assert [process.noise_level(s, 1000) for s in (0.0, 0.1, 1.0)] == [0, 100, 999]
    assert torch.equal(
        process.upsample(torch.full((2, 3, 4, 4), 0.3), 16), torch.full((2, 3, 16, 16), 0.3)
    )
    ramp = process.upsample(torch.arange(4.0).view(1, 1, 1, 4).expand(1, 1, 4, 4), 8)
    assert torch.all(ramp.diff(dim=3) >= 0) and float(ramp.mean()) == pytest.approx(1.5)
