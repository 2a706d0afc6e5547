"""The test of nearness: planted near-copies are found, real images are not taken for them, and what
was found decides what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from dreamlab.data import catalog, near_copies
from dreamlab.data.near_copies import FLAGGED, Limit
from dreamlab.data.nearest import MOVED as MOVED_FROM
from dreamlab.data.nearest import neighbours
from tests.near_copy_helpers import KINDS, MOVED, drained, jpeg, shifted


@pytest.fixture(scope="module", params=["digits", "mnist5k", "photographs"])
def splits(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray, Limit]:
    """Training images, test images, and the limit that half of the test images give."""
    if request.param == "photographs":
        rng = np.random.default_rng(0)  # clouds of random colours, with detail at every scale
        images = np.zeros((900, 32, 32, 3))
        for side in (2, 4, 8, 16, 32):
            part = rng.normal(0, 60 / side**0.7, (900, side, side, 3))
            images += part.repeat(32 // side, 1).repeat(32 // side, 2)
        images = np.clip(images + 128, 0, 255).astype(np.uint8)
        training, test = images[:600], images[600:]
    else:
        data = catalog.load(request.param)
        training, test = data.train_images, data.test_images
    limit = drained(near_copies.calibrated(training, test[::2], test.shape[1]))
    return training, test, limit


def share(images: np.ndarray, of: np.ndarray, limit: Limit) -> float:
    found = drained(neighbours(images, of, min(limit.side, images.shape[1])))
    return float((found.ratio <= limit.ratio).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_planted_copies_are_found(splits: tuple[np.ndarray, np.ndarray, Limit], kind: str) -> None:
    _, test, limit = splits
    planted = test[np.random.default_rng(1).permutation(len(test))[:120]]
    assert share(KINDS[kind](planted), test, limit) >= 0.95


@pytest.mark.parametrize("kind", MOVED)
def test_moved_and_cut_copies_are_found(
    splits: tuple[np.ndarray, np.ndarray, Limit], kind: str
) -> None:
    _, test, limit = splits
    if test.shape[1] < MOVED_FROM:
        pytest.skip("too small for such changes")
    planted = test[np.random.default_rng(1).permutation(len(test))[:120]]
    assert share(MOVED[kind](planted), test, limit) >= 0.95


def test_held_out_real_images_are_not(splits: tuple[np.ndarray, np.ndarray, Limit]) -> None:
    training, test, limit = splits
    fresh = test[1::2]
    for rate, images in (
        (share(fresh, training, limit), len(fresh)),
        (limit.test_in_training, len(test) // 2),
        (limit.training_in_test, min(len(training), near_copies.HELD)),
    ):
        assert rate <= FLAGGED + 3 * (FLAGGED / images) ** 0.5


def test_copies_between_the_splits_do_not_lower_the_limit() -> None:
    data = catalog.load("digits")
    clean = drained(near_copies.calibrated(data.train_images, data.test_images, 8))
    leaked = np.concatenate([data.train_images, jpeg(data.test_images[::3, :, ::-1], 75)])
    limit = drained(near_copies.calibrated(leaked, data.test_images, 8))
    assert limit.ratio > 0.8 * clean.ratio and limit.test_in_training > 0.3
    found = drained(near_copies.in_data(dataclasses.replace(data, train_images=leaked), limit))
    assert found.splits_leak and len(found.training) >= 0.95 * len(data.test_images[::3])
    own = drained(near_copies.in_data(data, clean))
    assert not own.splits_leak and len(own.training) <= 0.01 * len(data.test_images)


def test_a_set_of_copies_names_each_image_and_the_one_it_copies(tmp_path: Path) -> None:
    data = catalog.load("digits")
    limit = drained(near_copies.calibrated(data.train_images, data.test_images, 8))
    noise = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 1), dtype=np.uint8)
    test, training = shifted(data.test_images[10:18]), data.train_images[:20, :, ::-1]
    found = drained(near_copies.in_set(np.concatenate([noise, test, training]), data, limit))
    assert set(range(100, 108)) <= set(found.test.image.tolist()) and found.leaks
    paired = dict(zip(found.test.image.tolist(), found.test.of.tolist(), strict=True))
    assert [paired[100 + i] for i in range(8)] == list(range(10, 18))
    copied = dict(zip(found.training.image.tolist(), found.training.of.tolist(), strict=True))
    assert [copied[108 + i] for i in range(20)] == list(range(20)) and found.repeats
    near_copies.save(tmp_path, found)
    kept = near_copies.load(tmp_path)
    assert kept is not None and kept.limit == found.limit and kept.data == found.data
    assert np.array_equal(kept.test.of, found.test.of) and kept.images == 128
    assert near_copies.load(tmp_path / "elsewhere") is None


def found_in(
    near: np.ndarray, labels: np.ndarray, usual: float, same: int = 0
) -> near_copies.Copies:
    """What a search finds in a set whose images `near` are near-copies of test images."""
    limit, none = Limit(8, 0.3, usual, usual, usual), near_copies.Pairs(near[:0], near[:0])
    return near_copies.Copies(
        "", len(labels), limit, near_copies.Pairs(near, near, same), none, labels
    )


def test_a_class_of_test_images_leaks_also_in_a_large_set() -> None:
    """An arm may take all of its synthetic images from this class."""
    labels = np.repeat([*range(8), 9, 8], [220] * 9 + [20])
    eight = np.flatnonzero(labels == 8)
    for near, same, leaks in (
        (eight, 20, True),
        (eight, 0, True),  # such as noisy or JPEG
        (eight[:1], 1, True),  # 5 % of the class; the same pixels are never chance
        (eight[:5], 0, True),
        (eight[:4], 0, False),
        (np.arange(12), 0, False),  # 5 % of class 0 is chance where ones look alike
        (np.arange(2), 2, False),
        (np.arange(3), 3, True),
    ):
        found = found_in(near, labels, 0.008, same)
        assert found.leaks is leaks
        assert list(found.leaking) == [int(labels[near[0]])] * leaks
    found = found_in(eight, labels, 0.008, 20)
    assert found.leaking == {8: (20, 20)}
    known = dataclasses.replace(found, training=near_copies.Pairs(eight, eight, 20), labels=labels)
    assert known.leaks  # as near-copies, though real images of this data are the same, too
    assert not dataclasses.replace(known, test=near_copies.Pairs(eight[:2], eight[:2], 2)).leaks


@pytest.mark.parametrize("name", ["digits", "mnist5k"])
def test_honest_sets_are_not_refused_whatever_the_sizes_of_their_classes(name: str) -> None:
    data = catalog.load(name)
    limit = drained(near_copies.calibrated(data.train_images, data.test_images, data.info.size))
    ratio = drained(neighbours(data.train_images, data.test_images, limit.side)).ratio
    labels, near = data.train_labels, ratio <= limit.ratio
    classes, rng = [np.flatnonzero(labels == c) for c in range(10)], np.random.default_rng(0)
    refused = 0
    for size in (5, 10, 20, 50, 100) * 40:
        rows = np.concatenate([rng.permutation(c)[:size] for c in classes])
        copies = found_in(np.flatnonzero(near[rows]), labels[rows], limit.training_in_test)
        refused += copies.leaks
    assert refused <= 4  # of 200


def test_what_was_found_by_an_older_version_is_still_read(tmp_path: Path) -> None:
    found = found_in(np.arange(3), np.arange(40) % 10, 0.008, 2)
    old = {k: v for k, v in near_copies.packed(found).items() if not k.endswith("_same")}
    np.savez(tmp_path / near_copies.FILE, **old)
    kept = near_copies.load(tmp_path)
    assert kept is not None and (len(kept.test), kept.test.same, len(kept.labels)) == (3, 0, 0)
    np.save(tmp_path / "labels.npy", found.labels)
    near_copies.save(tmp_path, found)
    kept = near_copies.load(tmp_path)
    assert kept is not None and kept.test.same == 2 and len(kept.labels) == 40


def test_real_training_images_are_no_leak_of_the_test() -> None:
    data = catalog.load("digits")
    limit = drained(near_copies.calibrated(data.train_images, data.test_images, 8))
    found = drained(near_copies.in_set(data.train_images[::2], data, limit))
    assert found.repeats and not found.leaks
    assert len(found.training) == len(data.train_images[::2])


def test_duplicates_among_the_test_images_are_counted() -> None:
    data = catalog.load("digits")
    limit = drained(near_copies.calibrated(data.train_images, data.test_images, 8))
    test = np.concatenate([data.test_images, shifted(data.test_images[:40])])
    found = drained(near_copies.in_data(dataclasses.replace(data, test_images=test), limit))
    clean = drained(near_copies.in_data(data, limit))
    assert 76 <= len(found.test) - len(clean.test) <= 84


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    test, training = catalog.load("digits").test_images, catalog.load("digits").train_images
    whole = drained(neighbours(test, training))
    for name, size in (("ROWS", 100), ("COLUMNS", 64), ("AT_ONCE", 5000)):
        monkeypatch.setattr(f"dreamlab.data.nearest.{name}", size)
    parts = drained(neighbours(test, training))
    assert np.allclose(parts.further, whole.further, atol=0.01)
    assert (parts.index == whole.index).mean() > 0.999


@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_few_references_are_enough_for_copies(count: int) -> None:
    test = catalog.load("digits").test_images[:count]
    found = drained(neighbours(jpeg(test, 95), test))
    assert np.array_equal(found.index, np.arange(count)) and (found.distance < 5).all()


def test_nothing_to_compare_with_is_refused() -> None:
    one = np.zeros((1, 8, 8, 1), np.uint8)
    with pytest.raises(ValueError, match="no neighbours"):
        drained(neighbours(one, one, itself=True))
    with pytest.raises(ValueError, match="no neighbours"):
        drained(neighbours(one, np.zeros((3, 8, 8, 3), np.uint8)))
