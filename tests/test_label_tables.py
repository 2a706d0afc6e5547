"""Tables of labels as people have them: which image a row means, which column is the label, and
what is asked instead of guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dreamlab.data.importing.listing import Listing
from dreamlab.data.importing.opening import open_source
from dreamlab.data.importing.table_files import UnusableTable, rows_of
from dreamlab.settings import ImportSpec, make
from tests.import_helpers import class_files, encoded, folder_of, picture
from tests.test_layouts import ANIMALS, Files, by_name, kind, loose, read, rows

TWELVE = range(12)


def right(found: Listing) -> bool:
    """Whether images 0 to 11 have the classes of `kind`, and nothing is asked."""
    classes = {int(Path(n).stem.split("_")[-1]): c for n, c in by_name(found).items()}
    return found.doubts == () and classes == {i: kind(i) for i in TWELVE}


def labelled(head: str = "file,label", form: str = "{}.png") -> bytes:
    return rows(head, *(f"{form.format(i)},{kind(i)}" for i in TWELVE))


READ: dict[str, Files] = {
    "paths of another machine": {
        **loose(12, "images/"),
        "x.csv": labelled(form="/home/bob/set/images/{}.png"),
    },
    "paths of another Windows machine": {
        **loose(12, "images/"),
        "x.csv": labelled(form="C:\\bob\\images\\{}.png"),
    },
    "lines of old Macs": {**loose(12, "images/"), "labels.csv": labelled().replace(b"\n", b"\r")},
    "a comment first": {**loose(12), "x.csv": b"# made by a program\n" + labelled()},
    "UTF-16 without its mark": {**loose(12), "x.csv": labelled().decode().encode("utf-16-le")},
    "decomposed names": {
        **{f"Ba\u0308r_{i}.png": encoded(picture(i)) for i in TWELVE},
        "x.csv": labelled(form="B\u00e4r_{}.png"),
    },
    "no head and no endings": {**loose(12), "x.csv": rows(*(f"{i},{kind(i)}" for i in TWELVE))},
    "one-hot in words": {
        **loose(12),
        "x.csv": rows(
            "file,ant,bee,cow",
            *(f"{i}.png,{','.join(str(i % 3 == c) for c in range(3))}" for i in TWELVE),
        ),
    },
    "words beside numbers": {
        **loose(12),
        "x.csv": rows("file,label,class_name", *(f"{i}.png,{i % 3},{kind(i)}" for i in TWELVE)),
    },
    "a list of records": {
        **loose(12),
        "x.json": json.dumps(
            [{"file_name": f"{i}.png", "label": kind(i)} for i in TWELVE]
        ).encode(),
    },
    "an object": {
        **loose(12),
        "x.json": json.dumps({f"{i}.png": kind(i) for i in TWELVE}).encode(),
    },
    "COCO with texts for numbers": {
        **loose(12, "images/"),
        "annotations/x.json": json.dumps(
            {
                "images": [{"id": str(i), "file_name": f"{i}.png"} for i in TWELVE],
                "annotations": [{"image_id": i, "category_id": str(i % 3)} for i in TWELVE],
                "categories": [{"id": c, "name": ANIMALS[c]} for c in range(3)],
            }
        ).encode(),
    },
    "a form for submissions": {
        **loose(12, "train/"),
        **{f"test/{i}.png": encoded(picture(i)) for i in range(100, 120)},
        "train.csv": labelled("id,label", "{}"),
        "sample_submission.csv": rows("id,label", *(f"{i},{kind(i)}" for i in range(100, 120))),
    },
    "labels of the training part": {
        **loose(12, "train/"),
        **loose(12, "test/"),
        "train_labels.csv": labelled("id,label", "{}"),
    },
}


@pytest.mark.parametrize("case", READ)
def test_a_table_is_read(tmp_path: Path, case: str) -> None:
    assert right(read(folder_of(tmp_path / "s", READ[case])))


SPLIT: dict[str, Files] = {
    "tables for each": {
        **loose(12, "images/"),
        "train_labels.csv": rows("id,label", *(f"{i},{kind(i)}" for i in range(8))),
        "test_labels.csv": rows("id,label", *(f"{i},{kind(i)}" for i in range(8, 12))),
    },
    "a column with another name": {
        **loose(12),
        "x.csv": rows(
            "file,label,stage",
            *(f"{i}.png,{kind(i)},{'train' if i < 8 else 'test'}" for i in TWELVE),
        ),
    },
    "a table of class folders": {
        **{f"{kind(i)}/{i}.png": encoded(picture(i)) for i in TWELVE},
        "x.csv": rows("file,split", *(f"{i}.png,{'train' if i < 8 else 'test'}" for i in TWELVE)),
    },
    "lists of class folders": {
        **{f"{kind(i)}/{i}.png": encoded(picture(i)) for i in TWELVE},
        "train.txt": rows(*(f"{kind(i)}/{i}" for i in range(8))),
        "test.txt": rows(*(f"{kind(i)}/{i}" for i in range(8, 12))),
    },
    "equal names in both parts": {
        **{f"{'train' if i < 8 else 'test'}/{i % 8}_{i}.png": encoded(picture(i)) for i in TWELVE},
        "x.csv": rows(
            "file,label,split",
            *(f"{i % 8}_{i}.png,{kind(i)},{'train' if i < 8 else 'test'}" for i in TWELVE),
        ),
    },
}


@pytest.mark.parametrize("case", SPLIT)
def test_the_split_of_a_table_is_kept(tmp_path: Path, case: str) -> None:
    found = read(folder_of(tmp_path / "s", SPLIT[case]))
    assert right(found)
    held = {
        int(Path(n).stem.split("_")[-1]) for n, t in zip(found.names, found.test, strict=True) if t
    }
    assert held == {8, 9, 10, 11} and found.split


ASKED: dict[str, tuple[Files, str]] = {
    "rows name no image": (
        {**loose(12, "images/"), "x.csv": labelled(form="picture-{}.png")},
        "x.csv may hold labels, but its rows name none of the images",
    ),
    "rows name several images": (
        {**loose(12, "images/"), **loose(12, "masks/"), "x.csv": labelled()},
        "several images are called 0.png",
    ),
    "two files for an id": (
        {**loose(12), **loose(12, ending="jpg"), "x.csv": labelled("id,label", "{}")},
        "several images are called 0",
    ),
    "numbers that are no ids": (
        {**loose(12), "x.csv": rows("patient,age", "A,3", "B,4")},
        "its column age holds numbers",
    ),
    "a damaged table": (
        {**loose(12), "x.jsonl": b'{"file_name": "0.png", "label": "a"}\nno json'},
        "x.jsonl may hold labels, but it cannot be read",
    ),
    "malformed COCO": (
        {
            **loose(12, "images/"),
            "x.json": json.dumps(
                {"images": [{"file_name": "0.png"}, 7], "annotations": 5, "categories": [{}]}
            ).encode(),
        },
        "x.json may hold labels, but it cannot be read",
    ),
    "two columns of labels": (
        {
            **loose(12),
            "x.csv": rows("file,label,species", *(f"{i}.png,{i % 2},{kind(i)}" for i in TWELVE)),
        },
        "Several columns of x.csv",
    ),
    "only numbers": (
        {**loose(12), "x.csv": rows("file,width", *(f"{i}.png,{64 * (i % 2)}" for i in TWELVE))},
        "width, holds numbers",
    ),
    "two tables": (
        {
            **loose(12),
            "a.csv": labelled(),
            "b.csv": rows("file,label", *(f"{i}.png,{i % 2}" for i in TWELVE)),
        },
        "a.csv and b.csv give the images different labels",
    ),
    "names that differ in case": (
        {
            **loose(12),
            "x.csv": rows("file,label", *(f"{i}.png,{('Cat', 'cat')[i % 2]}" for i in TWELVE)),
        },
        "The classes Cat and cat differ only in case",
    ),
    "masks": ({**loose(12, "images/"), **loose(12, "masks/")}, "masks would become a class"),
}


@pytest.mark.parametrize("case", ASKED)
def test_what_a_table_does_not_say_is_asked(tmp_path: Path, case: str) -> None:
    files, question = ASKED[case]
    source = folder_of(tmp_path / "s", files)
    doubts = read(source).doubts
    assert any(question in doubt.question for doubt in doubts)
    values: dict[str, Any] = {}
    for doubt in doubts:
        values |= doubt.answers[0][1]
    assert read(source, **values).doubts == ()  # the answers are enough


def test_two_tables_with_the_same_classes_are_one(tmp_path: Path) -> None:
    numbers = rows("file,label", *(f"{i}.png,{i % 3}" for i in TWELVE))
    found = read(folder_of(tmp_path / "s", {**loose(12), "a.csv": labelled(), "b.csv": numbers}))
    assert right(found)
    assert found.notes == ("b.csv gives the same classes as a.csv under other names.",)


def test_what_has_no_label_or_is_not_there_is_counted(tmp_path: Path) -> None:
    table = rows(
        "file,label,split",
        *(
            f"{i}.png,{kind(i) if i > 1 else ('', 'NaN')[i]},{'train' if i < 8 else 'test'}"
            for i in range(11)
        ),
        "11.png,bee,spare",
        "99.png,ant,train",
    )
    files = {**loose(13), "x.csv": table}
    source = open_source(make(ImportSpec, {"source": str(folder_of(tmp_path / "s", files))}))
    source.close()
    assert sorted(int(Path(n).stem) for n in source.listing.names) == list(range(2, 11))
    assert source.listing.classes == ANIMALS and int(source.listing.test.sum()) == 3
    assert source.left_out.counts == {
        "without a label": 3,
        "not in the training or test part": 1,
        "named by a table, but not there": 1,
    }


def test_a_column_that_is_no_split_is_said(tmp_path: Path) -> None:
    table = rows("file,label,split", *(f"{i}.png,{kind(i)},{'ab'[i % 2]}" for i in TWELVE))
    found = read(folder_of(tmp_path / "s", {**loose(12), "x.csv": table}))
    assert right(found)
    assert found.notes == ("Column split of x.csv is no split: it holds a, b.",)


def test_a_table_with_far_more_rows_than_images_is_not_read() -> None:
    with pytest.raises(UnusableTable, match="more than 10,000 rows for 3 images"):
        rows_of("x.csv", b"file,label\n" + b"a.png,x\n" * 10_001, 3)


def test_the_folder_of_a_table_is_no_class(tmp_path: Path) -> None:
    files = {**class_files(), "annotations/boxes.xml": b"<a/>"}
    found = read(folder_of(tmp_path / "s", files))
    assert found.doubts == () and found.classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("column", "values"), [("is_train", "10"), ("Is_Test", "01"), ("is_validation", ["no", "yes"])]
)
def test_a_column_that_says_yes_or_no_is_the_split(
    tmp_path: Path, column: str, values: Any
) -> None:
    head = f"file,label,{column}"
    lines = (f"{i}.png,{kind(i)},{values[i % 4 == 3]}" for i in TWELVE)
    found = read(folder_of(tmp_path / "s", {**loose(12), "x.csv": rows(head, *lines)}))
    assert right(found)
    test = {int(Path(n).stem) for n, t in zip(found.names, found.test, strict=True) if t}
    assert test == {3, 7, 11} and f"split by column {column}" in found.reading


def test_categories_of_one_name_stay_apart() -> None:
    coco = {
        "images": [{"id": i, "file_name": f"{i}.png"} for i in range(3)],
        "annotations": [{"image_id": i, "category_id": i} for i in range(3)],
        "categories": [
            {"id": 0, "name": "bank"},
            {"id": 1, "name": "bank"},
            {"id": 2, "name": "x"},
        ],
    }
    found = rows_of("labels.json", json.dumps(coco).encode(), 3)
    assert [row["category"] for row in found] == ["bank (0)", "bank (1)", "x"]
