"""The training loop of classifiers: a fixed number of steps over uint8 images."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dreamlab.classifiers.base import Classifier
from dreamlab.classifiers.networks import ImageSource, build, normalise
from dreamlab.data import catalog
from dreamlab.settings import ClassifySpec
from dreamlab.tasks.arithmetic import autocast, has_fast_bf16
from dreamlab.tasks.classify.augmentation import AUGMENTS, fit_for
from dreamlab.tasks.torch_device import prepare
from dreamlab.tasks.train.batches import fits

WARM_UP, MOMENTUM = 0.1, 0.9
RESIDENT_BYTES = 2**30
"""Images above this size are not copied to memory when a CPU trains. A GPU holds what fits into its
memory."""
AT_ONCE = 4096
"""Images gathered at once."""
INDICES_AHEAD = 32
"""Batches whose indices are sent to the device together. One transfer per batch would make a GPU
wait."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a classifier is trained. By default AdamW (Loshchilov & Hutter 2019), linear warm-up,
    then cosine to zero.

    Adam and SGD (Nesterov momentum 0.9) add the weight decay to the gradient. `augment` is a name
    in AUGMENTS, or empty.
    """

    classifier: str
    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.05
    optimizer: str = "adamw"
    schedule: str = "cosine"
    augment: str = ""

    @classmethod
    def of(cls, spec: ClassifySpec, images: int) -> Recipe:
        """The recipe of a spec for an arm with this many images."""
        steps = (
            spec.steps
            if spec.budget == "steps"
            else max(1, round(spec.epochs * images / spec.batch_size))
        )
        augmented = spec.augment or spec.arm == "augmented"
        return cls(
            spec.classifier,
            steps,
            spec.batch_size,
            spec.learning_rate,
            spec.weight_decay,
            spec.optimizer,
            spec.learning_rate_schedule,
            fit_for(catalog.info(spec.dataset).mirror) if augmented else "",
        )

    def rate(self, step: int) -> float:
        """The learning rate of step 0, 1, ..."""
        if self.schedule == "constant":
            return self.learning_rate
        done = (step + 1) / self.steps
        if done < WARM_UP:
            return self.learning_rate * (done / WARM_UP)
        if step / self.steps <= WARM_UP:
            return self.learning_rate
        return self.learning_rate * (
            0.5 * (1 + math.cos(math.pi * (step / self.steps - WARM_UP) / (1 - WARM_UP)))
        )


class Fit:
    """A classifier in training. Iterate to take steps; `network` can be used at any time.

    images uint8 (N, H, W, C), labels int64 (N,). The same recipe, data, seed, device and number of
    threads give the same network. A GPU computes in bf16 if it is fast at that.
    """

    def __init__(
        self,
        recipe: Recipe,
        images: ImageSource,
        labels: np.ndarray,
        classes: int,
        seed: int,
        device: str,
        resident: bool | None = None,
    ):
        self.recipe, self.seed, self.device = recipe, seed, prepare(device)
        self.precision = (
            "bf16" if self.device.type == "cuda" and has_fast_bf16(self.device) else "fp32"
        )
        self.source = images
        self.resident = self._may_lie_there() if resident is None else resident
        self.labels = torch.from_numpy(labels.copy()).to(self.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = build(recipe.classifier, images.shape[3], images.shape[1], classes)
        self.network: Classifier = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.has_chance = any(getattr(module, "p", 0) for module in network.modules())

    def __len__(self) -> int:
        return self.recipe.steps

    def __iter__(self) -> Iterator[int]:
        """Yields the number of steps taken."""
        recipe, augment = self.recipe, AUGMENTS.get(self.recipe.augment)
        optimizer = _optimizer(recipe, self.network)
        noise = torch.Generator(self.device).manual_seed(self.seed)
        batches = self._resident_batches() if self.resident else self._streamed_batches()
        self.network.train()
        with contextlib.closing(batches):
            for step, (images, labels) in zip(range(recipe.steps), batches, strict=False):
                x = normalise(images)
                if augment is not None:
                    x = augment(x, noise)
                for group in optimizer.param_groups:
                    group["lr"] = recipe.rate(step)
                optimizer.zero_grad(set_to_none=True)
                with self._chance(step), autocast(self.device, self.precision):
                    loss = F.cross_entropy(self.network(x), labels)
                loss.backward()
                optimizer.step()
                yield step + 1

    @contextlib.contextmanager
    def _chance(self, step: int) -> Iterator[None]:
        """Dropout and stochastic depth use torch's global random generators. During a step these
        hold the state that belongs to this training."""
        if not self.has_chance:
            yield
            return
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(int(np.random.SeedSequence([self.seed, step]).generate_state(1)[0]))
            yield

    def _may_lie_there(self) -> bool:
        nbytes = math.prod(self.source.shape)
        return fits(nbytes, self.device) and (
            self.device.type == "cuda" or nbytes <= RESIDENT_BYTES
        )

    def _resident_batches(self) -> Generator[tuple[Tensor, Tensor], None, None]:
        images = torch.empty(tuple(self.source.shape), dtype=torch.uint8, device=self.device)
        for start in range(0, len(images), AT_ONCE):
            part = torch.from_numpy(np.array(self.source[start : start + AT_ONCE]))
            images[start : start + len(part)] = part
        stream = self._batches()
        while True:
            for index in torch.from_numpy(
                np.stack([next(stream) for _ in range(INDICES_AHEAD)])
            ).to(self.device):
                yield images[index], self.labels[index]

    def _streamed_batches(self) -> Generator[tuple[Tensor, Tensor], None, None]:
        """Batches, each read by another thread while the one before is used."""

        def read(index: np.ndarray) -> tuple[Tensor, Tensor]:
            images = torch.from_numpy(np.asarray(self.source[index]))
            return (
                images.pin_memory() if self.device.type == "cuda" else images
            ), torch.from_numpy(index)

        stream = self._batches()
        with ThreadPoolExecutor(1, thread_name_prefix="images") as reader:
            ahead = reader.submit(read, next(stream))
            while True:
                images, index = ahead.result()
                ahead = reader.submit(read, next(stream))
                yield images.to(self.device, non_blocking=True), self.labels[index.to(self.device)]

    def _batches(self) -> Iterator[np.ndarray]:
        # permutations one after the other, cut into equal batches: every image is used equally
        # often, and batch norm never gets a nearly empty last batch
        rng = np.random.default_rng([self.seed, 2])
        left = np.zeros(0, dtype=np.int64)
        while True:
            while len(left) < self.recipe.batch_size:
                left = np.concatenate([left, rng.permutation(self.source.shape[0])])
            yield left[: self.recipe.batch_size]
            left = left[self.recipe.batch_size :]


def _optimizer(recipe: Recipe, network: Classifier) -> torch.optim.Optimizer:
    """The optimiser, with weight decay on matrices only, not on biases and norms."""
    groups = [
        {
            "params": [p for p in network.parameters() if p.ndim > 1],
            "weight_decay": recipe.weight_decay,
        },
        {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            groups, lr=recipe.learning_rate, momentum=MOMENTUM, nesterov=True, fused=True
        )
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[recipe.optimizer]
    return kind(groups, lr=recipe.learning_rate, fused=True)
