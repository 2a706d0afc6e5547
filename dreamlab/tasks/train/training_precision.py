"""Precision `auto` of training."""

from __future__ import annotations

import sys

import torch

from dreamlab.architecture.cost import multiply_adds
from dreamlab.architecture.network import Network
from dreamlab.tasks.precision import choose
from dreamlab.tasks.train.trainer import Trainer

LONGEST, SLOWEST_RATE = 1.5, 1e11
"""Seconds that one gradient may take on a slow CPU, and its floating-point operations per second.
They determine how many images are measured at once."""


def fastest(trainer: Trainer) -> str:
    """The number format of a training with precision `auto`: "fp32" or "bf16", whichever computes
    the gradient of a few images faster; see `precision.choose`. Neither the weights nor the random
    numbers of the training change. Raises TaskError if not even one image fits in memory."""
    network = trainer.network.network
    most = affordable(network, trainer.device)
    return choose(
        f"training/{network}{'/compiled' if trainer.spec.compile else ''}",
        trainer.device,
        lambda precision: trainer.probe(precision, most),
    )


def affordable(network: Network, device: torch.device) -> int:
    """Number of images whose gradient even a slow CPU computes in LONGEST. On a GPU there is no
    limit."""
    if device.type == "cuda":
        return sys.maxsize
    return max(1, int(LONGEST * SLOWEST_RATE / (6 * multiply_adds(network))))
