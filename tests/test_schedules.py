"""Schedules against closed forms and published properties."""

from __future__ import annotations

import numpy as np
import pytest

from dreamlab.diffusion import schedules


@pytest.mark.parametrize("name", schedules.SCHEDULES)
@pytest.mark.parametrize("T", [10, 50, 1000, 4000])
def test_alpha_bar_falls_inside_zero_and_one_in_float64(name: str, T: int) -> None:
    alpha_bar = schedules.alpha_bar(name, T)
    assert alpha_bar.shape == (T,) and alpha_bar.dtype == np.float64
    assert np.all(np.diff(alpha_bar) < 0) and 0 < alpha_bar[-1] < alpha_bar[0] < 1
    assert schedules.SCHEDULES[name](T).max() <= schedules.BETA_MAX


def test_linear_is_that_of_ho_et_al_at_1000() -> None:
    betas = schedules.linear_betas(1000)
    assert betas[0] == pytest.approx(1e-4) and betas[-1] == pytest.approx(0.02)
    assert schedules.alpha_bar("linear", 1000)[-1] == pytest.approx(4.036e-5, rel=1e-3)


def test_cosine_is_its_closed_form_where_no_beta_is_clipped() -> None:
    t = (np.arange(999) + 1) / 1000
    f = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2
    expected = f / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(schedules.alpha_bar("cosine", 1000)[:999], expected, rtol=1e-9)


def test_linear_keeps_its_terminal_snr_over_T_and_cosine_ends_lower() -> None:
    ends = [schedules.terminal_snr(schedules.alpha_bar("linear", T)) for T in (200, 1000, 4000)]
    assert max(ends) / min(ends) < 1.5
    assert schedules.terminal_snr(schedules.alpha_bar("cosine", 1000)) < 1e-6 < min(ends)
    assert schedules.snr(np.array([0.5, 0.8])) == pytest.approx([1.0, 4.0])


@pytest.mark.parametrize("spacing", [schedules.even_timesteps, schedules.log_snr_timesteps])
@pytest.mark.parametrize("name", schedules.SCHEDULES)
@pytest.mark.parametrize(("T", "n"), [(1000, 1), (1000, 2), (1000, 20), (1000, 999), (1000, 1000), (10, 7), (10, 10)])
def test_timesteps_fall_from_the_noise_end_without_repeats(spacing, name: str, T: int, n: int) -> None:
    ts = spacing(schedules.alpha_bar(name, T), n)
    assert len(ts) == n and ts[0] == T - 1 and ts.min() >= 0
    assert np.all(np.diff(ts) < 0)
    if n == T:
        assert ts.tolist() == list(range(T - 1, -1, -1))


@pytest.mark.parametrize("n", [0, 11])
def test_more_steps_than_T_are_refused(n: int) -> None:
    with pytest.raises(ValueError, match="1 to 10"):
        schedules.even_timesteps(schedules.alpha_bar("cosine", 10), n)


def test_log_snr_steps_are_even_in_log_snr() -> None:
    alpha_bar = schedules.alpha_bar("cosine", 1000)
    half_log_snr = 0.5 * np.log(schedules.snr(alpha_bar[schedules.log_snr_timesteps(alpha_bar, 10)]))
    gaps = np.diff(half_log_snr)[1:]  # the first step leaves pure noise, where lambda runs away
    assert gaps.max() / gaps.min() < 1.2
