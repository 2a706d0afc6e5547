"""Optimiser steps under a budget of epochs: the one place where they are computed."""

from __future__ import annotations

import math

from dreamlab.settings.classify import ClassifySpec
from dreamlab.settings.train import TrainSpec


def training_steps(spec: TrainSpec, images: int) -> int:
    """Steps of a training on this many images; 0 where a time decides. A begun batch counts."""
    return spec.steps or math.ceil(spec.epochs * images / spec.batch_size)


def classifier_steps(spec: ClassifySpec, images: int) -> int:
    """Steps of a classifier on this many images, at least 1; epochs to the nearest step."""
    if spec.budget == "steps":
        return spec.steps
    return max(1, round(spec.epochs * images / spec.batch_size))
