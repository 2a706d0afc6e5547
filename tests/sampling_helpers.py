"""Runs with random networks, for tests that sample: nothing is trained."""

from __future__ import annotations

from typing import Any

import torch

from dreamlab.architecture.network import network_of
from dreamlab.diffusion.unet import UNet
from dreamlab.settings import TrainSpec, make
from dreamlab.store import Run, RunStore, checkpoints
from dreamlab.tasks.generator import TrainedGenerator, save_generator
from tests.task_helpers import CPU, new_run

TINY: dict[str, Any] = {
    "dataset": "digits",
    "base_width": 8,
    "target": "v",
    "num_train_timesteps": 50,
}
"""With v images follow their noise, whatever the weights."""


def random_generator(weights: int = 0, step: int = 1, **values: Any) -> TrainedGenerator:
    """Random weights everywhere, the zero ones too: the output depends on t, the label and the
    low-resolution image."""
    spec = make(TrainSpec, {**TINY, **values})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(weights)
        network = UNet(network_of(spec))
        for name, p in network.named_parameters():
            torch.nn.init.normal_(p, std=1.5 if "classes" in name else 0.15)
    return TrainedGenerator(network.requires_grad_(False).eval(), spec, step, CPU)


def trained_run(store: RunStore, weights: int = 0, **values: Any) -> Run:
    """A finished training, as far as others look at it."""
    generator = random_generator(weights, **values)
    run = new_run(store, generator.spec)
    (run.path / checkpoints.FOLDER).mkdir(exist_ok=True)
    save_generator(run.path, generator)
    return run
