"""How classifiers are trained: the settings that `classify` and `mix` share, and recipes that set
several of them at once."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from dreamlab.settings.base import Spec
from dreamlab.settings.names import ClassifierName, DeviceName, LearningRateName, RecipeName
from dreamlab.settings.real_data import DEVICE_DETAIL, DEVICE_HELP
from dreamlab.settings.setting import setting

CLASSIFIER = "Classifier"

# the comment on each recipe says which values its study states and which are assumptions
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
    # S0 states Adam, 5e-4, batch 64; 20 epochs are assumed
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
    # S2 states an MLP; its layers, Adam, 1e-3, batch 128 and 20 epochs are assumed
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
    # S3 states SGD, 0.01, batch 256, 50 epochs (30 for the long tail); momentum 0.9 is assumed
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
    # S4 states the network only; Adam, 1e-3, batch 16 and 50 epochs are assumed
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
"""Recipe -> the settings that differ from the defaults."""


class ClassifierRecipe(Spec):
    """Settings of a classifier and its training. `recipe` fills in every setting that is not
    given."""

    recipe: RecipeName = setting(
        "fast",
        "Training recipe to start from.",
        detail="fast is for small sets, strong for ResNets on whole data sets; the others repeat"
        " studies S0, S2, S3 and S4. A setting that is given overrides the recipe.",
        affects_result=False,
    )
    classifier: ClassifierName = setting("small_cnn", "Network of the classifier.")
    seeds: int = setting(
        5,
        "Number of classifiers per arm, one per seed.",
        detail="A verdict needs at least 3; more give narrower intervals.",
        ge=1,
        le=100,
    )
    budget: Literal["steps", "epochs"] = setting(
        "steps",
        "Unit in which the length of a training is set.",
        detail="steps: the same number of optimiser steps for every arm. epochs: the same number"
        " of epochs, so that larger arms train longer (as in the studies).",
        label="Training budget",
    )
    steps: int = setting(
        400,
        "Optimiser steps of every classifier.",
        detail="The same for every arm. Used only if the budget is steps.",
        label="Optimiser steps",
        ge=1,
        le=1_000_000,
        log=True,
    )
    epochs: int = setting(
        10,
        "Passes over the images of the arm.",
        detail="Used only if the budget is epochs.",
        ge=1,
        le=10_000,
        log=True,
        section=CLASSIFIER,
    )
    nested: bool = setting(
        True,
        "Arms share images: smaller amounts are parts of larger.",
        detail="For one seed, the synthetic images of 90/10 are then among those of 50/50, and"
        " those of real+1x among those of real+2x, so that arms differ by their amounts alone. Off:"
        " each arm is drawn anew, as in version 0.1.",
        label="Nested arms",
        section=CLASSIFIER,
        added=False,
    )
    without_near_copies: bool = setting(
        False,
        "Leave out synthetic images flagged as near-copies.",
        detail="Those that lie closer to a training image of their generator than 99 % of held-out"
        " real images do, in pixels. An arm has fewer images where a set has no others.",
        label="Without near-copies",
        section=CLASSIFIER,
        added=False,
    )
    augment: bool = setting(
        False,
        "Use classical data augmentation.",
        detail="Images are shifted by a few pixels. They are also mirrored if the data set"
        " allows it.",
        label="Classical augmentation",
        section=CLASSIFIER,
    )
    batch_size: int = setting(
        32, "Images per optimiser step.", unit="images", ge=1, le=8192, log=True, section=CLASSIFIER
    )
    optimizer: Literal["adamw", "adam", "sgd"] = setting(
        "adamw", "Optimiser of the classifier.", detail="sgd has momentum 0.9.", section=CLASSIFIER
    )
    learning_rate: float = setting(
        4e-3, "Peak learning rate.", gt=0, le=10, log=True, section=CLASSIFIER
    )
    learning_rate_schedule: LearningRateName = setting(
        "cosine",
        "How the learning rate changes during training.",
        detail="cosine: it rises over the first tenth and then falls to zero. constant: it stays"
        " the same.",
        section=CLASSIFIER,
    )
    weight_decay: float = setting(
        0.05,
        "Strength of weight decay on matrices; 0 is off.",
        detail="Decoupled for AdamW, added to the gradient for Adam and SGD.",
        ge=0,
        le=1,
        log=True,
        section=CLASSIFIER,
    )
    device: DeviceName = setting(
        "auto", DEVICE_HELP, detail=DEVICE_DETAIL, section="Machine", affects_result=False
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
        """The default values, with those of the recipe in place."""
        return {**super().baseline(), **RECIPES[self.recipe]}
