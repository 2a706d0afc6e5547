"""Settings of a mix: does synthetic data help the classifier, and at which share?"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from dreamlab.settings.arm_names import ARM_FORMS, Arm
from dreamlab.settings.classifier_recipe import ClassifierRecipe
from dreamlab.settings.names import ControlName, SamplerName
from dreamlab.settings.real_data import RealData
from dreamlab.settings.setting import setting


class MixSpec(ClassifierRecipe, RealData):
    kind: ClassVar[str] = "mix"
    summary: ClassVar[str] = "Compare mixes of real and synthetic images and give a verdict."

    seeds: int = setting(5, "Classifiers per arm, each with its own seed.", ge=2, le=100)
    sources: tuple[str, ...] = setting(
        (),
        "Runs of generators to compare; without one, a generator is trained on exactly the real"
        " images of the mix.",
        label="Generators",
        flag="from",
        run_kind="train",
    )
    sets: tuple[str, ...] = setting(
        (),
        "Synthetic sets to compare as they are: runs of synthesize, or imported ones.",
        label="Synthetic sets",
        flag="set",
        run_kind="synthesize|import",
        section="Generators",
        advanced=True,
    )
    train_own: bool = setting(
        False,
        "Also train a generator on exactly the real images of the mix.",
        label="Train its own generator",
    )
    train_arm: bool = setting(
        False,
        "Also train a generator for every arm, which sees only this arm's real images.",
        label="A generator per arm",
        section="Generators",
        advanced=True,
    )
    train_all: bool = setting(
        False,
        "Also train a generator on the whole training split: it may see real images that no"
        " classifier has.",
        label="A generator on all images",
        section="Generators",
        advanced=True,
    )
    train_seconds: float = setting(
        60.0,
        "Time budget of every generator that is trained.",
        label="Its training time",
        unit="s",
        ge=1,
        le=604_800,
        log=True,
    )
    arms: tuple[Arm, ...] = setting(
        ("real", "90/10", "50/50", "10/90", "real+1x"),
        f"Arms to compare, as a list: {ARM_FORMS}.",
        min_length=2,
        max_length=40,
    )
    controls: tuple[ControlName, ...] = setting(
        ("duplicated", "augmented", "synthetic", "noise"),
        "What a gain must be held against: the real images duplicated, classical augmentation, only"
        " synthetic images (CAS), noise images instead of synthetic ones; as a list.",
    )
    real_sizes: tuple[Annotated[int, Field(ge=1, le=100_000)], ...] = setting(
        (),
        "Further numbers of real images per class, as a list: real only and every add arm at each"
        " of them, for the learning curve and the exchange rate.",
        label="Real sizes",
        max_length=12,
        section="Surface",
        advanced=True,
    )
    guidance_weight: float = setting(
        0.5,
        "Guidance weight w of the synthetic sets (scale s = 1 + w).",
        label="Guidance weight w",
        ge=0,
        le=20,
        step=0.1,
    )
    num_steps: int = setting(
        20,
        "Sampler steps of the synthetic sets.",
        label="Sampler steps",
        ge=1,
        le=4000,
        log=True,
        section="Sampling",
        advanced=True,
    )
    sampler: SamplerName = setting(
        "dpmpp_2m", "Sampler of the synthetic sets.", section="Sampling", advanced=True
    )
