"""Memory of the training set: planted copies are flagged, held-out real images are at the stated
rate, and what cannot be said is left out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy import spatial, stats

from dreamlab.data import catalog, memory, memory_report
from dreamlab.data.catalog import DataSet
from dreamlab.data.memory import PIXELS, RATE, Memory, Space
from dreamlab.data.nearest import Neighbours
from dreamlab.fidelity import manifold
from dreamlab.fidelity import memory as in_features
from dreamlab.fidelity.manifold import distances, nearest
from tests.bench import neighbours
from tests.make_near_copies import extractor_of
from tests.near_copy_helpers import COPIED, drained


def planted(
    data: DataSet, pool: np.ndarray, others: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(images, labels, places of the copies, what they copy): training images that a generator has
    not seen, with 1 % of each kind of copy of what it has seen."""
    each = max(1, len(others) // 100)
    of = np.random.default_rng(1).permutation(pool)[: 4 * each]
    copies = [f(data.train_images[of[i::4]]) for i, f in enumerate(COPIED.values())]
    of = np.concatenate([of[i::4] for i in range(4)])
    images = np.concatenate([data.train_images[others], *copies])
    labels = np.concatenate([data.train_labels[others], data.train_labels[of]])
    return images, labels, len(others) + np.arange(len(of)), of


def halves(data: DataSet, most: int = 700) -> tuple[np.ndarray, np.ndarray]:
    """Training images that a generator has seen, and others."""
    order = np.random.default_rng(0).permutation(len(data.train_labels))
    return np.sort(order[: len(order) // 2]), order[len(order) // 2 :][:most]


def as_memory(data: DataSet, space: Space, labels: np.ndarray, pool: np.ndarray) -> Memory:
    return Memory(
        "data",
        labels,
        data.train_labels,
        data.test_labels,
        tuple(data.info.classes),
        len(pool),
        True,
        {PIXELS: space},
    )


@pytest.mark.parametrize("name", ["digits", "mnist5k", "shapes"])
def test_planted_copies_are_flagged_and_unseen_images_at_the_stated_rate(
    name: str, tmp_path: Path
) -> None:
    data = catalog.load(name)
    pool, others = halves(data)
    images, labels, places, of = planted(data, pool, others)
    space = drained(memory.in_pixels(images, data, pool))
    assert space.flagged[places].mean() >= 0.95
    assert (space.training[places] == of).mean() >= 0.95
    fresh = int(space.flagged[: len(others)].sum())
    n = len(space.calibration_ratio)
    k = int(RATE * (n + 1))
    assert space.rate == k / (n + 1) and 0.008 < space.rate <= RATE
    # of a fresh set the number is beta-binomial: a probability of 0.1 % is no chance
    at = stats.betabinom(len(others), k, n + 1 - k)
    assert min(at.cdf(fresh), at.sf(fresh - 1)) > 1e-3
    found = as_memory(data, space, labels, pool)
    said = memory.summary(found)["spaces"][0]
    assert said["low"] < said["share"] < said["high"] and said["chance"] < memory.UNLIKELY
    assert sum(c["flagged"] for c in said["per_class"]) == said["flagged"] == space.flagged.sum()
    assert sum(c["held_out"] for c in said["per_class"]) == said["held_out"]
    assert "Chance does not explain" in memory_report.of_space(said)
    memory.save(tmp_path, found)
    memory_report.draw(tmp_path, found, images, data)
    kept = memory.load(tmp_path)
    assert kept is not None and np.array_equal(kept.left_out(), np.flatnonzero(space.flagged))
    assert kept.classes == found.classes and memory.summary(kept) == memory.summary(found)
    assert (tmp_path / memory_report.PICTURE).is_file()


def test_the_order_of_the_images_changes_nothing() -> None:
    data = catalog.load("digits")
    pool, others = halves(data, 200)
    images, _, _, _ = planted(data, pool, others)
    order = np.random.default_rng(5).permutation(len(images))
    one, other = (drained(memory.in_pixels(x, data, pool)) for x in (images, images[order]))
    assert np.array_equal(one.flagged[order], other.flagged) and one.limit == other.limit
    assert np.allclose(one.ratio[order], other.ratio, atol=1e-5)


def space_of(ratio: np.ndarray, held: np.ndarray) -> Space:
    zeros = np.zeros(len(ratio), np.int32)
    return Space(zeros, zeros, zeros, zeros, ratio, np.arange(len(held)), held)


def test_a_fresh_image_is_flagged_at_most_at_the_rate_whatever_the_number_of_held_out_ones() -> (
    None
):
    rng = np.random.default_rng(0)
    for held in (19, 50, 99, 150, 597):
        rates = [space_of(rng.random(200), rng.random(held)).flagged.mean() for _ in range(400)]
        rate = space_of(rng.random(5), rng.random(held)).rate
        assert rate is not None and abs(np.mean(rates) - rate) < 4 * np.std(rates) / 20
    assert space_of(rng.random(5), rng.random(99)).rate == 0.01
    chances = [space_of(rng.random(300), rng.random(200)).chance or 0 for _ in range(300)]
    assert np.mean(np.array(chances) < 0.05) <= 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5


@pytest.mark.filterwarnings("error")
def test_too_few_or_constant_images_give_no_number_and_no_error() -> None:
    data = catalog.load("digits")
    few = dataclasses.replace(
        data, test_images=data.test_images[:5], test_labels=data.test_labels[:5]
    )
    found = drained(memory.in_pixels(data.train_images[:1], few, np.arange(40)))
    assert found.rate is None and found.chance is None and found.share() is None
    assert not found.flagged.any()
    said = memory.summary(as_memory(few, found, data.train_labels[:1], np.arange(40)))["spaces"][0]
    assert "no image can be flagged" in memory_report.of_space(said)
    assert in_features.measure(as_memory(few, found, data.train_labels[:1], np.arange(40))) == {}
    one = drained(memory.in_pixels(data.train_images[:1], data, np.array([0])))
    assert np.isfinite(one.ratio).all() and one.flagged[0]
    grey = np.full_like(data.train_images[:30], 7)
    same = dataclasses.replace(
        data,
        train_images=grey,
        train_labels=data.train_labels[:30],
        test_images=grey,
        test_labels=data.test_labels[:30],
    )
    flat = drained(memory.in_pixels(grey[:3], same, np.arange(30)))
    assert np.isfinite(flat.ratio).all() and not flat.flagged.any()
    zeros = np.zeros((30, 4), np.float32)
    near = in_features.neighbours(zeros, zeros, zeros)
    assert np.isfinite(near.ratio).all()
    with pytest.raises(ValueError, match="no neighbours"):
        in_features.neighbours(zeros, zeros, zeros[:0])
    assert not in_features.authentic(
        zeros[:2], zeros[:1], in_features.own_distances(zeros[:1])
    ).any()


@pytest.mark.parametrize("name", ["digits", "mnist5k"])
def test_copies_are_flagged_in_features_of_the_reference_classifier_too(name: str) -> None:
    """Exact, mirrored, noisy and JPEG ones; in features, shifted ones are not."""
    data = catalog.load(name)
    pool, others = halves(data, 400)
    images, _, places, of = planted(data, pool, others)
    extractor = extractor_of(data)

    def near(x: np.ndarray, real: np.ndarray) -> Neighbours:
        views = (x, np.ascontiguousarray(x[:, :, ::-1]), real)
        return in_features.neighbours(*(np.concatenate(list(extractor.batches(v))) for v in views))

    test, seen = data.test_images, data.train_images[pool]
    some = np.arange(len(test))[::2]  # the others are a set of real images
    among = near(test[some], seen)
    space = memory.space(near(images, seen), near(images, test), some, among)
    assert space.flagged[places].mean() >= 0.95
    assert (pool[space.training[places]] == of).mean() >= 0.95
    fresh = near(test[1::2], seen)
    real = memory.space(fresh, fresh, some, among)
    assert real.chance is not None and real.chance > 1e-3


def test_neighbours_in_blocks_are_those_of_all_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, y, mirror = (rng.normal(size=(n, 5)) for n in (90, 70, 90))
    whole = np.minimum(distances(x, y), distances(mirror, y))
    monkeypatch.setattr("dreamlab.fidelity.manifold.ROWS", 32)
    monkeypatch.setattr("dreamlab.fidelity.manifold.COLUMNS", 8)
    for count in (1, 3, 16, 70):
        near, index = nearest(x, count, y, mirror)
        assert np.allclose(near, np.sort(whole, 1)[:, :count])
        assert np.allclose(np.take_along_axis(whole, index, 1), near)


def test_authenticity_is_that_of_its_definition() -> None:
    """AuthPct of Stein et al. 2023 in their own words: `authen = real_min_dists.values[
    gen_min_dists.indices] < gen_min_dists.values`."""
    rng = np.random.default_rng(0)
    real, made = rng.normal(size=(80, 6)), 0.8 * rng.normal(size=(60, 6))
    made[:20] = real[:20] + 0.05 * rng.normal(size=(20, 6))
    own = spatial.distance.cdist(real, real)
    np.fill_diagonal(own, np.inf)
    between = spatial.distance.cdist(real, made)
    told = own.min(0)[between.argmin(0)] < between.min(0)
    found = in_features.authentic(made, real, in_features.own_distances(real))
    assert np.array_equal(found, told) and not found[:20].any() and found[20:].any()


def test_memory_does_not_grow_with_the_pairs() -> None:
    """Of 50,000 and 50,000 images all distances would be 20 GB; `python -m tests.bench neighbours`
    measures that size. Here the pairs grow 16 times and the peak by the arrays of the images."""
    few, many = (neighbours.alone(n, 8, threads=1)[1] for n in (1500, 6000))
    whole = 6000**2 * 8 / 2**20
    arrays = 6000 * (16 * 8 * 4 + 3 * 8 * 4) / 2**20  # neighbours, sorted ones, and features
    block = manifold.ROWS * manifold.COLUMNS * 8 / 2**20
    assert few < many < few + arrays + 6 * block < few + whole / 2
