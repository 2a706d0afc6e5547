"""Sets of features whose true distance is known: what KID and the Frechet distance are held
against."""

from __future__ import annotations

import dataclasses

import numpy as np

from dreamlab.data import catalog
from dreamlab.fidelity.frechet import frechet_interval
from dreamlab.fidelity.kid import kid
from dreamlab.fidelity.strata import UNKNOWN, Labels

DIMENSIONS = 32


class Mixture:
    """One Gaussian per class, cut off at 0 as the features of a network are. `move` is how far the
    mean of the synthetic images lies from that of the real ones."""

    def __init__(self, classes: int, move: float = 0.0):
        rng = np.random.default_rng(0)
        self.means = rng.normal(size=(classes, DIMENSIONS))
        decay = 1.5 * np.exp(-np.arange(DIMENSIONS) / 8)
        self.spread = 0.3 + rng.random((classes, DIMENSIONS)) * decay
        self.move = move * rng.normal(size=DIMENSIONS) / np.sqrt(DIMENSIONS)

    def draw(self, labels: np.ndarray, made: bool, rng: np.random.Generator) -> np.ndarray:
        """Features (n, DIMENSIONS) float32 of images of these classes (n,)."""
        noise = rng.normal(size=(len(labels), DIMENSIONS)) * self.spread[labels]
        found = self.means[labels] + noise + (self.move if made else 0.0)
        return np.maximum(found, 0).astype(np.float32)


class RealImages:
    """Random features, max(W x, 0), of the images of a data set. Images are drawn with
    replacement, so that all that there are is exactly the truth, for both sets: no difference."""

    def __init__(self, dataset: str):
        data = catalog.load(dataset)
        images = np.concatenate([data.train_images, data.test_images]).reshape(
            -1, data.info.size**2
        )
        self.labels = np.concatenate([data.train_labels, data.test_labels])
        rng = np.random.default_rng(0)
        weights = rng.normal(size=(images.shape[1], DIMENSIONS)) / np.sqrt(images.shape[1])
        self.features = np.maximum((images / 64.0 - 1) @ weights, 0).astype(np.float32)
        self.members = [np.flatnonzero(self.labels == c) for c in range(len(data.info.classes))]

    def draw(self, labels: np.ndarray, made: bool, rng: np.random.Generator) -> np.ndarray:
        """Features (n, DIMENSIONS) float32 of images of these classes (n,)."""
        return self.features[[rng.choice(self.members[c]) for c in labels]]


@dataclasses.dataclass(frozen=True)
class Case:
    """Two sets of `x` and `y` images per class; `random`: as many in all, of random classes."""

    world: str
    classes: int
    x: tuple[int, ...]
    y: tuple[int, ...]
    random: bool = False
    labelled: bool = True
    move: float = 0.0

    def draws(self, count: int, seed: int = 1) -> list[tuple[np.ndarray, np.ndarray, Labels]]:
        world = (
            Mixture(self.classes, self.move) if self.world == "mixture" else RealImages(self.world)
        )
        rng = np.random.default_rng(seed)
        found = []
        for _ in range(count):
            labels = []
            for counts in (self.x, self.y):
                each = np.repeat(np.arange(self.classes), counts)
                shares = np.array(counts) / sum(counts)
                labels.append(
                    rng.choice(self.classes, len(each), p=shares) if self.random else each
                )
            x, y = (world.draw(part, made, rng) for part, made in zip(labels, (1, 0), strict=True))
            found.append((x, y, Labels(*labels) if self.labelled else UNKNOWN))
        return found


@dataclasses.dataclass(frozen=True)
class Found:
    """Bias as a share of the standard deviation of the values, and the shares of draws, 0 to 1,
    whose 95 % interval held the truth, lay above and lay below it."""

    bias: float
    covered: float
    above: float
    below: float


def found(values: np.ndarray, truth: float) -> Found:
    """Of values (n, 3): value, low and high end."""
    middle, low, high = values.T
    return Found(
        float((middle.mean() - truth) / middle.std()),
        float(((low <= truth) & (truth <= high)).mean()),
        float((low > truth).mean()),
        float((high < truth).mean()),
    )


def of_kid(case: Case, count: int, seed: int = 1) -> Found:
    """The truth is 0, or with a move, the mean over other draws of four times as many images."""
    truth = 0.0
    if case.move:
        more = dataclasses.replace(
            case, x=tuple(4 * n for n in case.x), y=tuple(4 * n for n in case.y)
        )
        truth = float(np.mean([kid(*draw).mean for draw in more.draws(max(count // 20, 20), 99)]))
    intervals = [kid(*draw) for draw in case.draws(count, seed)]
    return found(np.array([(i.mean, i.low, i.high) for i in intervals]), truth)


def of_frechet(case: Case, count: int, seed: int = 1) -> Found:
    """The truth is the expected value with so many images, its bias included: the interval does not
    hold the bias."""
    intervals = [
        frechet_interval(x, y, labels=labels, seed=i)
        for i, (x, y, labels) in enumerate(case.draws(count, seed))
    ]
    values = np.array([(i.mean, i.low, i.high) for i in intervals])
    return found(values, float(values[:, 0].mean()))
