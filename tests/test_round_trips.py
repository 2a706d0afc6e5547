"""A set comes back as it was: import, export and import again give the same content hash."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamlab.data import catalog, exporting
from dreamlab.data.importing.matching import as_setting
from dreamlab.data.importing.opening import open_source
from dreamlab.service import Refused, export
from dreamlab.service.reader import Reader
from dreamlab.settings import ImportSpec, make
from dreamlab.store import RunStore
from tests.import_helpers import class_files, do_import, folder_of, picture
from tests.task_helpers import new_run

ODD = [
    *("a/b", "a\\b", "C:", "Ähre", "A\u0308hre 2", "aux", "Con.x", "train", "test", "1", "2", "10"),
    *("..", ".git", "Thumbs.db", "Cat", "cat", "x" * 200, 'say "a, b"', " lead", "None"),
    *("a=b", "a"),
]
"""Class names that are no safe names of folders, or mean something else there."""
TARGETS = [
    ("set", ""),
    ("set.zip", ""),
    ("set.npz", ""),
    ("set", "imagefolder"),
    ("set.zip", "imagefolder"),
]


def arrays(folder: Path, classes: list[str], each: int = 3, **values: Any) -> Path:
    """Images of all classes in mixed order; a third of them for testing."""
    y = np.tile(np.arange(len(classes)), each)
    x = np.stack([picture(900 + i, (8, 8), values.get("channels", 3)) for i in range(len(y))])
    n = len(classes)
    parts = {"x_train": x[n:], "y_train": y[n:], "x_test": x[:n], "y_test": y[:n]}
    folder.mkdir()
    np.savez(folder / "a.npz", classes=np.array(classes), **parts)
    return folder / "a.npz"


def grey_folders(folder: Path) -> tuple[Path, dict[str, Any]]:
    return folder_of(folder, class_files(("10", "2", "1"), 6, channels=1)), {"split_seed": 3}


def split_folders(folder: Path) -> tuple[Path, dict[str, Any]]:
    """A test image is there twice, and colours are kept though all images are grey."""
    files = {
        **class_files(("Käfer", "bee"), 4, "train/", channels=1),
        **class_files(("Käfer", "bee"), 2, "test/", channels=1),
    }
    files["test/bee/again.png"] = files["test/bee/0.png"]
    return folder_of(folder, files), {"color": "rgb", "mirror": False}


def odd_names(folder: Path) -> tuple[Path, dict[str, Any]]:
    return arrays(folder, ODD), {}


def unlabelled(folder: Path) -> tuple[Path, dict[str, Any]]:
    files = {f"{i}.png": data for i, data in enumerate(class_files(("a",), 9).values())}
    return folder_of(folder, files), {"layout": "unlabelled"}


REAL: dict[str, Callable[[Path], tuple[Path, dict[str, Any]]]] = {
    "grey folders": grey_folders,
    "folders of splits": split_folders,
    "odd names": odd_names,
    "without labels": unlabelled,
}


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    store = RunStore(tmp_path / "runs")
    store.prepare()
    catalog.add_runs_folder(store.folder)
    return store


def imported(store: RunStore, source: Path, **values: Any) -> tuple[str, dict[str, Any]]:
    """(id, card) of an import."""
    run = new_run(store, make(ImportSpec, {"source": str(source), **values}))
    do_import(source, run.path, **values)
    return run.id, catalog.card(run.id)


def there_and_back(store: RunStore, run: str, target: Path, form: str, **values: Any) -> None:
    """Exports a set, imports it again, and compares the cards."""
    before = catalog.card(run)
    export.export(Reader(store), run, target, form=form)
    _, after = imported(store, target, **values)
    same = ("classes", "train", "test", "channels", "size", "mirror", "labelled", "content_hash")
    assert {key: after[key] for key in same} == {key: before[key] for key in same}


@pytest.mark.parametrize(("name", "form"), TARGETS)
@pytest.mark.parametrize("case", REAL)
def test_real_images_come_back_with_their_split(
    store: RunStore, tmp_path: Path, case: str, name: str, form: str
) -> None:
    source, values = REAL[case](tmp_path / "source")
    run, card = imported(store, source, **values)
    assert card["test"] > 0
    there_and_back(store, run, tmp_path / name, form)


@pytest.mark.parametrize(("name", "form"), TARGETS)
@pytest.mark.parametrize("channels", [1, 3])
def test_synthetic_images_come_back(
    store: RunStore, tmp_path: Path, channels: int, name: str, form: str
) -> None:
    """Those of a class are missing, the others are in mixed order, and one is there twice."""
    real, _ = imported(store, arrays(tmp_path / "real", ODD, channels=channels))
    labels = np.tile(np.arange(1, len(ODD)), 2)
    x = np.stack([picture(i, (8, 8), channels) for i in range(len(labels))])
    x[5] = x[5 + len(ODD) - 1]
    np.savez(tmp_path / "made.npz", images=x, labels=labels, classes=np.array(ODD))
    values = {"role": "synthetic", "dataset": real}
    kept = as_setting({name: name for name in ODD[1:]})
    run, card = imported(store, tmp_path / "made.npz", classes=kept, **values)
    assert card["train"] == len(labels) and card["preprocessing"]["duplicates"] == 1
    there_and_back(store, run, tmp_path / name, form, **values)


def test_names_of_folders_are_safe_on_every_system() -> None:
    folders = exporting.folder_names(ODD)
    assert len({folder.casefold() for folder in folders}) == len(ODD)
    for folder in folders:
        assert not set(folder) & set('\\/:*?"<>|') and folder == folder.strip(" .") and folder
        assert folder.partition(".")[0].casefold() not in ("aux", "con") and len(folder) <= 90


def test_an_edited_export_is_read_as_it_is_or_refused(store: RunStore, tmp_path: Path) -> None:
    source, values = grey_folders(tmp_path / "source")
    run, _ = imported(store, source, **values)
    target = tmp_path / "set"
    export.export(Reader(store), run, target)
    gone = sorted(target.rglob("*.png"))[0]
    gone.rename(target / "other.png")
    opened = open_source(make(ImportSpec, {"source": str(target)}))
    assert dict(opened.left_out.counts) == {
        "not in the table of the exported set": 1,
        "named by the table of the exported set, but not there": 1,
    }
    table = target / "images.csv"
    table.write_text(table.read_text().replace(",10,real", ",11,real"))
    with pytest.raises(ValueError, match="names the class '11', but card.json does not"):
        open_source(make(ImportSpec, {"source": str(target)}))
    table.unlink()  # then the folders of splits and classes decide
    found = open_source(make(ImportSpec, {"source": str(target)})).listing
    assert found.classes == ("1", "2", "10") and found.test.any()


@pytest.mark.parametrize("case", ["folders of splits", "odd names"])
def test_hugging_face_reads_an_imagefolder(
    store: RunStore, tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    source, values = REAL[case](tmp_path / "source")
    run, card = imported(store, source, **values)
    export.export(Reader(store), run, tmp_path / "set", form="imagefolder")
    found = datasets.load_dataset(
        "imagefolder", data_dir=str(tmp_path / "set"), cache_dir=str(tmp_path / "cache")
    )
    data = catalog.load(run)
    for part, images, labels in (
        ("train", data.train_images, data.train_labels),
        ("test", data.test_images, data.test_labels),
    ):
        held = found[part]
        names = [card["classes"][c] for c in labels]
        assert [row["label"] or "None" for row in held] == names
        assert held["split"] == [part] * len(labels)
        for row, image in zip(held, images, strict=True):
            assert np.array_equal(np.asarray(row["image"]), image)


def test_a_form_that_does_not_fit_is_refused(store: RunStore, tmp_path: Path) -> None:
    source, values = grey_folders(tmp_path / "source")
    run, _ = imported(store, source, **values)
    for name, form, says in (
        ("set", "webdataset", "'webdataset' is unknown; there is imagefolder"),
        ("set.npz", "imagefolder", "set.npz cannot be written as imagefolder"),
        ("set.csv", "imagefolder", "must be a folder, or end in .zip"),
    ):
        with pytest.raises(Refused, match=says):
            export.export(Reader(store), run, tmp_path / name, form=form)
        assert not (tmp_path / name).exists()


def test_a_download_is_a_zip_of_it(store: RunStore, tmp_path: Path) -> None:
    source, values = grey_folders(tmp_path / "source")
    run, card = imported(store, source, **values)
    file = export.temporary(Reader(store), run, "imagefolder")
    assert file.name == f"{run}-imagefolder.zip"
    _, after = imported(store, file)
    assert after["content_hash"] == card["content_hash"]
    folder = tmp_path / "set"
    export.export(Reader(store), run, folder, form="imagefolder")
    rows = list(csv.DictReader((folder / "test" / "metadata.csv").open()))
    assert list(rows[0]) == ["file_name", "split", "label"] and len(rows) == card["test"]
    assert all((folder / "test" / row["file_name"]).is_file() for row in rows)
