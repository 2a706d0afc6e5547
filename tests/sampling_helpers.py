"""Runs with random networks, for tests that sample: nothing is trained."""

from __future__ import annotations

from typing import Any

import torch

from dreamlab.data import catalog
from dreamlab.spec import KINDS, TrainSpec, make
from dreamlab.spec.base import Spec
from dreamlab.store import ArtefactCache, Record, Run, RunStore
from dreamlab.tasks.context import TaskContext
from dreamlab.tasks.generator import CHECKPOINT, Generator, build, save_generator

CPU = torch.device("cpu")
TINY: dict[str, Any] = {"dataset": "digits", "base_width": 8, "target": "v", "num_train_timesteps": 50}
"""With v images follow their noise, whatever the weights."""


def random_generator(weights: int = 0, step: int = 1, **values: Any) -> Generator:
    """Random weights everywhere, the zero ones too: the output depends on t, the label and the low-resolution image."""
    spec = make(TrainSpec, {**TINY, **values})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(weights)
        network = build(catalog.network(spec))
        for name, p in network.named_parameters():
            torch.nn.init.normal_(p, std=1.5 if "classes" in name else 0.15)
    return Generator(network.requires_grad_(False).eval(), spec, step, CPU)


def new_run(store: RunStore, spec: Spec) -> Run:
    record = Record(
        id=store.new_id(spec.kind, "tiny"), kind=spec.kind, name="tiny", created="2026-11-21T10:00:00",
        hash=spec.content_hash(), spec=spec.model_dump(),
    )  # fmt: skip
    return store.create(record)


def trained_run(store: RunStore, weights: int = 0, **values: Any) -> Run:
    """A finished training, as far as others look at it."""
    generator = random_generator(weights, **values)
    run = new_run(store, generator.spec)
    (run.path / "checkpoints").mkdir(exist_ok=True)
    save_generator(run.path, generator, CHECKPOINT)
    return run


def context(store: RunStore, kind: str, **values: Any) -> TaskContext:
    run = new_run(store, make(KINDS[kind], values))
    return TaskContext(run, store, ArtefactCache(store.folders.cache))
