"""The noise schedule of a training as a small picture: how much of the image is left, and the
log-SNR, over t / T."""

from __future__ import annotations

import numpy as np

from dreamlab.checks.warnings import alpha_bar_of, percent
from dreamlab.noise import schedules
from dreamlab.settings import Spec
from dreamlab.ui import html

LOG_SNR = 12.0
"""The log-SNR axis goes from minus this to this (natural logarithm), the same for every
schedule."""
POINTS = 80


def describe(spec: Spec) -> str:
    """Both curves with their ends in words."""
    alpha_bar = alpha_bar_of(spec)
    kept = np.sqrt(alpha_bar)
    with np.errstate(divide="ignore"):
        log_snr = np.log(schedules.snr(alpha_bar))
    last = (
        f"{log_snr[-1]:.1f}".replace("-", html.MINUS)
        if np.isfinite(log_snr[-1])
        else f"{html.MINUS}\u221e"
    )
    figures = figure("Image left", percent(kept[-1]), kept) + figure(
        "log-SNR", last, (np.clip(log_snr, -LOG_SNR, LOG_SNR) + LOG_SNR) / (2 * LOG_SNR), zero=True
    )
    return (
        f'<div class="curves" role="img" aria-label="{html.esc(words(alpha_bar))}">{figures}</div>'
        f'<p class="note">{html.esc(words(alpha_bar))}</p>'
    )


def words(alpha_bar: np.ndarray) -> str:
    """The end of the schedule in one line."""
    snr = schedules.terminal_snr(alpha_bar)
    return (
        f"Over t/T: \u221aalpha_bar and log-SNR. Terminal SNR {snr:.1e}: x_T holds"
        f" {percent(schedules.kept_share(alpha_bar))} of the image."
    )


def figure(title: str, end: str, heights: np.ndarray, zero: bool = False) -> str:
    """One curve over t / T, heights 0 to 1, its title and its last value in words."""
    picked = np.unique(np.linspace(0, len(heights) - 1, POINTS).astype(int))
    x = picked / max(1, len(heights) - 1) * 100
    y = (1 - heights[picked]) * 40
    path = "M" + " L".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    line = '<line x1="0" x2="100" y1="20" y2="20"></line>' if zero else ""
    return (
        "<div><div"
        f' class="curve-head"><span>{html.esc(title)}</span><b>{html.esc(end)}</b></div><svg'
        f' viewBox="0 0 100 40" preserveAspectRatio="none" aria-hidden="true">{line}<path'
        f' d="{path}"></path></svg></div>'
    )
