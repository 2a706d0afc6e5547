"""Folders of splits by further spellings, and classes that are called like splits."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreamlab.data.importing.class_folders import split_of
from dreamlab.data.importing.opening import open_source
from dreamlab.data.importing.proposal import propose
from dreamlab.settings import ImportSpec, make
from tests.import_helpers import class_files, folder_of
from tests.test_layouts import loose, read


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train2017", 0),
        ("trainset", 0),
        ("images_train", 0),
        ("ILSVRC2012_img_val", 1),
        ("01_train", 0),
        ("test1", 2),
        ("PublicTest", 2),
        ("asset", None),
        ("dataset", None),
        ("images", None),
        ("2017", None),
    ],
)
def test_further_names_of_splits(name: str, part: int | None) -> None:
    assert split_of(name) == part


@pytest.mark.parametrize("form", ["{part}/{cls}", "{cls}/{part}"])
@pytest.mark.parametrize("name", ["train", "test", "val"])
def test_a_class_called_like_a_split_is_not_left_out(tmp_path: Path, form: str, name: str) -> None:
    classes, files = ("bus", "car", name), {}
    for part in ("train", "test"):
        for file, data in class_files(classes, 4, f"{part}-/").items():
            _, cls, end = file.split("/")
            files[f"{form.format(part=part, cls=cls)}/{part}{end}"] = data
    source = folder_of(tmp_path / "s", files)
    found = read(source)
    assert f"{name} would become a class" in found.doubts[0].question
    assert found.doubts[0].answers[0][1] == {"layout": "top"}
    found = read(source, layout="top")
    assert found.doubts == () and found.classes == tuple(sorted(classes))
    for file, label in zip(found.names, found.labels, strict=True):
        folders = file.split("/")[:-1]
        assert found.classes[label] == folders[form.index("{cls}") > 0]
    assert int(found.test.sum()) == 12


def test_a_second_folder_of_the_test_part_is_no_class(tmp_path: Path) -> None:
    files = {**class_files(("cat", "dog"), 4, "train/train/"), **loose(3, "test/test/")}
    source = open_source(make(ImportSpec, {"source": str(folder_of(tmp_path / "s", files))}))
    source.close()
    assert source.listing.classes == ("cat", "dog") and source.listing.doubts == ()
    assert sum(source.left_out.counts.values()) == 3


@pytest.mark.parametrize(
    ("files", "layout", "classes"),
    [
        ({**loose(6, "train/"), **loose(6, "test/")}, "unlabelled", ["images"]),
        ({**class_files(("pass", "test", "fail"))}, "top", ["fail", "pass", "test"]),
    ],
    ids=["only splits", "one class among others"],
)
def test_a_proposal_shows_what_its_command_accepts(
    tmp_path: Path, files: dict[str, bytes], layout: str, classes: list[str]
) -> None:
    source = str(folder_of(tmp_path / "s", files))
    shown = propose(make(ImportSpec, {"source": source}))
    accepted = propose(make(ImportSpec, {"source": source, "layout": layout}))
    assert shown["command"].endswith(f"--layout {layout}") and shown["classes"] == classes
    assert shown["questions"] and not accepted["questions"]
    for key in ("layout", "reading", "classes", "per_class", "splits", "left_out_counts"):
        assert shown[key] == accepted[key]


def test_validation_images_in_the_training_part_are_said(tmp_path: Path) -> None:
    files = {
        name: data
        for part in ("train", "val", "test")
        for name, data in class_files(prefix=f"{part}/").items()
    }
    found = read(folder_of(tmp_path / "s", files))
    assert int(found.test.sum()) == 10 and "10 validation images" in found.notes[0]
