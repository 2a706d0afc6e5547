"""Layouts of images and labels that people have: what is recognised, and what is asked."""

from __future__ import annotations

import io
import json
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.class_folders import split_of
from dreamlab.data.importing.listing import Listing
from dreamlab.data.importing.opening import open_source
from dreamlab.settings import ImportSpec, make
from tests.import_helpers import class_files, encoded, folder_of, picture, zip_of

ANIMALS = ("ant", "bee", "cow")
FORMS = {"png": "PNG", "jpg": "JPEG"}
Files = dict[str, bytes]


def read(source: Path, **values: Any) -> Listing:
    found = open_source(make(ImportSpec, {"source": str(source), **values}))
    found.close()
    return found.listing


def by_name(listing: Listing) -> dict[str, str]:
    """File -> class."""
    return {n: listing.classes[c] for n, c in zip(listing.names, listing.labels, strict=True)}


def loose(count: int, folder: str = "", ending: str = "png", digits: int = 0) -> Files:
    """Images without class folders: folder/0.png and so on."""
    return {
        f"{folder}{i:0{digits}d}.{ending}": encoded(
            picture(i), "JPEG" if ending == "jpg" else "PNG"
        )
        for i in range(count)
    }


def rows(head: str, *lines: str, separator: str = "\n") -> bytes:
    return separator.join((head, *lines)).encode()


def kind(i: int) -> str:
    return ANIMALS[i % 3]


def coco() -> bytes:
    images = [{"id": 7 + i, "file_name": f"{i}.png"} for i in range(12)]
    marks = [{"id": i, "image_id": 7 + i, "category_id": 40 + i % 3} for i in range(12)]
    marks.append({"id": 99, "image_id": 7, "category_id": 41})  # image 0 has two categories
    names = [{"id": 40 + c, "name": name} for c, name in enumerate(ANIMALS)]
    return json.dumps({"images": images, "annotations": marks, "categories": names}).encode()


TABLES: dict[str, Files] = {
    "ids without endings": {
        **loose(12, "train/", digits=4),
        **loose(5, "test/", digits=4),
        "train.csv": rows("id,label", *(f"{i:04d},{kind(i)}" for i in range(12))),
    },
    "names with endings, other words": {
        **loose(12, "train/", "jpg"),
        "train.csv": rows("Id,Category", *(f"{i}.jpg,{kind(i)}" for i in range(12))),
        "sample_submission.csv": rows("Id,Category"),
    },
    "paths from the table": {
        **loose(12, "a/images/"),
        "a/labels.csv": rows("file,class", *(f"images/{i}.png,{kind(i)}" for i in range(12))),
    },
    "tabs, quotes and a byte order mark": {
        **loose(12),
        "x.tsv": b"\xef\xbb\xbf"
        + rows('image\t"species"\tnote', *(f'{i}.png\t"{kind(i)}"\t"a\tb"' for i in range(12))),
    },
    "semicolons, Windows lines, latin-1": {
        **loose(12),
        "x.csv": "\r\n".join(
            ["Größe;datei;art", *(f"{i};{i}.png;{kind(i)}" for i in range(12))]
        ).encode("latin-1"),
    },
    "one-hot columns": {
        **loose(12),
        "x.csv": rows(
            "filename,ant,bee,cow",
            *(f"{i}.png,{','.join(str(float(i % 3 == c)) for c in range(3))}" for i in range(12)),
        ),
    },
    "the only column is the label": {
        **loose(12),
        "x.csv": rows("img,which", *(f"{i}.png,{kind(i)}" for i in range(12))),
    },
    "a list": {
        **loose(12, "my pictures/"),
        "list.txt": rows(*(f"my pictures/{i}.png {kind(i)}" for i in range(12))),
    },
    "no head": {**loose(12), "x.csv": rows(*(f"{i}.png,{kind(i)}" for i in range(12)))},
    "metadata.csv": {
        **loose(12, "train/"),
        "train/metadata.csv": rows("file_name,label", *(f"{i}.png,{kind(i)}" for i in range(12))),
    },
    "metadata.jsonl": {
        **loose(12, "train/"),
        "train/metadata.jsonl": rows(
            *(json.dumps({"file_name": f"{i}.png", "label": kind(i)}) for i in range(12))
        ),
    },
    "Windows paths": {
        **loose(12, "images/"),
        "x.csv": rows("path,label", *(f"images\\{i}.png,{kind(i)}" for i in range(12))),
    },
}
"""Images 0 to 11 whose classes are those of `kind`, by a table."""


@pytest.mark.parametrize("case", TABLES)
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_a_table_gives_the_classes(tmp_path: Path, case: str, packed: bool) -> None:
    files = TABLES[case]
    source = zip_of(tmp_path / "s.zip", files) if packed else folder_of(tmp_path / "s", files)
    found = read(source)
    assert found.doubts == () and found.classes == ANIMALS and found.labelled
    names = {Path(n).stem.lstrip("0") or "0": c for n, c in by_name(found).items()}
    assert names == {str(i): kind(i) for i in range(12)} and not found.test.any()
    assert "column" in found.reading


def test_annotations_of_coco_are_read_and_images_of_several_classes_left_out(
    tmp_path: Path,
) -> None:
    files = {**loose(12, "images/"), "annotations/instances.json": coco()}
    source = open_source(make(ImportSpec, {"source": str(folder_of(tmp_path / "s", files))}))
    names = {int(Path(n).stem): c for n, c in by_name(source.listing).items()}
    assert names == {i: kind(i) for i in range(1, 12)} and source.listing.classes == ANIMALS
    assert source.left_out.counts["without a label"] == 1


SPLITS: dict[str, Files] = {
    "a column": {
        **loose(12),
        "x.csv": rows(
            "file,label,Split",
            *(f"{i}.png,{kind(i)},{('train', 'valid', 'TEST')[i // 4]}" for i in range(12)),
        ),
    },
    "a table for each": {
        **loose(8, "seg_train/"),
        **{f"seg_test/{i}.png": d for i, d in enumerate(loose(12).values()) if i >= 8},
        "train.csv": rows("file,label", *(f"{i}.png,{kind(i)}" for i in range(8))),
        "test.csv": rows("file,label", *(f"{i}.png,{kind(i)}" for i in range(8, 12))),
    },
    "folders, one table": {
        **loose(8, "train/"),
        **{f"test/{i}.png": d for i, d in enumerate(loose(12).values()) if i >= 8},
        "all.csv": rows(
            "file,label", *(f"{'train' if i < 8 else 'test'}/{i}.png,{kind(i)}" for i in range(12))
        ),
    },
}


@pytest.mark.parametrize("case", SPLITS)
def test_a_table_keeps_the_split(tmp_path: Path, case: str) -> None:
    found = read(folder_of(tmp_path / "s", SPLITS[case]))
    held_out = {int(Path(n).stem) for n, t in zip(found.names, found.test, strict=True) if t}
    assert held_out == {8, 9, 10, 11} and len(found.names) == 12
    assert found.split and found.doubts == ()
    assert found.test.tolist() == sorted(found.test.tolist())


@pytest.mark.parametrize(
    "name",
    ["train", "Training", "training_set", "seg_train", "TRAIN-SET", "train images", "train_data"],
)
def test_a_split_is_known_by_any_usual_name(name: str) -> None:
    assert split_of(name) == 0


def test_no_class_is_taken_for_a_split() -> None:
    assert all(split_of(c) is None for c in ("trainer", "strain", "cat", "tests bench", "valley"))
    assert [split_of(n) for n in ("valid", "seg_test", "testing_set", "eval", "holdout")] == [
        1,
        2,
        2,
        1,
        2,
    ]


def _split_folders(form: str, parts: tuple[str, str]) -> Files:
    files: Files = {}
    for part, each in zip(parts, (5, 2), strict=True):
        for name, data in class_files(("cat", "dog"), each, f"{part}/").items():
            _, c, file = name.split("/")
            files[form.format(part=part, cls=c) + "/" + file.replace(".", f"-{part}.")] = data
    return files


@pytest.mark.parametrize(
    "form",
    [
        "{part}/{cls}",
        "{cls}/{part}",
        "{part}/{part}/{cls}",
        "archive/{part}/{cls}",
        "a/b/c/{part}/{cls}",
        "data/{part}/images/{cls}",
    ],
)
@pytest.mark.parametrize(
    "parts", [("train", "test"), ("training_set", "test_set"), ("seg_train", "holdout")]
)
def test_folders_of_splits_are_found_at_any_depth(
    tmp_path: Path, form: str, parts: tuple[str, str]
) -> None:
    found = read(folder_of(tmp_path / "s", _split_folders(form, parts)))
    assert found.classes == ("cat", "dog") and found.doubts == ()
    assert (int((~found.test).sum()), int(found.test.sum())) == (10, 4)
    assert np.bincount(found.labels).tolist() == [7, 7]


def test_imagenets_folders_are_read(tmp_path: Path) -> None:
    wnids = ("n01440764", "n01443537")
    files = {
        **class_files(wnids, 4, "ILSVRC/Data/CLS-LOC/train/"),
        **loose(3, "ILSVRC/Data/CLS-LOC/test/"),
    }
    source = open_source(make(ImportSpec, {"source": str(folder_of(tmp_path / "s", files))}))
    assert source.listing.classes == wnids and len(source.listing.names) == 8
    assert sum(source.left_out.counts.values()) == 3


def nested() -> Files:
    kinds = {"dogs": ("poodle", "beagle"), "cats": ("tabby", "beagle")}
    return {
        name: data
        for top, inner in kinds.items()
        for name, data in class_files(inner, 3, f"{top}/").items()
    }


def test_folders_inside_class_folders_are_asked_about(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "s", nested())
    doubt = read(source).doubts[0]
    assert "cats/beagle" in doubt.question
    chosen = [values for _, values in doubt.answers]
    assert chosen == [{"layout": "joined"}, {"layout": "top"}, {"layout": "leaf"}]
    wanted = {
        "joined": ("cats/beagle", "cats/tabby", "dogs/beagle", "dogs/poodle"),
        "top": ("cats", "dogs"),
        "leaf": ("beagle", "poodle", "tabby"),
    }
    for layout, classes in wanted.items():
        found = read(source, layout=layout)
        assert found.classes == classes and found.doubts == ()
        assert any(f"{len(classes)} classes" in words for words, _ in doubt.answers)


def test_a_folder_that_only_wraps_the_images_is_no_class(tmp_path: Path) -> None:
    files = {name.replace("/", "/images/"): d for name, d in class_files().items()}
    found = read(folder_of(tmp_path / "s", files))
    assert found.classes == ("cat", "dog") and found.doubts == ()


@pytest.mark.parametrize(
    ("files", "question"),
    [
        ({**loose(5, "train/"), **loose(3, "cat/")}, "train would become a class"),
        ({**class_files(), "bird/notes.txt": b"none"}, "hold no images: bird"),
        (
            {
                **class_files(),
                "x.csv": rows("file,label", "cat/0.png,a", "cat/1.png,b", "dog/0.png,a"),
            },
            "different classes",
        ),
        (
            {
                **loose(12),
                "x.csv": rows("file,a,b", *(f"{i}.png,{kind(i)},{i % 2}" for i in range(12))),
            },
            "Several columns",
        ),
        (
            {**loose(30), "x.csv": rows("file,label", *(f"{i}.png,{i}.5" for i in range(30)))},
            "30 different labels",
        ),
    ],
    ids=["called like a split", "class without images", "two readings", "columns", "no classes"],
)
def test_what_the_files_do_not_say_is_asked(tmp_path: Path, files: Files, question: str) -> None:
    source = folder_of(tmp_path / "s", files)
    found = read(source)
    assert question in found.doubts[0].question
    for _, chosen in found.doubts[0].answers:
        assert read(source, **chosen).doubts == ()  # the answer is enough


def test_a_column_can_be_named(tmp_path: Path) -> None:
    table = rows(
        "file,kind,half,part",
        *(f"{i}.png,{kind(i)},{i % 2},{'train' if i < 9 else 'test'}" for i in range(12)),
    )
    source = folder_of(tmp_path / "s", {**loose(12), "x.csv": table})
    found = read(source, labels="x.csv:kind", split_column="part")
    assert found.classes == ANIMALS and int(found.test.sum()) == 3
    assert read(source, labels="x.csv:half").classes == ("0", "1")
    for values, says in (
        ({"labels": "y.csv:kind"}, "tables there: x.csv"),
        ({"labels": "x.csv:art"}, "its columns are file, kind, half, part"),
        ({"labels": "x.csv:kind", "split_column": "half"}, "holds 0, 1"),
        ({"labels": "x.csv:kind", "split_column": "set"}, "is not there"),
    ):
        with pytest.raises(DataError, match=says):
            read(source, **values)


@pytest.mark.parametrize("files", [loose(9), loose(9, "a/"), loose(9, "a/b/")])
def test_images_without_labels_are_one_class(tmp_path: Path, files: Files) -> None:
    found = read(folder_of(tmp_path / "s", files), layout="unlabelled")
    assert not found.labelled and len(found.names) == 9 and not found.labels.any()
    assert found.reading == "images without labels"


def _tar(file: Path, files: Files, mode: str) -> Path:
    with tarfile.open(file, mode) as out:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo("./" + name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return file


def _windows(file: Path, files: Files) -> Path:
    with zipfile.ZipFile(file, "w") as out:
        for name, data in files.items():
            info = zipfile.ZipInfo()
            info.filename, info.create_system = name.replace("/", "\\"), 0
            out.writestr(info, data)
    return file


def _without_flag(file: Path, files: Files) -> Path:
    """A ZIP as macOS writes it: decomposed UTF-8 names without the flag, and __MACOSX."""
    with zipfile.ZipFile(file, "w") as out:
        for name, data in files.items():
            out.writestr(unicodedata.normalize("NFD", f"top/{name}"), data)
            out.writestr(f"__MACOSX/top/._{name}", b"x")
    data = bytearray(file.read_bytes())
    for mark, at in ((b"PK\x03\x04", 7), (b"PK\x01\x02", 9)):
        place = -1
        while (place := data.find(mark, place + 1)) >= 0:
            data[place + at] &= ~0x08
    file.write_bytes(data)
    return file


PACKED: dict[str, Callable[[Path, Files], Path]] = {
    "Windows": lambda p, f: _windows(p / "s.zip", f),
    "macOS": lambda p, f: _without_flag(p / "s.zip", f),
    "Linux": lambda p, f: zip_of(p / "s.zip", f),
    "tar": lambda p, f: _tar(p / "s.tar", f, "w"),
    "tar.gz": lambda p, f: _tar(p / "s.tar.gz", f, "w:gz"),
    "tgz": lambda p, f: _tar(p / "s.tgz", f, "w:gz"),
    "tar.bz2": lambda p, f: _tar(p / "s.tar.bz2", f, "w:bz2"),
    "tar.xz": lambda p, f: _tar(p / "s.tar.xz", f, "w:xz"),
    "decomposed folders": lambda p, f: folder_of(
        p / "s", {unicodedata.normalize("NFD", name): data for name, data in f.items()}
    ),
}


@pytest.mark.parametrize("case", PACKED)
def test_archives_made_anywhere_are_read(tmp_path: Path, case: str) -> None:
    files = class_files(("Käfer", "Straße", "Mücke"), 4)
    source = open_source(make(ImportSpec, {"source": str(PACKED[case](tmp_path, files))}))
    listing = source.listing
    assert listing.classes == ("Käfer", "Mücke", "Straße") and listing.doubts == ()
    assert len(listing.names) == 12
    for row, name in enumerate(listing.names):
        assert source.fetch(row)() == files[name.removeprefix("top/")]
    source.close()


@pytest.mark.parametrize("name", ["../evil.png", "/evil.png", "cat/../../evil.png", "C:/x.png"])
def test_a_hostile_name_in_a_tar_is_left_out(tmp_path: Path, name: str) -> None:
    file = tmp_path / "s.tar"
    with tarfile.open(file, "w") as out:
        for member, data in {**class_files(), name: b"x"}.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("cat/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        out.addfile(link)
    source = open_source(make(ImportSpec, {"source": str(file)}))
    assert source.left_out.counts == {"path outside the folder": 1, "symbolic link": 1}
    assert len(source.listing.names) == 10
