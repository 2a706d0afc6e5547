"""A set of the user's own in a study, in place of the images of one of its generators."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dreamlab import studies
from dreamlab.data import imageset
from dreamlab.experiments import plan
from dreamlab.experiments.study.report import report
from dreamlab.service import Refused, Service
from dreamlab.settings import SpecError, StudySpec, label_maps, make
from dreamlab.store import Run, RunStore
from dreamlab.studies import loader
from tests.evidence_helpers import finish, new_run, new_store
from tests.study_helpers import create
from tests.test_study_report import by_id, finish_all


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return new_store(tmp_path)


def given(store: RunStore, per_class: int = 12) -> Run:
    """An imported synthetic set of digits with images of the last two classes alone."""
    run = new_run(
        store, "import", {"source": "from ImageNet", "role": "synthetic", "dataset": "digits"}
    )
    labels = np.repeat([8, 9], per_class)
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8, 1), np.uint8)
    imageset.save(run.path, images, labels)
    finish(
        run,
        {
            "role": "synthetic",
            "images": len(labels),
            "train": len(labels),
            "test": 0,
            "image_size": 8,
            "left_out_counts": {},
        },
    )
    return run


@pytest.mark.parametrize(
    ("name", "roles", "users"),
    [
        (
            "s3-tail",
            ["generator:own", "set:own", "real", "truck", "ship", "both", "own"],
            {"truck", "ship", "both"},
        ),
        (
            "s3-targeted",
            ["generator:unconditional", "set:unconditional", "real", "targeted", "spread"],
            {"targeted"},
        ),
    ],
)
def test_a_set_takes_the_place_of_a_generator(
    name: str, roles: list[str], users: set[str], store: RunStore
) -> None:
    children = plan(make(StudySpec, {"study": name, "synthetic": "mine"}), store)
    assert [c.role for c in children] == roles
    assert {c.role for c in children if c.values.get("synthetic") == "mine"} == users
    assert (
        make(StudySpec, {"study": name}).content_hash()
        != make(StudySpec, {"study": name, "synthetic": "mine"}).content_hash()
    )


@pytest.mark.parametrize(("name", "scale"), [("s1-cas", "laptop"), ("s3-tail", "corrected")])
def test_a_study_that_names_no_part_takes_no_set(name: str, scale: str, store: RunStore) -> None:
    spec = make(StudySpec, {"study": name, "scale": scale, "synthetic": "mine"})
    with pytest.raises(SpecError, match=r"these do: s3-tail \(laptop, .*s3-targeted") as said:
        plan(spec, store)
    assert said.value.field == "synthetic" and "\n" not in str(said.value)
    assert f"{name} at the {scale} scale" in str(said.value)


def test_the_report_says_whose_images_were_used_and_what_is_not_known(store: RunStore) -> None:
    made = given(store)
    group, children = create(store, {"study": "s3-tail", "synthetic": made.id})
    finish_all(children, {"real": 0.7, "both": 0.9})
    found, usual = report(group, store), studies.load("s3-tail").scales["laptop"]
    assert found["complete"]
    first = found["remarks"][0]
    assert made.id in first and "a import" in first
    assert first.endswith("what its generator was trained on is not known.")
    assert found["generators"][0]["key"] == made.id and found["generators"][0]["foreign"]
    rows = by_id(found)
    assert rows["both-truck"]["stand_in"] == "images of a import"
    assert (
        rows["real-all"]["stand_in"] == rows["own-all"]["stand_in"] == "small CNN on 8x8 digits;"
        " + 10 of digit 8 (ship) or 9 (truck)"
    )
    left = set(usual.assumptions) - set(found["assumptions"])
    assert left == set(usual.of_generator) and len(left) == 1
    plain = report(create(store, {"study": "s3-tail"})[0], store)
    assert plain["assumptions"] == list(usual.assumptions) and plain["remarks"] == []


def test_a_set_with_too_few_images_is_refused_in_one_sentence(tmp_path: Path) -> None:
    service = Service(tmp_path / "runs")
    service.store.prepare()
    few, enough = given(service.store, 9), given(service.store)
    with pytest.raises(Refused, match="has 9 images of class 9 .*, but 10 are needed") as said:
        service.check("study", {"study": "s3-tail", "synthetic": few.id})
    assert said.value.field == "synthetic" and "\n" not in str(said.value)
    spec = service.check("study", {"study": "s3-tail", "synthetic": enough.id[-4:]})
    assert spec.references() == [enough.id]
    with pytest.raises(Refused, match="has 0 images of class 5"):
        service.check("study", {"study": "s3-targeted", "synthetic": enough.id})


def test_the_map_of_classes_is_shown_with_the_study() -> None:
    shown = studies.load("s3-tail").settings["Label map"]
    assert shown == label_maps.text("s3") and "truck: fire engine (555), garbage" in shown
    raw = loader.read("s3-tail")
    with pytest.raises(ValueError, match="There is no map of classes 's9'; there are s3"):
        loader.study_of("s3-tail", {**raw, "settings": {"Label map": "@s9"}})
