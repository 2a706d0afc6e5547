"""Files and data sets of Hugging Face: Parquet, folders of `save_to_disk`, and the hub."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dreamlab.data.imageset import DataError
from dreamlab.data.importing import limits
from dreamlab.data.importing.opening import open_source
from dreamlab.data.importing.proposal import propose
from dreamlab.data.importing.source import Source
from dreamlab.settings import ImportSpec, make
from tests.import_helpers import class_files, do_import, encoded, folder_of, picture, zip_of

NAMES = ["dog", "cat", "eel"]
"""Names of classes in another order than that of the alphabet."""
IMAGE, CLASSES = {"_type": "Image"}, {"_type": "ClassLabel", "names": NAMES}
Columns = dict[str, Any]


def image_of(row: int) -> np.ndarray:
    """The image of a row, 16x16 pixels."""
    return picture(5000 + row)


def images(rows: Sequence[int], form: str = "struct") -> pa.Array:
    files = [encoded(image_of(row)) for row in rows]
    if form == "struct":
        held = [{"bytes": data, "path": None} for data in files]
        return pa.array(held, pa.struct({"bytes": pa.binary(), "path": pa.string()}))
    return pa.array(files, pa.large_binary() if form == "large" else pa.binary())


def table(columns: Columns, features: dict[str, Any] | None = None) -> pa.Table:
    """A table, with `features` as the package datasets writes them."""
    made = pa.table(columns)
    if features is None:
        return made
    about = json.dumps({"info": {"features": features}})
    return made.replace_schema_metadata({"huggingface": about})


def rows_of(rows: Sequence[int], named: bool = True, form: str = "struct") -> pa.Table:
    """Images whose class is the row modulo 3, with or without names of the classes."""
    columns = {"image": images(rows, form), "label": pa.array([row % 3 for row in rows])}
    return table(columns, {"image": IMAGE, "label": CLASSES} if named else None)


def parquet(file: Path, made: pa.Table, **options: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(made, file, **options)
    return file


def arrow(folder: Path, made: pa.Table, shards: int = 2, split: str | None = None) -> Path:
    """A folder as `datasets.Dataset.save_to_disk` writes it."""
    folder.mkdir(parents=True)
    step, files = -(-made.num_rows // shards), []
    for i in range(shards):
        files.append(f"data-{i:05d}-of-{shards:05d}.arrow")
        with pa.ipc.new_stream(folder / files[-1], made.schema) as out:
            out.write_table(made.slice(i * step, step), max_chunksize=4)
    state = {"_data_files": [{"filename": name} for name in files], "_split": split}
    features = json.loads(made.schema.metadata[b"huggingface"])["info"]["features"]
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    return folder


def shards(folder: Path, train: int = 2) -> Path:
    """Rows 0 to 17 for training in `train` files, and rows 18 to 23 for testing."""
    step = 18 // train
    for i in range(train):
        name = f"train-{i:05d}-of-{train:05d}.parquet"
        parquet(folder / name, rows_of(range(i * step, i * step + step)), row_group_size=5)
    parquet(folder / "test-00000-of-00001.parquet", rows_of(range(18, 24)))
    return folder


def both(folder: Path) -> Path:
    """The same as a folder of `DatasetDict.save_to_disk`."""
    arrow(folder / "train", rows_of(range(18)))
    arrow(folder / "test", rows_of(range(18, 24)), 1)
    (folder / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    return folder


def cached(folder: Path) -> Path:
    """The same, where a result of the package was cached among the files."""
    both(folder)
    (folder / "train" / "cache-0123.arrow").write_bytes(b"anything")
    return folder


def by_folder(folder: Path) -> Path:
    """The same as the hub's own Parquet files: a folder for each split."""
    parquet(folder / "default" / "partial-train" / "0000.parquet", rows_of(range(9)))
    parquet(folder / "default" / "partial-train" / "0001.parquet", rows_of(range(9, 18)))
    parquet(folder / "default" / "test" / "0000.parquet", rows_of(range(18, 24)))
    return folder


def packed(folder: Path) -> Path:
    files = {f"data/{f.name}": f.read_bytes() for f in shards(folder / "plain").iterdir()}
    return zip_of(folder / "set.zip", files)


def tarred(folder: Path) -> Path:
    made = both(folder / "set")
    with tarfile.open(folder / "set.tar.gz", "w:gz") as out:
        out.add(made, "set")
    return folder / "set.tar.gz"


def opened(source: Path, **values: Any) -> Source:
    return open_source(make(ImportSpec, {"source": str(source), **values}))


def pixels(source: Source) -> list[bytes]:
    files = [source.fetch(row)() for row in range(len(source.listing.names))]
    assert all(isinstance(file, bytes) for file in files)
    return [np.asarray(Image.open(io.BytesIO(file))).tobytes() for file in files]  # type: ignore[arg-type]


def expected(rows: Sequence[int]) -> list[bytes]:
    return [image_of(row).tobytes() for row in rows]


FORMS: dict[str, Callable[[Path], Path]] = {
    "shards": shards,
    "shards in data/": lambda p: shards(p / "data").parent,
    "a file for each split": lambda p: shards(p, 1),
    "a folder for each split": lambda p: by_folder(p),
    "save_to_disk": both,
    "save_to_disk with a cache": cached,
    "ZIP of shards": packed,
    "tar of save_to_disk": tarred,
    "ZIP of save_to_disk": lambda p: zip_of(
        p / "set.zip", {str(f.relative_to(p)): f.read_bytes() for f in both(p / "set").rglob("*.*")}
    ),
}
"""Rows 0 to 17 for training and 18 to 23 for testing."""


@pytest.mark.parametrize("form", FORMS)
def test_a_data_set_of_hugging_face_is_read_with_its_names_and_split(
    tmp_path: Path, form: str
) -> None:
    source = opened(FORMS[form](tmp_path / "s"))
    listing = source.listing
    assert pixels(source) == expected(range(24)) and not source.left_out.counts
    assert listing.classes == tuple(NAMES) and listing.named and not listing.numbered
    assert listing.labels.tolist() == [row % 3 for row in range(24)]
    assert listing.test.tolist() == [False] * 18 + [True] * 6 and listing.split == "its own files"
    assert "labels from column label, images from column image of" in listing.reading
    assert listing.doubts == ()


@pytest.mark.parametrize("form", ["struct", "plain", "large"])
def test_one_file_without_declared_columns_is_read(tmp_path: Path, form: str) -> None:
    source = opened(parquet(tmp_path / "a.parquet", rows_of(range(12), False, form)))
    assert pixels(source) == expected(range(12))
    assert source.listing.classes == ("0", "1", "2") and source.listing.numbered
    assert not source.listing.split and source.listing.title == "a"
    result, _ = do_import(tmp_path / "a.parquet", tmp_path / "run")
    assert result["images"] == 12 and result["per_class"] == [4, 4, 4]


def test_one_file_of_a_saved_folder_knows_its_classes(tmp_path: Path) -> None:
    arrow(tmp_path / "set", rows_of(range(12)), 2)
    source = opened(tmp_path / "set" / "data-00001-of-00002.arrow")
    assert pixels(source) == expected(range(6, 12)) and source.listing.classes == tuple(NAMES)


LABELS: dict[str, tuple[list[Any], tuple[str, ...]]] = {
    "numbers": ([10, 2, 1] * 4, ("1", "2", "10")),
    "names": (["ox", "cow", "bee"] * 4, ("bee", "cow", "ox")),
    "whole floats": ([10.0, 2.0, 1.0] * 4, ("1", "2", "10")),
    "true or false": ([True, False, True] * 4, ("0", "1")),
}


@pytest.mark.parametrize("case", LABELS)
@pytest.mark.parametrize("encoded_as", ["values", "dictionary"])
def test_labels_in_any_form_are_read(tmp_path: Path, case: str, encoded_as: str) -> None:
    values, classes = LABELS[case]
    column = pa.array(values)
    made = pa.table(
        {
            "pixels": images(range(12)),
            "class": column.dictionary_encode() if encoded_as == "dictionary" else column,
        }
    )
    listing = opened(parquet(tmp_path / "a.parquet", made)).listing
    assert listing.classes == classes and "column class" in listing.reading
    words = [str(int(v)) if not isinstance(v, str) else v for v in values]
    assert [listing.classes[c] for c in listing.labels] == words


def test_images_without_a_label_are_left_out_and_named(tmp_path: Path) -> None:
    """Test sets of competitions have the label -1."""
    shards(tmp_path, 1)
    hidden = {"image": images(range(18, 24)), "label": pa.array([-1] * 6)}
    parquet(
        tmp_path / "test-00000-of-00001.parquet", table(hidden, {"image": IMAGE, "label": CLASSES})
    )
    parquet(
        tmp_path / "validation-00000-of-00001.parquet",
        table(
            {"image": images(range(24, 30)), "label": pa.array([0, 1, 2, 7, None, 0])},
            {"image": IMAGE, "label": CLASSES},
        ),
    )
    source = opened(tmp_path)
    assert dict(source.left_out.counts) == {"without a label": 7, "label out of range": 1}
    assert pixels(source) == expected([*range(18), 24, 25, 26, 29])
    assert source.listing.test.sum() == 4, "then the validation images are for testing"
    assert {"file": "validation-00000-of-00001.parquet row 3", "reason": "label out of range"} in (
        source.left_out.files
    )


@pytest.mark.parametrize("column", [None, -1, "text"])
def test_without_labels_all_images_are_one_class(tmp_path: Path, column: Any) -> None:
    columns: Columns = {"image": images(range(9))}
    if column is not None:
        text = [f"a picture with number {row}" for row in range(9)]
        columns["text" if column == "text" else "label"] = text if column == "text" else [-1] * 9
    listing = opened(parquet(tmp_path / "a.parquet", pa.table(columns))).listing
    assert not listing.labelled and listing.classes == ("images",) and len(listing.names) == 9
    assert listing.reading == "images without labels from column image of a.parquet"
    kept = shards(tmp_path / "s")
    assert not opened(kept, layout="unlabelled").listing.labelled


def several(folder: Path) -> Path:
    """Two columns that may be labels, two of images, one that gives the classes of another under
    other names, and a column of splits."""
    fine = [row % 4 for row in range(16)]
    columns = {
        "photo": images(range(16)),
        "mask": images(range(100, 116)),
        "fine": fine,
        "coarse": [row // 2 for row in fine],
        "coarse_name": ["ab"[row // 2] for row in fine],
        "part": ["train"] * 12 + ["test"] * 4,
    }
    return parquet(folder / "a.parquet", pa.table(columns))


def test_labels_below_zero_are_asked_about(tmp_path: Path) -> None:
    made = {"image": images(range(8)), "label": pa.array([-1, 1] * 4)}
    file = parquet(tmp_path / "two.parquet", table(made))
    source = opened(file)
    (doubt,) = source.listing.doubts
    assert doubt.sentence.startswith("4 of 8 images have labels below 0 (-1)")
    (kept, classes), (_, none) = doubt.answers
    assert kept == "they are classes" and none == {"layout": "table"}
    named = opened(file, **classes)
    assert named.listing.classes == ("-1", "1") and not named.listing.doubts
    assert pixels(named) == expected(range(8))
    left_out = opened(file, layout="table")
    assert left_out.listing.classes == ("1",) and len(left_out.listing.labels) == 4


def test_the_only_column_of_numbers_is_asked_about(tmp_path: Path) -> None:
    made = {"image": images(range(8)), "width": pa.array([16, 32] * 4)}
    file = parquet(tmp_path / "wide.parquet", table(made))
    (doubt,) = opened(file).listing.doubts
    assert "width, holds numbers" in doubt.sentence
    (_, classes), (_, none) = doubt.answers
    assert opened(file, **classes).listing.classes == ("16", "32")
    assert opened(file, **none).listing.classes == ("images",)


def test_columns_that_the_file_does_not_decide_are_asked_about(tmp_path: Path) -> None:
    source = several(tmp_path)
    image, label = propose(make(ImportSpec, {"source": str(source)}))["questions"]
    assert image["question"] == "Several columns of a.parquet hold images."
    assert "choose --image-column photo (column photo), or --image-column mask" in image["sentence"]
    assert [a["settings"]["image_column"] for a in image["answers"]] == ["photo", "mask"]
    assert [(a["settings"]["labels"], a["words"]) for a in label["answers"]] == [
        (":fine", "column fine: 4 classes"),
        (":coarse_name", "column coarse_name: 2 classes"),
        (":part", "column part: 2 classes"),
    ]
    for names in (":coarse", "a.parquet:coarse", "coarse"):
        found = opened(source, labels=names, image_column="mask", split_column="part")
        assert found.listing.doubts == () and found.listing.classes == ("0", "1")
        assert pixels(found) == expected(range(100, 116))
        assert found.listing.test.sum() == 4 and "column part" in found.listing.split
    asked = {**image["answers"][0]["settings"], **label["answers"][0]["settings"]}
    assert opened(source, **asked).listing.doubts == ()


def test_declared_classes_come_before_other_columns(tmp_path: Path) -> None:
    features = {"image": IMAGE, "kind": CLASSES, "species": {"_type": "Value"}}
    columns = {
        "image": images(range(12)),
        "species": ["x", "y"] * 6,
        "kind": [row % 3 for row in range(12)],
    }
    listing = opened(parquet(tmp_path / "a.parquet", table(columns, features))).listing
    assert listing.classes == tuple(NAMES) and listing.doubts == ()
    features["other"] = {"_type": "ClassLabel", "names": ["p", "q"]}
    columns["other"] = [row // 6 for row in range(12)]
    doubt = opened(parquet(tmp_path / "b.parquet", table(columns, features))).listing.doubts[0]
    assert [chosen["labels"] for _, chosen in doubt.answers] == [":kind", ":other"]


def test_odd_values_are_left_out_with_their_reasons(tmp_path: Path) -> None:
    files = [encoded(picture(row, (10 + row, 14))) for row in range(8)]
    held: list[Any] = [{"bytes": data, "path": "x.png"} for data in files]
    held += [None, {"bytes": None, "path": None}, {"bytes": None, "path": "/etc/hostname"}]
    held += [{"bytes": b"no image", "path": None}, {"bytes": files[0][:60], "path": None}]
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    columns = {"image": pa.array(held, kind), "label": ["a", "b"] * 6 + ["a"]}
    result, _ = do_import(parquet(tmp_path / "a.parquet", pa.table(columns)), tmp_path / "run")
    assert result["images"] == 8 and result["image_size"] == 64  # other sizes
    assert result["left_out_counts"] == {
        "without an image": 2,
        "a path instead of the image itself": 1,
        "not an image": 1,
        "truncated": 1,
    }


def cut(folder: Path) -> Path:
    file = shards(folder) / "train-00001-of-00002.parquet"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return folder


def spoiled(folder: Path) -> Path:
    """A file whose head and end are right, but not the images between them."""
    file = shards(folder) / "train-00001-of-00002.parquet"
    data = bytearray(file.read_bytes())
    data[200:-2000] = bytes(len(data) - 2200)
    file.write_bytes(bytes(data))
    return folder


def cut_arrow(folder: Path) -> Path:
    file = both(folder) / "train" / "data-00001-of-00002.arrow"
    file.write_bytes(file.read_bytes()[:2000])
    return folder


def missing(folder: Path) -> Path:
    (both(folder) / "train" / "data-00001-of-00002.arrow").unlink()
    return folder


def empty(folder: Path) -> Path:
    (shards(folder) / "train-00001-of-00002.parquet").write_bytes(b"")
    return folder


def with_other(columns: Columns, features: Any = None) -> Callable[[Path], Path]:
    def made(folder: Path) -> Path:
        parquet(shards(folder) / "train-00002-of-00002.parquet", table(columns, features))
        return folder

    return made


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "cut": (cut, "train-00001-of-00002.parquet is damaged: .*; download or write it again"),
    "spoiled": (spoiled, "train-00001-of-00002.parquet is damaged"),
    "cut arrow": (cut_arrow, "data-00001-of-00002.arrow is damaged"),
    "missing": (missing, "data-00001-of-00002.arrow of s is missing, which train/state.json names"),
    "empty": (empty, "train-00001-of-00002.parquet of s is empty"),
    "other columns": (
        with_other({"picture": images([1]), "label": [1]}),
        r"train-00002-of-00002.parquet has the columns picture .*give files with equal columns",
    ),
    "other classes": (
        with_other(
            {"image": images([1]), "label": [1]},
            {"image": IMAGE, "label": {"_type": "ClassLabel", "names": ["dog", "owl"]}},
        ),
        "give files with equal columns and classes",
    ),
    "labels as text": (
        with_other({"image": images([1]), "label": ["dog"]}),
        "give files with equal columns and classes",
    ),
    "array": (
        lambda p: parquet(
            p / "a.parquet",
            pa.table({"pixels": pa.array([[1, 2]] * 4, pa.list_(pa.uint8())), "label": [0, 1] * 2}),
        ),
        r"holds numbers in the column pixels \(list<.*>\) and no image files; .* .npz",
    ),
    "no rows": (lambda p: parquet(p / "a.parquet", rows_of([])), "a holds no rows"),
    "bytes of something else": (
        lambda p: parquet(p / "a.parquet", pa.table({"hash": [b"abcd"] * 4, "label": [0, 1] * 2})),
        "has the columns hash, label; a column with image files",
    ),
    "no images": (
        lambda p: parquet(p / "a.parquet", pa.table({"text": ["a"], "label": [1]})),
        "has the columns text, label; a column with image files",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_files_that_cannot_be_used_are_refused_with_one_sentence(tmp_path: Path, case: str) -> None:
    make_files, says = REFUSED[case]
    source = make_files(tmp_path / "s")
    with pytest.raises(DataError, match=says) as error:
        do_import(source, tmp_path / "run")
    assert "\n" not in str(error.value) and not list((tmp_path / "run").iterdir())


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"labels": ":breed"}, "no column 'breed' of labels; its columns are"),
        ({"labels": "b.parquet:label"}, "there is no file b.parquet; the files are test-00000"),
        ({"image_column": "label"}, "no column 'label' of images; its columns of images are image"),
        ({"split_column": "label"}, "holds cat, dog, eel; a column with values such as"),
        ({"split_column": "image"}, "image of train-00000-of-00002.parquet holds other values"),
        ({"split_column": "part"}, "part of train-00000-of-00002.parquet is not there"),
    ],
)
def test_a_column_that_is_not_there_is_refused(
    tmp_path: Path, values: dict[str, Any], says: str
) -> None:
    with pytest.raises(DataError, match=says):
        opened(shards(tmp_path), **values)


def test_tables_beside_pictures_stay_tables(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "s", class_files())
    parquet(folder / "metadata.parquet", pa.table({"file_name": ["cat/0.png"], "x": [1]}))
    assert opened(folder).listing.reading == "class folders"
    with pytest.raises(DataError, match="--image-column.: s has no columns of images"):
        opened(folder, image_column="x")
    parquet(folder / "more.parquet", rows_of(range(6)))
    assert opened(folder, layout="top").listing.reading == "class folders"


def test_the_package_is_named_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards(tmp_path / "s")
    folder_of(tmp_path / "t", class_files())
    parquet(tmp_path / "t" / "metadata.parquet", pa.table({"x": [1]}))
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        DataError, match=r"needs the package pyarrow: run `pip install 'dreamlab\[hf"
    ):
        opened(tmp_path / "s")
    assert opened(tmp_path / "t").listing.reading == "class folders"


def test_a_file_that_grows_a_thousandfold_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SMALL_ZIP", 2**20)
    same = {"image": pa.array([bytes(2**16)] * 40), "label": [0] * 40}
    file = parquet(tmp_path / "a.parquet", pa.table(same), use_dictionary=False, compression="zstd")
    with pytest.raises(DataError, match="unpacks to more than"):
        opened(file)


@pytest.mark.parametrize("group", [8, 10_000])
def test_reading_spread_rows_reads_few_others(tmp_path: Path, group: int) -> None:
    """Rows are found by their block, also those before the last one."""
    made = rows_of(range(200))
    source = opened(parquet(tmp_path / "a.parquet", made, row_group_size=group))
    for row in (0, 3, 150, 151, 199, 20, 199):
        data = source.fetch(row)()
        assert isinstance(data, bytes)
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), image_of(row))
