"""Arrays of images and labels in the forms that people have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.array_values import scale_of_depth
from dreamlab.data.importing.opening import open_source
from dreamlab.data.importing.source import Source
from dreamlab.settings import ImportSpec, make
from tests.import_helpers import picture

X = np.stack([picture(i) for i in range(30)])
Y = np.arange(30) % 3


def opened(file: Path) -> Source:
    return open_source(make(ImportSpec, {"source": str(file)}))


def saved(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


def pixels(source: Source) -> np.ndarray:
    """The images uint8, by their number in the source."""
    rows = range(len(source.listing.names))
    read = np.stack([np.asarray(source.fetch(row)()) for row in rows])
    order = [int(source.listing.names[row].split()[-1]) for row in rows]
    return read[np.argsort(order)]


NAMES: dict[str, dict[str, np.ndarray]] = {
    "keras": {"x_train": X[:20], "y_train": Y[:20], "x_test": X[20:], "y_test": Y[20:]},
    "behind": {"X_train": X[:20], "y_train": Y[:20], "X_test": X[20:], "y_test": Y[20:]},
    "medmnist": {
        "train_images": X[:15],
        "train_labels": Y[:15, None],
        "val_images": X[15:20],
        "val_labels": Y[15:20, None],
        "test_images": X[20:],
        "test_labels": Y[20:, None],
    },
    "words": {
        "images_train": X[:20],
        "labels_train": Y[:20],
        "images_valid": X[20:],
        "labels_valid": Y[20:],
    },
    "images": {"images": X, "labels": Y},
    "data": {"data": X, "targets": Y},
    "unnamed": {"arr_0": X, "arr_1": Y},
}


@pytest.mark.parametrize("case", NAMES)
def test_usual_names_of_arrays_are_known(tmp_path: Path, case: str) -> None:
    source = opened(saved(tmp_path, **NAMES[case]))
    assert (pixels(source) == X).all()
    said = [note for note in source.listing.notes if "5 validation images" in note]
    assert len(said) == len(source.listing.notes) == (case == "medmnist")
    split = any("train" in key.casefold() for key in NAMES[case])
    assert int(source.listing.test.sum()) == 10 * split
    labels = dict(zip(source.listing.names, source.listing.labels.tolist(), strict=True))
    assert labels == {f"image {i}": i % 3 for i in range(30)}


VALUES: dict[str, tuple[np.ndarray, str]] = {
    "floats from 0 to 1": ((X / 255).astype(np.float32), "0 to 1 were multiplied by 255"),
    "floats from -1 to 1": (X / 127.5 - 1, "-1 to 1 were brought to 0 to 255"),
    "floats that are levels": (X.astype(np.float16), ""),
    "int64": (X.astype(np.int64), ""),
    "16 bits": (X.astype(np.uint16) * 257, "65,535 became 255"),
    "12 bits in 16": (np.rint(X * (4095 / 255)).astype(np.uint16), "4,095 became 255"),
    "channels first": (X.transpose(0, 3, 1, 2), ""),
}


@pytest.mark.parametrize("case", VALUES)
def test_values_of_any_usual_range_become_the_same_levels(tmp_path: Path, case: str) -> None:
    values, said = VALUES[case]
    source = opened(saved(tmp_path, images=values, labels=Y))
    assert (np.abs(pixels(source).astype(int) - X) <= (1 if "12 bits" in case else 0)).all()
    assert len(source.listing.notes) == bool(said)
    assert all(said in note for note in source.listing.notes)


def test_all_parts_are_scaled_alike(tmp_path: Path) -> None:
    dark = np.full((4, 8, 8), 900, np.uint16)
    bright = np.full((4, 8, 8), 4000, np.uint16)
    y = np.array([0, 1, 0, 1])
    source = opened(saved(tmp_path, x_train=dark, y_train=y, x_test=bright, y_test=y))
    assert np.unique(pixels(source)).tolist() == [round(900 * 255 / 4095), round(4000 * 255 / 4095)]


def test_bits_are_the_fewest_that_hold_the_largest_value() -> None:
    tops = [255, 256, 1023, 1024, 4095, 4096, 65535]
    means = [scale_of_depth(top)(np.array([top]))[0] for top in tops]
    assert means[0] == means[2] == means[4] == means[6] == 255 and max(means[1::2]) < 70


LABELS: dict[str, tuple[np.ndarray, tuple[str, ...]]] = {
    "one column": (Y[:, None], ("0", "1", "2")),
    "one-hot": (np.eye(3, dtype=np.uint8)[Y], ("0", "1", "2")),
    "one-hot floats": (np.eye(3)[Y], ("0", "1", "2")),
    "whole floats": (Y.astype(np.float32), ("0", "1", "2")),
    "bytes": (np.array([b"ant", b"bee", "Käfer".encode()])[Y], ("ant", "bee", "Käfer")),
    "names": (np.array(["ant", "bee", "cow"])[Y], ("ant", "bee", "cow")),
    "true and false": (Y == 1, ("0", "1")),
    "from 5 on": (Y + 5, ("5", "6", "7")),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_in_any_usual_form_are_read(tmp_path: Path, case: str) -> None:
    y, classes = LABELS[case]
    listing = opened(saved(tmp_path, images=X, labels=y)).listing
    assert listing.classes == classes
    wanted = Y if len(classes) == 3 else (Y == 1).astype(int)
    assert listing.labels.tolist() == wanted.tolist()


@pytest.mark.parametrize("name", ["images", "arr_0", "anything"])
def test_images_without_labels_are_one_class(tmp_path: Path, name: str) -> None:
    listing = opened(saved(tmp_path, **{name: X})).listing
    assert not listing.labelled and listing.classes == ("images",) and len(listing.names) == 30
    assert listing.reading == f"arrays {name} without labels"


def test_npy_files_and_folders_of_them_are_read(tmp_path: Path) -> None:
    np.save(tmp_path / "alone.npy", X)
    assert not opened(tmp_path / "alone.npy").listing.labelled
    folder = tmp_path / "set"
    folder.mkdir()
    np.save(folder / "x_train.npy", np.asfortranarray(X[:20]))
    np.save(folder / "y_train.npy", Y[:20])
    np.save(folder / "x_test.npy", X[20:])
    np.save(folder / "y_test.npy", Y[20:])
    source = opened(folder)
    assert (pixels(source) == X).all() and int(source.listing.test.sum()) == 10


def _svhn(file: Path, part: slice) -> None:
    """Images are (H, W, C, N) there, and the digit 0 has the label 10."""
    y = np.where(Y == 0, 10, Y).astype(np.uint8)
    scipy.io.savemat(file, {"X": X[part].transpose(1, 2, 3, 0), "y": y[part, None]})


def test_label_10_of_svhn_is_the_digit_0(tmp_path: Path) -> None:
    for split, part in (("train", slice(20)), ("test", slice(20, 30)), ("extra", slice(5))):
        _svhn(tmp_path / f"{split}_32x32.mat", part)
    said = "SVHN stores the digit 0 as label 10: it was read as 0."
    both, one = opened(tmp_path), opened(tmp_path / "train_32x32.mat")
    assert (pixels(both) == X).all() and (pixels(one) == X[:20]).all()
    assert both.listing.test.tolist() == [False] * 20 + [True] * 10 and not one.listing.split
    for source, labels in ((both, Y), (one, Y[:20])):
        found = source.listing
        assert found.classes == ("0", "1", "2") and found.numbered and not found.mirror
        assert (found.labels == labels).all() and said in found.notes
    assert "The images of extra_32x32.mat were not read." in both.listing.notes
    # in another file 10 is a class of its own
    (tmp_path / "train_32x32.mat").rename(tmp_path / "digits.mat")
    assert opened(tmp_path / "digits.mat").listing.classes == ("1", "2", "10")
    scipy.io.savemat(tmp_path / "test_32x32.mat", {"images": X})
    with pytest.raises(DataError, match="test_32x32.mat has no array X and no array y"):
        opened(tmp_path / "test_32x32.mat")


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"images": X.astype(float) * 1000, "labels": Y}, "holds values from 0 to 255000"),
        ({"images": np.where(X > 9, np.nan, 0.0), "labels": Y}, "no numbers"),
        ({"images": X.astype(complex), "labels": Y}, "images are numbers"),
        (
            {"x_train": X[:20], "y_train": Y[:20], "x_test": X[20:] / 255, "y_test": Y[20:]},
            "float64 and uint8; one type is needed",
        ),
        ({"images": X, "labels": np.ones((30, 3))}, "not one-hot"),
        ({"images": X, "labels": Y + 0.5}, "no whole numbers"),
        ({"images": X, "labels": np.array([b"\xff"] * 30)}, "no UTF-8"),
    ],
)
def test_what_cannot_be_read_without_guessing_is_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], says: str
) -> None:
    with pytest.raises(DataError, match=says):
        opened(saved(tmp_path, **arrays))
