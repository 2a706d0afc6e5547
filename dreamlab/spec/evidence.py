"""Specs of the evidence side: fidelity of a set, one classifier on one mix, and the groups mix, sweep and study."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from dreamlab.spec.base import (
    ControlName,
    DeviceName,
    ExtractorName,
    SamplerName,
    ScaleName,
    Spec,
    SpecError,
    StudyName,
    knob,
)
from dreamlab.spec.realdata import DATA_DIR_HELP, DATASETS, DEVICE_HELP, RealData
from dreamlab.spec.recipes import ClassifierRecipe

ARM_FORMS = (
    "real, synthetic, R/S in percent such as 50/50, real+Kx such as real+1x, real+N@C such as real+500@8+9 (N synthetic images for"
    " each of these classes), augmented, duplicated+Kx, or noise+Kx"
)
ARM = re.compile(
    r"(?P<word>real|synthetic|augmented)"
    r"|(?P<real>\d{1,3}(\.\d+)?)/(?P<synthetic>\d{1,3}(\.\d+)?)"
    r"|(?P<base>real|duplicated|noise)\+(?P<times>\d{1,3}(\.\d+)?)x"
    r"|real\+(?P<each>[1-9]\d{0,6})@(?P<classes>\d{1,4}(\+\d{1,4})*)"
)
"""The forms of an arm's name; `dreamlab.data.mixing.parse` gives them their meaning."""


def check_arm(arm: str) -> str:
    """An arm's name in its normal form; SpecError where it has none."""
    name = arm.strip().lower().replace(" ", "")
    found = ARM.fullmatch(name)
    if found and found["real"]:
        shares = float(found["real"]), float(found["synthetic"])
        found = found if abs(sum(shares) - 100) < 1e-9 and min(shares) > 0 else None
    elif found and found["times"]:
        found = found if 0 < float(found["times"]) <= 100 else None
    if found is None:
        raise SpecError(f"Arm {arm!r} cannot be used; it must be {ARM_FORMS}.", "arms")
    return name


Arm = Annotated[str, AfterValidator(check_arm)]


class FidelitySpec(Spec):
    kind: ClassVar[str] = "fidelity"
    summary: ClassVar[str] = "Measure Frechet distance and KID of a synthetic set against real images."

    images: str = knob(
        ..., "Run of the synthetic set to measure: made here, or imported.", label="Synthetic set",
        run_kind="synthesize|import", min_length=1,
    )  # fmt: skip
    extractor: ExtractorName = knob(
        "classifier", "Features: a classifier trained here on the real data (fd_classifier), or Inception-v3 (FID)."
    )
    inception_weights: str = knob(
        "", "File of the standard Inception weights (weights-inception-2015-12-05-6726825d.pth), for the inception extractor.",
        advanced=True,
    )  # fmt: skip
    reference: Literal["test", "train"] = knob("test", "Which real split to compare with.")
    data_dir: str = knob(
        "", DATA_DIR_HELP + " Only for imported sets: others know it from their generator.", label="Data folder", advanced=True,
        affects_result=False,
    )  # fmt: skip
    device: DeviceName = knob("auto", DEVICE_HELP, advanced=True, affects_result=False)


class ClassifySpec(ClassifierRecipe, RealData):
    kind: ClassVar[str] = "classify"
    summary: ClassVar[str] = "Train one classifier recipe on one mix over several seeds and keep every test prediction."

    arm: Arm = knob("real", f"The mix: {ARM_FORMS}.")
    synthetic: str = knob(
        "", "Run of the synthetic set that the arm mixes in: made here, or imported.", label="Synthetic set",
        run_kind="synthesize|import",
    )  # fmt: skip


class MixSpec(ClassifierRecipe, RealData):
    kind: ClassVar[str] = "mix"
    summary: ClassVar[str] = "Compare mixes of real and synthetic images and give a verdict."

    seeds: int = knob(5, "Classifiers per arm, each with its own seed.", ge=2, le=100)
    sources: tuple[str, ...] = knob(
        (), "Runs of generators to compare; without one, a generator is trained on exactly the real images of the mix.",
        label="Generators", flag="from", run_kind="train",
    )  # fmt: skip
    sets: tuple[str, ...] = knob(
        (), "Synthetic sets to compare as they are: runs of synthesize, or imported ones.", label="Synthetic sets", flag="set",
        run_kind="synthesize|import", section="Generators", advanced=True,
    )  # fmt: skip
    train_own: bool = knob(
        False, "Also train a generator on exactly the real images of the mix.", label="Train its own generator"
    )
    train_arm: bool = knob(
        False, "Also train a generator for every arm, which sees only this arm's real images.",
        label="A generator per arm", section="Generators", advanced=True,
    )  # fmt: skip
    train_all: bool = knob(
        False, "Also train a generator on the whole training split: it may see real images that no classifier has.",
        label="A generator on all images", section="Generators", advanced=True,
    )  # fmt: skip
    train_seconds: float = knob(
        60.0,
        "Time budget of every generator that is trained.",
        label="Its training time",
        unit="s",
        ge=1,
        le=604_800,
        log=True,
    )
    arms: tuple[Arm, ...] = knob(
        ("real", "90/10", "50/50", "10/90", "real+1x"),
        f"Arms to compare, as a list: {ARM_FORMS}.",
        min_length=2,
        max_length=40,
    )
    controls: tuple[ControlName, ...] = knob(
        ("duplicated", "augmented", "synthetic", "noise"), "What a gain must be held against: the real images duplicated, classical"
        " augmentation, only synthetic images (CAS), noise images instead of synthetic ones; as a list.",
    )  # fmt: skip
    real_sizes: tuple[Annotated[int, Field(ge=1, le=100_000)], ...] = knob(
        (), "Further numbers of real images per class, as a list: real only and every add arm at each of them, for the learning curve"
        " and the exchange rate.", label="Real sizes", max_length=12, section="Surface", advanced=True,
    )  # fmt: skip
    guidance_weight: float = knob(
        0.5,
        "Guidance weight w of the synthetic sets (scale s = 1 + w).",
        label="Guidance weight w",
        ge=0,
        le=20,
        step=0.1,
    )
    num_steps: int = knob(
        20,
        "Sampler steps of the synthetic sets.",
        label="Sampler steps",
        ge=1,
        le=4000,
        log=True,
        section="Sampling",
        advanced=True,
    )
    sampler: SamplerName = knob("dpmpp_2m", "Sampler of the synthetic sets.", section="Sampling", advanced=True)


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


class StudySpec(Spec):
    kind: ClassVar[str] = "study"
    summary: ClassVar[str] = "Run one of the published studies and set its numbers beside ours."

    study: StudyName = knob(..., "Which study; `study list` says what each of them asks.")
    scale: ScaleName = knob(
        "laptop", "laptop: the same protocol on digits in minutes; middle: on a real data set in about an hour; corrected: the study's"
        " size without its mistakes; paper: as published.",
    )  # fmt: skip
    dataset: str = knob(
        "", "Data set to use instead of the one of the scale: a name, or an import run.", label="Data", run_kind="import",
        choices=DATASETS,
    )  # fmt: skip
    data_dir: str = knob("", DATA_DIR_HELP, label="Data folder")
    seeds: int = knob(0, "Classifiers per arm; 0 takes the number of the scale.", ge=0, le=100)
    device: DeviceName = knob("auto", DEVICE_HELP, advanced=True, affects_result=False)


DEFAULT_VALUES: dict[str, tuple[float, ...]] = {
    "guidance_weight": (0.0, 0.25, 0.5, 1.0, 2.0, 4.0),
    "num_steps": (4.0, 6.0, 10.0, 20.0, 50.0),
    "num_train_timesteps": (50.0, 200.0, 1000.0),
}
