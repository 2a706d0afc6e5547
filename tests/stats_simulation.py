"""Made-up predictions whose truth is known: what the statistics are held against.

A probit model of both sources of chance. Image i is right for seed s of arm a where

    c_a + difficulty[i] + taste[a, i] + shift[s] + own[a, s] + noise[a, s, i] > 0,

difficulty shared by all seeds and arms (standard deviation 1), taste by the seeds of an arm (its
data moves the same images every time), shift by the arms of a seed, own and noise by nobody. All
are normal, so the accuracy over new seeds and new images is Phi(c_a / total deviation) exactly.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
from scipy import special

from dreamlab.stats.components import mean_interval, paired
from dreamlab.stats.findings import GeneratorRecord, Judgement, Treatment
from dreamlab.stats.student import degrees, limit
from dreamlab.stats.verdict import judge


@dataclasses.dataclass(frozen=True)
class World:
    """Where predictions come from; `spread` is the standard deviation of a seed's true accuracy, in
    points."""

    accuracy: float = 0.9
    spread: float = 0.5
    taste: float = 0.2
    noise: float = 0.4

    def shift(self, accuracy: float) -> float:
        """Latent deviation of a seed that moves the accuracy by `spread` points."""
        z = float(special.ndtri(accuracy))
        density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        return self.spread / 100 / density * math.sqrt(1 + self.taste**2 + self.noise**2)


def experiments(
    world: World, gains: tuple[float, ...], seeds: int, images: int, count: int, random: int = 0
) -> Iterator[np.ndarray]:
    """`count` times (arms, seeds, images) of bool: right or not; arm a has the true accuracy
    world.accuracy + gains[a].

    Half of a seed's variance is shared by the arms.
    """
    rng = np.random.default_rng(random)
    arms = len(gains)
    part = [world.shift(world.accuracy + g) / math.sqrt(2) for g in gains]
    total = [math.sqrt(1 + world.taste**2 + world.noise**2 + 2 * p * p) for p in part]
    centre = [
        float(special.ndtri(world.accuracy + g)) * t for g, t in zip(gains, total, strict=True)
    ]
    for _ in range(count):
        difficulty = rng.standard_normal(images, dtype=np.float32)
        shared = rng.standard_normal(seeds, dtype=np.float32)
        right = np.empty((arms, seeds, images), dtype=bool)
        for a in range(arms):
            image = (
                difficulty
                + np.float32(world.taste) * rng.standard_normal(images, dtype=np.float32)
                + np.float32(centre[a])
            )
            seed = np.float32(part[a]) * (shared + rng.standard_normal(seeds, dtype=np.float32))
            single = rng.standard_normal((seeds, images), dtype=np.float32)
            single *= np.float32(world.noise)
            single += image
            single += seed[:, None]
            np.greater(single, 0, out=right[a])
        yield right


def surface(
    worth: float,
    sizes: tuple[int, ...],
    factors: tuple[float, ...],
    slope: float = 0.4,
    error: float = 0.3,
) -> list[tuple[int, int, float]]:
    """(real, synthetic, true accuracy) of learning curves error * (n / smallest size)^-slope in n =
    real + worth synthetic."""
    answer = []
    for real in sizes:
        for factor in factors:
            synthetic = round(factor * real)
            amount = (real + worth * synthetic) / sizes[0]
            answer.append((real, synthetic, 1 - error * amount**-slope))
    return answer


@dataclasses.dataclass(frozen=True)
class Coverage:
    """Shares, 0 to 1, of simulated experiments whose 95 % interval held the truth."""

    cell: float
    difference: float
    share: float
    """Mean share of the difference's variance that the test images bring."""
    width: float
    """Mean width of the difference's interval, in points."""
    shown: float
    """Share of experiments whose interval of the difference excludes 0."""


def coverage(
    world: World, gain: float, seeds: int, images: int, count: int, random: int = 0
) -> Coverage:
    """Of the accuracy of one arm, and of the difference of two whose true accuracies differ by
    `gain`."""
    arms = experiments(world, (0.0, gain), seeds, images, count, random)
    return _coverage(arms, world.accuracy, gain, count)


@dataclasses.dataclass(frozen=True)
class FewWorld:
    """Two arms that differ on few test images: on average `lost` images are wrong and `gained` ones
    right in every seed of the second arm only, and `single` images change in one seed alone. The
    first arm is right on 90 % of the images, the same ones in every seed."""

    lost: float
    gained: float = 0.0
    single: float = 0.0


def few_images(
    world: FewWorld, seeds: int, images: int, count: int, random: int = 0
) -> Iterator[np.ndarray]:
    """`count` times (2, seeds, images) of bool; the true difference is (gained - lost) / images."""
    rng = np.random.default_rng(random)
    lost, gained = world.lost / images / 0.9, world.gained / images / 0.1
    for _ in range(count):
        control = rng.random(images) < 0.9
        changed = rng.random(images) < np.where(control, lost, gained)
        right = np.stack([np.tile(control, (seeds, 1)), np.tile(control ^ changed, (seeds, 1))])
        if world.single:  # as often from right to wrong as back
            share = world.single / 2 / images / np.where(control, 0.9, 0.1)
            right[1] ^= (rng.random((seeds, images)) < share) & ~changed
        yield right


def few_coverage(
    world: FewWorld, seeds: int, images: int, count: int, random: int = 0
) -> Coverage:
    """Like `coverage`."""
    arms = few_images(world, seeds, images, count, random)
    # an image that is lost or gained does not change in a seed alone
    gain = (world.gained - world.lost) / images
    gain += world.single / 2 / images**2 * (world.lost / 0.9 - world.gained / 0.1)
    return _coverage(arms, 0.9, gain, count)


def _coverage(arms: Iterator[np.ndarray], accuracy: float, gain: float, count: int) -> Coverage:
    cells = differences = shown = 0
    share = width = 0.0
    for right in arms:
        cell = mean_interval(right[0])
        cells += cell.low <= accuracy <= cell.high
        pair = paired(right[1], right[0])
        found = pair.interval()
        differences += found.low <= gain <= found.high
        shown += found.low > 0 or found.high < 0
        share += 1 - pair.share
        width += 100 * (found.high - found.low)
    return Coverage(
        cells / count, differences / count, share / count, width / count, shown / count
    )


def exact_coverage(share: float, seeds: int, level: float) -> float:
    """Of an interval of `student` for a normal mean: `share` of its variance is estimated from the
    seeds, the rest known.

    The integral over the chi-squared distribution of the seeds' variance, at 2,000 equally likely
    points.
    """
    spread = 2 * special.gammaincinv((seeds - 1) / 2, (np.arange(2000) + 0.5) / 2000) / (seeds - 1)
    total = share * spread + 1 - share
    found = [
        limit(level, degrees(u, seeds - 1, math.inf), seeds - 1, u) * math.sqrt(v)
        for u, v in zip(share * spread / total, total, strict=True)
    ]
    return float(np.mean(1 - 2 * special.ndtr(-np.array(found))))


def judged(right: np.ndarray, labels: np.ndarray, generators: int, arms: int) -> Judgement:
    """`judge` of a whole experiment: right (1 + generators x arms + 2, seeds, images), the control
    first and two controls, augmentation and noise, last. The second generator saw more."""
    wrong = (labels + 1) % 10
    predicted = [np.where(r, labels, wrong) for r in right]
    mixes = [
        Treatment(
            f"g{g}", f"real+{k + 1}x", "add", 1000, 1000 * (k + 1), predicted[1 + g * arms + k]
        )
        for g in range(generators)
        for k in range(arms)
    ]
    known = [
        GeneratorRecord(f"g{g}", f"generator {g}", 1000 * (g + 1), 1000 * g, 1000)
        for g in range(generators)
    ]
    controls = [
        Treatment("", "augmented", "augmented", 1000, 0, predicted[-2]),
        Treatment("", "noise+1x", "noise", 1000, 0, predicted[-1], other=1000),
    ]
    return judge(mixes, predicted[0], known, labels=labels, controls=controls)


def verdicts(
    world: World,
    gain: float,
    seeds: int,
    images: int,
    count: int,
    generators: int = 2,
    arms: int = 6,
    random: int = 0,
) -> dict[str, float]:
    """Share of whole experiments with each kind of overall verdict; `gain` is that of the first
    generator's first arm."""
    labels = np.random.default_rng(random).integers(0, 10, images)
    gains = (0.0, gain, *(0.0,) * (generators * arms + 1))
    kinds: dict[str, float] = {"helps": 0.0, "hurts": 0.0, "undecided": 0.0}
    for right in experiments(world, gains, seeds, images, count, random):
        kinds[judged(right, labels, generators, arms).overall.kind] += 1 / count
    return kinds
