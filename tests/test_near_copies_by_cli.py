"""Sets with planted near-copies from a terminal: what an import says of them, and which runs are
refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dreamlab.data import catalog, near_copies, near_copies_report
from tests.conftest import ROOT, dreamlab
from tests.content_helpers import digits_of, idx
from tests.near_copy_helpers import jpeg, noisy, shifted, there_and_back

MIX = ("mix", "--dataset", "digits", "--images-per-class", "5", "--arms", "real,real+1x")


def written(folder: Path, images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]) -> None:
    for i, (image, c) in enumerate(zip(images, labels.tolist(), strict=True)):
        file = folder / classes[c] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(file)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("planted-runs") / "runs"


def imported(runs: Path, folder: Path, *words: str) -> tuple[str, str]:
    """(run id, what was said) of an import."""
    status, answer, err = dreamlab(runs, "import", "--from", str(folder), *words)
    assert status == 0, err
    return answer["run"], err


def test_a_set_with_changed_test_images_is_refused_with_a_sentence(
    runs: Path, tmp_path: Path
) -> None:
    data, rng = catalog.load("digits"), np.random.default_rng(0)
    test = data.test_images
    planted = (
        np.ascontiguousarray(test[:10, :, ::-1]),
        noisy(test[10:20], 1),
        jpeg(test[20:30], 95),
        there_and_back(test[30:40], 2),
        shifted(test[40:50]),
        rng.integers(0, 256, (300, 8, 8, 1), dtype=np.uint8),
    )
    labels = np.concatenate([data.test_labels[:50], np.arange(300) % 10])
    written(tmp_path, np.concatenate(planted), labels, data.info.classes)
    run, said = imported(runs, tmp_path, "--role", "synthetic", "--dataset", "digits")
    assert "50 are near-copies of test images" in said
    assert "No classifier is trained on this set." in said
    for words in ((*MIX, "--set", run), (*MIX, "--set", run, "--dry-run")):
        status, answer, _ = dreamlab(runs, *words)
        assert (status, answer["run"], answer["state"]) == (2, None, "refused")
        assert f"50 of the 350 images of {run} are copies of test images" in answer["error"]
        assert near_copies_report.PICTURE in answer["error"]
    assert (runs / run / near_copies_report.PICTURE).is_file()


def test_training_images_in_a_set_are_said_and_allowed(runs: Path, tmp_path: Path) -> None:
    data, rng = catalog.load("digits"), np.random.default_rng(1)
    images = (
        noisy(data.train_images[:60], 2),
        rng.integers(0, 256, (300, 8, 8, 1), dtype=np.uint8),
    )
    labels = np.concatenate([data.train_labels[:60], np.arange(300) % 10])
    written(tmp_path, np.concatenate(images), labels, data.info.classes)
    run, said = imported(runs, tmp_path, "--role", "synthetic", "--dataset", "digits")
    assert "60 are near-copies of training images" in said
    status, _, err = dreamlab(runs, *MIX, "--set", run, "--dry-run")
    assert status == 0 and f"{run}: Of the 360 images" in err
    assert "60 are near-copies of training images" in err


@pytest.mark.parametrize("within", [False, True])
def test_a_test_split_with_near_copies_is_refused_or_said(
    runs: Path, tmp_path: Path, within: bool
) -> None:
    """Of training images: refused. Of its own test images: said, because they count twice."""
    data = catalog.load("digits")
    copies, labels = noisy(data.test_images[:40], 1), data.test_labels
    train, test = data.train_images[:600], data.test_images[:300]
    parts = {"train": (train, data.train_labels[:600]), "test": (test, labels[:300])}
    more, of = parts["test" if within else "train"]
    parts["test" if within else "train"] = (
        np.concatenate([more, copies]),
        np.concatenate([of, labels[:40]]),
    )
    for name, (images, classes) in parts.items():
        written(tmp_path / name, images, classes, data.info.classes)
    run, said = imported(runs, tmp_path)
    words = ("classify", "--dataset", run, "--arm", "real", "--images-per-class", "5", "--dry-run")
    status, answer, err = dreamlab(runs, *words)
    if within:
        assert status == 0 and "which count more than once" in said
        assert "of other test images, which count more than once" in err
    else:
        assert status == 2 and "No classifier is tested on them" in said
        assert "nearly the same as training images" in answer["error"]
    found = near_copies.load(runs / run)
    assert found is not None and (found.splits_leak, found.repeats_within) == (not within, within)


def test_a_class_of_test_images_is_refused_by_its_name(runs: Path, tmp_path: Path) -> None:
    """It is only 1 % of the set, but all that the arm takes."""
    data, rng = catalog.load("digits"), np.random.default_rng(2)
    eights = data.test_images[data.test_labels == 8][:6]
    images = np.concatenate([eights, rng.integers(0, 256, (594, 8, 8, 1), dtype=np.uint8)])
    labels = np.concatenate(
        [np.full(6, 8), np.array([0, 1, 2, 3, 4, 5, 6, 7, 9])[np.arange(594) % 9]]
    )
    written(tmp_path, images, labels, data.info.classes)
    run, said = imported(runs, tmp_path, "--role", "synthetic", "--dataset", "digits")
    assert "of test images, 6 of the 6 images of class 8. No classifier is trained" in said
    words = ("mix", "--dataset", "digits", "--images-per-class", "5", "--arms", "real,real+6@8")
    status, answer, _ = dreamlab(runs, *words, "--set", run, "--dry-run")
    assert status == 2 and "among them 6 of the 6 images of class 8, so" in answer["error"]


def test_a_set_that_could_not_be_searched_is_searched_before_any_classifier(
    runs: Path, tmp_path: Path
) -> None:
    """The folder of its data set is known only to the mix."""
    rng, folder = np.random.default_rng(5), idx(tmp_path / "data")
    test = digits_of()["x_test"][..., None]
    images = np.concatenate([rng.integers(0, 256, (100, 28, 28, 1), np.uint8), test])
    written(tmp_path / "set", images, np.arange(120) % 10, tuple(map(str, range(10))))
    run, said = imported(runs, tmp_path / "set", "--role", "synthetic", "--dataset", "mnist")
    assert said.count("will be looked for before the first classifier") == 1
    words = (*MIX, "--set", run, "--data-dir", str(folder), "--steps", "20", "--seeds", "2")
    words = tuple("mnist" if word == "digits" else word for word in words)
    line = [sys.executable, "-m", "dreamlab", *words, "--runs", str(runs)]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 2
    sentence = f"Synthetic set: 20 of the 120 images of {run} are copies of test images"
    assert (done.stdout + done.stderr).count(sentence) == 1
    assert not list(runs.glob("*classify*/result.json"))
    assert not list(runs.glob("*classify*/predictions.npz"))
    mix = next(runs.glob("*-mix-mnist-*"))
    status, answer, _ = dreamlab(runs, "runs", "resume", mix.name)
    assert status == 2 and answer["error"].startswith(sentence)
    assert not list(runs.glob("*classify*/predictions.npz"))


def test_the_sentence_of_a_failed_import_is_printed_once(runs: Path, tmp_path: Path) -> None:
    for c in ("bee", "cat"):
        (tmp_path / c).mkdir()
        for name in ("1.png", "2.png"):
            (tmp_path / c / name).write_bytes(b"no image")
    words = ("import", "--from", str(tmp_path), "--layout", "top")
    line = [sys.executable, "-m", "dreamlab", *words, "--runs", str(runs)]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 1
    assert (done.stdout + done.stderr).count("holds no image that can be used") == 1
