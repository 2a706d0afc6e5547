"""The networks, the training loop, and the task that trains a mix over several seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dreamlab.classifiers import CLASSIFIERS
from dreamlab.classifiers.networks import normalise, outputs
from dreamlab.data import catalog, imageset
from dreamlab.store import Run, RunStore
from dreamlab.tasks import classify as module
from dreamlab.tasks.classify import classify
from dreamlab.tasks.context import Stopped, TaskError
from dreamlab.tasks.fitting import Fit, Recipe
from tests.evidence_helpers import context, new_run, new_set, new_store

RECIPE = Recipe("small_cnn", 30, 16, 4e-3)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (1, 28), (3, 32)])
@pytest.mark.parametrize("name", list(CLASSIFIERS))
def test_logits_come_from_the_penultimate_features(name: str, channels: int, size: int) -> None:
    network = CLASSIFIERS[name](channels, size, 7).eval()
    x = torch.randn(2, channels, size, size)
    features = network.features(x)
    assert features.shape == (2, network.dimensions) and network(x).shape == (2, 7)
    assert torch.allclose(network(x), network.head(features))


def test_images_are_normalised_to_minus_one_and_one_in_channels_last() -> None:
    x = normalise(
        torch.tensor([0, 255], dtype=torch.uint8).repeat(8).reshape(1, 4, 4, 1).expand(1, 4, 4, 3).contiguous()
    )
    assert (
        x.shape == (1, 3, 4, 4)
        and x.min() == -1
        and x.max() == 1
        and x.is_contiguous(memory_format=torch.channels_last)
    )


def test_outputs_do_not_depend_on_the_batch() -> None:
    network = CLASSIFIERS["cnn"](1, 8, 10)
    images = catalog.load("digits").test_images[:30]
    whole = torch.cat([p for _, p in outputs(network, images, "cpu")])
    parts = torch.cat([p for _, p in outputs(network, images, "cpu", batch_size=7)])
    assert torch.allclose(whole, parts, atol=1e-6) and torch.allclose(whole.sum(1), torch.ones(30))


def trained(seed: int) -> dict[str, torch.Tensor]:
    data = catalog.load("digits")
    fit = Fit(RECIPE, data.train_images[:100], data.train_labels[:100], 10, seed, "cpu")
    assert list(fit) == list(range(1, 31))
    return fit.network.state_dict()


def test_a_seed_decides_the_network_and_leaves_the_global_one_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = trained(0)
    assert torch.equal(torch.rand(3), expected)
    again, other = trained(0), trained(1)
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_batches_are_equal_and_see_every_image_equally_often() -> None:
    fit = Fit(Recipe("small_cnn", 1, 16, 1e-3), np.zeros((24, 8, 8, 1), np.uint8), np.zeros(24, np.int64), 10, 0, "cpu")
    stream = fit._batches()
    batches = [next(stream) for _ in range(9)]
    assert {len(b) for b in batches} == {16}
    assert set(np.bincount(np.concatenate(batches), minlength=24)) == {6}


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return new_store(tmp_path)


def synthetic_set(store: RunStore, per_class: int = 20) -> Run:
    """Real images as stand-ins for good synthetic ones."""
    data = catalog.load("digits")
    keep = np.concatenate([np.flatnonzero(data.train_labels == c)[-per_class:] for c in range(10)])
    return new_set(
        store, new_run(store, "train", {"dataset": "digits"}), data.train_images[keep], data.train_labels[keep]
    )


def run_task(store: RunStore, **values: Any) -> tuple[Run, list[dict[str, Any]]]:
    run = new_run(store, "classify", {"dataset": "digits", "images_per_class": 10, "steps": 60, **values})
    return run, list(classify(context(store, run)))


def test_more_seeds_compute_only_the_new_ones(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run, events = run_task(store, seeds=2)
    first = events[-1]["values"]
    metrics = [e for e in events if e["type"] == "metric"]
    assert [m["step"] for m in metrics] == [0, 1] and first["cached_seeds"] == 0 and first["seeds"] == [0, 1]
    assert first["counts"] == {"real": 100, "synthetic": 0} and first["test_images"] == 597 and first["steps"] == 60
    assert (
        first["interval"]["low"] < first["interval"]["mean"] < first["interval"]["high"]
        and min(first["accuracies"]) > 0.6
    )
    with np.load(run.path / "predictions.npz") as kept:
        right = kept["seed_1_class"] == catalog.load("digits").test_labels
        assert right.mean() == pytest.approx(first["accuracies"][1]) and kept["seed_1_probability"].dtype == np.float16
    assert np.mean(first["per_class"]) == pytest.approx(np.mean(first["accuracies"]), abs=0.03)
    fits: list[int] = []
    original = module.Fit

    def counted(*arguments: Any, **more: Any) -> Fit:
        fits.append(arguments[4])
        return original(*arguments, **more)

    monkeypatch.setattr(module, "Fit", counted)
    _, events = run_task(store, seeds=3)
    second = events[-1]["values"]
    assert fits == [2] and second["cached_seeds"] == 2 and second["accuracies"][:2] == first["accuracies"]


def test_a_seed_is_computed_anew_when_anything_changes_that_it_depends_on(store: RunStore) -> None:
    one, other = synthetic_set(store), synthetic_set(store)
    _, events = run_task(store, arm="real+1x", synthetic=one.id, seeds=1, steps=3)
    assert events[-1]["values"]["counts_per_class"] == {"real": [10] * 10, "synthetic": [10] * 10}
    # the same images in another run are the same images
    assert run_task(store, arm="real+1x", synthetic=other.id, seeds=1, steps=3)[1][-1]["values"]["cached_seeds"] == 1
    images = np.load(other.path / "images.npy")
    images[:, 0, 0] ^= 1
    np.save(other.path / "images.npy", images)
    for change in (
        {"synthetic": other.id},
        {"steps": 4},
        {"learning_rate": 1e-3},
        {"batch_size": 8},
        {"classifier": "cnn"},
        {"subset_seed": 1},
    ):
        values = {"arm": "real+1x", "synthetic": one.id, "seeds": 1, "steps": 3, **change}
        assert run_task(store, **values)[1][-1]["values"]["cached_seeds"] == 0, change


def test_arms_draw_balanced_images_anew_for_every_seed_from_the_allowed_ones(store: RunStore) -> None:
    made = synthetic_set(store)
    run = new_run(
        store, "classify", {"dataset": "digits", "images_per_class": 10, "arm": "50/50", "synthetic": made.id}
    )
    data = catalog.load("digits")
    mix = module.mixed(context(store, run), run.spec, data)  # type: ignore[arg-type]
    (first, labels), (again, _), (other, _) = mix.draw(0), mix.draw(0), mix.draw(1)
    assert len(first) == 100 and set(np.bincount(labels)) == {10}
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    allowed = {image.tobytes() for image in mix.real_images}
    assert len(allowed) == 100 and all(image.tobytes() in allowed for image in first[:50])
    assert {image.tobytes() for image in first[:50]} != {image.tobytes() for image in other[:50]}


def test_equal_epochs_give_larger_arms_more_steps(store: RunStore) -> None:
    made = synthetic_set(store)
    values = {"seeds": 1, "budget": "epochs", "epochs": 2, "batch_size": 20}
    real = run_task(store, **values)[1][-1]["values"]
    added = run_task(store, arm="real+2x", synthetic=made.id, **values)[1][-1]["values"]
    assert (real["steps"], added["steps"], real["epochs"], added["epochs"]) == (10, 30, 2, 2)


def test_a_stop_keeps_finished_seeds_and_a_resumption_computes_the_rest(store: RunStore) -> None:
    run = new_run(store, "classify", {"dataset": "digits", "images_per_class": 10, "steps": 60, "seeds": 3})
    events = []
    with pytest.raises(Stopped):
        for event in classify(context(store, run)):
            events.append(event)
            if event["type"] == "metric":
                (run.path / "stop").touch()
    assert [e["step"] for e in events if e["type"] == "metric"] == [0]
    assert events[-1]["type"] == "result" and events[-1]["values"]["seeds"] == [0]
    (run.path / "stop").unlink()
    resumed = list(classify(context(store, run)))[-1]["values"]
    assert (
        resumed["cached_seeds"] == 1
        and resumed["seeds"] == [0, 1, 2]
        and resumed["accuracies"][0] == events[-1]["values"]["accuracies"][0]
    )


def test_a_set_that_does_not_fit_is_refused_in_a_sentence(store: RunStore) -> None:
    small = synthetic_set(store, per_class=5)
    images, labels = imageset.load(small.path)
    colour = new_set(store, new_run(store, "train", {"dataset": "digits"}), np.repeat(images, 3, axis=3), labels)
    for values, words in (
        ({"arm": "real+1x", "synthetic": small.id}, "has 5 images of class 0, arm real\\+1x needs 10"),
        ({"arm": "synthetic", "synthetic": colour.id}, "has 3 colour channels"),
        ({"arm": "synthetic"}, "name a synthetic set"),
        ({"images_per_class": 5000}, "fewer than the 5000 asked for"),
    ):
        with pytest.raises(TaskError, match=words):
            run_task(store, seeds=1, **values)
