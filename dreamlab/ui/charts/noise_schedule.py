"""The noise schedule of a training as a small drawing over t / T: sqrt(alpha_bar), the factor of
the image that is left, and log-SNR."""

from __future__ import annotations

import dataclasses

import numpy as np
from markupsafe import Markup

from dreamlab.checks.noise_levels import alpha_bar_of, percent
from dreamlab.noise import schedules
from dreamlab.settings import Spec, TrainSpec
from dreamlab.ui import render
from dreamlab.ui.words import MINUS

LOG_SNR = 12.0
"""The log-SNR axis (natural logarithm) goes from -12 to 12 for every schedule."""
POINTS = 80


@dataclasses.dataclass(frozen=True)
class Curve:
    """One curve over t / T: title, last value in words, and SVG path in a box of 100 x 40. With
    `zero`, a line is drawn at half height."""

    title: str
    end: str
    path: str
    zero: bool = False


def describe(spec: Spec) -> Markup:
    """Draws both curves and describes the end of the schedule."""
    assert isinstance(spec, TrainSpec)
    alpha_bar = alpha_bar_of(spec)
    kept = np.sqrt(alpha_bar)
    with np.errstate(divide="ignore"):
        log_snr = np.log(schedules.snr(alpha_bar))
    last = f"{log_snr[-1]:.1f}" if np.isfinite(log_snr[-1]) else "-\u221e"
    heights = (np.clip(log_snr, -LOG_SNR, LOG_SNR) + LOG_SNR) / (2 * LOG_SNR)
    curves = [
        Curve("Image left", percent(kept[-1]), path(kept)),
        Curve("log-SNR", last.replace("-", MINUS), path(heights), zero=True),
    ]
    return render.part("noise_schedule.html", "schedule", curves, summary(alpha_bar))


def summary(alpha_bar: np.ndarray) -> str:
    """The end of the schedule in one line."""
    snr = schedules.terminal_snr(alpha_bar)
    return (
        f"Over t/T: \u221aalpha_bar and log-SNR. Terminal SNR {snr:.1e}: x_T holds"
        f" {percent(schedules.kept_share(alpha_bar))} of the image."
    )


def path(heights: np.ndarray) -> str:
    """The SVG path of a curve over t / T in a box of 100 x 40. `heights` are (T,) in [0, 1]."""
    picked = np.unique(np.linspace(0, len(heights) - 1, POINTS).astype(int))
    x = picked / max(1, len(heights) - 1) * 100
    y = (1 - heights[picked]) * 40
    return "M" + " L".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
