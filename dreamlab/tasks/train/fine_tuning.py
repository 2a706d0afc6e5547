"""Fine-tuning: which weights are copied from another model, and which parts are not trained."""

from __future__ import annotations

import torch

from dreamlab.checks.network import check_fine_tuning
from dreamlab.diffusion.unet import UNet
from dreamlab.settings import TrainSpec
from dreamlab.tasks.generator import TrainedGenerator

CLASS_TABLE = "condition.classes.weight"
PARTS: dict[str, tuple[str, ...]] = {
    "stem": ("stem.",),
    "condition": ("condition.",),
    "down": ("down.", "shrink."),
    "middle": ("middle.",),
    "up": ("up.", "grow."),
    "head": ("norm.", "head."),
}
"""Part of the network -> prefixes of the names of its parameters."""


@torch.no_grad()
def start_from(network: UNet, spec: TrainSpec, source: TrainedGenerator) -> None:
    """Copies the averaged weights of a trained generator into a network for new data.

    If both have the same data set, the whole class embedding is copied. Otherwise only that of the
    null class is copied, and the other classes keep their random initial values. Raises SpecError
    if the two networks do not fit.
    """
    check_fine_tuning(spec, source.spec, network.network, source.network.network)
    same_classes = spec.dataset == source.spec.dataset
    weights = source.network.state_dict()
    for name, value in network.state_dict().items():
        if name == CLASS_TABLE and not same_classes:
            value[-1] = weights[name][-1]
        else:
            value.copy_(weights[name])


def freeze(network: UNet, parts: tuple[str, ...]) -> None:
    """Sets requires_grad to False for all parameters of these parts."""
    prefixes = tuple(prefix for part in parts for prefix in PARTS[part])
    for name, p in network.named_parameters():
        if prefixes and name.startswith(prefixes):
            p.requires_grad_(False)
