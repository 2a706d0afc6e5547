"""Specs of the evidence side: fidelity of a set, one classifier on one mix, and the groups mix and sweep."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from dreamlab.spec.base import (
    ClassifierName,
    DatasetName,
    DeviceName,
    ExtractorName,
    SamplerName,
    Spec,
    SpecError,
    knob,
)
from dreamlab.spec.training import DATA_DIR_HELP, DATA_HELP, DEVICE_HELP, PER_CLASS_HELP, SUBSET_HELP

ARM_FORMS = "real, synthetic, R/S in percent such as 50/50, or real+Kx such as real+1x"


def check_arm(arm: str) -> str:
    """An arm's name in its normal form; SpecError where it has none. See `dreamlab.data.mixing.counts`."""
    name = arm.strip().lower().replace(" ", "")
    if name in ("real", "synthetic") or re.fullmatch(r"real\+(0\.\d*[1-9]|[1-9]\d?(\.\d+)?)x", name):
        return name
    shares = re.fullmatch(r"(\d{1,3})/(\d{1,3})", name)
    if shares and int(shares[1]) + int(shares[2]) == 100 and int(shares[1]) not in (0, 100):
        return name
    raise SpecError(f"Arm {arm!r} cannot be used; it must be {ARM_FORMS}.", "arms")


Arm = Annotated[str, AfterValidator(check_arm)]
SEEDS_HELP = "Classifiers per arm, each with its own seed; a verdict needs at least 2, five are the default."
STEPS_HELP = "Optimiser steps of every classifier, the same for every arm."
BUDGET_HELP = "steps: the same optimiser steps for every arm; epochs: the same epochs, so bigger arms train longer (as the studies did)."


class FidelitySpec(Spec):
    kind: ClassVar[str] = "fidelity"
    summary: ClassVar[str] = "Measure Frechet distance and KID of a synthetic set against real images."

    images: str = knob(
        ..., "Run of the synthetic set to measure.", label="Synthetic set", run_kind="synthesize", min_length=1
    )
    extractor: ExtractorName = knob(
        "classifier", "Features: a classifier trained here on the real data (fd_classifier), or Inception-v3 (FID)."
    )
    inception_weights: str = knob(
        "", "File of the standard Inception weights (weights-inception-2015-12-05-6726825d.pth), for the inception extractor.",
        advanced=True,
    )  # fmt: skip
    reference: Literal["test", "train"] = knob("test", "Which real split to compare with.")
    device: DeviceName = knob("auto", DEVICE_HELP, advanced=True, affects_result=False)


class ClassifySpec(Spec):
    kind: ClassVar[str] = "classify"
    summary: ClassVar[str] = "Train one classifier recipe on one mix over several seeds and keep every test prediction."

    dataset: DatasetName = knob("mnist5k", DATA_HELP, label="Data")
    data_dir: str = knob("", DATA_DIR_HELP, label="Data folder", advanced=True)
    images_per_class: int = knob(0, PER_CLASS_HELP, label="Real images per class", ge=0, le=100_000, log=True)
    subset_seed: int = knob(0, SUBSET_HELP, ge=0, le=2**31 - 1, log=True, advanced=True)
    arm: Arm = knob("real", f"The mix: {ARM_FORMS}.")
    synthetic: str = knob(
        "", "Run of the synthetic set that the arm mixes in.", label="Synthetic set", run_kind="synthesize"
    )
    classifier: ClassifierName = knob("small_cnn", "Network of the classifier.")
    seeds: int = knob(5, SEEDS_HELP, ge=1, le=100)
    budget: Literal["steps", "epochs"] = knob("steps", BUDGET_HELP, label="Training budget")
    steps: int = knob(400, STEPS_HELP, label="Optimiser steps", ge=1, le=1_000_000, log=True)
    epochs: int = knob(
        10, "Passes over the arm's images where the budget is epochs.", ge=1, le=10_000, log=True, advanced=True
    )
    batch_size: int = knob(32, "Images per optimiser step.", ge=1, le=8192, log=True, advanced=True)
    learning_rate: float = knob(4e-3, "Peak learning rate of AdamW.", gt=0, le=1, log=True, advanced=True)
    device: DeviceName = knob("auto", DEVICE_HELP, advanced=True, affects_result=False)


class MixSpec(Spec):
    kind: ClassVar[str] = "mix"
    summary: ClassVar[str] = "Compare mixes of real and synthetic images and give a verdict."

    dataset: DatasetName = knob("mnist5k", DATA_HELP, label="Data")
    data_dir: str = knob("", DATA_DIR_HELP, label="Data folder", advanced=True)
    images_per_class: int = knob(0, PER_CLASS_HELP, label="Real images per class", ge=0, le=100_000, log=True)
    sources: tuple[str, ...] = knob(
        (), "Runs of generators to compare; without one, a generator is trained on exactly the real images of the mix.",
        label="Generators", flag="from", run_kind="train",
    )  # fmt: skip
    train_own: bool = knob(
        False, "Also train a generator on exactly the real images of the mix.", label="Train its own generator"
    )
    train_seconds: float = knob(
        60.0, "Time budget of that generator.", label="Its training time", unit="s", ge=1, le=604_800, log=True
    )
    arms: tuple[Arm, ...] = knob(
        ("real", "90/10", "50/50", "10/90", "synthetic", "real+1x"),
        f"Arms to compare, as a list: {ARM_FORMS}.",
        min_length=2,
    )
    seeds: int = knob(5, SEEDS_HELP, ge=2, le=100)
    classifier: ClassifierName = knob("small_cnn", "Network of the classifier.")
    budget: Literal["steps", "epochs"] = knob("steps", BUDGET_HELP, label="Training budget")
    steps: int = knob(400, STEPS_HELP, label="Optimiser steps", ge=1, le=1_000_000, log=True)
    epochs: int = knob(
        10, "Passes over the arm's images where the budget is epochs.", ge=1, le=10_000, log=True, advanced=True
    )
    guidance_weight: float = knob(
        0.5,
        "Guidance weight w of the synthetic sets (scale s = 1 + w).",
        label="Guidance weight w",
        ge=0,
        le=20,
        step=0.1,
    )
    num_steps: int = knob(
        20, "Sampler steps of the synthetic sets.", label="Sampler steps", ge=1, le=4000, log=True, advanced=True
    )
    sampler: SamplerName = knob("dpmpp_2m", "Sampler of the synthetic sets.", advanced=True)
    subset_seed: int = knob(0, SUBSET_HELP, ge=0, le=2**31 - 1, log=True, advanced=True)
    device: DeviceName = knob("auto", DEVICE_HELP, advanced=True, affects_result=False)


class SweepSpec(Spec):
    kind: ClassVar[str] = "sweep"
    summary: ClassVar[str] = (
        "Draw a fidelity curve against guidance weight, sampler steps, or T (which retrains per T)."
    )

    source: str = knob(..., "Run of the generator.", label="Generator", flag="from", run_kind="train", min_length=1)
    axis: Literal["guidance_weight", "num_steps", "num_train_timesteps"] = knob(
        "guidance_weight",
        "What is varied; num_train_timesteps trains a new generator for every T.",
        label="Curve against",
    )
    values: tuple[Annotated[float, Field(ge=0, le=4000)], ...] = knob(
        (), "Points of the curve, as a list; empty takes the usual ones of the axis.", max_length=40
    )
    per_class: int = knob(
        50, "Synthetic images per class at every point.", label="Images per class", ge=2, le=100_000, log=True
    )
    guidance_weight: float = knob(
        1.0, "Guidance weight w where it is not the axis.", label="Guidance weight w", ge=0, le=20, step=0.1
    )
    num_steps: int = knob(
        20, "Sampler steps where they are not the axis.", label="Sampler steps", ge=1, le=4000, log=True
    )
    sampler: SamplerName = knob("dpmpp_2m", "Sampler at every point.")
    seed: int = knob(0, "Seed of the noise, the same at every point.", ge=0, le=2**31 - 1, log=True, advanced=True)
    extractor: ExtractorName = knob("classifier", "Features of the distance, as in fidelity.", advanced=True)
    inception_weights: str = knob(
        "", "File of the standard Inception weights, for the inception extractor.", advanced=True
    )
    device: DeviceName = knob("auto", DEVICE_HELP, advanced=True, affects_result=False)


DEFAULT_VALUES: dict[str, tuple[float, ...]] = {
    "guidance_weight": (0.0, 0.25, 0.5, 1.0, 2.0, 4.0),
    "num_steps": (4.0, 6.0, 10.0, 20.0, 50.0),
    "num_train_timesteps": (50.0, 200.0, 1000.0),
}
