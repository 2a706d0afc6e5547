"""What may be started but should be known first: one sentence, beside a form and on a terminal."""

from __future__ import annotations

import numpy as np

from dreamlab.noise import schedules
from dreamlab.settings import Spec, TrainSpec


def warning(spec: Spec) -> str:
    """What is wrong with a schedule that ends before the image is gone, and what mends it; empty
    where nothing is."""
    if not isinstance(spec, TrainSpec) or not schedules.off_distribution(
        alpha_bar := alpha_bar_of(spec)
    ):
        return ""
    mend = "linear_scaled" if spec.schedule == "linear" else "another schedule"
    other = " with target v or x0" if spec.target == "eps" else ""
    return (
        "Sampling would start off-distribution: from pure noise, while in training x_T still holds"
        f" {percent(schedules.kept_share(alpha_bar))} of the image. Mend it with {mend}, or zero"
        f" terminal SNR (under Noise){other}."
    )


def alpha_bar_of(spec: Spec) -> np.ndarray:
    """(T,) alpha_bar of a training's spec."""
    assert isinstance(spec, TrainSpec)
    return schedules.alpha_bar(spec.schedule, spec.num_train_timesteps, spec.zero_terminal_snr)


def percent(share: float) -> str:
    """0.006 as '0.6 %'; two digits."""
    value = 100 * float(share)
    return f"{value:.0f} %" if value >= 10 or value == 0 else f"{value:.2g} %"
