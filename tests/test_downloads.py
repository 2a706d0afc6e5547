"""Downloads on request: what the cache holds is used, progress is told, and without a network one
sentence says what to put where."""

from __future__ import annotations

import struct
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamlab.data import catalog
from dreamlab.data.imageset import DataError
from dreamlab.settings import ImportSpec
from dreamlab.store import RunStore
from dreamlab.tasks import Stopped, TaskError, find_task
from dreamlab.tasks.importing import downloads
from tests.import_helpers import do_import, encoded, picture
from tests.task_helpers import context

MNIST_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def _write_mnist(raw: Path, train: int = 40, test: int = 20) -> None:
    rng = np.random.default_rng(0)
    raw.mkdir(parents=True, exist_ok=True)
    for name in MNIST_FILES:
        count = train if name.startswith("train") else test
        array = (
            rng.integers(0, 256, (count, 28, 28), np.uint8)
            if "images" in name
            else np.arange(count, dtype=np.uint8) % 10
        )
        (raw / name).write_bytes(
            bytes([0, 0, 8, array.ndim])
            + struct.pack(f">{array.ndim}i", *array.shape)
            + array.tobytes()
        )


def _events(store: RunStore, source: str) -> list[dict[str, Any]]:
    return list(find_task("import")(context(store, "import", source=source)))


@pytest.fixture
def fresh(tmp_path: Path) -> RunStore:
    store = RunStore(tmp_path / "runs")
    store.prepare()
    return store


def _instead(monkeypatch: pytest.MonkeyPatch, name: str, download: Any) -> None:
    import torchvision.datasets

    monkeypatch.setattr(torchvision.datasets, name, download)


def test_a_download_tells_its_size_and_progress_and_is_done_once(
    fresh: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "WAIT", 0.01)
    calls = []

    def fetch(root: str, download: bool) -> None:
        calls.append(root)
        assert download
        (Path(root) / "part.gz").write_bytes(bytes(3_000_000))
        threading.Event().wait(0.1)
        _write_mnist(Path(root) / "MNIST" / "raw")

    _instead(monkeypatch, "MNIST", fetch)
    events = _events(fresh, "torchvision:mnist")
    assert (
        events[0]["text"]
        == f"Downloading MNIST (12 MB) into {fresh.folders.cache / 'downloads' / 'mnist'}."
    )
    told = [e for e in events if e.get("unit") == "MB"]
    assert (
        told[-1]["step"] >= 3 and told[-1]["total"] == 11 and told[0]["text"] == "downloading MNIST"
    )
    result = events[-1]["values"]
    assert (result["train"], result["test"], result["classes"][3], result["image_size"]) == (
        40,
        20,
        "3",
        28,
    )
    again = _events(fresh, "torchvision:mnist")
    assert len(calls) == 1 and again[-1]["values"]["content_hash"] == result["content_hash"]


@pytest.mark.parametrize(
    ("name", "class_name", "files", "folder"),
    [
        ("mnist", "MNIST", "the four IDX files", "mnist/MNIST/raw"),
        ("fashion_mnist", "FashionMNIST", "the four IDX files", "FashionMNIST/raw"),
        ("cifar10", "CIFAR10", "cifar-10-python.tar.gz", "downloads/cifar10"),
        ("flowers102", "Flowers102", "102flowers.tgz", "flowers-102"),
    ],
)
def test_without_a_network_one_sentence_says_what_to_put_where(
    fresh: RunStore,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    class_name: str,
    files: str,
    folder: str,
) -> None:
    def fetch(root: str, download: bool) -> None:
        raise RuntimeError(
            "Error downloading the files:\nTried https://a, got:\n<urlopen error [Errno -3] no name"
            " resolution>"
        )

    _instead(monkeypatch, class_name, fetch)
    with pytest.raises(TaskError) as error:
        _events(fresh, f"torchvision:{name}")
    said = str(error.value)
    assert (
        "could not be downloaded" in said
        and files in said
        and folder in said
        and "resume this run" in said
        and "\n" not in said
    )


def test_a_download_can_be_stopped(fresh: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "WAIT", 0.01)
    released = threading.Event()
    _instead(monkeypatch, "CIFAR10", lambda root, download: released.wait(30))
    ctx = context(fresh, "import", source="torchvision:cifar10")
    (ctx.run.path / "stop").write_text("")
    with pytest.raises(Stopped):
        list(find_task("import")(ctx))
    released.set()


def test_what_torchvision_would_not_know_is_refused(fresh: RunStore) -> None:
    with pytest.raises(
        TaskError,
        match=(
            "torchvision:svhn is not known; there are torchvision:mnist, torchvision:fashion_mnist"
        ),
    ):
        _events(fresh, "torchvision:svhn")


def test_a_folder_in_the_layout_of_torchvision_is_its_data_set(tmp_path: Path) -> None:
    _write_mnist(tmp_path / "a" / "FashionMNIST" / "raw")
    result, _ = do_import(tmp_path / "a", tmp_path / "run")
    assert result["classes"][9] == "ankle boot" and (result["train"], result["test"]) == (40, 20)
    assert result["preprocessing"]["split"] == "the official one"
    _write_mnist(tmp_path / "b" / "MNIST" / "raw")
    (tmp_path / "b" / "MNIST" / "raw" / MNIST_FILES[3]).unlink()
    with pytest.raises(DataError, match="could not be read"):
        do_import(tmp_path / "b", tmp_path / "run2")


def test_digits_are_never_mirrored_whatever_the_form_says(fresh: RunStore) -> None:
    _write_mnist(fresh.folders.cache / "downloads" / "mnist" / "MNIST" / "raw")
    ctx = context(fresh, "import", source="torchvision:mnist")
    list(find_task("import")(ctx))
    catalog.add_runs_folder(fresh.folder)
    assert (
        isinstance(ctx.spec, ImportSpec) and ctx.spec.mirror and not catalog.info(ctx.run.id).mirror
    )


def test_flowers_in_the_layout_of_torchvision(tmp_path: Path) -> None:
    import scipy.io

    folder, count = tmp_path / "flowers-102", 306
    (folder / "jpg").mkdir(parents=True)
    ids = np.arange(1, count + 1)
    scipy.io.savemat(folder / "imagelabels.mat", {"labels": (ids - 1) % 102 + 1})
    scipy.io.savemat(
        folder / "setid.mat", {"trnid": ids[:102], "valid": ids[102:204], "tstid": ids[204:]}
    )
    for i in ids:
        if i != 7:
            (folder / "jpg" / f"image_{i:05d}.jpg").write_bytes(
                encoded(picture(int(i), (20, 24)), "JPEG")
            )
    result, _ = do_import(tmp_path, tmp_path / "run", image_size=8)
    assert (result["train"], result["test"], len(result["classes"])) == (203, 102, 102)
    assert result["left_out"] == [{"file": "jpg/image_00007.jpg", "reason": "unreadable"}]
    (folder / "setid.mat").write_bytes(b"no table")
    with pytest.raises(DataError, match="does not hold the tables of Oxford 102 Flowers"):
        do_import(tmp_path, tmp_path / "run2")
