"""Classes of imported synthetic images are matched as one set; what is ambiguous is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.listing import Listing
from dreamlab.data.importing.matching import (
    Unmatched,
    as_setting,
    class_numbers,
    matched,
    target_of,
)
from dreamlab.data.importing.proposal import propose
from dreamlab.settings import ImportSpec, label_maps, make
from tests.import_helpers import class_files, do_import, folder_of

DIGITS = tuple(map(str, range(10)))
FRUIT = ("apple", "Red Pear", "plum")
FLOWERS = tuple(str(c) for c in range(1, 103))


def match(names: tuple[str, ...], classes: tuple[str, ...], **said: bool) -> list[int]:
    none = np.zeros(0, np.int64)
    listing = Listing("mine", [], none, none.astype(bool), names, "", **said)
    return matched(listing, "the set", classes).tolist()


@pytest.mark.parametrize(
    ("names", "classes", "said", "found"),
    [
        (("7", "3"), DIGITS, {}, [7, 3]),
        (DIGITS, DIGITS, {"numbered": True}, list(range(10))),
        (("0", "1", "2"), FRUIT, {"numbered": True}, [0, 1, 2]),
        (("2", "0"), FRUIT, {}, [2, 0]),
        (("red-pear", "Plum"), FRUIT, {}, [1, 2]),
        (("RED_PEAR",), FRUIT, {"named": True}, [1]),
        (FLOWERS, FLOWERS, {}, list(range(102))),
        (tuple(map(str, range(102))), FLOWERS, {"numbered": True}, list(range(102))),
        (("5", "7"), FLOWERS, {"named": True}, [4, 6]),
        (FLOWERS, FLOWERS, {"numbered": True}, list(range(102))),
        (DIGITS[1:], DIGITS, {}, list(range(1, 10))),
        (("cat", "Cat"), ("Cat", "cat"), {}, [1, 0]),
    ],
)
def test_what_can_be_read_in_one_way_is_matched(
    names: tuple[str, ...], classes: tuple[str, ...], said: dict[str, bool], found: list[int]
) -> None:
    assert match(names, classes, **said) == found


@pytest.mark.parametrize(
    ("names", "classes", "said", "says"),
    [
        (("apple", "kiwi"), FRUIT, {}, "only some are classes of the set .*: kiwi cannot be match"),
        (("apple", "1"), FRUIT, {}, "only some are classes of the set .*: 1 cannot be matched"),
        (("cat", "dog"), FRUIT, {}, "none are classes of the set"),
        (
            tuple(map(str, range(1, 11))),
            DIGITS,
            {},
            "10 numbers 1 to 10, as if counted from 1, but",
        ),
        (("1", "2", "3"), FRUIT, {}, "3 numbers 1 to 3, as if counted from 1"),
        (("1", "2"), FRUIT, {}, "2 numbers 1 to 2, as if counted from 1"),
        (("2",), FRUIT, {}, "1 numbers 2 to 2, but"),
        (
            ("0", "2"),
            FRUIT,
            {"numbered": True},
            "numbered 0 to 2 .*every class, or use these names",
        ),
        (("0", "1", "2", "3"), FRUIT, {"numbered": True}, "4 numbers 0 to 3, but"),
        (("5", "7"), FLOWERS, {}, "may be names or numbers from 0"),
        (DIGITS[1:], DIGITS, {"numbered": True}, "9 numbers 1, .* array `classes` holds the names"),
        (DIGITS[:3], DIGITS, {"numbered": True}, "3 numbers 0, 1, 2, without names"),
        (("7",), DIGITS, {"numbered": True}, "1 numbers 7, without names"),
        (("5", "7"), FLOWERS, {"numbered": True}, "2 numbers 5, 7, without names"),
        (("2", "1", "0"), ("2", "0", "1"), {}, "may be names or numbers from 0"),
        (("red_pear", "Red-Pear"), FRUIT, {}, "red_pear, Red-Pear of mine are the same class"),
        (("0", "00"), FRUIT, {}, "0, 00 of mine are the same class of the set, apple"),
        (("CAT",), ("Cat", "cat"), {}, "Class CAT may be Cat or cat of the set"),
    ],
)
def test_what_is_ambiguous_or_partly_unknown_is_refused(
    names: tuple[str, ...], classes: tuple[str, ...], said: dict[str, bool], says: str
) -> None:
    with pytest.raises(DataError, match=says) as refused:
        match(names, classes, **said)
    text = str(refused.value)
    assert text.endswith(".") and text.count(". ") == 0 and "; " in text


def test_labels_of_an_array_without_names_count_all_classes(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28), np.uint8)
    values = {"role": "synthetic", "dataset": "fashion_mnist"}
    for name, labels, extra in (
        ("all", np.arange(20) % 10, {}),
        ("some", np.arange(20) % 2, {}),
        ("one", 1 + np.arange(20) % 10, {}),
        ("named", np.arange(20) % 2, {"classes": np.array(["Bag", "sandal"])}),
    ):
        np.savez(tmp_path / f"{name}.npz", images=images, labels=labels, **extra)
    result, _ = do_import(tmp_path / "all.npz", tmp_path / "1", **values)
    assert result["per_class"] == [2] * 10
    with pytest.raises(Unmatched, match="2 of the 10 classes") as asked:
        do_import(tmp_path / "named.npz", tmp_path / "2", **values)
    classes = as_setting(asked.value.answers[0][1])
    result, _ = do_import(tmp_path / "named.npz", tmp_path / "2", classes=classes, **values)
    assert result["per_class"] == [0, 0, 0, 0, 0, 10, 0, 0, 10, 0]
    for name, says in (("some", "the 2 numbers 0 to 1, but"), ("one", "as if counted from 1")):
        with pytest.raises(DataError, match=says):
            do_import(tmp_path / f"{name}.npz", tmp_path / "3", **values)


def test_labels_from_1_to_9_of_digits_need_names(tmp_path: Path) -> None:
    """They may count the classes 0 to 8 from 1, or leave out the class 0."""
    images = np.random.default_rng(0).integers(0, 256, (18, 8, 8), np.uint8)
    labels, values = 1 + np.arange(18) % 9, {"role": "synthetic", "dataset": "digits"}
    np.savez(tmp_path / "bare.npz", images=images, labels=labels)
    with pytest.raises(DataError, match="may be these or count other classes from 0 or 1"):
        do_import(tmp_path / "bare.npz", tmp_path / "1", **values)
    np.savez(tmp_path / "named.npz", images=images, labels=labels, classes=np.array(DIGITS))
    classes = ",".join(f"{name}={name}" for name in DIGITS[1:])
    result, _ = do_import(tmp_path / "named.npz", tmp_path / "2", classes=classes, **values)
    assert result["per_class"] == [0, *[2] * 9]


def test_folders_that_match_partly_are_refused_before_any_image_is_read(tmp_path: Path) -> None:
    files = {f"{c}/1.png": b"no image" for c in ("7", "3", "cat")}
    with pytest.raises(DataError, match="only some are classes of Handwritten digits"):
        do_import(
            folder_of(tmp_path / "s", files), tmp_path / "run", role="synthetic", dataset="digits"
        )
    assert not (tmp_path / "run" / "images.npy").exists()


@pytest.mark.parametrize("names", [("Ankle_Boot", "T-Shirt"), ("9", "0")])
def test_a_synthetic_set_without_some_classes_is_asked_about(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    source = folder_of(tmp_path / "s", class_files(names, 2))
    values = {"role": "synthetic", "dataset": "fashion_mnist"}
    with pytest.raises(Unmatched, match="2 of the 10 classes.*none of trouser, pullover") as asked:
        do_import(source, tmp_path / "run", **values)
    assert not (tmp_path / "run" / "images.npy").exists()
    question = propose(make(ImportSpec, {"source": str(source), **values}))["questions"][0]
    assert [answer["settings"] for answer in question["answers"]] == [
        {"classes": as_setting(asked.value.answers[0][1])}
    ]
    result, _ = do_import(source, tmp_path / "run", **question["answers"][0]["settings"], **values)
    assert result["per_class"] == [2, 0, 0, 0, 0, 0, 0, 0, 0, 2]


TRUCKS = ("fire engine", "garbage truck", "liner", "goldfish")


def _pictures(folder: Path, classes: tuple[str, ...]) -> Path:
    return folder_of(folder, class_files(classes, 6))


def test_a_class_map_joins_and_renames_classes(tmp_path: Path) -> None:
    source = _pictures(tmp_path / "s", TRUCKS)
    table = tmp_path / "map.csv"
    table.write_text("From,to\nfire engine,truck\ngarbage truck,truck\nliner,ship\n")
    result, _ = do_import(source, tmp_path / "run", class_map=str(table))
    assert result["classes"] == ["goldfish", "ship", "truck"] and result["per_class"] == [6, 6, 12]
    words = "fire engine=truck,garbage truck=truck"
    result, _ = do_import(source, tmp_path / "other", classes=words)
    assert result["classes"] == ["goldfish", "liner", "truck"]


def test_a_class_map_leads_to_classes_of_the_data_set(tmp_path: Path) -> None:
    source = _pictures(tmp_path / "s", TRUCKS)
    values = {"role": "synthetic", "dataset": "digits", "image_size": 8}
    words = "fire engine=7,garbage truck=7,liner=3"
    result, _ = do_import(source, tmp_path / "run", classes=words, **values)
    assert [c for c, n in enumerate(result["per_class"]) if n] == [3, 7]
    assert result["left_out_counts"]["of a class that the class map does not name"] == 6
    for wrong, says in (
        ("tank=7", "names tank, but the classes of s are"),
        ("liner=ship", "leads to ship, which Handwritten digits"),
        ("liner", "not of the form FROM=TO"),
        ("liner=1,liner=2", "both 1 and 2"),
    ):
        with pytest.raises(DataError, match=says):
            do_import(source, tmp_path / "no", classes=wrong, **values)


@pytest.mark.parametrize("role", ["real", "synthetic"])
def test_a_class_map_leaves_a_class_out_by_name(tmp_path: Path, role: str) -> None:
    """Also one that has the name of a class of the data set."""
    source = folder_of(tmp_path / "s", class_files(("0", "3", "odd"), 3))
    own = {"role": role, "dataset": "digits"} if role == "synthetic" else {}
    spec = make(ImportSpec, {"source": str(source), "classes": "3=,odd=1", **own})
    found = propose(spec)
    assert sum(found["per_class"]) == 6
    assert [(row["from"], row["to"]) for row in found["mapping"]] == [
        ("0", "0"),
        ("3", ""),
        ("odd", "1"),
    ]
    with pytest.raises(DataError, match="leaves out every class"):
        propose(make(ImportSpec, {**spec.model_dump(), "classes": "0=,3=,odd="}))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,2\n", "has the columns a, b"),
        ("from,to\ncar\n", "the row of car has not both"),
        (None, "cannot be read"),
    ],
)
def test_a_class_map_that_is_none_is_refused(tmp_path: Path, text: str | None, says: str) -> None:
    source, table = _pictures(tmp_path / "s", TRUCKS), tmp_path / "map.csv"
    if text is not None:
        table.write_text(text)
    with pytest.raises(DataError, match=says):
        do_import(source, tmp_path / "run", class_map=str(table))


IMAGENET = ("510", "555", "fire_engine", "Pickup", "n04461696", "pirate, pirate ship", "goldfish")


def test_the_map_of_study_s3_takes_names_and_numbers_of_imagenet() -> None:
    none = np.zeros(0, np.int64)
    listing = Listing("mine", [], none, none.astype(bool), IMAGENET, "")
    spec = make(
        ImportSpec, {"source": "x", "role": "synthetic", "dataset": "cifar10", "class_map": "s3"}
    )
    found, classes = class_numbers(listing, spec, target_of(spec))
    assert classes[8:] == ("ship", "truck")
    assert found.tolist() == [8, 9, 9, 9, 9, 8, -1]
    assert [(row.id, row.to) for row in label_maps.load("s3")] == [
        *((number, "truck") for number in ("555", "569", "717", "864", "867")),
        *((number, "ship") for number in ("510", "724")),
    ]
    more = spec.model_copy(update={"classes": "goldfish=frog,Pickup=automobile"})
    assert class_numbers(listing, more, target_of(more))[0].tolist() == [8, 9, 9, 1, 9, 8, 6]


def test_a_set_without_any_class_of_a_map_is_refused(tmp_path: Path) -> None:
    source = _pictures(tmp_path / "s", ("goldfish", "8"))
    with pytest.raises(
        DataError, match="none of the classes of s .* map s3; it has fire engine or"
    ):
        do_import(source, tmp_path / "run", class_map="s3")
    result, _ = do_import(_pictures(tmp_path / "t", TRUCKS), tmp_path / "other", class_map="s3")
    assert result["classes"] == ["goldfish", "liner", "truck"], "real images keep other names"
