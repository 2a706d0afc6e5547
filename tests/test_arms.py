"""Arms as sources and indices: what each form is made of, what identifies it, and that nothing is
copied."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamlab.data import catalog, imageset
from dreamlab.settings import SpecError, make
from dreamlab.settings.classify import ClassifySpec
from dreamlab.store import RunStore
from dreamlab.tasks import image_sources
from dreamlab.tasks.classify.training_set import Drawn, TrainingSet, mixed
from dreamlab.tasks.image_sources import JoinedImages, NoiseImages, Resized
from tests.arm_helpers import colour_digits, new_import, run_task, synthetic_set
from tests.evidence_helpers import context, new_run, new_set, new_store

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return new_store(tmp_path)


def mix_of(store: RunStore, **values: Any) -> TrainingSet:
    run = new_run(store, "classify", {"dataset": "digits", "images_per_class": 10, **values})
    spec = make(ClassifySpec, run.spec.model_dump())
    return mixed(context(store, run), spec, catalog.load(spec.dataset))


def pictures(drawn: Drawn) -> list[bytes]:
    return [image.tobytes() for image in drawn.images[:]]


def test_a_selection_reads_several_sources_as_one() -> None:
    a, b = (
        np.arange(24, dtype=np.uint8).reshape(6, 2, 2, 1),
        np.arange(100, 112, dtype=np.uint8).reshape(3, 2, 2, 1),
    )
    joined = JoinedImages(
        [(a, np.array([5, 0])), (b, np.zeros(0, np.int64)), (b, np.array([2, 2, 1]))]
    )
    expected = np.concatenate([a[[5, 0]], b[[2, 2, 1]]])
    assert joined.shape == (5, 2, 2, 1) == (len(joined), 2, 2, 1)
    assert np.array_equal(joined[:], expected) and np.array_equal(joined[1:4], expected[1:4])
    assert np.array_equal(joined[np.array([4, 0, 2, 0])], expected[[4, 0, 2, 0]])


def test_noise_and_resized_images_are_made_when_they_are_read() -> None:
    noise = NoiseImages((8, 8, 3), 1)
    assert np.array_equal(noise[np.array([7, 3])][0], noise[[7]][0])
    many = noise[np.arange(200)]
    assert abs(many.mean() - 127.5) < 2 and many.min() == 0 and many.max() == 255
    assert not np.array_equal(many[0], many[1]) and not np.array_equal(
        many[0], NoiseImages((8, 8, 3), 2)[[0]][0]
    )
    images = catalog.load("digits").test_images[:20]
    assert np.array_equal(
        Resized(images, 12)[np.array([3, 9])], imageset.resized(images[[3, 9]], 12)
    )
    assert Resized(images, 12).shape == (20, 12, 12, 1)


def test_real_images_are_drawn_anew_for_every_seed_from_the_allowed_ones(store: RunStore) -> None:
    mix = mix_of(store, arm="50/50", synthetic=synthetic_set(store).id)
    first, again, other = mix.draw(0), mix.draw(0), mix.draw(1)
    assert len(first.images) == 100 == mix.size and set(np.bincount(first.labels)) == {10}
    assert (
        pictures(first) == pictures(again) != pictures(other)
        and first.identity == again.identity != other.identity
    )
    data = catalog.load("digits")
    allowed = {image.tobytes() for image in data.train_images[mix.roles.pool]}
    assert len(allowed) == 100 and set(pictures(first)[:50]) <= allowed
    assert set(pictures(first)[:50]) != set(pictures(other)[:50])


def test_the_controls_are_what_their_names_say(store: RunStore) -> None:
    real = mix_of(store).draw(3)
    twice, more = (
        mix_of(store, arm="duplicated+1x").draw(3),
        mix_of(store, arm="duplicated+0.5x").draw(3),
    )
    counted = {image: pictures(twice).count(image) for image in set(pictures(twice))}
    assert set(pictures(twice)) == set(pictures(real)) and set(counted.values()) == {2}
    labels = dict(zip(pictures(real), real.labels.tolist(), strict=True))
    assert all(labels[i] == c for i, c in zip(pictures(more), more.labels.tolist(), strict=True))
    assert (
        len(more.labels) == 150
        and set(np.bincount(more.labels)) == {15}
        and len(set(pictures(more)[100:])) == 50
    )
    noise = mix_of(store, arm="noise+2x")
    drawn = noise.draw(3)
    assert [(c.real, c.synthetic, c.other) for c in noise.counts] == [(10, 0, 20)] * 10
    assert pictures(drawn)[:100] == pictures(real) and not set(pictures(drawn)[100:]) & set(
        pictures(real)
    )
    assert set(np.bincount(drawn.labels[100:])) == {20} and pictures(drawn) != pictures(
        noise.draw(4)
    )
    assert pictures(mix_of(store, arm="augmented").draw(3)) == pictures(real)


def test_targeted_images_are_of_the_chosen_classes_alone(store: RunStore) -> None:
    made = synthetic_set(store)
    mix = mix_of(store, arm="real+7@2+9", synthetic=made.id, long_tail=0.2)
    drawn = mix.draw(0)
    assert (
        mix.total("synthetic") == [0, 0, 7, 0, 0, 0, 0, 0, 0, 7]
        and mix.total("real")[0] == 10 > mix.total("real")[9] == 2
    )
    assert np.bincount(drawn.labels).tolist() == [
        r + s for r, s in zip(mix.total("real"), mix.total("synthetic"), strict=True)
    ]
    held = {image.tobytes() for image in imageset.load(made.path)[0]}
    assert set(pictures(drawn)[sum(mix.total("real")) :]) <= held


def test_validation_images_are_never_trained_on(store: RunStore) -> None:
    mix = mix_of(store, images_per_class=0, validation=0.3)
    images, held_out = catalog.load("digits").train_images, mix.roles.validation
    allowed = np.delete(images, held_out, axis=0)
    assert len(held_out) > 300 and len(set(held_out)) == len(held_out)
    assert Counter(pictures(mix.draw(0))) == Counter(image.tobytes() for image in allowed)
    _, events = run_task(store, images_per_class=20, validation=0.3, seeds=2, steps=120)
    found = events[-1]["values"]["validation"]
    assert len(found) == 2 and min(found) > 0.6 and found != events[-1]["values"]["accuracies"]


def test_a_sets_content_is_read_once_and_again_when_it_changes(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, calls = synthetic_set(store), []
    hashed = image_sources.array_hash
    monkeypatch.setattr(image_sources, "array_hash", lambda *a: calls.append(1) or hashed(*a))  # type: ignore[func-returns-value]
    ctx = context(store, new_run(store, "classify", {"dataset": "digits"}))
    first = image_sources.set_hash(ctx, made)
    assert image_sources.set_hash(ctx, made) == first and len(calls) == 1
    images = np.load(made.path / "images.npy")
    images[0, 0, 0] ^= 1
    np.save(made.path / "images.npy", images)
    assert image_sources.set_hash(ctx, made) != first and len(calls) == 2


def test_an_arm_of_a_large_memory_mapped_set_copies_no_images(store: RunStore) -> None:
    size, per_class = 64, 600
    labels = np.tile(np.arange(10), per_class)
    images = np.random.default_rng(0).integers(
        0, 256, (len(labels), size, size, 3), np.uint8
    )  # 74 MB
    data = new_import(store, images, labels, 5000)
    made = new_import(store, images ^ 1, labels, 6000, dataset=data.id)
    nbytes = images.nbytes
    del images
    tracemalloc.start()
    mix = mix_of(
        store,
        dataset=data.id,
        images_per_class=100,
        arm="real+2x",
        synthetic=made.id,
        validation=0.1,
    )
    batch = mix.draw(0).images[np.arange(0, 1000, 31)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert batch.shape == (33, 64, 64, 3) and peak < nbytes / 10


def test_what_does_not_fit_is_refused_in_a_sentence(store: RunStore) -> None:
    small = synthetic_set(store, per_class=5)
    images, labels = imageset.load(small.path)
    trained = new_run(store, "train", {"dataset": "digits"})
    colour = new_set(store, trained, np.repeat(images, 3, axis=3), labels)
    wider = new_set(store, trained, images, labels + 5)
    plain = new_run(store, "train", {"dataset": "digits", "conditional": False, "label_dropout": 0})
    unlabelled, real = new_set(store, plain, images, 0 * labels), colour_digits(store)
    for values, words in (
        (
            {"arm": "real+1x", "synthetic": small.id},
            r"has 5 images of class 0 \(0\), but 10 are needed \(10",
        ),
        (
            {"arm": "real+6@3", "synthetic": small.id},
            r"has 5 images of class 3 \(3\), but 6 are needed; sample",
        ),
        ({"arm": "synthetic", "synthetic": colour.id}, "has 3 colour channels"),
        ({"arm": "real+1@1", "synthetic": wider.id}, "has images of class 14"),
        ({"arm": "real+1@0", "synthetic": unlabelled.id}, "have no labels"),
        ({"arm": "synthetic", "synthetic": real.id}, "holds no synthetic images"),
        ({"arm": "synthetic", "synthetic": trained.id}, "holds no synthetic images"),
        ({"arm": "synthetic", "synthetic": "nobody"}, "nobody"),
        ({"arm": "synthetic"}, "needs a synthetic set"),
        ({"images_per_class": 5000}, "fewer than the 5000 asked for"),
        ({"long_tail": 0.01}, "without images"),
        ({"arm": "real+1@11", "synthetic": small.id}, "names class 11"),
    ):
        with pytest.raises(SpecError, match=words):
            mix_of(store, **values)
