"""Small and uneven data sets: what an import, a training and a classifier say before they cost
time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dreamlab.checks import Known
from dreamlab.checks.warnings import warning
from dreamlab.data import catalog, small_sets
from dreamlab.data.imageset import DataError
from dreamlab.data.importing.proposal import propose
from dreamlab.estimates.cost import Estimate
from dreamlab.estimates.slow import slow
from dreamlab.settings import ClassifySpec, ImportSpec, TrainSpec, make
from dreamlab.stats.components import paired_difference
from dreamlab.store import RunStore
from dreamlab.tasks import find_task
from tests.import_helpers import class_files, folder_of
from tests.task_helpers import context

SIX = "6 test images: an accuracy has steps of 16.7 points, and a comparison needs at least 10."
FEW = (
    "a generator mostly repeats them, and results depend on which images they are; use several"
    " subset seeds."
)


def notes(source: Path, **values: object) -> list[str]:
    return list(propose(make(ImportSpec, {"source": str(source), **values}))["notes"])


def test_fewer_changed_answers_than_are_said_are_never_significant() -> None:
    for images in (10, 100, 1000):
        for changed, shown in ((small_sets.LEAST_CHANGED - 1, False), (6, True)):
            difference = np.zeros((20, images))
            difference[:, :changed] = 1
            assert (paired_difference(difference).p < 0.05) == shown, (images, changed)
    assert paired_difference(np.eye(4, 10).sum(0) * np.ones((20, 1))).p < 0.05


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ([3, 3], [SIX]),
        ([1], ["1 test image: an accuracy has steps of 100 points, and a comparison needs at"]),
        (
            [5, 15],
            [
                "20 test images: an accuracy has steps of 5 points, and no difference below 20"
                " points can be shown.",
                "Classes with fewer than 10 test images get no comparison of their own: 1 of 2.",
            ],
        ),
        ([100, 100], []),
        (
            [1] * 500,
            ["Classes with fewer than 10 test images get no comparison of their own: 500 of 500."],
        ),
        ([], []),
    ],
)
def test_what_test_images_can_show(test: list[int], said: list[str]) -> None:
    found = small_sets.about_testing(test)
    assert len(found) == len(said)
    assert all(f.startswith(s) for f, s in zip(found, said, strict=True)), found


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ([2, 2, 2], [f"2 training images in each class: {FEW}"]),
        ([1, 9, 50], [f"1 to 9 training images in 2 of 3 classes: {FEW}", "Class c2 has 50 times"]),
        ([1, 10], [f"1 training image in class c0: {FEW}"]),
        (
            [1000, 1],
            [
                f"1 training image in class c1: {FEW}",
                "Class c0 has 1,000 times as many training images as class c1 (1,000 and 1)",
            ],
        ),
        ([3] * 500, [f"3 training images in each class: {FEW}"]),
        ([10, 199], []),
    ],
)
def test_what_training_images_can_give(train: list[int], said: list[str]) -> None:
    found = small_sets.about_training(train, [f"c{i}" for i in range(len(train))])
    assert len(found) == len(said)
    assert all(f.startswith(s) for f, s in zip(found, said, strict=True)), found


def test_a_small_set_says_the_same_before_and_after_the_import_and_in_what_uses_it(
    tmp_path: Path,
) -> None:
    files = class_files(("a", "b", "c"), 2, "train/") | class_files(("a", "b", "c"), 2, "test/")
    source = folder_of(tmp_path / "s", files)
    two = f"2 training images in each class: {FEW}"
    large = "A training step at 384 pixels costs about 36 times as much as at 64"
    before = notes(source, image_size=384)
    assert before[:2] == [two, SIX] and before[2].startswith(large)
    store = RunStore(tmp_path / "runs")
    store.prepare()
    ctx = context(store, "import", source=str(source))
    events = list(find_task("import")(ctx))
    assert events[-1]["values"]["notes"] == [two, SIX]
    catalog.add_runs_folder(store.folder)
    known, run = Known(store), ctx.run.id
    assert warning(make(TrainSpec, {"dataset": run}), known) == two
    assert warning(make(ClassifySpec, {"dataset": run, "arm": "real"}), known).endswith(SIX)
    assert warning(make(TrainSpec, {"dataset": "mnist5k", "images_per_class": 10}), known) == ""


def test_what_cannot_be_held_out_is_refused_before_a_run_is_made(tmp_path: Path) -> None:
    one = class_files(("ant",), 1) | class_files(("bee",), 9, "")
    with pytest.raises(DataError, match="Class ant of s is left without training images: 1 of its"):
        notes(folder_of(tmp_path / "s", one))
    of_one = class_files(("ant", "bee"), 9, "train/") | class_files(("ant",), 4, "test/")
    with pytest.raises(DataError, match="Class bee of t is left without test images"):
        notes(folder_of(tmp_path / "t", of_one))


def test_a_slow_training_names_the_size_that_is_not() -> None:
    spec = make(TrainSpec, {"dataset": "shapes", "image_size": 384})
    hours = Estimate(seconds=20_000.0, steps=2000)
    said = slow(spec, lambda _: hours)
    assert said.startswith(
        "At 384 pixels this machine makes about 6 steps in a minute (not measured here), and 2,000"
        " steps take 5 h 33 min: choose 64 pixels (--image-size 64), where a step costs "
    )
    assert "not measured" not in slow(
        spec, lambda _: Estimate(20_000.0, steps=2000, source="probe")
    )
    assert slow(spec, lambda _: Estimate(seconds=60.0, steps=2000, source="probe")) == ""
    assert slow(make(TrainSpec, {"dataset": "shapes"}), lambda _: hours) == ""
