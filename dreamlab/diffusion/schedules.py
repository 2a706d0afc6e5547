"""Noise schedules as float64 numpy arrays over t = 0..T-1: torch-free, so that pages can draw them too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

BETA_MAX = 0.999


def linear_betas(num_train_timesteps: int) -> np.ndarray:
    """Ho et al. 2020: 1e-4 to 0.02 at T = 1000. For another T the ends are scaled by 1000 / T and clipped at 0.999,
    which keeps the terminal SNR about the same. Returns (T,) float64."""
    scale = 1000 / num_train_timesteps
    return np.minimum(np.linspace(scale * 1e-4, scale * 0.02, num_train_timesteps, dtype=np.float64), BETA_MAX)


def cosine_betas(num_train_timesteps: int, s: float = 0.008) -> np.ndarray:
    """Nichol & Dhariwal 2021, Eq. 17: alpha_bar from a squared cosine, betas clipped at 0.999. Returns (T,) float64."""
    t = np.arange(num_train_timesteps + 1, dtype=np.float64) / num_train_timesteps
    f = np.cos((t + s) / (1 + s) * np.pi / 2) ** 2
    return np.minimum(1 - f[1:] / f[:-1], BETA_MAX)


SCHEDULES: dict[str, Callable[[int], np.ndarray]] = {"cosine": cosine_betas, "linear": linear_betas}


def alpha_bar(schedule: str, num_train_timesteps: int) -> np.ndarray:
    """Cumulative product of 1 - beta of a schedule by name: (T,) float64, falling, inside (0, 1)."""
    return np.cumprod(1 - SCHEDULES[schedule](num_train_timesteps))


def snr(alpha_bar: np.ndarray) -> np.ndarray:
    """Signal-to-noise ratio alpha_bar / (1 - alpha_bar) of variances (Kingma et al. 2021, Eq. 4)."""
    return alpha_bar / (1 - alpha_bar)


def terminal_snr(alpha_bar: np.ndarray) -> float:
    """SNR at t = T - 1: where it is not tiny, sampling from pure noise starts off-distribution (Lin et al. 2023)."""
    return float(snr(alpha_bar)[-1])


LAMBDA_MIN = -5.0
"""Half the log SNR below which nothing of an image is decided: DPM-Solver++ spends one step there."""


def even_timesteps(alpha_bar: np.ndarray, num_steps: int) -> np.ndarray:
    """`num_steps` integers from T-1 down, T / num_steps apart ('trailing', Lin et al. 2023); all T where num_steps = T.
    Raises ValueError outside 1..T."""
    _check(alpha_bar, num_steps)
    steps = np.arange(num_steps, 0, -1, dtype=np.float64) * (len(alpha_bar) / num_steps)
    return np.round(steps).astype(np.int64) - 1


def log_snr_timesteps(alpha_bar: np.ndarray, num_steps: int) -> np.ndarray:
    """`num_steps` integers from T-1 down, evenly spaced in lambda, half the log SNR (Lu et al. 2022, section 3.3), from
    -5 or the schedule's own start. Strictly falling: where lambda is coarser than t, the next free t is taken."""
    _check(alpha_bar, num_steps)
    if num_steps == 1:
        return np.array([len(alpha_bar) - 1])
    half_log_snr = 0.5 * np.log(snr(alpha_bar))
    wanted = np.linspace(max(half_log_snr[-1], LAMBDA_MIN), half_log_snr[0], num_steps)
    nearest = np.abs(half_log_snr[None, :] - wanted[:, None]).argmin(axis=1)
    nearest[0] = len(alpha_bar) - 1
    offset = np.arange(num_steps)
    falling = np.minimum.accumulate(nearest + offset) - offset  # at least 1 apart
    return np.maximum(falling, num_steps - 1 - offset).astype(np.int64)


def _check(alpha_bar: np.ndarray, num_steps: int) -> None:
    if not 1 <= num_steps <= len(alpha_bar):
        raise ValueError(f"num_steps {num_steps} must be 1 to {len(alpha_bar)}, the T of the model")
