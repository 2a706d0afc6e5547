"""Warnings about settings that are allowed but have a known problem, in a sentence each. Forms and
the command line show them."""

from __future__ import annotations

import numpy as np

from dreamlab.checks.known import Known
from dreamlab.data import catalog, near_copies, near_copies_report
from dreamlab.noise import schedules
from dreamlab.noise.spread import spread_kept
from dreamlab.settings import ClassifySpec, MixSpec, Spec, SynthesizeSpec, TrainSpec
from dreamlab.stats.enough import LEAST_SEEDS

LEAST_SPREAD, GOOD_SPREAD = 0.9, 0.95
"""Shares of the spread of Gaussian data: below the first there is a warning, and it names a number
of steps that keeps at least the second."""
LARGE_WEIGHT = 6.0
"""Guidance weight w above which images are usually oversaturated (Saharia et al. 2022, section
2.3)."""
STRONG = (
    f"A guidance weight above {LARGE_WEIGHT:g} usually gives colours that are too strong and images"
    " that are alike."
)


def warning(spec: Spec, known: Known) -> str:
    """The warning about a spec; empty if there is no problem. Raises RunError if a run that the
    spec names cannot be read."""
    if isinstance(spec, TrainSpec):
        return schedule_warning(spec)
    if isinstance(spec, SynthesizeSpec):
        trained = known.spec(spec.source)
        return sampling_warning(spec, trained) if isinstance(trained, TrainSpec) else ""
    said = [mix_warning(spec)] if isinstance(spec, MixSpec) else []
    if isinstance(spec, ClassifySpec | MixSpec):
        said.append(copies_warning(spec, known))
    return " ".join(filter(None, said))


def copies_warning(spec: ClassifySpec | MixSpec, known: Known) -> str:
    """The warning for near-copies that are allowed: within the test images, or of training images
    in a synthetic set. Raises RunError and DataError."""
    data, said = catalog.load(spec.dataset, spec.data_dir), []
    within = near_copies.within(data)
    if within is not None and within.repeats_within:
        said.append(near_copies_report.of_data(within))
    names = spec.sets if isinstance(spec, MixSpec) else (spec.synthetic,) * bool(spec.synthetic)
    for folder in filter(None, map(known.folder, dict.fromkeys(names))):
        found = near_copies.known(folder, data)
        if found is not None and found.repeats:
            said.append(f"{folder.name}: {near_copies_report.of_set(found, data.info.classes)}")
    return " ".join(said)


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


def mix_warning(spec: MixSpec) -> str:
    """The warning for a mix with too few seeds for a verdict, or with a large guidance weight."""
    if spec.seeds < LEAST_SEEDS:
        return (
            f"With {spec.seeds} seeds there is no verdict and no interval. Use at least"
            f" {LEAST_SEEDS} seeds (--seeds)."
        )
    return f"{STRONG} Use a smaller one." if spec.guidance_weight > LARGE_WEIGHT else ""


def sampling_warning(spec: SynthesizeSpec, trained: TrainSpec) -> str:
    """The warning for a sampler with too few steps for the spread of its samples, or for a large
    guidance weight."""
    kept = _kept(spec, trained, spec.num_steps)
    if kept is not None and kept < LEAST_SPREAD:
        most = trained.num_train_timesteps
        steps = (n for n in (50, 100, 200, 500, 1000, most) if spec.num_steps < n <= most)
        enough = next((n for n in steps if (_kept(spec, trained, n) or 0) >= GOOD_SPREAD), 0)
        more = f", or at least {enough:,} steps" if enough else ""
        return (
            f"With {spec.sampler} and {spec.num_steps:,} steps the images vary too little: for"
            f" Gaussian data, {percent(kept)} of the spread is kept. Use dpmpp_2m{more}."
        )
    if spec.guidance_weight > LARGE_WEIGHT and spec.clip != "dynamic":
        return f"{STRONG} Use a smaller one, or dynamic clipping (--clip dynamic)."
    return ""


def _kept(spec: SynthesizeSpec, trained: TrainSpec, num_steps: int) -> float | None:
    if num_steps > trained.num_train_timesteps:
        return None
    return spread_kept(
        spec.sampler,
        alpha_bar_of(trained),
        num_steps,
        eta=spec.eta,
        variance=spec.variance,
        logvar_coefficient=spec.logvar_coefficient,
    )


def alpha_bar_of(spec: TrainSpec) -> np.ndarray:
    """alpha_bar (T,) of the spec of a training."""
    return schedules.alpha_bar(spec.schedule, spec.num_train_timesteps, spec.zero_terminal_snr)


def percent(share: float) -> str:
    """A share, 0 to 1, in percent with two digits: 0.006 is '0.6 %'."""
    value = 100 * float(share)
    return f"{value:.0f} %" if value >= 10 or value == 0 else f"{value:.2g} %"
