"""Schedules against closed forms, published properties and diffusers."""

from __future__ import annotations

import itertools
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dreamlab.noise import schedules, timesteps

THEIRS = {
    "cosine": "squaredcos_cap_v2",
    "linear": "linear",
    "quadratic": "scaled_linear",
    "sigmoid": "sigmoid",
}
GRIDS = [timesteps.even_timesteps, timesteps.log_snr_timesteps, timesteps.sigma_timesteps]


@pytest.fixture(scope="module")
def theirs() -> ModuleType:
    import diffusers.schedulers.scheduling_ddpm as module  # seconds

    return module


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_alpha_bar_falls_inside_zero_and_one_in_float64(name: str) -> None:
    for T, zero in itertools.product((10, 50, 1000, 4000), (False, True)):
        alpha_bar = schedules.alpha_bar(name, T, zero)
        assert alpha_bar.shape == (T,) and alpha_bar.dtype == np.float64
        assert np.all(np.diff(alpha_bar) < 0) and alpha_bar[-1] < alpha_bar[0] < 1
        assert alpha_bar[-1] == 0 if zero else alpha_bar[-1] > 0, (T, zero)
        betas = schedules.SCHEDULES[name](T)
        assert betas.min() > 0 and betas.max() <= schedules.BETA_MAX, T


@pytest.mark.parametrize("name", THEIRS)
def test_schedules_are_those_of_diffusers(theirs: ModuleType, name: str) -> None:
    for T in (50, 1000):
        found: Any = theirs.DDPMScheduler(num_train_timesteps=T, beta_schedule=THEIRS[name])
        rescaled = np.cumprod(1 - theirs.rescale_zero_terminal_snr(found.betas).double().numpy())
        for ours, wanted in (
            (schedules.SCHEDULES[name](T), found.betas.numpy()),
            (schedules.alpha_bar(name, T), found.alphas_cumprod.numpy()),
            (schedules.alpha_bar(name, T, zero_terminal_snr=True), rescaled),
        ):
            np.testing.assert_allclose(ours, wanted, rtol=0, atol=1e-5)


def test_linear_is_that_of_ho_et_al_whatever_T_is() -> None:
    for T in (100, 1000, 2000):
        betas = schedules.linear_betas(T)
        assert betas[0] == pytest.approx(1e-4) and betas[-1] == pytest.approx(0.02)
    # study S4: sqrt(alpha_bar_T) as worked out for its range of T
    left = {
        T: schedules.kept_share(schedules.alpha_bar("linear", T))
        for T in (100, 200, 400, 600, 800, 1000)
    }
    assert left == pytest.approx(
        {100: 0.60, 200: 0.36, 400: 0.13, 600: 0.048, 800: 0.017, 1000: 0.006}, abs=0.006
    )


def test_linear_scaled_ends_where_linear_ends_at_1000() -> None:
    wanted = schedules.terminal_snr(schedules.alpha_bar("linear", 1000))
    for T in (10, 25, 50, 100, 400, 1000, 4000):
        found = schedules.terminal_snr(schedules.alpha_bar("linear_scaled", T))
        assert found == pytest.approx(wanted, rel=1e-9), T
    np.testing.assert_allclose(
        schedules.linear_scaled_betas(1000), schedules.linear_betas(1000), rtol=1e-9
    )


def test_cosine_is_its_closed_form_where_no_beta_is_clipped() -> None:
    t = (np.arange(999) + 1) / 1000
    f = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2
    expected = f / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(schedules.alpha_bar("cosine", 1000)[:999], expected, rtol=1e-9)
    assert schedules.terminal_snr(schedules.alpha_bar("cosine", 1000)) < 1e-6
    assert schedules.snr(np.array([0.5, 0.8])) == pytest.approx([1.0, 4.0])


def test_rescaling_keeps_the_start_and_ends_in_pure_noise() -> None:
    plain, zero = (schedules.alpha_bar("linear", 100, z) for z in (False, True))
    assert zero[0] == pytest.approx(plain[0], rel=1e-12) and np.all(zero[1:] < plain[1:])
    assert schedules.terminal_snr(zero) == schedules.kept_share(
        zero
    ) == 0 and not schedules.off_distribution(zero)


@pytest.mark.parametrize(
    ("name", "T", "off"),
    [
        ("linear", 100, True),
        ("linear", 400, True),
        ("linear", 600, True),
        ("linear", 1000, False),
        ("cosine", 10, False),
        ("linear_scaled", 10, False),
        ("quadratic", 1000, False),
        ("sigmoid", 1000, False),
        ("sigmoid", 500, True),
    ],
)
def test_a_schedule_that_ends_before_the_image_is_gone_is_known(
    name: str, T: int, off: bool
) -> None:
    assert schedules.off_distribution(schedules.alpha_bar(name, T)) is off
    assert (
        0.0064 < schedules.KEPT_SHARE_MAX < 0.068
    )  # linear at T = 1000 is fine, Stable Diffusion's is not


@pytest.mark.parametrize("grid", GRIDS)
def test_timesteps_fall_from_the_noise_end_without_repeats(grid: Any) -> None:
    counts = ((1000, 1), (1000, 2), (1000, 20), (1000, 999), (1000, 1000), (10, 7), (10, 10))
    for name, zero, (T, n) in itertools.product(schedules.SCHEDULES, (False, True), counts):
        ts = grid(schedules.alpha_bar(name, T, zero), n)
        assert len(ts) == n and ts[0] == T - 1 and ts.min() >= 0, (name, zero, T, n)
        assert np.all(np.diff(ts) < 0), (name, zero, T, n)
        if n == T:
            assert ts.tolist() == list(range(T - 1, -1, -1))
    for n in (0, 11):
        with pytest.raises(ValueError, match="1 to 10"):
            grid(schedules.alpha_bar("cosine", 10), n)


def test_log_snr_steps_are_even_in_log_snr() -> None:
    alpha_bar = schedules.alpha_bar("cosine", 1000)
    lambdas = schedules.half_log_snr(alpha_bar[timesteps.log_snr_timesteps(alpha_bar, 10)])
    gaps = np.diff(lambdas)[1:]  # the first step leaves pure noise, where lambda runs away
    assert gaps.max() / gaps.min() < 1.2


def test_sigma_steps_are_those_of_karras_et_al() -> None:
    alpha_bar = schedules.alpha_bar("linear", 1000)
    sigma = np.exp(-schedules.half_log_snr(alpha_bar))
    ends = np.array([min(sigma[-1], np.exp(-timesteps.LAMBDA_MIN)), sigma[0]]) ** (1 / 7)
    wanted = (ends[0] + np.arange(12) / 11 * (ends[1] - ends[0])) ** 7  # Karras et al. 2022, Eq. 5
    ts = timesteps.sigma_timesteps(alpha_bar, 12)
    for t, level in zip(
        ts[1:-2], wanted[1:-2], strict=True
    ):  # near t = 0 the grid of t is too coarse for it
        assert sigma[t - 1] <= level <= sigma[t + 1]
