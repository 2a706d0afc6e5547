"""The networks, the training loop, and the task that trains a mix over several seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dreamlab.classifiers.networks import build, normalise, outputs, parameters
from dreamlab.data import catalog
from dreamlab.settings import ClassifySpec, make
from dreamlab.settings.classifier_recipe import RECIPES
from dreamlab.store import RunStore
from dreamlab.tasks.classify import task as module
from dreamlab.tasks.classify.augmentation import AUGMENTS
from dreamlab.tasks.classify.task import classify
from dreamlab.tasks.classify.training import Fit, Recipe, optimizer_of
from dreamlab.tasks.context import Stopped
from tests.arm_helpers import new_import, run_task, synthetic_set
from tests.evidence_helpers import context, new_run, new_store

RECIPE = Recipe("small_cnn", 30, 16, 4e-3)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_images_are_normalised_to_minus_one_and_one_in_channels_last() -> None:
    x = normalise(
        torch.tensor([0, 255], dtype=torch.uint8)
        .repeat(8)
        .reshape(1, 4, 4, 1)
        .expand(1, 4, 4, 3)
        .contiguous()
    )
    assert (
        x.shape == (1, 3, 4, 4)
        and x.min() == -1
        and x.max() == 1
        and x.is_contiguous(memory_format=torch.channels_last)
    )


def test_outputs_do_not_depend_on_the_batch() -> None:
    network = build("cnn", 1, 8, 10)
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


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return new_store(tmp_path)


def test_more_seeds_compute_only_the_new_ones(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, events = run_task(store, seeds=2)
    first = events[-1]["values"]
    metrics = [e for e in events if e["type"] == "metric"]
    assert (
        [m["step"] for m in metrics] == [0, 1]
        and first["cached_seeds"] == 0
        and first["seeds"] == [0, 1]
    )
    assert (
        first["counts"] == {"real": 100, "synthetic": 0, "other": 0}
        and first["test_images"] == 597
        and first["steps"] == 60
    )
    assert (
        first["interval"]["low"] < first["interval"]["mean"] < first["interval"]["high"]
        and min(first["accuracies"]) > 0.6
    )
    with np.load(run.path / "predictions.npz") as kept:
        right = kept["seed_1_class"] == catalog.load("digits").test_labels
        assert (
            right.mean() == pytest.approx(first["accuracies"][1])
            and kept["seed_1_probability"].dtype == np.float16
        )
    assert np.mean(first["per_class"]) == pytest.approx(np.mean(first["accuracies"]), abs=0.03)
    fits: list[int] = []
    original = module.Fit

    def counted(*arguments: Any, **more: Any) -> Fit:
        fits.append(arguments[4])
        return original(*arguments, **more)

    monkeypatch.setattr(module, "Fit", counted)
    _, events = run_task(store, seeds=3)
    second = events[-1]["values"]
    assert (
        fits == [2]
        and second["cached_seeds"] == 2
        and second["accuracies"][:2] == first["accuracies"]
    )


def test_a_seed_is_computed_anew_when_anything_changes_that_it_depends_on(store: RunStore) -> None:
    one, other = synthetic_set(store), synthetic_set(store)
    _, events = run_task(store, arm="real+1x", synthetic=one.id, seeds=1, steps=3)
    assert events[-1]["values"]["counts_per_class"] == {
        "real": [10] * 10,
        "synthetic": [10] * 10,
        "other": [0] * 10,
    }
    # the same images in another run are the same images
    assert (
        run_task(store, arm="real+1x", synthetic=other.id, seeds=1, steps=3)[1][-1]["values"][
            "cached_seeds"
        ]
        == 1
    )
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


def test_equal_epochs_give_larger_arms_more_steps(store: RunStore) -> None:
    made = synthetic_set(store)
    values = {"seeds": 1, "budget": "epochs", "epochs": 2, "batch_size": 20}
    real = run_task(store, **values)[1][-1]["values"]
    added = run_task(store, arm="real+2x", synthetic=made.id, **values)[1][-1]["values"]
    assert (real["steps"], added["steps"], real["epochs"], added["epochs"]) == (10, 30, 2, 2)


def test_a_stop_keeps_finished_seeds_and_a_resumption_computes_the_rest(store: RunStore) -> None:
    run = new_run(
        store, "classify", {"dataset": "digits", "images_per_class": 10, "steps": 60, "seeds": 3}
    )
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


@pytest.mark.parametrize("name", ["fast", *[r for r in RECIPES if r != "fast"]])
def test_a_recipe_is_made_of_its_preset_in_one_place(name: str) -> None:
    spec = make(ClassifySpec, {"recipe": name, "dataset": "cifar10", "arm": "augmented"})
    recipe, wanted = Recipe.of(spec, 6400), spec
    assert (
        recipe.classifier,
        recipe.optimizer,
        recipe.learning_rate,
        recipe.weight_decay,
        recipe.schedule,
        recipe.batch_size,
    ) == (
        wanted.classifier,
        wanted.optimizer,
        wanted.learning_rate,
        wanted.weight_decay,
        wanted.learning_rate_schedule,
        wanted.batch_size,
    )
    steps = spec.steps if spec.budget == "steps" else spec.epochs * 6400 // spec.batch_size
    assert recipe.steps == steps and recipe.augment == "shift_and_mirror"
    digits = (
        make(ClassifySpec, {"recipe": name, "augment": True}),
        make(ClassifySpec, {"recipe": "fast"}),
    )
    assert [Recipe.of(s, 100).augment for s in digits] == ["shift", ""]


def test_rates_warm_up_and_fall_to_zero_or_stay() -> None:
    cosine, constant = Recipe("mlp", 100, 8, 0.2), Recipe("mlp", 100, 8, 0.2, schedule="constant")
    rates = [cosine.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.02) and max(rates) == 0.2 == rates[10] and rates[-1] < 1e-3
    assert rates[10:] == sorted(rates[10:], reverse=True) and {
        constant.rate(step) for step in range(100)
    } == {0.2}


@pytest.mark.parametrize(
    ("name", "decay"),
    [("adamw", 1 - 0.1 * 0.5), ("adam", None), ("sgd", 1 - 0.1 * (0.5 * 1.9))],
    ids=["adamw", "adam", "sgd"],
)
def test_weight_decay_is_decoupled_for_adamw_alone_and_spares_vectors(
    name: str, decay: float | None
) -> None:
    network = build("mlp", 1, 8, 10)
    before = [p.detach().clone() for p in network.parameters()]
    for p in network.parameters():
        p.grad = torch.zeros_like(p)
    optimizer_of(Recipe("mlp", 1, 8, 0.1, 0.5, name), network).step()
    for old, new in zip(before, network.parameters(), strict=True):
        if new.ndim == 1:
            assert torch.equal(old, new)
        elif decay is None:  # Adam makes a step of the rate of any gradient
            large = old.abs() > 1e-4
            assert torch.allclose(new[large], (old - 0.1 * old.sign())[large], atol=1e-4)
        else:
            assert torch.allclose(new, old * decay, atol=1e-6)


def test_streamed_images_train_the_same_network(store: RunStore) -> None:
    data = catalog.load("digits")
    both = []
    for resident in (True, False):
        fit = Fit(
            Recipe("small_cnn", 20, 48, 4e-3),
            data.train_images[:100],
            data.train_labels[:100],
            10,
            0,
            "cpu",
            resident,
        )
        assert list(fit)[-1] == 20
        both.append(fit.network.state_dict())
    assert all(torch.equal(both[0][k], both[1][k]) for k in both[0])


def test_dropout_and_stochastic_depth_are_the_fits_own() -> None:
    data = catalog.load("digits")

    def drawn(noise: int) -> torch.Tensor:
        torch.manual_seed(noise)
        fit = Fit(
            Recipe("swin_t", 2, 4, 1e-3),
            data.train_images[:20],
            data.train_labels[:20],
            10,
            0,
            "cpu",
        )
        assert fit.has_chance and list(fit) == [1, 2]
        assert torch.initial_seed() == noise
        return fit.network.head.weight.detach()

    assert torch.equal(drawn(1), drawn(2))


@pytest.mark.parametrize("name", ["shift", "shift_and_mirror"])
def test_augmentation_keeps_images_and_mirrors_only_where_it_may(name: str) -> None:
    x = torch.arange(64.0).reshape(1, 1, 8, 8).repeat(200, 1, 1, 1)
    moved = AUGMENTS[name](x, torch.Generator().manual_seed(0))
    falling = (moved[:, 0, 4, 2:6].diff(dim=1) < 0).all(1).float().mean()
    assert moved.shape == x.shape and (falling == 0 if name == "shift" else 0.35 < falling < 0.65)
    large = AUGMENTS[name](torch.rand(50, 3, 64, 64), torch.Generator().manual_seed(0))
    assert large.shape == (50, 3, 64, 64)


def test_a_result_holds_top5_confusion_and_what_it_cost(store: RunStore) -> None:
    run, events = run_task(store, arm="real+1x", synthetic=synthetic_set(store).id, seeds=2)
    found = events[-1]["values"]
    labels = catalog.load("digits").test_labels
    with np.load(run.path / "predictions.npz") as kept:
        predicted, top = kept["seed_0_class"], kept["seed_0_top5"]
    assert top.shape == (597, 5) and np.array_equal(top[:, 0], predicted) and len(set(top[0])) == 5
    assert (
        found["top5"][0] == pytest.approx((top == labels[:, None]).any(1).mean())
        and found["top5"][0] > found["accuracies"][0]
    )
    confusion = np.array(found["confusion"])
    assert confusion.sum(1).tolist() == (2 * np.bincount(labels)).tolist()
    assert np.trace(confusion) / confusion.sum() == pytest.approx(np.mean(found["accuracies"]))
    assert (
        found["parameters"] == parameters(build("small_cnn", 1, 8, 10))
        and found["validation"] is None
    )
    assert (
        found["counts"] == {"real": 100, "synthetic": 100, "other": 0}
        and found["train_seconds"] > 0
    )
    again = run_task(store, arm="real+1x", synthetic=synthetic_set(store).id, seeds=2)[1][-1][
        "values"
    ]
    assert again["cached_seeds"] == 2 and again["train_seconds"] == found["train_seconds"]


def test_few_classes_have_no_top5_and_an_imported_set_no_name(store: RunStore) -> None:
    data = catalog.load("digits")
    few = data.train_labels < 3
    images, labels = data.train_images[few][:150], data.train_labels[few][:150]
    own = new_import(store, images, labels, 100)
    others = data.train_images[few][150:300], data.train_labels[few][150:300]
    made = new_import(store, *others, 150, dataset=own.id)
    _, events = run_task(
        store, dataset=own.id, arm="real+1x", synthetic=made.id, seeds=2, images_per_class=10
    )
    found = events[-1]["values"]
    assert found["top5"] is None and len(found["per_class"]) == 3 and min(found["accuracies"]) > 0.8
    again = new_import(store, images, labels, 100)
    assert run_task(store, dataset=again.id, seeds=1, steps=3)[1][-1]["values"]["cached_seeds"] == 0
    assert run_task(store, dataset=own.id, seeds=1, steps=3)[1][-1]["values"]["cached_seeds"] == 1


def test_an_augmented_arm_is_the_real_one_with_augmentation(store: RunStore) -> None:
    assert run_task(store, arm="augmented", seeds=1, steps=5)[1][-1]["values"]["cached_seeds"] == 0
    assert run_task(store, arm="real", seeds=1, steps=5)[1][-1]["values"]["cached_seeds"] == 0
    assert (
        run_task(store, arm="real", augment=True, seeds=1, steps=5)[1][-1]["values"]["cached_seeds"]
        == 1
    )
