"""Numbers that follow from a budget: optimiser steps in steps or in epochs, and kept
checkpoints."""

from __future__ import annotations

import math

from dreamlab.settings.classify import ClassifySpec
from dreamlab.settings.train import TrainSpec

MOST_KEPT = 100
"""Most checkpoints that one training may keep."""


def training_steps(spec: TrainSpec, images: int) -> int:
    """Number of optimiser steps of a training on `images` images: `steps` if that is given, else
    the steps of `epochs` passes, where a part of a batch counts as one. 0 means that the time
    budget decides."""
    return spec.steps or math.ceil(spec.epochs * images / spec.batch_size)


def kept_checkpoints(spec: TrainSpec, images: int) -> int:
    """Number of checkpoints that a training on `images` images keeps on its way, without the last
    one and those that are asked for while it runs."""
    if not spec.snapshot_epochs:
        return spec.snapshots
    return epochs_kept(spec, images, training_steps(spec, images) - 1)


def epochs_kept(spec: TrainSpec, images: int, step: int) -> int:
    """How many of the checkpoints every `snapshot_epochs` epochs, which must be above 0, are due
    after `step` steps on `images` images."""
    # an epoch of 7 times 0.1 is not to be missed for the last digit of a float
    return int(step * spec.batch_size / (spec.snapshot_epochs * images) + 1e-9)


def probes(spec: TrainSpec, steps: int) -> int:
    """Number of probes of a training that takes `steps` steps, with that of its last step."""
    return math.ceil(steps / spec.probe_every) if spec.probe_every else 0


def classifier_steps(spec: ClassifySpec, images: int) -> int:
    """Number of optimiser steps of a classifier on `images` images, at least 1. A budget in epochs
    is rounded to the nearest step."""
    if spec.budget == "steps":
        return spec.steps
    return max(1, round(spec.epochs * images / spec.batch_size))
