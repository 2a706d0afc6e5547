"""Settings of a classify run: one classifier recipe trained on one arm with several seeds."""

from __future__ import annotations

from typing import ClassVar

from pydantic import model_validator

from dreamlab.settings.arm_names import ARM, ARM_FORMS, ArmName
from dreamlab.settings.base import SpecError
from dreamlab.settings.classifier_recipe import CLASSIFIER, ClassifierRecipe
from dreamlab.settings.real_data import RealPart
from dreamlab.settings.setting import setting


class ClassifySpec(ClassifierRecipe, RealPart):
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

    keep_weights: bool = setting(
        False,
        "Keep the weights of the first seed.",
        detail="They are written to classifier.safetensors in the folder of the run; fidelity then"
        " measures with --extractor own.",
        section=CLASSIFIER,
        added=False,
    )

    @model_validator(mode="after")
    def _replaces_as_much_as_its_arm(self) -> ClassifySpec:
        found = ARM.fullmatch(self.arm)
        share = found["synthetic"] if found else None
        if self.replaced and (share is None or abs(self.replaced - float(share) / 100) > 1e-9):
            kept = f"{100 * (1 - self.replaced):g}/{100 * self.replaced:g}"
            raise SpecError(
                f"Replaced share (--replaced): {self.replaced:g} cannot be used with the arm"
                f" {self.arm}; it goes with {kept}, and is 0 for arms that replace nothing.",
                "replaced",
            )
        return self
