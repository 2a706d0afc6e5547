"""Pseudo-labels for a generator without classes: who is kept, what is said, and that it goes on
after a stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from dreamlab.checks import Known
from dreamlab.checks.synthetic_set import set_dataset
from dreamlab.data import catalog, imageset
from dreamlab.store import RunStore
from dreamlab.tasks.context import TaskContext, TaskError
from dreamlab.tasks.synthesize import pseudo_labels
from dreamlab.tasks.synthesize.pipeline import Pipeline
from dreamlab.tasks.synthesize.pseudo_labels import Quota
from dreamlab.tasks.synthesize.task import synthesize
from tests.sampling_helpers import trained_run
from tests.task_helpers import again, context, stop_after

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_first_that_are_sure_are_kept_whatever_comes_together() -> None:
    labels = np.array([0, 1, 0, 0, 1, 1, 0, 1])
    sure = np.array([0.9, 0.95, 0.5, 0.99, 0.2, 0.9, 0.99, 0.99])
    whole, parts = Quota.of(2, 2, 0.9), Quota.of(2, 2, 0.9)
    assert whole.take(labels, sure) == [(0, 0), (1, 2), (3, 1), (5, 3)]
    found = []
    for start in (0, 3, 6):
        more = parts.take(labels[start : start + 3], sure[start : start + 3])
        found += [(start + position, place) for position, place in more]
    assert found == [(0, 0), (1, 2), (3, 1), (5, 3)] and parts == whole and whole.full
    assert (whole.drawn, whole.unsure, whole.labelled, whole.kept) == (6, 2, [2, 2], [2, 2])
    assert whole.first == [[0, 3], [1, 5]]


def test_what_is_lacking_is_named() -> None:
    quota = Quota.of(8, 3, 0.5)
    quota.take(np.array([0, 0, 0, 0, 1]), np.full(5, 0.6))
    assert (
        quota.lacking()
        == "class 1 lacks 2, class 2 lacks 3, class 3 lacks 3, class 4 lacks 3, class 5 lacks 3 and"
        " 2 more classes lack some"
    )
    assert quota.kept[0] == 3 and quota.labelled[0] == 4 and not quota.full


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The numbers of the images that were drawn. In place of what random weights make come real
    digits, number i always the same, so that there is something to recognise."""
    drawn: list[int] = []
    original = Pipeline.frames
    data = catalog.load("digits")

    def frames(self: Pipeline, labels: Any, indices: Any, low: Any = None) -> Iterator[Any]:
        drawn.extend(indices)
        import torch

        images = (
            torch.from_numpy(data.test_images[np.array(list(indices)) % 597]).permute(0, 3, 1, 2)
            / 127.5
            - 1
        )
        for step in original(self, labels, indices, low):
            step.x.copy_(images)
            yield step

    monkeypatch.setattr(Pipeline, "frames", frames)
    yield drawn


@pytest.fixture(scope="module")
def source(store: RunStore) -> str:
    return trained_run(store, conditional=False, label_dropout=0.0, images_per_class=40).id


def labelled(store: RunStore, source: str, **more: Any) -> TaskContext:
    settings = {
        "source": source,
        "per_class": 6,
        "num_steps": 2,
        "guidance_weight": 0.0,
        "labeller": "own",
        **more,
    }
    return context(store, "synthesize", **settings)


def test_images_are_drawn_until_every_class_has_its_number(
    store: RunStore, source: str, draws: list[int]
) -> None:
    ctx = labelled(store, source)
    events = list(synthesize(ctx))
    result = events[-1]["values"]
    found = result["labelling"]
    images, labels = imageset.load(ctx.run.path)
    assert (
        labels.tolist() == np.repeat(np.arange(10), 6).tolist()
        and len(images) == 60 == result["images"]
    )
    truth = {
        image.tobytes(): c
        for image, c in zip(
            catalog.load("digits").test_images, catalog.load("digits").test_labels, strict=True
        )
    }
    right = np.mean(
        [truth[np.asarray(image).tobytes()] == c for image, c in zip(images, labels, strict=True)]
    )
    assert right >= 0.95 and 0.8 < found["accuracy"] < 1
    assert found["kept"] == [6] * 10 and found["labeller"] == "own" and found["confidence"] == 0.9
    assert (
        found["drawn"] == 60 + found["unsure"] + found["surplus"] <= len(draws)
        and sum(found["labelled"]) == 60 + found["surplus"]
    )
    assert events[-2]["name"] == "grid"
    assert set_dataset(Known(store), ctx.run.id, "images") == ("digits", True)


def test_the_batch_size_changes_nothing_and_a_stopped_run_goes_on(
    store: RunStore, source: str, draws: list[int]
) -> None:
    whole = labelled(store, source)
    result = list(synthesize(whole))[-1]["values"]["labelling"]
    parts = labelled(store, source, batch_size=7)
    stop_after(
        parts,
        synthesize,
        lambda e: e["type"] == "progress" and e["text"] == "sampling" and e["step"] > 20,
    )
    draws.clear()
    events = list(synthesize(again(parts)))
    assert draws[0] > 20 and events[-1]["values"]["labelling"] == result
    assert all(
        np.array_equal(a, b)
        for a, b in zip(imageset.load(whole.run.path), imageset.load(parts.run.path), strict=True)
    )
    shown = labelled(store, source, trajectory=2)
    draws.clear()
    list(synthesize(shown))
    last = draws[-60:]
    assert len(last) == 60 and len(set(last)) == 60 and max(last) < result["drawn"]


def test_a_labeller_of_all_images_knows_more_than_the_generators_own(
    store: RunStore, source: str, draws: list[int]
) -> None:
    few = trained_run(store, conditional=False, label_dropout=0.0, images_per_class=3).id
    own, every = (
        list(synthesize(labelled(store, few, labeller=name, label_confidence=0.2)))[-1]["values"][
            "labelling"
        ]
        for name in ("own", "all")
    )
    assert own["accuracy"] < every["accuracy"] - 0.05 and every["accuracy"] > 0.95


def test_a_class_that_does_not_fill_is_named_and_so_is_what_cannot_be_labelled(
    store: RunStore, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pseudo_labels, "MOST_DRAWS", 2)
    with pytest.raises(TaskError, match=r"After 120 images class \d lacks \d.*below 0.999"):
        list(synthesize(labelled(store, source, label_confidence=0.999)))
    conditional = trained_run(store).id
    with pytest.raises(TaskError, match="labels already; use none"):
        list(synthesize(labelled(store, conditional)))
    with pytest.raises(TaskError, match="always cover all classes"):
        list(synthesize(labelled(store, source, classes=(0,))))
