"""Samplers against the exact denoiser of Gaussian data, which needs no network, and step by step
against diffusers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch

from dreamlab.diffusion import forward_process as process
from dreamlab.diffusion.guidance import Denoiser, Prediction
from dreamlab.diffusion.philox import philox
from dreamlab.diffusion.samplers import (
    NOISE_GENERATORS,
    PLAIN,
    Pcg64Noise,
    PhiloxNoise,
    Reverse,
    find_sampler,
)
from dreamlab.noise import schedules, timesteps
from dreamlab.noise.spread import spread_kept
from dreamlab.noise.timesteps import SAMPLERS, evaluations

MEAN, DEVIATION = 0.3, 0.5
THEIRS = {
    "cosine": "squaredcos_cap_v2",
    "linear": "linear",
    "quadratic": "scaled_linear",
    "sigmoid": "sigmoid",
}
FIRST_NUMBERS = [-0.4401402771472931, -0.7331086993217468, 0.3660268187522888, 0.6184222102165222]
"""Of class 3, index 5, seed 7."""
PREDICTION = {"eps": "epsilon", "x0": "sample", "v": "v_prediction"}
VARIANCES = {"posterior": "fixed_small", "beta": "fixed_large", "learned": "learned_range"}


def exact(alpha_bar: np.ndarray) -> Denoiser:
    """E[x0 | x_t] of data from N(0.3, 0.5^2)."""

    def denoise(x: torch.Tensor, t: int) -> Prediction:
        a = float(alpha_bar[t])
        gain = a**0.5 * DEVIATION**2 / (a * DEVIATION**2 + 1 - a)
        return Prediction(MEAN + gain * (x - a**0.5 * MEAN), torch.full_like(x, 0.5))

    return denoise


def normal(n: int, seed: int = 0) -> Callable[[], torch.Tensor]:
    """Draws whose own mean and deviation are 0 and 1, so that a few of them will do."""
    chance = torch.Generator().manual_seed(seed)

    def draw() -> torch.Tensor:
        z = torch.randn(n, generator=chance, dtype=torch.float64)
        return (z - z.mean()) / z.std()

    return draw


def moments(
    sampler: str,
    schedule: str,
    num_steps: int,
    reverse: Reverse = PLAIN,
    zero: bool = False,
    T: int = 1000,
) -> tuple[float, float]:
    """Mean and deviation of 20,000 samples of that data."""
    alpha_bar = schedules.alpha_bar(schedule, T, zero)
    noise = normal(20_000)
    *_, last = find_sampler(sampler)(
        exact(alpha_bar), noise(), alpha_bar, num_steps, noise, reverse
    )
    assert last.index == last.total == num_steps and torch.equal(last.x, last.x0)
    return float(last.x.mean()), float(last.x.std())


@pytest.mark.parametrize(
    ("sampler", "schedule", "num_steps", "deviation"),
    [
        ("ddpm", "linear", 1000, 0.494),
        ("ddpm", "cosine", 1000, 0.499),
        ("ddim", "linear", 1000, 0.497),
        ("ddim", "cosine", 250, 0.495),
        ("dpmpp_2m", "cosine", 50, 0.499),
        ("dpmpp_2m", "linear", 50, 0.499),
        ("heun", "cosine", 40, 0.503),
        ("heun", "linear", 40, 0.503),
    ],
)
def test_samples_of_gaussian_data_have_its_moments(
    sampler: str, schedule: str, num_steps: int, deviation: float
) -> None:
    mean, found = moments(sampler, schedule, num_steps)
    assert mean == pytest.approx(MEAN, abs=0.02)
    assert found == pytest.approx(deviation, abs=0.01)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_error_falls_with_the_number_of_steps(sampler: str) -> None:
    for case in itertools.product(schedules.SCHEDULES, (False, True)):
        schedule, zero = case
        errors = [abs(moments(sampler, schedule, n, zero=zero)[1] - DEVIATION) for n in (4, 12, 60)]
        assert errors[0] > errors[1] > errors[2], case
        assert errors[2] < (0.06 if sampler == "ddpm" else 0.03), case


@pytest.mark.parametrize("variance", ["beta", "interpolated", "learned"])
def test_every_reverse_variance_gives_the_moments_of_the_data_with_all_steps(variance: str) -> None:
    mean, deviation = moments("ddpm", "cosine", 1000, Reverse(variance=variance))
    assert (mean, deviation) == pytest.approx((MEAN, DEVIATION), abs=0.02)


def test_reverse_variances_lie_between_their_bounds() -> None:
    few = {
        v: moments("ddpm", "cosine", 10, Reverse(variance=v))[1]
        for v in ("posterior", "interpolated", "beta")
    }
    assert few["posterior"] < few["interpolated"] < few["beta"]
    ends = [
        moments("ddpm", "cosine", 10, Reverse(variance="interpolated", logvar_coefficient=v))[1]
        for v in (0.0, 1.0)
    ]
    assert ends == [few["posterior"], few["beta"]]
    half = moments("ddpm", "cosine", 10, Reverse(variance="learned"))[
        1
    ]  # the exact denoiser above says f = 0.5
    assert half == pytest.approx(few["interpolated"], rel=1e-9)


def test_dpmpp_needs_fewer_steps_than_ddim_and_heun_is_of_second_order() -> None:
    def error(sampler: str, n: int) -> float:
        return abs(moments(sampler, "linear", n)[1] - DEVIATION)

    assert error("dpmpp_2m", 10) < error("ddim", 10) / 2
    assert error("heun", 60) < error("heun", 30) / 3.5 and error("ddim", 60) > error("ddim", 30) / 3
    assert error("heun", 60) < error("ddim", 120) / 3  # at as many calls


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_one_step_of_pure_noise_is_the_mean_of_the_data(sampler: str) -> None:
    alpha_bar = schedules.alpha_bar("linear", 10, zero_terminal_snr=True)
    noise = normal(50)
    (only,) = find_sampler(sampler)(exact(alpha_bar), noise(), alpha_bar, 1, noise, PLAIN)
    torch.testing.assert_close(only.x, torch.full_like(only.x, MEAN))


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
@pytest.mark.parametrize("deviation", [0.5, 0.1])
@pytest.mark.parametrize(
    ("sampler", "reverse"),
    [
        ("ddim", Reverse()),
        ("ddim", Reverse(eta=0.5)),
        ("ddim", Reverse(eta=1.0)),
        ("ddpm", Reverse()),
        ("ddpm", Reverse(variance="beta")),
        ("ddpm", Reverse(variance="interpolated", logvar_coefficient=0.3)),
        ("dpmpp_2m", Reverse()),
        ("heun", Reverse()),
    ],
)
def test_the_spread_that_is_kept_is_that_of_samples(
    sampler: Any, reverse: Reverse, deviation: float, schedule: Any
) -> None:
    alpha_bar = schedules.alpha_bar(schedule, 1000)
    chance = torch.Generator().manual_seed(1)

    def noise() -> torch.Tensor:
        return torch.randn(40_000, 1, 1, 1, generator=chance, dtype=torch.float64)

    def denoise(x: torch.Tensor, t: int) -> Prediction:
        ab = alpha_bar[t]
        return Prediction(x * ab**0.5 * deviation**2 / (ab * deviation**2 + 1 - ab))

    *_, last = find_sampler(sampler)(denoise, noise(), alpha_bar, 20, noise, reverse)
    options = {name: getattr(reverse, name) for name in ("eta", "variance", "logvar_coefficient")}
    kept = spread_kept(sampler, alpha_bar, 20, **options, deviation=deviation)
    assert float(last.x.std()) / deviation == pytest.approx(kept, rel=0.02)


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("sampler", ["dpmpp_2m", "heun", "ddim"])
def test_the_spread_of_samplers_without_noise_is_exact(sampler: Any, zero: bool) -> None:
    alpha_bar = schedules.alpha_bar("cosine", 1000, zero_terminal_snr=zero)
    x = torch.ones(1, 1, 1, 1, dtype=torch.float64)

    def denoise(x: torch.Tensor, t: int) -> Prediction:
        ab = alpha_bar[t]
        return Prediction(x * ab**0.5 * 0.25 / (ab * 0.25 + 1 - ab))

    for steps in (1, 2, 3, 5, 8, 20, 1000):
        *_, last = find_sampler(sampler)(denoise, x, alpha_bar, steps, lambda: x, PLAIN)
        kept = spread_kept(sampler, alpha_bar, steps)
        assert kept == pytest.approx(abs(float(last.x)) / 0.5, rel=1e-9, abs=1e-12), steps


@pytest.mark.parametrize(
    ("sampler", "kept"),
    [
        ("dpmpp_2m", {1: 0.00, 2: 0.01, 3: 0.52, 4: 0.58, 5: 0.83, 6: 0.95, 20: 1.02}),
        ("heun", {8: 1.43, 9: 1.34, 10: 1.26, 12: 1.16, 20: 1.05}),
    ],
)
def test_too_few_steps_keep_too_little_and_heun_gives_too_much(
    sampler: Any, kept: dict[int, float]
) -> None:
    alpha_bar = schedules.alpha_bar("cosine", 1000)
    for steps, share in kept.items():
        assert spread_kept(sampler, alpha_bar, steps) == pytest.approx(share, abs=0.006)


def test_s4_confound_a_small_T_with_fixed_betas_starts_off_distribution() -> None:
    """Study S4 put down to the number of steps what its fixed betas did: with the same T = 100 and
    the end of T = 1000, or of zero terminal SNR, the exact denoiser gives the data's mean; from x_T
    without the 60 % of the image that training left in it, it does not."""
    for sampler, off in (("ddpm", 0.03), ("ddim", 0.1)):
        fixed, scaled = (
            moments(sampler, schedule, 100, T=100)[0] for schedule in ("linear", "linear_scaled")
        )
        assert MEAN - fixed > off and scaled == pytest.approx(MEAN, abs=0.002)
        assert moments(sampler, "linear", 100, zero=True, T=100)[0] == pytest.approx(
            MEAN, abs=0.002
        )


def test_ddim_with_eta_1_is_ddpm() -> None:
    alpha_bar = schedules.alpha_bar("cosine", 1000)
    runs = []
    for sampler, reverse in (("ddim", Reverse(eta=1.0)), ("ddpm", PLAIN)):
        noise = normal(100)
        runs.append(
            [
                s.x
                for s in find_sampler(sampler)(
                    exact(alpha_bar), noise(), alpha_bar, 20, noise, reverse
                )
            ]
        )
    for a, b in zip(*runs, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(("schedule", "n"), [("cosine", 12), ("linear", 1), ("linear", 30)])
def test_the_calls_of_a_sampler_are_known_before(sampler: str, schedule: str, n: int) -> None:
    alpha_bar = schedules.alpha_bar(schedule, 1000)
    plain, asked, noise = exact(alpha_bar), [], normal(3)

    def denoise(x: torch.Tensor, t: int) -> Prediction:
        asked.append(t)
        return plain(x, t)

    steps = list(find_sampler(sampler)(denoise, noise(), alpha_bar, n, noise, PLAIN))
    assert sorted(asked) == sorted(evaluations(sampler, alpha_bar, n)) and len(steps) == n
    beyond = (
        schedule == "cosine"
    )  # whose first step comes from above SIGMA_MAX and is not corrected
    assert len(asked) == (2 * n - 1 - beyond if sampler == "heun" else n)


@pytest.fixture(scope="module")
def theirs() -> Any:
    import diffusers.schedulers as module  # seconds

    return module


def settings(schedule: str, target: str, **more: Any) -> dict[str, Any]:
    return {
        "num_train_timesteps": 1000,
        "beta_schedule": THEIRS[schedule],
        "prediction_type": PREDICTION[target],
        **more,
    }


class Fixed:
    """A denoiser that says in the words of its target what both sides then read; it looks at t and
    x."""

    def __init__(self, target: str, alpha_bar: np.ndarray):
        self.target, self.alpha_bar = target, alpha_bar

    def output(self, x: torch.Tensor, t: int) -> torch.Tensor:
        plain = exact(self.alpha_bar)(x, t).x0
        a = float(self.alpha_bar[t])
        eps = process.eps_from_x0(x, plain, a)
        return {"x0": plain, "eps": eps, "v": process.velocity(plain, eps, a)}[self.target]

    def raw(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x)

    def __call__(self, x: torch.Tensor, t: int) -> Prediction:
        x0 = process.x0_from(self.target, self.output(x, t), x, float(self.alpha_bar[t]))
        return Prediction(x0, (self.raw(x) + 1) / 2)


def steps_of(
    sampler: str, denoise: Denoiser, x: torch.Tensor, n: int, reverse: Reverse, z: torch.Tensor
) -> list[Any]:
    return list(find_sampler(sampler)(denoise, x, denoise.alpha_bar, n, lambda: z, reverse))  # type: ignore[attr-defined]


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("target", PREDICTION)
def test_ddpm_steps_are_those_of_diffusers(
    theirs: Any, monkeypatch: pytest.MonkeyPatch, target: str, variance: str
) -> None:
    from diffusers.schedulers import scheduling_ddpm

    start, z = torch.randn(
        2, 1, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    ).unbind()
    monkeypatch.setattr(scheduling_ddpm, "randn_tensor", lambda *a, **k: z)
    for schedule in THEIRS:
        x = start
        scheduler = theirs.DDPMScheduler(
            **settings(schedule, target),
            clip_sample=False,
            variance_type=VARIANCES[variance],
            timestep_spacing="trailing",
        )
        scheduler.alphas_cumprod = torch.tensor(schedules.alpha_bar(schedule, 1000))
        scheduler.set_timesteps(20)
        denoise = Fixed(target, schedules.alpha_bar(schedule, 1000))
        steps = steps_of("ddpm", denoise, x, 20, Reverse(variance=variance), z)
        for mine, t in zip(steps, scheduler.timesteps, strict=True):
            output = denoise.output(x, int(t))
            if variance == "learned":
                output = torch.cat([output, denoise.raw(x)], dim=1)
            found = scheduler.step(output, t, x)
            assert mine.t == int(t)
            torch.testing.assert_close(mine.x0, found.pred_original_sample, rtol=0, atol=1e-5)
            # Algorithm 2 of Ho et al. adds no noise in the last step; diffusers does, unless that
            # step is t = 0
            wanted = found.prev_sample if mine.index < mine.total else found.pred_original_sample
            torch.testing.assert_close(mine.x, wanted, rtol=0, atol=1e-5)
            x = mine.x


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("target", PREDICTION)
def test_ddim_steps_are_those_of_diffusers(theirs: Any, target: str, eta: float) -> None:
    x, z = torch.randn(
        2, 1, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    ).unbind()
    scheduler = theirs.DDIMScheduler(
        **settings("linear", target), clip_sample=False, timestep_spacing="trailing"
    )
    scheduler.alphas_cumprod = torch.tensor(schedules.alpha_bar("linear", 1000))
    scheduler.set_timesteps(25)
    denoise = Fixed(target, schedules.alpha_bar("linear", 1000))
    for mine, t in zip(
        steps_of("ddim", denoise, x, 25, Reverse(eta=eta), z), scheduler.timesteps, strict=True
    ):
        noise = {"variance_noise": z} if eta else {}
        found = scheduler.step(denoise.output(x, int(t)), t, x, eta=eta, **noise)
        assert mine.t == int(t)
        torch.testing.assert_close(mine.x, found.prev_sample, rtol=0, atol=1e-5)
        x = mine.x


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
@pytest.mark.parametrize("schedule", ["cosine", "linear", "quadratic"])  # theirs has no sigmoid
@pytest.mark.parametrize("target", PREDICTION)
def test_dpmpp_2m_is_that_of_diffusers_on_the_same_timesteps(
    theirs: Any, target: str, schedule: str
) -> None:
    alpha_bar = schedules.alpha_bar(schedule, 1000)
    scheduler = theirs.DPMSolverMultistepScheduler(
        **settings(schedule, target),
        algorithm_type="dpmsolver++",
        solver_order=2,
        final_sigmas_type="zero",
    )
    scheduler.alphas_cumprod = torch.tensor(alpha_bar)
    scheduler.set_timesteps(timesteps=timesteps.log_snr_timesteps(alpha_bar, 12).tolist())
    denoise = Fixed(target, alpha_bar)
    x = own = torch.randn(
        1, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    steps = steps_of("dpmpp_2m", denoise, own, 12, PLAIN, own)
    for mine, t in zip(steps, scheduler.timesteps, strict=True):
        x = scheduler.step(denoise.output(x, int(t)), t, x).prev_sample
        torch.testing.assert_close(mine.x, x, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
@pytest.mark.parametrize("target", PREDICTION)
def test_heun_is_that_of_diffusers_on_the_same_timesteps(theirs: Any, target: str) -> None:
    alpha_bar = schedules.alpha_bar("linear", 1000)
    scheduler = theirs.HeunDiscreteScheduler(**settings("linear", target), clip_sample=False)
    scheduler.alphas_cumprod = torch.tensor(alpha_bar)
    scheduler.set_timesteps(timesteps=timesteps.sigma_timesteps(alpha_bar, 12).tolist())
    denoise = Fixed(target, alpha_bar)
    own = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    *_, last = steps_of("heun", denoise, own, 12, PLAIN, own)
    wide = own / math.sqrt(alpha_bar[-1])  # their x is x_t / sqrt(alpha_bar)
    assert len(scheduler.timesteps) == len(evaluations("heun", alpha_bar, 12)) == 23
    for t in scheduler.timesteps:
        narrow = wide * math.sqrt(alpha_bar[int(t)])
        wide = scheduler.step(denoise.output(narrow, int(t)), t, wide).prev_sample
    torch.testing.assert_close(last.x, wide, rtol=0, atol=1e-5)


@pytest.mark.parametrize("noise", NOISE_GENERATORS.values(), ids=NOISE_GENERATORS)
def test_noise_is_of_seed_class_index_and_stage(noise: Any) -> None:
    first = noise(1, [0, 0, 1], [0, 1, 0], (1, 4, 4))
    a, b = first(), first()
    assert not torch.equal(a, b) and not torch.equal(a[0], a[1]) and not torch.equal(a[0], a[2])
    torch.testing.assert_close(noise(1, [1], [0], (1, 4, 4))()[0], a[2], rtol=0, atol=0)
    assert not torch.equal(noise(2, [0], [0], (1, 4, 4))()[0], a[0])
    stages = [noise(1, [1], [0], (1, 4, 4), stage)()[0] for stage in (0, 1, 2)]
    assert (
        torch.equal(stages[0], a[2])
        and not torch.equal(stages[0], stages[1])
        and not torch.equal(*stages[1:])
    )


def test_the_stream_of_an_image_has_not_moved() -> None:
    """Seeds keep their images: the first numbers of class 3, index 5, seed 7."""
    found = Pcg64Noise(7, [3], [5], (1, 1, 4))().flatten()
    wanted = np.random.Generator(np.random.PCG64([7, 3, 5])).standard_normal(4, dtype=np.float32)
    assert np.array_equal(found.numpy(), wanted)
    found = PhiloxNoise(7, [3], [5], (1, 1, 4))().flatten()
    torch.testing.assert_close(found, torch.tensor(FIRST_NUMBERS), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ([0, 0, 0, 0], [0, 0], [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([2**32 - 1] * 4, [2**32 - 1] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_philox_gives_the_words_that_its_authors_publish(
    counter: list[int], key: list[int], words: list[int]
) -> None:
    """kat_vectors of Random123, philox4x32-10."""
    given = tuple(torch.tensor([word]) for word in counter)
    found = philox(given, key[0] | key[1] << 32)  # type: ignore[arg-type]
    assert [int(word) for word in found] == words


def test_philox_noise_is_gaussian_and_independent_between_images() -> None:
    n = 400
    x = PhiloxNoise(3, [i % 10 for i in range(n)], list(range(n)), (1, 20, 20))().flatten(1)
    assert scipy.stats.kstest(x.flatten().numpy(), "norm").pvalue > 0.01
    between = np.corrcoef(x.numpy())[np.triu_indices(n, 1)] * 20  # deviation 1 / 20 each
    assert between.std() == pytest.approx(1, abs=0.01) and np.abs(between).max() < 5.5
    assert float(x.abs().max()) < 6.8


def test_an_unknown_sampler_is_never_taken_for_another_one() -> None:
    for ask in (
        lambda: evaluations("euler", schedules.alpha_bar("cosine", 10), 5),
        lambda: find_sampler("euler"),
    ):  # type: ignore[arg-type]
        with pytest.raises(KeyError, match="euler"):
            ask()
