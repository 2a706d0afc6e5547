"""Taking sets out: what is written says where each image came from, comes back pixel for pixel, and
is whole or absent."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamlab.data import catalog, exporting, imageset
from dreamlab.data.imageset import DataError
from tests.import_helpers import do_import, picture

NAMES = ("t-shirt", "ankle boot", "../evil", "train")
LABELS = np.array([3, 1, 0, 2] * 5)
ORIGINS = [f"real: mnist5k training image {i}" for i in range(12)] + [
    f"synthetic: 20261121-run image {i}" for i in range(8)
]
SUFFIXES = ["", ".zip", ".npz"]


def _images(channels: int = 3) -> np.ndarray:
    return np.stack([picture(i, channels=channels) for i in range(len(LABELS))])


def _write(target: Path, images: Any = None, labels: np.ndarray = LABELS, **values: Any) -> Path:
    card = {"title": "A mix", "arm": "50/50", "run": "R"}
    exporting.write(
        target,
        _images() if images is None else images,
        labels,
        **{"names": NAMES, "provenance": ORIGINS, "card": card, **values},
    )
    return target


def _side(target: Path, name: str) -> bytes:
    if target.is_dir():
        return (target / name).read_bytes()
    with zipfile.ZipFile(target) as archive:
        return archive.read(name)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_taken_out_comes_back_pixel_for_pixel(
    tmp_path: Path, suffix: str, channels: int
) -> None:
    images = _images(channels)
    origins = [f"real: mnist5k training image {i}" for i in range(len(images))]
    target = _write(tmp_path / f"set{suffix}", iter(images), provenance=origins)
    result, _ = do_import(target, tmp_path / "run")
    back, labels = imageset.load(tmp_path / "run")
    assert result["classes"] == list(NAMES) and result["channels"] == channels
    found = {(image.tobytes(), int(label)) for image, label in zip(back, labels, strict=True)}
    assert found == {
        (image.tobytes(), int(label)) for image, label in zip(images, LABELS, strict=True)
    }
    assert set(result["left_out_counts"]) <= {"not in a class folder"}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("role", "first", "after"), [("real", 0, 12), ("synthetic", 12, 20)])
def test_only_the_images_of_the_role_that_a_set_is_imported_as_are_taken(
    tmp_path: Path, suffix: str, role: str, first: int, after: int
) -> None:
    """The table of an exported mix says which images are real."""
    names = [str(c) for c in range(10)]
    origins = [o.replace("real:", "real, repeated:") if i < 3 else o for i, o in enumerate(ORIGINS)]
    images = np.stack([picture(i, size=(8, 8), channels=1) for i in range(len(LABELS))])
    target = _write(tmp_path / f"mix{suffix}", images, names=names, provenance=origins)
    values = {"dataset": "digits"} if role == "synthetic" else {"test_share": 0.3}
    result, _ = do_import(target, tmp_path / "run", role=role, **values)
    back, _ = imageset.load(tmp_path / "run")
    assert {x.tobytes() for x in np.asarray(back)} == {x.tobytes() for x in images[first:after]}
    other = "synthetic" if role == "real" else "real"
    assert result["left_out_counts"][f"{other} by its own table"] == 20 - (after - first)


@pytest.mark.parametrize("role", ["real", "synthetic"])
def test_an_image_that_the_table_of_an_exported_set_does_not_name_is_left_out(
    tmp_path: Path, role: str
) -> None:
    """Its role is not known: it may be a real image of the mix."""
    names = [str(c) for c in range(10)]
    images = np.stack([picture(i, size=(8, 8), channels=1) for i in range(len(LABELS))])
    target = _write(tmp_path / "mix", images, names=names, provenance=ORIGINS)
    for name in (f"{LABELS[0]}/0000000.png", f"{LABELS[19]}/0000019.png"):
        (target / name).rename((target / name).with_name(f"my{name[2:]}"))
    values = {"dataset": "digits"} if role == "synthetic" else {"test_share": 0.3}
    result, _ = do_import(target, tmp_path / "run", role=role, **values)
    assert result["images"] == (11 if role == "real" else 7)
    assert result["left_out_counts"]["not in the table of the exported set"] == 2
    assert {f["file"].rpartition("/")[2] for f in result["left_out"]} >= {
        "my0000000.png",
        "my0000019.png",
    }


def test_an_exported_array_with_other_images_than_origins_is_refused(tmp_path: Path) -> None:
    names = [str(c) for c in range(10)]
    images = np.stack([picture(i, size=(8, 8), channels=1) for i in range(len(LABELS))])
    target = _write(tmp_path / "mix.npz", images, names=names, provenance=ORIGINS)
    with np.load(target) as arrays:
        np.savez(target, **{**arrays, "role": arrays["role"][:5]})
    with pytest.raises(DataError, match="20 images, but 5 origins .* export the set again"):
        do_import(target, tmp_path / "run", role="synthetic", dataset="digits")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_card_says_where_each_image_came_from(tmp_path: Path, suffix: str) -> None:
    target = _write(tmp_path / f"set{suffix}")
    card = json.loads(_side(target, "card.json"))
    assert (card["images"], card["real"], card["synthetic"], card["arm"]) == (20, 12, 8, "50/50")
    assert card["per_class"] == dict.fromkeys(NAMES, 5) and card["classes"] == list(NAMES)
    words = _side(target, "README.md").decode()
    assert (
        "# A mix" in words
        and "20 images in 4 classes: 12 real, 8 synthetic." in words
        and "| ankle boot | 5 |" in words
    )
    if suffix == ".npz":
        with np.load(target, allow_pickle=False) as arrays:
            assert (arrays["images"] == _images()).all() and (arrays["labels"] == LABELS).all()
            assert (arrays["role"][12], arrays["source"][12], arrays["index"][12]) == (
                "synthetic",
                "20261121-run",
                0,
            )
        return
    rows = list(csv.DictReader(io.StringIO(_side(target, "images.csv").decode())))
    assert rows[0] == {
        "file": "train/0000000.png",
        "class": "train",
        "role": "real",
        "source": "mnist5k training",
        "index": "0",
        "split": "train",
    }
    assert (rows[19]["role"], rows[19]["source"], rows[19]["index"]) == (
        "synthetic",
        "20261121-run",
        "7",
    )
    for row in rows[:4]:
        assert _side(target, row["file"])[:4] == b"\x89PNG"


def test_the_same_set_makes_the_same_file(tmp_path: Path) -> None:
    for suffix in (".zip", ".npz"):
        assert (
            _write(tmp_path / f"a{suffix}").read_bytes()
            == _write(tmp_path / f"b{suffix}").read_bytes()
        )


def test_folders_of_classes_stay_inside_and_apart() -> None:
    assert exporting.folder_names(
        ["a/b", "a\\b", "..", "", ".git", "Cat", "cat", "été", "__MACOSX"]
    ) == ["a_b", "a_b (1)", "class", "class (3)", "git", "Cat", "cat (6)", "été", "class MACOSX"]


def _breaks_down() -> Iterator[np.ndarray]:
    yield from _images()[:7]
    raise OSError(28, "No space left on device")


def _odd() -> Iterator[np.ndarray]:
    yield from [*_images()[:19], picture(1, (8, 8), 4)]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"images": _breaks_down}, "No space left"),
        ({"images": lambda: _images()[:-1]}, "19 images and 20 labels"),
        ({"images": lambda: np.concatenate([_images(), _images()])}, "40 images and 20 labels"),
        ({"images": lambda: _images() / 255}, "Image 0 is float64"),
        ({"images": _odd}, "Image 19 is uint8 of shape"),
        ({"labels": LABELS + 1}, "Labels go from 1 to 4, the 4 classes from 0 to 3"),
        ({"provenance": ORIGINS[:3]}, "3 origins"),
        ({"labels": LABELS[:0], "provenance": []}, "equal and at least 1"),
    ],
)
def test_nothing_half_written_is_left(
    tmp_path: Path, suffix: str, change: dict[str, Any], says: str
) -> None:
    made = {k: v() if callable(v) else v for k, v in change.items()}
    with pytest.raises((DataError, OSError), match=says):
        _write(tmp_path / f"set{suffix}", **made)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_target_that_is_there_or_cannot_be_is_refused(tmp_path: Path, suffix: str) -> None:
    target = _write(tmp_path / f"set{suffix}")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match="exists already"):
        _write(target)
    with pytest.raises(DataError, match="does not exist"):
        _write(tmp_path / "nowhere" / f"set{suffix}")
    with pytest.raises(DataError, match="must be a folder, or end in .zip or .npz"):
        _write(tmp_path / "set.rar")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_named_data_set_goes_out_and_comes_back(tmp_path: Path) -> None:
    data = catalog.load("digits")
    images, labels = data.train_images[:300], data.train_labels[:300]
    origins = [f"synthetic: 20261121-run image {i}" for i in range(300)]
    exporting.write(
        tmp_path / "digits.zip",
        images,
        labels,
        data.info.classes,
        origins,
        {"title": data.info.title},
    )
    result, _ = do_import(
        tmp_path / "digits.zip", tmp_path / "run", role="synthetic", dataset="digits"
    )
    back, again = imageset.load(tmp_path / "run")
    assert (
        result["per_class"] == np.bincount(labels).tolist()
        and imageset.copies(images, np.asarray(back)) == 300
    )
