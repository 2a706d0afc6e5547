"""Settings of a mix, which compares classifiers trained on different real and synthetic images."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from dreamlab.settings.arm_names import ARM_FORMS, ArmName
from dreamlab.settings.base import budget_given
from dreamlab.settings.classifier_recipe import ClassifierRecipe
from dreamlab.settings.names import ControlName, SamplerName
from dreamlab.settings.real_data import RealData
from dreamlab.settings.sampling import guidance_weight_setting, num_steps_setting
from dreamlab.settings.setting import setting


class MixSpec(ClassifierRecipe, RealData):
    """Settings of a mix."""

    kind: ClassVar[str] = "mix"
    summary: ClassVar[str] = "Compare mixes of real and synthetic images and give a verdict."

    seeds: int = setting(
        5,
        "Number of classifiers per arm, one per seed.",
        detail="A verdict needs at least 3; more give narrower intervals.",
        ge=2,
        le=100,
    )
    sources: tuple[str, ...] = setting(
        (),
        "Trained generators to compare.",
        detail="If no generator and no synthetic set is named, a generator is trained on exactly"
        " the real images of the mix.",
        label="Generators",
        flag="from",
        run_kind="train",
    )
    sets: tuple[str, ...] = setting(
        (),
        "Finished synthetic sets to compare.",
        detail="Sampled here, or imported. They are used as they are.",
        label="Synthetic sets",
        flag="set",
        run_kind="synthesize|import",
        section="Generators",
    )
    train_own: bool = setting(
        False,
        "Train a generator on the real images of the mix.",
        detail="On exactly these images, in addition to the generators that are named.",
        label="Train its own generator",
    )
    train_arm: bool = setting(
        False,
        "Train a generator for every arm.",
        detail="Each is trained only on the real images of its arm.",
        label="A generator per arm",
        section="Generators",
    )
    train_all: bool = setting(
        False,
        "Train a generator on the whole training split.",
        detail="Its training images may include real images that no classifier is trained on.",
        label="A generator on all images",
        section="Generators",
    )
    train_steps: int = setting(
        2000,
        "Optimiser steps of each generator that is trained.",
        detail="0: the training time decides instead.",
        label="Training steps",
        ge=0,
        le=10_000_000,
        log=True,
        added=0,
    )
    train_seconds: float = setting(
        60.0,
        "Time budget of each generator instead of steps.",
        detail="Used only if the training steps are 0. How good the generators become then depends"
        " on the machine and on what else it does.",
        label="Training time",
        unit="s",
        ge=1,
        le=604_800,
        log=True,
        section="Generators",
    )
    arms: tuple[ArmName, ...] = setting(
        ("real", "90/10", "50/50", "10/90", "real+1x"),
        "Compositions of training images (arms), as a list.",
        detail=f"Each is one of: {ARM_FORMS}.",
        min_length=2,
        max_length=40,
    )
    controls: tuple[ControlName, ...] = setting(
        ("duplicated", "augmented", "synthetic", "noise"),
        "Control arms, as a list.",
        detail="They show what else could explain a gain. duplicated: the real images repeated."
        " augmented: classical augmentation. synthetic: synthetic images only (CAS). noise: noise"
        " images instead of synthetic ones.",
    )
    real_sizes: tuple[Annotated[int, Field(ge=1, le=100_000)], ...] = setting(
        (),
        "More numbers of real images per class, as a list.",
        detail="At each size, the arm real and every arm of the form real+Kx are trained as well."
        " This gives the learning curve and the exchange rate: how many synthetic images are"
        " worth one more real image.",
        label="Real sizes",
        max_length=12,
        section="Learning curve",
    )
    guidance_weight: float = guidance_weight_setting(
        0.5, "Guidance weight w of the synthetic sets; 0 is off."
    )
    num_steps: int = num_steps_setting("Sampler steps of the synthetic sets.", section="Sampling")
    sampler: SamplerName = setting("dpmpp_2m", "Sampler of the synthetic sets.", section="Sampling")

    @model_validator(mode="before")
    @classmethod
    def _time_is_asked_for(cls, values: Any) -> Any:
        return budget_given(values, "train_steps", "train_seconds")
