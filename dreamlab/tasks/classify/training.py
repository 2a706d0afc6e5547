"""The training loop of classifiers: a given number of steps on uint8 images."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F

from dreamlab.classifiers.base import Classifier
from dreamlab.classifiers.networks import build, normalise
from dreamlab.data import catalog
from dreamlab.data.imageset import ImageSource
from dreamlab.diffusion.optim import decayed
from dreamlab.settings import ClassifySpec
from dreamlab.settings.budget import classifier_steps
from dreamlab.tasks.batches import Batches, order_in_turn
from dreamlab.tasks.classify.augmentation import AUGMENTS, fit_for
from dreamlab.tasks.precision import autocast, has_fast_bf16
from dreamlab.tasks.torch_device import prepare

WARM_UP, MOMENTUM = 0.1, 0.9
RESIDENT_BYTES = 2**30
"""Images above this size are not copied to memory for training on a CPU. On a GPU, the free memory
decides."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a classifier is trained. The default is AdamW (Loshchilov & Hutter 2019) with linear
    warm-up and then a cosine to zero.

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
        """The recipe of a spec for an arm with `images` images."""
        steps = classifier_steps(spec, images)
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
        return self.learning_rate * RATES[self.schedule](step, self.steps)


def _cosine(step: int, steps: int) -> float:
    """Linear warm-up over the share WARM_UP, then half a cosine to 0."""
    done = (step + 1) / steps
    if done < WARM_UP:
        return done / WARM_UP
    if step / steps <= WARM_UP:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step / steps - WARM_UP) / (1 - WARM_UP)))


RATES: dict[str, Callable[[int, int], float]] = {
    "constant": lambda step, steps: 1.0,
    "cosine": _cosine,
}
"""Learning rate schedule -> factor of the peak rate in step 0, 1, ... of a number of steps."""


class Fit:
    """A classifier in training. Iterate to take steps; `network` can be used at any time.

    `images` are uint8 (N, H, W, C) and `labels` int64 (N,). The same recipe, data, seed, device and
    number of threads give the same network. On a GPU it is trained in bf16 if that is fast there.
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
        if resident is None and self.device.type == "cpu" and _nbytes(images) > RESIDENT_BYTES:
            resident = False
        self.labels, self.resident = labels, resident
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = build(recipe.classifier, images.shape[3], images.shape[1], classes)
        self.network: Classifier = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.has_chance = any(getattr(module, "p", 0) for module in network.modules())

    def __len__(self) -> int:
        return self.recipe.steps

    def __iter__(self) -> Iterator[int]:
        """Takes one training step per iteration; yields the number of steps taken."""
        recipe, augment = self.recipe, None
        if recipe.augment:
            augment = AUGMENTS[recipe.augment]
        optimizer = optimizer_of(recipe, self.network)
        noise = torch.Generator(self.device).manual_seed(self.seed)
        self.network.train()
        with contextlib.closing(self._batches()) as batches:
            for step in range(recipe.steps):
                images, labels = batches.batch(step)
                x = normalise(images)
                if augment is not None:
                    x = augment(x, noise)
                for group in optimizer.param_groups:
                    group["lr"] = recipe.rate(step)
                optimizer.zero_grad(set_to_none=True)
                with self._chance(step), autocast(self.device, self.precision):
                    loss = F.cross_entropy(self.network(x), labels)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                yield step + 1

    @contextlib.contextmanager
    def _chance(self, step: int) -> Iterator[None]:
        """Dropout and stochastic depth use torch's global random generators. During a step, these
        have a state that depends only on (seed, step)."""
        if not self.has_chance:
            yield
            return
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(int(np.random.SeedSequence([self.seed, step]).generate_state(1)[0]))
            yield

    def _batches(self) -> Batches:
        """The batches. Their order is part of what RECIPE_VERSION identifies."""
        order = order_in_turn(self.seed, self.source.shape[0])
        return Batches(
            self.source, self.labels, self.device, self.recipe.batch_size, order, self.resident
        )


def _nbytes(images: ImageSource) -> int:
    return math.prod(images.shape)


def optimizer_of(recipe: Recipe, network: Classifier) -> torch.optim.Optimizer:
    """The optimiser of a recipe for the parameters of a network, with weight decay as in
    `decayed`. Its learning rate is the recipe's highest. Raises KeyError where
    the recipe's `optimizer` is none of adamw, adam and sgd."""
    matrices = decayed(network)
    parts = (
        [p for n, p in network.named_parameters() if (n in matrices) == wanted]
        for wanted in (True, False)
    )
    groups = [
        {"params": part, "weight_decay": decay}
        for part, decay in zip(parts, (recipe.weight_decay, 0.0), strict=True)
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            groups, lr=recipe.learning_rate, momentum=MOMENTUM, nesterov=True, fused=True
        )
    kinds: dict[str, type[torch.optim.Adam]] = {
        "adamw": torch.optim.AdamW,
        "adam": torch.optim.Adam,
    }
    return kinds[recipe.optimizer](groups, lr=recipe.learning_rate, fused=True)
