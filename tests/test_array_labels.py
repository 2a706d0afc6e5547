"""Labels of arrays: which array they are in and what their numbers mean is asked if it is not
sure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.opening import open_source
from dreamlab.data.importing.rows import chosen_rows
from dreamlab.settings import ImportSpec, make
from tests.import_helpers import class_files, do_import, folder_of
from tests.test_array_sources import X, Y, opened, pixels, saved

ABC = np.array(["a", "b", "c"])


def classes_of(file: Path, **values: Any) -> tuple[dict[int, str], int]:
    """(number of an image -> its class, doubts)."""
    spec = make(ImportSpec, {"source": str(file), **values})
    source = open_source(spec)
    labels, names, rows = chosen_rows(source, spec, None)
    source.close()
    listing = source.listing
    found = {int(listing.names[r].split()[-1]): names[labels[r]] for r in rows.tolist()}
    return found, len(listing.doubts)


def test_labels_from_1_are_not_shifted_into_other_names(tmp_path: Path) -> None:
    file = saved(tmp_path, images=X, labels=Y + 1, classes=ABC)
    assert classes_of(file)[1] == 1
    first, second = (values for _, values in opened(file).listing.doubts[0].answers)
    assert classes_of(file, **first) == ({i: "abc"[i % 3] for i in range(30)}, 0)
    assert classes_of(file, **second) == ({i: "abc"[i % 3 + 1] for i in range(30) if i % 3 < 2}, 0)


def test_labels_below_0_are_asked_about(tmp_path: Path) -> None:
    file = saved(tmp_path, images=X, labels=np.where(Y == 0, -1, 1))
    doubt = opened(file).listing.doubts[0]
    assert "10 of 30 images have labels below 0 (-1)" in doubt.question
    as_classes, as_none = (values for _, values in doubt.answers)
    assert not as_classes["classes"].startswith("-"), "argparse would take it for an option"
    found, doubts = classes_of(file, **as_classes)
    assert found == {i: "-1" if i % 3 == 0 else "1" for i in range(30)} and not doubts
    found, doubts = classes_of(file, **as_none)
    assert found == {i: "1" for i in range(30) if i % 3} and not doubts


def test_labels_under_another_name_are_asked_about_and_can_be_named(tmp_path: Path) -> None:
    file = saved(tmp_path, images=X, species=Y, masks=X)
    listing = opened(file).listing
    assert "species may be" in listing.doubts[0].question
    assert listing.notes == ("Arrays that are not read: species, masks.",)
    assert classes_of(file, labels=":species") == ({i: str(i % 3) for i in range(30)}, 0)
    assert classes_of(file, layout="unlabelled") == (dict.fromkeys(range(30), "images"), 0)
    with pytest.raises(DataError, match="no column ':kind' of labels; its columns are images"):
        classes_of(file, labels=":kind")


def test_two_arrays_of_labels_are_asked_about_unless_they_are_equal(tmp_path: Path) -> None:
    assert opened(saved(tmp_path, images=X, labels=Y, y=Y)).listing.doubts == ()
    file = saved(tmp_path, images=X, labels=Y, y=(Y + 1) % 3)
    assert [v for _, v in opened(file).listing.doubts[0].answers] == [
        {"labels": ":labels"},
        {"labels": ":y"},
    ]
    assert classes_of(file, labels=":y") == ({i: str((i + 1) % 3) for i in range(30)}, 0)


def test_a_split_without_labels_is_counted(tmp_path: Path) -> None:
    source = opened(saved(tmp_path, train_images=X, train_labels=Y, test_images=X[:5]))
    assert source.left_out.counts == {"without a label": 5} and len(source.listing.names) == 30


def test_names_of_classes_and_splits_may_be_bytes(tmp_path: Path) -> None:
    part = np.where(np.arange(30) < 24, b"train", b"test")
    file = saved(tmp_path, images=X, labels=Y, class_names=ABC.astype("S"), split=part)
    assert classes_of(file)[0] == {i: "abc"[i % 3] for i in range(30)}
    assert int(opened(file).listing.test.sum()) == 6


@pytest.mark.parametrize("kind", [np.uint8, np.int64])
def test_images_of_0_and_1_are_not_black(tmp_path: Path, kind: type) -> None:
    source = opened(saved(tmp_path, images=(X[..., 0] > 99).astype(kind), labels=Y))
    assert set(np.unique(pixels(source))) == {0, 255}
    assert source.listing.notes == ("values are 0 or 1; 1 became 255",)


@pytest.mark.parametrize("shape", [(3, 3, 3), (3, 16, 3), (3, 3, 16)])
def test_images_that_are_too_small_are_not_turned_round(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    file = saved(tmp_path, images=np.zeros((30, *shape), np.uint8), labels=Y)
    with pytest.raises(DataError, match="at least 4 a side"):
        opened(file)


def test_channels_first_is_read_if_the_other_way_is_too_small(tmp_path: Path) -> None:
    source = opened(saved(tmp_path, images=X.transpose(0, 3, 1, 2)[:, :, :, :4], labels=Y))
    assert source.size_of(0) == (4, 16)
    assert (pixels(source) == X[:, :, :4]).all()


def test_an_array_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no images; give"):
        opened(saved(tmp_path, images=X[:0], labels=Y[:0]))


def test_grey_images_of_matlab_have_their_number_last(tmp_path: Path) -> None:
    grey = X[..., 0]
    scipy.io.savemat(tmp_path / "a.mat", {"X": grey.transpose(1, 2, 0), "y": Y})
    assert (pixels(opened(tmp_path / "a.mat")) == grey).all()
    scipy.io.savemat(tmp_path / "b.mat", {"X": grey[:16].transpose(1, 2, 0), "y": Y[:16]})
    with pytest.raises(DataError, match="not known whether images are"):
        opened(tmp_path / "b.mat")


def test_an_array_beside_class_folders_does_not_replace_them(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "s", class_files())
    np.save(folder / "embeddings.npy", np.zeros((10, 128)))
    assert do_import(folder, tmp_path / "run")[0]["classes"] == ["cat", "dog"]
