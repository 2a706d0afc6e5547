"""Conversions, guidance and samplers; for Gaussian data the exact denoiser is known, so no network is needed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dreamlab.diffusion import process, schedules
from dreamlab.diffusion.guidance import combine, guided
from dreamlab.diffusion.samplers import SAMPLERS, Noise
from dreamlab.spec import TrainSpec
from dreamlab.tasks.generator import Generator, build

MEAN, DEVIATION = 0.3, 0.5


def moments(sampler: str, schedule: str, num_steps: int, n: int = 20_000) -> tuple[float, float]:
    """Mean and deviation of samples of N(0.3, 0.5^2) from the exact posterior mean E[x0 | x_t]."""
    alpha_bar = schedules.alpha_bar(schedule, 1000)

    def denoise(x: torch.Tensor, t: int) -> torch.Tensor:
        a = float(alpha_bar[t])
        gain = a**0.5 * DEVIATION**2 / (a * DEVIATION**2 + 1 - a)
        return MEAN + gain * (x - a**0.5 * MEAN)

    chance = torch.Generator().manual_seed(0)

    def noise() -> torch.Tensor:
        return torch.randn(n, generator=chance, dtype=torch.float64)

    *_, last = SAMPLERS[sampler](denoise, noise(), alpha_bar, num_steps, noise)
    assert last.index == last.total == num_steps
    return float(last.x.mean()), float(last.x.std())


@pytest.mark.parametrize(
    ("sampler", "schedule", "num_steps", "deviation"),
    [
        ("ddpm", "linear", 1000, 0.494), ("ddpm", "cosine", 1000, 0.499), ("ddim", "linear", 1000, 0.497),
        ("ddim", "cosine", 250, 0.495), ("dpmpp_2m", "cosine", 50, 0.499), ("dpmpp_2m", "linear", 50, 0.499),
    ],
)  # fmt: skip
def test_samples_of_gaussian_data_have_its_moments(
    sampler: str, schedule: str, num_steps: int, deviation: float
) -> None:
    mean, found = moments(sampler, schedule, num_steps)
    assert mean == pytest.approx(MEAN, abs=0.02)
    assert found == pytest.approx(deviation, abs=0.01)


@pytest.mark.parametrize("schedule", schedules.SCHEDULES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_error_falls_with_the_number_of_steps(sampler: str, schedule: str) -> None:
    errors = [abs(moments(sampler, schedule, n)[1] - DEVIATION) for n in (4, 12, 60)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < (0.06 if sampler == "ddpm" else 0.03)


def test_dpmpp_needs_fewer_steps_than_ddim() -> None:
    dpmpp, ddim = (abs(moments(s, "cosine", 10)[1] - DEVIATION) for s in ("dpmpp_2m", "ddim"))
    assert dpmpp < ddim / 2


@pytest.mark.parametrize("alpha_bar", [0.999, 0.5, 0.01])
def test_conversions_are_each_others_inverse(alpha_bar: float) -> None:
    x0, eps = torch.randn(2, 500, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).unbind()
    a = torch.tensor(alpha_bar, dtype=torch.float64)
    x_t = process.diffuse(x0, eps, a)
    for target, output in (("x0", x0), ("eps", eps), ("v", process.velocity(x0, eps, a))):
        torch.testing.assert_close(process.x0_from(target, output, x_t, a), x0)
    torch.testing.assert_close(process.eps_from_x0(x_t, x0, a), eps)


def test_posterior_is_that_of_ddpm() -> None:
    betas = schedules.linear_betas(1000)
    alpha_bar = np.cumprod(1 - betas)
    t = 300
    x_t, x0 = torch.tensor([[0.7], [-0.2]], dtype=torch.float64)
    found = process.posterior(x_t, x0, alpha_bar[t], alpha_bar[t - 1])
    a = betas[t] * alpha_bar[t - 1] ** 0.5 / (1 - alpha_bar[t])
    b = (1 - betas[t]) ** 0.5 * (1 - alpha_bar[t - 1]) / (1 - alpha_bar[t])
    assert float(found.mean) == pytest.approx(a * -0.2 + b * 0.7, rel=1e-12)  # Ho et al. 2020, Eq. 7
    assert found.variance == pytest.approx((1 - alpha_bar[t - 1]) / (1 - alpha_bar[t]) * betas[t], rel=1e-9)


@pytest.mark.parametrize("target", ["x0", "eps", "v"])
def test_guidance_says_the_same_for_every_target(target: str) -> None:
    chance = torch.Generator().manual_seed(2)
    x_t, cond, uncond = torch.randn(3, 4, 1, 2, 2, generator=chance, dtype=torch.float64).unbind()
    alpha_bar = torch.tensor([0.4], dtype=torch.float64)
    eps = (1 + 1.5) * cond - 1.5 * uncond  # Ho & Salimans 2022, Eq. 6

    def network(x: torch.Tensor, t: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Knows eps for either label, and says it in the words of the target."""
        known = torch.where((labels == 9)[:, None, None, None], uncond.repeat(2, 1, 1, 1), cond.repeat(2, 1, 1, 1))
        x0 = process.x0_from_eps(x, known, alpha_bar[0])
        return {"x0": x0, "eps": known, "v": process.velocity(x0, known, alpha_bar[0])}[target]

    denoise = guided(network, target, alpha_bar, torch.zeros(4, dtype=torch.int64), 9, 1.5, clip=False)
    torch.testing.assert_close(denoise(x_t, 0), process.x0_from_eps(x_t, eps, alpha_bar[0]))
    assert torch.equal(combine(cond, uncond, 0.0), cond)


@pytest.mark.parametrize(("weight", "batches"), [(0.0, [3]), (2.0, [6])])
def test_guidance_costs_one_pass_and_none_is_wasted_at_zero(weight: float, batches: list[int]) -> None:
    seen = []

    def network(x: torch.Tensor, t: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        seen.append(len(x))
        return x

    labels = torch.tensor([0, 1, 2])
    found = guided(network, "x0", torch.tensor([0.5]), labels, 3, weight)(torch.full((3, 1, 2, 2), 0.25), 0)
    assert seen == batches
    torch.testing.assert_close(found, torch.full((3, 1, 2, 2), 0.25))


def trained_looking_generator() -> Generator:
    """A network with random weights everywhere, the zero ones too: its output depends on t and the label."""
    spec = TrainSpec(base_width=8, target="v")  # whose images follow their noise, whatever the weights
    torch.manual_seed(0)
    network = build(spec, 1, 10)
    for p in network.parameters():
        torch.nn.init.normal_(p, std=0.2)
    return Generator(network.requires_grad_(False), spec, 28, 1, 10, 1, torch.device("cpu"))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_an_image_does_not_depend_on_its_batch(sampler: str) -> None:
    generator = trained_looking_generator()
    labels, indices = [3, 1, 3, 7, 0], [0, 4, 2, 0, 1]
    settings = {"guidance_weight": 1.0, "num_steps": 6, "sampler": sampler}
    together = generator.images(labels, indices, 5, **settings).astype(int)
    for k in (0, 4):
        alone = generator.images(labels[k : k + 1], indices[k : k + 1], 5, **settings).astype(int)
        assert np.abs(alone[0] - together[k]).max() <= 2
    assert np.abs(together[0] - together[2]).mean() > 10  # same class, another index: another image


def test_noise_is_of_seed_class_and_index() -> None:
    first = Noise(1, [0, 0, 1], [0, 1, 0], (1, 4, 4))
    a, b = first(), first()
    assert not torch.equal(a, b) and not torch.equal(a[0], a[1]) and not torch.equal(a[0], a[2])
    torch.testing.assert_close(Noise(1, [1], [0], (1, 4, 4))()[0], a[2], rtol=0, atol=0)
    assert not torch.equal(Noise(2, [0], [0], (1, 4, 4))()[0], a[0])
