"""Near-copies in runs: found when a set is imported or made, shown, and refused before a
classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamlab.checks import Known, check
from dreamlab.data import catalog, near_copies, near_copies_report
from dreamlab.settings import KINDS, SpecError, make
from dreamlab.store import RunStore
from dreamlab.tasks.classify.task import classify
from dreamlab.tasks.context import TaskContext
from dreamlab.tasks.importing.task import import_task
from dreamlab.ui.parts.near_copies import copies_html, within_html
from tests.evidence_helpers import finish
from tests.html_helpers import text
from tests.import_helpers import encoded, folder_of
from tests.near_copy_helpers import jpeg, noisy, shifted
from tests.task_helpers import context, stop_after


def written(folder: Path, images: np.ndarray, labels: np.ndarray, inside: str = "") -> Path:
    files = {f"{inside}{c}/{i}.png": encoded(images[i]) for i, c in enumerate(labels.tolist())}
    return folder_of(folder, files)


def imported(ctx: TaskContext) -> list[dict[str, Any]]:
    events = list(import_task(ctx))
    finish(ctx.run, events[-1]["values"])
    return events


@pytest.fixture(scope="module")
def foreign(store: RunStore, tmp_path_factory: pytest.TempPathFactory) -> TaskContext:
    """An imported synthetic set of 300 noise images and 20 mirrored test images."""
    data = catalog.load("digits")
    noise = np.random.default_rng(0).integers(0, 256, (300, 8, 8, 1), dtype=np.uint8)
    images = np.concatenate([noise, jpeg(shifted(data.test_images[:20, :, ::-1]), 90)])
    labels = np.concatenate([np.arange(300) % 10, data.test_labels[:20]])
    source = written(tmp_path_factory.mktemp("synthetic"), images, labels)
    ctx = context(store, "import", source=str(source), role="synthetic", dataset="digits")
    events = imported(ctx)
    said = [e["text"] for e in events if e["type"] == "message" and e["level"] == "warning"]
    assert any("20 are near-copies of test images" in s for s in said)
    return ctx


def test_test_images_in_an_imported_set_are_refused_and_shown(
    store: RunStore, foreign: TaskContext
) -> None:
    values = {"dataset": "digits", "arm": "real+1x", "images_per_class": 5}
    spec = make(KINDS["classify"], {**values, "synthetic": foreign.run.id})
    with pytest.raises(
        SpecError, match="20 of the 320 images of .* are copies of test images"
    ) as e:
        check(spec, Known(store))
    assert e.value.field == "synthetic"
    html = copies_html(foreign.run.path)
    assert "20 are near-copies of test images" in text(html) and "data:image/png" in html
    assert (foreign.run.path / near_copies_report.PICTURE).is_file()


def test_a_set_that_was_not_searched_is_searched_before_the_first_classifier(
    store: RunStore, foreign: TaskContext
) -> None:
    file = foreign.run.path / near_copies.FILE
    before = near_copies.load(foreign.run.path)
    file.unlink()
    assert not copies_html(foreign.run.path)
    ctx = context(
        store,
        "classify",
        dataset="digits",
        arm="real+1x",
        images_per_class=5,
        steps=10,
        seeds=1,
        synthetic=foreign.run.id,
    )
    check(ctx.spec, Known(store))  # nothing is known of it yet
    with pytest.raises(SpecError, match="20 of the 320 images"):
        list(classify(ctx))
    again = near_copies.load(foreign.run.path)
    assert again is not None and before is not None and again.limit == before.limit
    assert np.array_equal(again.test.of, before.test.of)


def test_a_training_split_with_test_images_in_it_is_refused_and_a_clean_one_is_not(
    store: RunStore, tmp_path: Path
) -> None:
    data = catalog.load("digits")
    few, clean = slice(0, 30), tmp_path / "clean"
    written(clean, data.train_images[:600], data.train_labels[:600], "train/")
    written(clean, data.test_images[:300], data.test_labels[:300], "test/")
    leak = tmp_path / "leak"
    leaked = np.concatenate([data.train_images[:600], noisy(data.test_images[few, :, ::-1], 4)])
    labels = np.concatenate([data.train_labels[:600], data.test_labels[few]])
    written(leak, leaked, labels, "train/")
    written(leak, data.test_images[:300], data.test_labels[:300], "test/")
    values = {"arm": "real", "images_per_class": 5}
    first = context(store, "import", source=str(clean))
    imported(first)
    check(make(KINDS["classify"], {**values, "dataset": first.run.id}), Known(store))
    own = catalog.load(first.run.id)
    assert "near-copies of training images" in text(within_html(near_copies.within(own), own))
    second = context(store, "import", source=str(leak))
    imported(second)
    found = near_copies.load(second.run.path)
    assert found is not None and len(found.training) >= 30
    html = within_html(found, catalog.load(second.run.id))
    said = f"{len(found.training)} pairs: a test image and, on its right, the training image"
    assert said in text(html)
    assert html.count("data:image/png") == 1 + bool(len(found.test))
    with pytest.raises(SpecError, match="of the 300 test images .* nearly the same as training"):
        check(make(KINDS["classify"], {**values, "dataset": second.run.id}), Known(store))


def test_an_import_that_is_stopped_while_it_is_searched_leaves_nothing(
    store: RunStore, tmp_path: Path
) -> None:
    data = catalog.load("digits")
    source = written(tmp_path / "mine", data.train_images[:200], data.train_labels[:200])
    ctx = context(store, "import", source=str(source), split_seed=3)
    stop_after(ctx, import_task, lambda event: "how near" in event.get("text", ""))
    left = {p.name for p in ctx.run.path.rglob("*") if p.is_file()}
    assert not left & {"images.npy", "labels.npy", "card.json", near_copies.FILE}
