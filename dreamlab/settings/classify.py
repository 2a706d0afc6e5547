"""Settings of a classify run: one classifier recipe trained on one arm with several seeds."""

from __future__ import annotations

from typing import ClassVar

from dreamlab.settings.arm_names import ARM_FORMS, ArmName
from dreamlab.settings.classifier_recipe import ClassifierRecipe
from dreamlab.settings.real_data import RealData
from dreamlab.settings.setting import setting


class ClassifySpec(ClassifierRecipe, RealData):
    """Settings of a classify run."""

    kind: ClassVar[str] = "classify"
    summary: ClassVar[str] = (
        "Train a classifier on one arm with several seeds and keep every test prediction."
    )

    arm: ArmName = setting(
        "real", "Arm: real and synthetic images to train on.", detail=f"It is one of: {ARM_FORMS}."
    )
    synthetic: str = setting(
        "",
        "Synthetic set that the arm uses.",
        detail="Sampled here, or imported.",
        label="Synthetic set",
        run_kind="synthesize|import",
    )
