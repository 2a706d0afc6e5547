"""The noise levels of a training, and the warning about a last one that still shows the image."""

from __future__ import annotations

import numpy as np

from dreamlab.noise import schedules
from dreamlab.settings import TrainSpec


def schedule_warning(spec: TrainSpec) -> str:
    """The warning for a noise schedule whose last step still shows the image, with a remedy."""
    alpha_bar = alpha_bar_of(spec)
    if not schedules.off_distribution(alpha_bar):
        return ""
    mend = "linear_scaled" if spec.schedule == "linear" else "another schedule"
    other = " with target v or x0" if spec.target == "eps" else ""
    return (
        "Sampling starts from pure noise, but with this schedule x_T in training still contains"
        f" {percent(schedules.kept_share(alpha_bar))} of the image. Use {mend}, or zero terminal"
        f" SNR (under Noise){other}."
    )


def alpha_bar_of(spec: TrainSpec) -> np.ndarray:
    """alpha_bar (T,) of the spec of a training."""
    return schedules.alpha_bar(spec.schedule, spec.num_train_timesteps, spec.zero_terminal_snr)


def percent(share: float) -> str:
    """A share, 0 to 1, in percent with two digits: 0.006 is '0.6 %'."""
    value = 100 * float(share)
    return f"{value:.0f} %" if value >= 10 or value == 0 else f"{value:.2g} %"
