"""The state of a training and one step of it; no clock, no events."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save as to_bytes

from dreamlab.data.catalog import DataSet
from dreamlab.data.splits import subset
from dreamlab.diffusion.ema import ema_update
from dreamlab.diffusion.losses import loss_weights, stratified_t, target_of, weighted_mse
from dreamlab.diffusion.optim import FlatOptimizer, learning_rate_factor
from dreamlab.diffusion.process import diffuse
from dreamlab.spec import TrainSpec
from dreamlab.store import write_bytes
from dreamlab.tasks.context import TaskError
from dreamlab.tasks.devices import autocast
from dreamlab.tasks.generator import Generator, build, from_uint8, read_safetensors, to_tensor

STATE = "checkpoints/state.safetensors"
FORMAT = "dreamlab-training-1"


class Trainer:
    """Network, optimiser, averaged weights and data of one run.

    All chance of step n comes from (seed, n), so a resumed run draws what an uninterrupted one would have drawn.
    """

    def __init__(self, spec: TrainSpec, data: DataSet, device: torch.device):
        self.spec, self.device, self.classes = spec, device, len(data.info.classes)
        chosen = subset(data.train_labels, spec.images_per_class, spec.subset_seed)
        self.images = to_tensor(data.train_images[chosen], device)
        self.labels = torch.from_numpy(data.train_labels[chosen]).to(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(spec.seed)
            network = build(spec, data.info.channels, self.classes)
        self.network = network.to(device=device, memory_format=torch.channels_last)
        shadow = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer = FlatOptimizer(self.network, matrices=spec.optimizer == "muon")
        self.average = self.optimizer.weights.clone()
        averaged = dict(zip(self.optimizer.names, self.optimizer.views(self.average), strict=True))
        for name, p in shadow.named_parameters():
            p.data = averaged[name]  # the averaged network is a view: previews and checkpoints need no copy
        self.generator = Generator(shadow, spec, data.info.size, data.info.channels, self.classes, 0, device)
        alpha_bar = torch.tensor(self.generator.alpha_bar, device=device)
        self._weight = loss_weights(spec.target, spec.weighting, alpha_bar).float()
        self._alpha_bar = alpha_bar.float()
        self._chance = torch.Generator(device)
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))
        self.step_count, self.elapsed, self.learning_rate = 0, 0.0, 0.0

    def step(self, progress: float, precision: str) -> torch.Tensor:
        """One update; `progress` is the share of the run that is done. Returns the loss as a scalar tensor."""
        self.step_count += 1
        spec, n = self.spec, self.spec.batch_size
        self._chance.manual_seed(
            int(np.random.SeedSequence([spec.seed, self.step_count]).generate_state(1, np.uint64)[0] >> 1)
        )
        index = torch.from_numpy(self._batch(self.step_count - 1)).to(self.device)
        x0 = from_uint8(self.images[index])
        t = stratified_t(n, spec.num_train_timesteps, self._chance)
        eps = torch.randn(x0.shape, generator=self._chance, device=self.device)
        dropped = torch.rand(n, generator=self._chance, device=self.device) < spec.label_dropout
        labels = self.labels[index].masked_fill(dropped, self.classes)
        alpha_bar_t = self._alpha_bar[t][:, None, None, None]
        with autocast(self.device, precision):
            output = self.network(diffuse(x0, eps, alpha_bar_t), t, labels)
        loss = weighted_mse(output, target_of(spec.target, x0, eps, alpha_bar_t), self._weight[t])
        loss.backward()
        factor = learning_rate_factor(progress)
        self.learning_rate = spec.learning_rate * factor
        self.optimizer.step(self.step_count, self.learning_rate, spec.muon_learning_rate * factor)
        ema_update(self.average, self.optimizer.weights, self.step_count, spec.ema_horizon)
        self.generator.step = self.step_count
        return loss.detach()

    def _batch(self, step: int) -> np.ndarray:
        """Indices of batch `step` (0, 1, ...): permutations of the images one after the other."""
        n, size = len(self.labels), self.spec.batch_size
        at, parts, missing = step * size, [], size
        while missing:
            epoch, start = divmod(at, n)
            if self._order[0] != epoch:
                self._order = (epoch, np.random.default_rng([self.spec.seed, epoch]).permutation(n))
            part = self._order[1][start : start + missing]
            parts.append(part)
            at, missing = at + len(part), missing - len(part)
        return np.concatenate(parts)

    def _layout(self) -> str:
        shapes = [(n, *p.shape) for n, p in zip(self.optimizer.names, self.optimizer.parameters(), strict=True)]
        return hashlib.sha256(json.dumps(shapes).encode()).hexdigest()[:16]

    def save(self, run: Path, precision: str) -> None:
        """Writes the resume state, whole or not at all; it loads without executing code."""
        o = self.optimizer
        tensors = {"weights": o.weights, "average": self.average, "first": o.first, "second": o.second}
        metadata = {
            "format": FORMAT, "layout": self._layout(), "step": str(self.step_count), "elapsed": repr(self.elapsed),
            "precision": precision, "spec": self.spec.model_dump_json(),
        }  # fmt: skip
        write_bytes(run / STATE, to_bytes({k: v.cpu() for k, v in tensors.items()}, metadata))

    def resume(self, run: Path) -> str:
        """Goes on from the saved state; returns the precision that was in use. Raises TaskError."""
        metadata, tensors = read_safetensors(run / STATE)
        if metadata.get("format") != FORMAT or metadata.get("layout") != self._layout():
            raise TaskError(f"{run.name}/{STATE} is not a training state of this spec; start the run afresh.")
        o = self.optimizer
        for name, own in (("weights", o.weights), ("average", self.average), ("first", o.first), ("second", o.second)):
            own.copy_(tensors[name])
        self.step_count, self.elapsed = int(metadata["step"]), float(metadata["elapsed"])
        self.generator.step = self.step_count
        return str(metadata["precision"])
