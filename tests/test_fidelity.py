"""Distances against closed forms, scipy and torchmetrics; extractors; the task."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch

from dreamlab.classifiers.networks import build
from dreamlab.data import catalog, imageset
from dreamlab.data.judge import cache_key, recipe_of
from dreamlab.fidelity.appearance import appearance, look_of
from dreamlab.fidelity.extractors import ClassifierExtractor, ExtractorError
from dreamlab.fidelity.frechet import distance, frechet, frechet_interval, statistics
from dreamlab.fidelity.inception import INCEPTION_FILE, InceptionExtractor
from dreamlab.fidelity.kid import kid, mmd
from dreamlab.settings import SpecError
from dreamlab.store import RunStore
from dreamlab.tasks.classify.augmentation import shift
from dreamlab.tasks.context import Stopped, TaskError
from dreamlab.tasks.fidelity import reference_classifier
from dreamlab.tasks.fidelity.reference_classifier import spread_over
from dreamlab.tasks.fidelity.sets import bounded, like
from dreamlab.tasks.fidelity.task import fidelity
from dreamlab.ui.parts.fidelity_numbers import by_class
from tests.arm_helpers import colour_digits, new_import
from tests.evidence_helpers import context, new_run, new_set, new_store

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "get.py"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def two_sets(n: int, m: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(d, d)) / np.sqrt(d)
    return rng.normal(size=(n, d)) @ mix, rng.normal(size=(m, d)) @ mix.T + 0.3


def by_sqrtm(x: np.ndarray, y: np.ndarray) -> float:
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    return float(
        np.square(x.mean(0) - y.mean(0)).sum()
        + np.trace(a + b - 2 * scipy.linalg.sqrtm(a @ b).real)
    )


@pytest.mark.parametrize(("n", "m", "d"), [(300, 400, 16), (900, 800, 128), (1200, 1100, 600)])
def test_the_frechet_distance_is_scipys(n: int, m: int, d: int) -> None:
    x, y = two_sets(n, m, d)
    assert frechet(x, y) == pytest.approx(by_sqrtm(x, y), rel=1e-8)
    assert distance(statistics(x, keep=False), statistics(y)) == pytest.approx(
        frechet(x, y), rel=1e-10
    )


@pytest.mark.parametrize(("n", "m", "d"), [(40, 60, 96), (40, 300, 96), (550, 520, 640)])
def test_fewer_images_than_dimensions_give_the_same_through_the_gram_matrix(
    n: int, m: int, d: int
) -> None:
    x, y = two_sets(n, m, d)
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    # scipy's sqrtm is not made for singular products: the root of the symmetric form, by the
    # definition
    values, vectors = np.linalg.eigh(a)
    root = vectors @ np.diag(np.sqrt(np.maximum(values, 0))) @ vectors.T
    inner = np.linalg.eigvalsh(root @ b @ root)
    rank = min(n, m, d + 1) - 1
    expected = (
        np.square(x.mean(0) - y.mean(0)).sum()
        + np.trace(a + b)
        - 2 * np.sqrt(np.sort(np.maximum(inner, 0))[-rank:]).sum()
    )
    assert frechet(x, y) == pytest.approx(expected, rel=1e-8)


def test_the_frechet_distance_of_known_gaussians_and_of_a_set_with_itself() -> None:
    x = np.array([[-1.0, -2.0], [1.0, -2.0], [-1.0, 2.0], [1.0, 2.0]])
    y = 2 * x + np.array([3.0, 4.0])  # deviations double, means move by 5
    deviations = x.std(0, ddof=1)
    assert frechet(x, y) == pytest.approx(25 + np.square(deviations).sum())
    assert abs(frechet(x, x)) < 1e-12
    with pytest.raises(ValueError, match="at least 2"):
        statistics(x[:1])


def test_the_jackknife_interval_of_the_frechet_distance_covers_what_repetition_shows() -> None:
    rng = np.random.default_rng(0)
    draws = [
        frechet_interval(rng.normal(size=(200, 4)) + 0.5, rng.normal(size=(200, 4)), seed=i)
        for i in range(150)
    ]
    truth = np.mean(
        [d.mean for d in draws]
    )  # the expected value at this number of images, bias included
    covered = np.mean([d.low <= truth <= d.high for d in draws])
    assert 0.88 < covered <= 1.0
    assert np.mean([d.high - d.low for d in draws]) == pytest.approx(
        4 * np.std([d.mean for d in draws]), rel=0.3
    )


def test_kid_is_torchmetrics_kid() -> None:
    from torchmetrics.image.kid import poly_mmd

    x, y = (s.astype(np.float32) for s in two_sets(120, 120, 32))
    theirs = float(poly_mmd(torch.tensor(x).double(), torch.tensor(y).double()))
    assert mmd(x, y) == pytest.approx(theirs, rel=1e-8) == kid(x, y).mean


def test_shifts_move_images_without_a_seam() -> None:
    x = torch.arange(64.0).reshape(1, 1, 8, 8).repeat(50, 1, 1, 1)
    moved = shift(x, torch.Generator().manual_seed(0))
    inner = {tuple(m[0, 2:6, 2:6].flatten().tolist()) for m in moved}
    expected = {
        tuple(x[0, 0, 2 + i : 6 + i, 2 + j : 6 + j].flatten().tolist())
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
    }
    assert inner == expected and moved.shape == x.shape


def test_the_id_of_an_extractor_is_that_of_its_weights() -> None:
    torch.manual_seed(0)
    network = build("cnn", 1, 8, 10).eval()
    first, again = ClassifierExtractor(network, "cpu"), ClassifierExtractor(network, "cpu")
    images = catalog.load("digits").test_images[:20]
    features = np.concatenate(list(first.batches(images)))
    assert features.shape == (20, 128) == (20, first.dimensions) and first.id == again.id
    with torch.no_grad():
        network.head.bias[0] += 1e-3
    assert ClassifierExtractor(network, "cpu").id != first.id
    assert np.array_equal(
        first.predict(features),
        network(torch.from_numpy(images / 127.5 - 1).float().permute(0, 3, 1, 2)).argmax(1).numpy(),
    )


class Trap:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("import dreamlab; dreamlab.trapped = True",)


def test_missing_foreign_and_malicious_inception_weights_are_refused(tmp_path: Path) -> None:
    import dreamlab

    with pytest.raises(ExtractorError, match="is not a file"):
        InceptionExtractor(str(tmp_path / "none.pth"), "cpu")
    torch.save({"w": torch.zeros(2)}, tmp_path / "foreign.pth")
    with pytest.raises(ExtractorError, match="weights of another network"):
        InceptionExtractor(str(tmp_path / "foreign.pth"), "cpu")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ExtractorError, match="does not hold the weights"):
        InceptionExtractor(str(tmp_path / "list.pth"), "cpu")
    for name, write in (
        ("pickle.pth", lambda p: p.write_bytes(pickle.dumps(Trap()))),
        ("torch.pth", lambda p: torch.save(Trap(), p)),
    ):
        write(tmp_path / name)
        with pytest.raises(ExtractorError, match="cannot be read as plain tensors"):
            InceptionExtractor(str(tmp_path / name), "cpu")
    assert not hasattr(dreamlab, "trapped")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunStore]:
    yield new_store(tmp_path_factory.mktemp("fidelity"))


def measure(
    store: RunStore, images: np.ndarray, labels: np.ndarray, **values: Any
) -> list[dict[str, Any]]:
    made = new_set(store, new_run(store, "train", {"dataset": "digits"}), images, labels)
    return list(fidelity(context(store, new_run(store, "fidelity", {"images": made.id, **values}))))


def test_the_task_measures_good_and_bad_images_with_a_classifier_trained_once(
    lab: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference_classifier, "shipped", lambda key: None)
    data = catalog.load("digits")
    events = measure(lab, data.train_images[:400], data.train_labels[:400])
    good = events[-1]["values"]
    assert any("Reference classifier" in e.get("text", "") for e in events)
    assert (
        good["extractor"]["accuracy"] > 0.95
        and good["extractor"]["dimensions"] == 128
        and good["recognised"] > 0.98
    )
    assert (
        good["reference"] == {"dataset": "digits", "split": "test", "images": 597}
        and good["images"] == 400
    )
    shares = ["precision", "recall", "density", "coverage"]
    assert (
        [m["name"] for m in good["metrics"]]
        == ["fd_classifier", "kid_classifier", *shares, "vendi", "spread"]
        == [m["name"] for m in good["real_floor"]]
    )
    assert all(m["low"] < m["value"] < m["high"] for m in good["metrics"])
    first = good["metrics"][0]
    assert first["n"] == 400 and first["level"] == 0.95 and first["direction"] == "lower"
    assert (first["reference"], first["role"]) == ("digits", "test")
    assert (first["extractor"], first["weights"]) == ("classifier", good["extractor"]["id"])
    assert good["fdr"]["low"] < 1 and good["gap"]["low"] > 0  # they are training images
    noise = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 1), np.uint8)
    events = measure(lab, noise, np.repeat(np.arange(10), 10))
    bad = events[-1]["values"]
    assert (
        not any("Reference classifier" in e.get("text", "") for e in events)
        and bad["extractor"]["id"] == good["extractor"]["id"]
    )
    assert (
        bad["metrics"][0]["low"] > 5 * good["metrics"][0]["high"]
        and bad["metrics"][1]["low"] > 0
        and bad["recognised"] < 0.3
    )
    assert (
        bad["real_floor_images"] == 100
        and bad["real_floor"][0]["value"] < bad["metrics"][0]["value"]
    )
    assert bad["fdr"]["low"] > 1 and bad["fdr"]["name"] == "fd_classifier / real"
    assert bad["appearance"]["difference"]["detail"]["low"] > 0
    again = measure(lab, noise, np.repeat(np.arange(10), 10))[-1]["values"]
    assert again["metrics"] == bad["metrics"]


def test_the_other_split_is_the_floor_when_training_images_are_the_reference(lab: RunStore) -> None:
    data = catalog.load("digits")
    found = measure(lab, data.test_images[:50], data.test_labels[:50], reference="train")[-1][
        "values"
    ]
    assert (
        found["reference"]["split"] == "train"
        and found["reference"]["images"] == 1200
        and found["real_floor_images"] == 50
    )


def test_what_cannot_be_measured_is_said(tmp_path: Path, lab: RunStore) -> None:
    data = catalog.load("digits")
    with pytest.raises(SpecError, match="at least 10"):
        measure(lab, data.test_images[:5], data.test_labels[:5])
    with pytest.raises(SpecError, match="is not a file"):
        measure(
            lab,
            data.test_images[:20],
            data.test_labels[:20],
            extractor="inception",
            inception_weights=str(tmp_path / "no.pth"),
        )
    store = new_store(tmp_path)
    made = new_set(
        store,
        new_run(store, "train", {"dataset": "digits"}),
        data.test_images[:20],
        data.test_labels[:20],
    )
    run = new_run(store, "fidelity", {"images": made.id})
    (run.path / "stop").touch()
    with pytest.raises(Stopped):
        list(fidelity(context(store, run)))
    (made.path / "images.npy").unlink()
    with pytest.raises(TaskError, match="cannot be read"):
        list(fidelity(context(store, run)))


def test_real_inception_features_are_torchmetrics_features(tmp_path: Path, lab: RunStore) -> None:
    if not SHARED.exists():
        pytest.skip("the Inception weights come from ../shared/data/get.py, which is not here")
    subprocess.run([sys.executable, str(SHARED), "inception", str(tmp_path)], check=True)
    weights = str(tmp_path / INCEPTION_FILE)
    from torchmetrics.image.fid import NoTrainInceptionV3

    data = catalog.load("digits")
    ours = np.concatenate(
        list(InceptionExtractor(weights, "cpu", batch_size=6).batches(data.test_images[:16]))
    )
    # without its antialiasing torchmetrics resizes as the original Inception does, and as
    # torch-fidelity always does
    theirs = NoTrainInceptionV3("inception", ["2048"], weights, antialias=False)
    x = torch.from_numpy(data.test_images[:16].copy()).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)
    assert np.abs(ours - theirs(x).numpy()).max() < 1e-5 * np.abs(ours).max()
    state = torch.load(weights, weights_only=True)
    assert InceptionExtractor(weights, "cpu").head is None, "this copy holds zeros in its place"
    whole = str(tmp_path / "whole.pth")
    torch.save(state | {"fc.weight": torch.randn(1008, 2048) / 20}, whole)
    said = InceptionExtractor(whole, "cpu").probabilities(ours)
    logits = NoTrainInceptionV3("inception", ["logits_unbiased"], whole, antialias=False)(x)
    assert said is not None and np.allclose(said, logits.softmax(1).numpy(), rtol=1e-3)
    torch.save(
        {k: v + 0.02 * torch.randn_like(v) if v.ndim == 4 else v for k, v in state.items()},
        tmp_path / "retrained.pth",
    )
    with pytest.raises(ExtractorError, match="is not weights-inception"):
        InceptionExtractor(str(tmp_path / "retrained.pth"), "cpu")


def test_the_documented_distance_of_torchmetrics(tmp_path: Path) -> None:
    """Of its first 64 features: 12.6388, and 12.6423 with these weights, which were rounded to half
    precision."""
    if not SHARED.exists():
        pytest.skip("the Inception weights come from ../shared/data/get.py, which is not here")
    subprocess.run([sys.executable, str(SHARED), "inception", str(tmp_path)], check=True)
    from torchmetrics.image.fid import FrechetInceptionDistance

    weights = str(tmp_path / INCEPTION_FILE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(42)  # as its documentation; making the network draws numbers too
        theirs = FrechetInceptionDistance(64, feature_extractor_weights_path=weights)
        shape = (100, 3, 299, 299)
        sets = [torch.randint(*e, shape, dtype=torch.uint8) for e in ((0, 200), (100, 255))]
    first, second = (statistics(theirs.inception(images).numpy()) for images in sets)
    assert distance(first, second) == pytest.approx(12.6423, abs=1e-4)


def test_imported_sets_are_measured_against_the_data_of_their_classes(lab: RunStore) -> None:
    data = catalog.load("digits")
    made = new_import(lab, data.train_images[:200], data.train_labels[:200], 200, dataset="digits")
    found = list(fidelity(context(lab, new_run(lab, "fidelity", {"images": made.id}))))[-1][
        "values"
    ]
    same = measure(lab, data.train_images[:200], data.train_labels[:200])[-1]["values"]
    assert found["metrics"] == same["metrics"] and found["recognised"] == same["recognised"] > 0.95
    own = colour_digits(lab)
    other = new_import(lab, *imageset.load(own.path), 400, dataset=own.id)
    events = list(fidelity(context(lab, new_run(lab, "fidelity", {"images": other.id}))))
    last = events[-1]["values"]
    assert (
        last["reference"] == {"dataset": own.id, "split": "test", "images": 100}
        and last["recognised"] > 0.8
    )
    assert any("on 100 real test images" in e.get("text", "") for e in events)
    with pytest.raises(SpecError, match="holds no synthetic images"):
        list(fidelity(context(lab, new_run(lab, "fidelity", {"images": own.id}))))
    grey = new_import(lab, data.train_images[:50], data.train_labels[:50], 50, dataset=own.id)
    with pytest.raises(SpecError, match="1 colour channels, but A set has 3"):
        list(fidelity(context(lab, new_run(lab, "fidelity", {"images": grey.id}))))


def test_a_dark_background_shows_with_its_error(lab: RunStore) -> None:
    images = np.full((40, 6, 6, 3), 200, np.uint8)
    images[:, 1:-1, 1:-1] = (255, 0, 0)
    images[20:, 0] = 0
    found = appearance(look_of(images))
    whole = np.array([20 * 200 + 16 * 0.299 * 255, 14 * 200 + 16 * 0.299 * 255]) / 36 / 255
    assert found["brightness"]["mean"] == pytest.approx(whole.mean(), abs=1e-6)
    assert found["border"]["mean"] == pytest.approx((1 + 14 / 20) / 2 * 200 / 255, abs=1e-6)
    assert found["border"]["error"] == pytest.approx(
        200 / 255 * 0.15 * np.sqrt(40 / 39) / np.sqrt(40), rel=1e-5
    )
    data = catalog.load("digits")
    bright = np.maximum(data.train_images[:60], 100)
    both = measure(lab, bright, data.train_labels[:60])[-1]["values"]["appearance"]
    real, made = both["real"], both["synthetic"]
    assert real["border"]["mean"] == pytest.approx(look_of(data.test_images)["border"].mean())
    assert made["border"]["mean"] - real["border"]["mean"] > 10 * made["border"]["error"] > 0


def test_large_sets_are_compared_by_a_part_of_every_class(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.repeat(np.arange(4), [1, 100, 300, 599])
    part = spread_over(labels, 100)
    assert np.bincount(labels[part]).tolist() == [1, 10, 30, 59] and np.array_equal(
        part, np.unique(part)
    )
    assert np.array_equal(spread_over(labels, 1000), np.arange(1000))
    monkeypatch.setattr("dreamlab.tasks.fidelity.sets.MOST_IMAGES", 100)
    images = np.arange(1000).astype(np.uint8).reshape(-1, 1, 1, 1)
    kept, classes = bounded(images, labels)
    assert np.array_equal(kept[:, 0, 0, 0], part.astype(np.uint8))
    assert np.array_equal(classes, labels[part])
    assert bounded(images[:100], labels[:100])[0].base is not None


def test_other_real_images_are_as_many_of_each_class_as_the_set_has() -> None:
    available = np.random.default_rng(1).permutation(np.repeat(np.arange(3), 40))
    labels = np.repeat(np.arange(3), [5, 30, 10])
    drawn, lacking = like(labels, 45, available)
    assert np.bincount(available[drawn]).tolist() == [5, 30, 10] and lacking is None
    assert len(like(None, 45, available)[0]) == 45 and len(like(None, 500, available)[0]) == 120
    # a class has too few: none, although there are as many in all
    drawn, lacking = like(np.repeat(np.arange(3), [5, 50, 10]), 65, available)
    assert len(drawn) == 0 and lacking == (1, 50, 40)


def test_the_reference_classifier_is_one_for_the_same_images_and_another_for_a_pool(
    lab: RunStore,
) -> None:
    def key(name: str, pool: np.ndarray | None = None) -> str:
        data = catalog.load(name)
        return cache_key(data, "", pool)

    images, labels = imageset.load(colour_digits(lab).path)
    first, again = new_import(lab, images, labels, 300), new_import(lab, images, labels, 300)
    other = new_import(lab, images // 2, labels, 300)
    assert (
        key(first.id) == key(again.id) != key(other.id)
        and recipe_of(catalog.info(first.id)).augment == "shift_and_mirror"
    )
    assert key("digits", np.arange(50)) != key("digits") != key("mnist5k")
    # under this name the extractor of the demo run is kept: it changes with VERSION alone
    assert key("mnist5k") == "reference/46b172e67afc000bff14211722c1f2ff"


def test_every_class_is_measured_by_itself_where_it_has_enough_images(lab: RunStore) -> None:
    data = catalog.load("digits")
    labels = data.train_labels
    few = np.flatnonzero(labels == 3)[:15]  # of the other classes, all but the 7 stay as they are
    rows = np.concatenate([few, *(np.flatnonzero(labels == c)[:60] for c in (0, 1, 2, 7))])
    images = data.train_images[rows].copy()
    images[labels[rows] == 7] = 255 - images[labels[rows] == 7]
    found = measure(lab, images, labels[rows], per_class=True)[-1]["values"]
    told = {m["name"]: {c["class"]: c for c in m["per_class"]} for m in found["metrics"]}
    kid = told["kid_classifier"]
    assert list(kid) == [str(c) for c in range(10)]
    assert kid["3"]["value"] is None and kid["3"]["n"] == 15 and kid["4"]["n"] == 0
    assert kid["7"]["low"] > max(kid[c]["high"] for c in "012")
    assert told["coverage"]["7"]["value"] < 0.1 < 0.6 < told["coverage"]["1"]["value"]
    # 60 images are fewer than the 128 features
    assert all(c["value"] is None for c in told["fd_classifier"].values())
    table = by_class(found["metrics"])
    assert table is not None and "fd_classifier" not in table["names"]
    assert [line["name"] for line in table["lines"]] == list(kid)
    assert by_class(measure(lab, images, labels[rows])[-1]["values"]["metrics"]) is None
