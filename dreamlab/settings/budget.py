"""Number of optimiser steps for a budget that is given in steps or in epochs."""

from __future__ import annotations

import math

from dreamlab.settings.classify import ClassifySpec
from dreamlab.settings.train import TrainSpec


def training_steps(spec: TrainSpec, images: int) -> int:
    """Number of optimiser steps of a training on `images` images: `steps` if that is given, else
    the steps of `epochs` passes, where a part of a batch counts as one. 0 means that the time
    budget decides."""
    return spec.steps or math.ceil(spec.epochs * images / spec.batch_size)


def classifier_steps(spec: ClassifySpec, images: int) -> int:
    """Number of optimiser steps of a classifier on `images` images, at least 1. A budget in epochs
    is rounded to the nearest step."""
    if spec.budget == "steps":
        return spec.steps
    return max(1, round(spec.epochs * images / spec.batch_size))
