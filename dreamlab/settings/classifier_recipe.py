"""How classifiers are trained: what the specs of one classifier and of a mix share, and the recipes
to start from."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from dreamlab.settings.base import Spec
from dreamlab.settings.names import ClassifierName, DeviceName, LearningRateName, RecipeName
from dreamlab.settings.real_data import DEVICE_HELP
from dreamlab.settings.setting import setting

CLASSIFIER = "Classifier"

# what a study does not say is filled with the assumption beside it
RECIPES: dict[str, dict[str, Any]] = {
    "fast": {},
    "strong": {
        "classifier": "resnet18",
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "weight_decay": 5e-4,
        "batch_size": 128,
        "augment": True,
        "budget": "steps",
        "steps": 20_000,
    },
    # S0: Adam, 5e-4, batch 64 are given; epochs are not: 20
    "s0": {
        "classifier": "unet_encoder",
        "optimizer": "adam",
        "learning_rate": 5e-4,
        "weight_decay": 0.0,
        "batch_size": 64,
        "learning_rate_schedule": "constant",
        "budget": "epochs",
        "epochs": 20,
    },
    # S2: the MLP's layers, rate and epochs are not given: Adam, 1e-3, batch 128, 20 epochs
    "s2": {
        "classifier": "mlp",
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "weight_decay": 0.0,
        "batch_size": 128,
        "learning_rate_schedule": "constant",
        "budget": "epochs",
        "epochs": 20,
    },
    # S3: SGD, 0.01, batch 256, 50 epochs (30 for the long tail) are given; momentum 0.9 assumed
    "s3": {
        "classifier": "resnet18",
        "optimizer": "sgd",
        "learning_rate": 0.01,
        "weight_decay": 0.0,
        "batch_size": 256,
        "learning_rate_schedule": "constant",
        "budget": "epochs",
        "epochs": 50,
    },
    # S4: the network alone is given: Adam, 1e-3, batch 16, 50 epochs
    "s4": {
        "classifier": "resnet18",
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "weight_decay": 0.0,
        "batch_size": 16,
        "learning_rate_schedule": "constant",
        "budget": "epochs",
        "epochs": 50,
    },
}
"""Name -> fields of a classifier's training that differ from the defaults."""


class ClassifierRecipe(Spec):
    """The classifier and its training; `recipe` fills what is not given."""

    recipe: RecipeName = setting(
        "fast",
        "Training to start from: fast for small sets, strong for ResNets on whole sets, or that of"
        " study S0, S2, S3 or S4; what is given beside it wins.",
        affects_result=False,
    )
    classifier: ClassifierName = setting("small_cnn", "Network of the classifier.")
    seeds: int = setting(
        5,
        "Classifiers per arm, each with its own seed; a verdict needs at least 2, five are the"
        " default.",
        ge=1,
        le=100,
    )
    budget: Literal["steps", "epochs"] = setting(
        "steps",
        "steps: the same optimiser steps for every arm; epochs: the same epochs, so bigger arms"
        " train longer (as the studies did).",
        label="Training budget",
    )
    steps: int = setting(
        400,
        "Optimiser steps of every classifier, the same for every arm.",
        label="Optimiser steps",
        ge=1,
        le=1_000_000,
        log=True,
    )
    epochs: int = setting(
        10,
        "Passes over the arm's images where the budget is epochs.",
        ge=1,
        le=10_000,
        log=True,
        section=CLASSIFIER,
        advanced=True,
    )
    augment: bool = setting(
        False,
        "Classical augmentation fit for the data: shifted by a few pixels, mirrored only where that"
        " keeps the class.",
        label="Classical augmentation",
        section=CLASSIFIER,
        advanced=True,
    )
    batch_size: int = setting(
        32,
        "Images per optimiser step.",
        unit="images",
        ge=1,
        le=8192,
        log=True,
        section=CLASSIFIER,
        advanced=True,
    )
    optimizer: Literal["adamw", "adam", "sgd"] = setting(
        "adamw",
        "Optimiser of the classifier: AdamW, Adam, or SGD with momentum 0.9.",
        section=CLASSIFIER,
        advanced=True,
    )
    learning_rate: float = setting(
        4e-3, "Peak learning rate.", gt=0, le=10, log=True, section=CLASSIFIER, advanced=True
    )
    learning_rate_schedule: LearningRateName = setting(
        "cosine",
        "Course of the learning rate: a tenth of warm-up and a cosine to zero, or constant from the"
        " start.",
        section=CLASSIFIER,
        advanced=True,
    )
    weight_decay: float = setting(
        0.05,
        "Weight decay of matrices: decoupled for AdamW, added to the gradient for Adam and SGD.",
        ge=0,
        le=1,
        log=True,
        section=CLASSIFIER,
        advanced=True,
    )
    device: DeviceName = setting(
        "auto", DEVICE_HELP, section="Machine", advanced=True, affects_result=False
    )

    @model_validator(mode="before")
    @classmethod
    def _start_from_recipe(cls, values: Any) -> Any:
        return (
            {**RECIPES.get(values.get("recipe", ""), {}), **values}
            if isinstance(values, dict)
            else values
        )

    def baseline(self) -> dict[str, Any]:
        return {**super().baseline(), **RECIPES[self.recipe]}
