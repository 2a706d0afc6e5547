"""What is said beside a distance, and which real images a set and a curve are compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamlab.checks import Known
from dreamlab.checks.fidelity import check_fidelity, validation_images
from dreamlab.data import catalog, imageset
from dreamlab.data.selection import selected
from dreamlab.experiments import plan, report
from dreamlab.fidelity import wording
from dreamlab.settings import FidelitySpec, Spec, SpecError, SweepSpec, make
from dreamlab.settings.setting import added_later
from dreamlab.store import RunStore
from dreamlab.tasks.fidelity.sets import compared_sets
from dreamlab.tasks.fidelity.task import fidelity
from dreamlab.ui.parts.fidelity_numbers import about, reading
from tests.evidence_helpers import context, finish, new_group, new_run, new_store


def a_set(store: RunStore, count: int, made: dict[str, Any], **trained: Any) -> str:
    data = catalog.load("digits")
    generator = new_run(store, "train", {"dataset": "digits", **trained})
    run = new_run(store, "synthesize", {"source": generator.id, **made})
    imageset.save(run.path, data.train_images[:count], data.train_labels[:count])
    return run.id


def row(name: str, low: float | None, high: float | None = 1.0) -> dict[str, Any]:
    return {"name": name, "value": 0.5, "low": low, "high": high, "unit": ""}


def test_what_an_interval_does_not_show_is_said() -> None:
    kid, fd = "kid_classifier", "fd_classifier"
    assert wording.about_intervals([row(kid, 0.1)]) == []
    for low, high in ((-0.1, 0.2), (-0.2, -0.1), (0.0, 0.1)):
        (said,) = wording.about_intervals([row(kid, low, high)])
        assert said == f"{kid} shows no difference that this number of images can show."
    assert "Too few images" in wording.about_intervals([row(kid, None)])[0]
    (said,) = wording.about_intervals([row(fd, 2.0)])
    assert "does not hold its bias" in said
    assert wording.about_intervals([row("of another version", None)]) == []


@pytest.mark.parametrize(
    ("split", "floor", "trained_on"),
    [
        ("test", "of the training split", "trained on them"),
        ("train", "of the test split", "trained on the reference"),
        ("validation", "of the training split", "trained on these and on the reference"),
    ],
)
def test_the_floor_says_its_images(split: str, floor: str, trained_on: str) -> None:
    result = {
        "images": 50,
        "real_floor_images": 50,
        "real_floor": [row("fd_classifier", 0.1)],
        "reference": {"split": split, "images": 100, "dataset": "digits"},
        "extractor": {"name": "classifier"},
    }
    said = wording.about_floor(result)
    assert f"50 real images {floor}" in said and trained_on in said
    assert "trained on" not in wording.about_floor({**result, "extractor": {"name": "inception"}})
    few = {**result, "real_floor_images": 40}
    assert not wording.comparable(few) and "only 40 images" in wording.about_floor(few)
    assert said in reading({**result, "metrics": []})


def test_labels_that_a_classifier_gave_are_not_held_against_a_classifier(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    name = a_set(store, 40, {"labeller": "all"}, conditional=False)
    run = new_run(store, "fidelity", {"images": name})
    result = list(fidelity(context(store, run)))[-1]["values"]
    assert result["recognised"] is None and result["pseudo_labelled"]
    assert wording.CIRCULAR in about(result)
    # a result of an earlier version
    assert "recognised as their class is not given" in about({"recognised": 1.0}, pseudo=True)[1]
    assert "100.0 % of the synthetic images" in about({"recognised": 1.0})[1]


def test_the_validation_part_is_a_reference_and_the_floor_is_drawn_from_the_rest(
    tmp_path: Path,
) -> None:
    store = new_store(tmp_path)
    name = a_set(store, 50, {}, validation=0.2)
    spec = make(FidelitySpec, {"images": name, "reference": "validation"})
    sets = compared_sets(context(store, new_run(store, "fidelity", {"images": name})), spec)
    data = catalog.load("digits")
    trained = store.get(store.get(name).spec.source).spec
    aside = selected(trained).validation
    assert np.array_equal(sets.reference, data.train_images[aside])
    assert np.array_equal(np.bincount(sets.floor_labels), np.bincount(sets.labels))
    kept = {image.tobytes() for image in sets.reference}
    assert sum(image.tobytes() in kept for image in sets.floor) == 0
    without = a_set(store, 50, {})
    assert validation_images(Known(store), without) is None
    with pytest.raises(SpecError, match="set no images aside") as error:
        check_fidelity(
            make(FidelitySpec, {"images": without, "reference": "validation"}), Known(store)
        )
    assert error.value.field == "reference"


def references(store: RunStore, spec: Spec) -> set[str]:
    return {c.values["reference"] for c in plan(spec, store) if c.kind == "fidelity"}


def test_a_sweep_does_not_choose_on_test_images(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    plain = new_run(store, "train", {"dataset": "digits"})
    aside = new_run(store, "train", {"dataset": "digits", "validation": 0.1})
    few = new_run(
        store, "train", {"dataset": "digits", "validation": 0.004, "images_per_class": 20}
    )
    for source, expected in ((plain, "train"), (aside, "validation"), (few, "train")):
        assert references(store, make(SweepSpec, {"source": source.id})) == {expected}
    chosen = make(SweepSpec, {"source": aside.id, "reference": "test"})
    assert references(store, chosen) == {"test"}
    group, children = new_group(store, "sweep", {"source": plain.id, "values": (1.0,)})
    result = {
        "metrics": [row("fd_classifier", 0.1)],
        "real_floor": [row("fd_classifier", 0.1)],
        "real_floor_images": 40,
        "recognised": None,
        "extractor": {},
        "images": 50,
        "reference": {"dataset": "digits", "split": "train", "images": 1200},
    }
    finish(children["set:1"], {"seconds": 1.0})
    finish(children["fidelity:1"], result)
    found = report(group, store)
    assert found["reference_note"] == wording.NOT_ASIDE and found["best"] is not None
    # 40 real images do not compare with 50 synthetic ones
    assert found["points"][0]["real_floor"] == []


def test_a_sweep_of_an_earlier_version_keeps_its_reference_and_its_hash() -> None:
    before = {"source": "20250101-000000-abcd"}
    assert added_later(SweepSpec)["reference"] == "test"
    old = make(SweepSpec, {**before, "reference": "test"})
    assert old.content_hash() != make(SweepSpec, before).content_hash()


@pytest.mark.parametrize(
    ("name", "extractor", "dimensions", "images", "needed"),
    [
        ("fid", "inception", 2048, 2047, 2048),
        ("fid", "inception", 2048, 2048, 0),
        ("fd_classifier", "classifier", 128, 100, 128),
        ("fd_classifier", "classifier", 128, 128, 0),
        ("kid", "inception", 2048, 50, 0),
        ("precision", "inception", 2048, 50, 0),
    ],
)
def test_a_distance_of_too_few_images_is_grey_and_last(
    name: str, extractor: str, dimensions: int, images: int, needed: int
) -> None:
    rows = [row(name, 0.1), row("vendi", 0.1)]
    about_it = {"name": extractor, "dimensions": dimensions}
    result = {"metrics": rows, "images": images, "extractor": about_it}
    assert wording.too_few(rows[0], result) == needed
    first = wording.reliable_first(rows, result)[0]["name"]
    assert first == ("vendi" if needed else name)
    said = " ".join(about(result))
    assert (f"at least {needed:,} images" in said) == bool(needed)


def test_a_metric_without_a_value_leaves_its_run_readable(tmp_path: Path) -> None:
    run = new_run(new_store(tmp_path), "fidelity", {"images": "a-set"})
    metric = row("fd_classifier_infinite", None, None) | {"value": None}
    finish(run, {"metrics": [metric], "images": 50})
    assert run.status().state == "done", run.status().error
