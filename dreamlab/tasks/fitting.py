"""The one training loop for classifiers: a fixed number of steps over uint8 images that lie on the device."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dreamlab.classifiers.networks import CLASSIFIERS, Classifier, normalise

Augment = Callable[[Tensor, torch.Generator], Tensor]
WARM_UP = 0.1


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a classifier is trained. AdamW (Loshchilov & Hutter 2019), linear warm-up, then cosine to zero."""

    classifier: str
    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.05


class Fit:
    """One classifier in training. Iterate to take steps; the network is in `network` at any time.

    images uint8 (N, H, W, C), labels int64 (N,). The same recipe, data, seed, device and threads give the same network.
    """

    def __init__(
        self,
        recipe: Recipe,
        images: np.ndarray,
        labels: np.ndarray,
        classes: int,
        seed: int,
        device: str,
        augment: Augment | None = None,
    ):
        self.recipe, self.seed, self.device, self.augment = recipe, seed, device, augment
        self.images = torch.from_numpy(images.copy()).to(device)
        self.labels = torch.from_numpy(labels.copy()).to(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = CLASSIFIERS[recipe.classifier](images.shape[3], images.shape[1], classes)
        self.network: Classifier = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __len__(self) -> int:
        return self.recipe.steps

    def __iter__(self) -> Iterator[int]:
        """Yields the number of steps taken."""
        recipe = self.recipe
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        plain = [p for p in self.network.parameters() if p.ndim <= 1]
        optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=recipe.learning_rate, fused=True,
        )  # fmt: skip
        noise = torch.Generator(self.device).manual_seed(self.seed)
        batches = self._batches()
        self.network.train()
        for step in range(recipe.steps):
            index = torch.from_numpy(next(batches)).to(self.device)
            x = normalise(self.images[index])
            if self.augment is not None:
                x = self.augment(x, noise)
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * _schedule(step, recipe.steps)
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(self.network(x), self.labels[index]).backward()
            optimizer.step()
            yield step + 1

    def _batches(self) -> Iterator[np.ndarray]:
        # an endless stream of permutations cut into equal batches: every image is seen equally often, and a batch
        # norm never meets a nearly empty last batch
        rng = np.random.default_rng([self.seed, 2])
        left = np.zeros(0, dtype=np.int64)
        while True:
            while len(left) < self.recipe.batch_size:
                left = np.concatenate([left, rng.permutation(len(self.images))])
            yield left[: self.recipe.batch_size]
            left = left[self.recipe.batch_size :]


def _schedule(step: int, steps: int) -> float:
    done = (step + 1) / steps
    if done < WARM_UP:
        return done / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (step / steps - WARM_UP) / (1 - WARM_UP))) if step / steps > WARM_UP else 1.0
