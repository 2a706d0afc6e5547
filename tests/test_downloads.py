"""Downloads on request: what the cache holds is used, progress is told, and without a network one
sentence says what to put where."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import http.server
import io
import pickle
import struct
import tarfile
import threading
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamlab.checks import Known
from dreamlab.checks.warnings import warning
from dreamlab.data import catalog
from dreamlab.data.imageset import DataError
from dreamlab.data.importing.published import PUBLISHED, File, folder_of
from dreamlab.settings import ImportSpec, make
from dreamlab.store import RunStore
from dreamlab.tasks import Stopped, TaskError, find_task
from dreamlab.tasks.importing import downloads, fetching
from tests.import_helpers import do_import, encoded, picture
from tests.task_helpers import context

MNIST_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def _write_mnist(raw: Path, train: int = 40, test: int = 20) -> None:
    raw.mkdir(parents=True, exist_ok=True)
    for name, data in _mnist(train, test).items():
        (raw / name).write_bytes(data)


def _mnist(train: int = 40, test: int = 20) -> dict[str, bytes]:
    """The four IDX files with random images."""
    rng, files = np.random.default_rng(0), {}
    for name in MNIST_FILES:
        count = train if name.startswith("train") else test
        array = (
            rng.integers(0, 256, (count, 28, 28), np.uint8)
            if "images" in name
            else np.arange(count, dtype=np.uint8) % 10
        )
        files[name] = (
            bytes([0, 0, 8, array.ndim])
            + struct.pack(f">{array.ndim}i", *array.shape)
            + array.tobytes()
        )
    return files


def _cifar() -> dict[str, bytes]:
    """The six batches of CIFAR-10 with ten images each."""
    rng = np.random.default_rng(1)
    files = {}
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        rows = {b"data": rng.integers(0, 256, (10, 3072), np.uint8), b"labels": list(range(10))}
        files[f"cifar-10-batches-py/{name}"] = pickle.dumps(rows)
    return files


def _tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def _md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


class _Server:
    """A web server with some files. It goes on with a file where a client asks it to, and does to
    some answers what `faults` says, one after another: "cut" ends after half of what is left."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: list[str] = []
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name, asked = self.path[1:], self.headers.get("Range", "")
                outer.asked.append((name, asked))
                if name not in outer.files:
                    self.send_error(404)
                    return
                start = int(asked[6:-1]) if asked else 0
                data = outer.files[name][start:]
                if asked and not data:
                    self.send_error(416)
                    return
                self.send_response(206 if asked else 200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                fault = outer.faults.pop(0) if outer.faults else ""
                self.wfile.write(data[: len(data) // 2] if fault == "cut" else data)

            def log_message(self, *_: Any) -> None:
                return None

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Server]:
    """A server of small MNIST and CIFAR-10 files, which the table of downloads names."""
    there = _Server()
    there.files = {f"{name}.gz": gzip.compress(data) for name, data in _mnist().items()}
    there.files["cifar-10-python.tar.gz"] = _tar(_cifar())
    inside = tuple(File(name, _md5(data)) for name, data in _cifar().items())
    for name in ("mnist", "cifar10"):
        files = tuple(
            dataclasses.replace(f, md5=_md5(there.files[f.name]), inside=f.inside and inside)
            for f in PUBLISHED[name].files
        )
        changed = dataclasses.replace(
            PUBLISHED[name], files=files, addresses=(there.address,), megabytes=1
        )
        monkeypatch.setitem(PUBLISHED, name, changed)
    monkeypatch.setattr(downloads, "WAIT", 0.0)
    monkeypatch.setattr(fetching, "PIECE", 4096)
    yield there
    there.close()


def _events(store: RunStore, source: str) -> list[dict[str, Any]]:
    return list(find_task("import")(context(store, "import", source=source)))


@pytest.fixture
def fresh(tmp_path: Path) -> RunStore:
    store = RunStore(tmp_path / "runs")
    store.prepare()
    return store


def _place(store: RunStore, name: str) -> Path:
    return PUBLISHED[name].place(folder_of(name, store.folders.cache))


def test_the_table_of_downloads_is_that_of_torchvision() -> None:
    from torchvision import datasets

    for name, kind in (("mnist", datasets.MNIST), ("fashion_mnist", datasets.FashionMNIST)):
        assert [(f.name, f.md5) for f in PUBLISHED[name].files] == kind.resources
        assert PUBLISHED[name].addresses == tuple(kind.mirrors)
        assert PUBLISHED[name].inner == f"{kind.__name__}/raw"
    (archive,), cifar = PUBLISHED["cifar10"].files, datasets.CIFAR10
    assert (PUBLISHED["cifar10"].addresses[0] + archive.name, archive.md5) == (
        cifar.url,
        cifar.tgz_md5,
    )
    batches = [*cifar.train_list, *cifar.test_list]
    assert [(f.name, f.md5) for f in archive.inside] == [
        (f"{cifar.base_folder}/{name}", md5) for name, md5 in batches
    ]
    flowers = datasets.Flowers102
    assert [(f.name, f.md5) for f in PUBLISHED["flowers102"].files] == list(
        flowers._file_dict.values()
    )
    assert PUBLISHED["flowers102"].addresses == (flowers._download_url_prefix,)


def test_a_download_tells_its_size_and_progress_and_is_done_once(
    fresh: RunStore, server: _Server
) -> None:
    events = _events(fresh, "torchvision:mnist")
    folder = folder_of("mnist", fresh.folders.cache)
    assert events[0]["text"] == f"Downloading MNIST (1 MB) into {folder}."
    told = [e for e in events if e.get("unit") == "MB"]
    assert len(told) > 10 and (told[-1]["total"], told[0]["text"]) == (1, "downloading MNIST")
    result = events[-1]["values"]
    assert (result["train"], result["test"], result["image_size"]) == (40, 20, 28)
    assert result["classes"][3] == "3" and result["preprocessing"]["split"] == "the official one"
    again = _events(fresh, "torchvision:mnist")
    assert len(server.asked) == 4 and again[-1]["values"]["content_hash"] == result["content_hash"]


def test_an_archive_is_unpacked_and_read_and_its_batches_are_checked(
    fresh: RunStore, server: _Server
) -> None:
    result = _events(fresh, "torchvision:cifar10")[-1]["values"]
    assert (result["train"], result["test"], result["classes"][9]) == (50, 10, "truck")
    place = _place(fresh, "cifar10")
    (place / "cifar-10-batches-py" / "data_batch_2").write_bytes(b"damaged")
    again = _events(fresh, "torchvision:cifar10")[-1]["values"]
    assert len(server.asked) == 1 and again["content_hash"] == result["content_hash"]
    (place / "cifar-10-python.tar.gz").unlink()  # unpacked by hand, without the archive
    assert _events(fresh, "torchvision:cifar10")[-1]["values"]["train"] == 50
    assert len(server.asked) == 1


def test_a_cut_download_goes_on_where_it_ended(fresh: RunStore, server: _Server) -> None:
    server.faults = ["cut", "cut"]
    result = _events(fresh, "torchvision:mnist")[-1]["values"]
    size = len(server.files[f"{MNIST_FILES[0]}.gz"])
    half = size // 2
    assert server.asked[:3] == [
        (f"{MNIST_FILES[0]}.gz", ""),
        (f"{MNIST_FILES[0]}.gz", f"bytes={half}-"),
        (f"{MNIST_FILES[0]}.gz", f"bytes={half + (size - half) // 2}-"),
    ]
    assert result["train"] == 40
    assert not list(fresh.folders.cache.rglob("*.part"))


def test_a_stopped_download_goes_on_when_it_is_resumed(fresh: RunStore, server: _Server) -> None:
    ctx = context(fresh, "import", source="torchvision:mnist")
    task = find_task("import")(ctx)
    next(event for event in task if event.get("unit") == "MB")
    (ctx.run.path / "stop").write_text("")
    ctx._looked = 0.0
    with pytest.raises(Stopped):
        list(task)
    part = _place(fresh, "mnist") / f"{MNIST_FILES[0]}.gz.part"
    there = part.stat().st_size
    assert 0 < there < len(server.files[f"{MNIST_FILES[0]}.gz"])
    assert _events(fresh, "torchvision:mnist")[-1]["values"]["train"] == 40
    assert server.asked[1] == (f"{MNIST_FILES[0]}.gz", f"bytes={there}-")


def test_a_part_of_another_file_is_dropped(fresh: RunStore, server: _Server) -> None:
    place = _place(fresh, "mnist")
    place.mkdir(parents=True)
    (place / f"{MNIST_FILES[0]}.gz.part").write_bytes(bytes(100))
    assert _events(fresh, "torchvision:mnist")[-1]["values"]["train"] == 40
    assert [r for name, r in server.asked if name == f"{MNIST_FILES[0]}.gz"] == ["bytes=100-", ""]


def test_a_wrong_file_is_kept_aside_and_said(fresh: RunStore, server: _Server) -> None:
    name = f"{MNIST_FILES[1]}.gz"
    right, server.files[name] = server.files[name], b"<html>Please log in</html>"
    with pytest.raises(TaskError) as error:
        _events(fresh, "torchvision:mnist")
    place = _place(fresh, "mnist")
    assert f"{name} in {place} is not the published file" in str(error.value)
    assert f"renamed to {name}.wrong" in str(error.value)
    assert f"put {name}, t10k-images-idx3-ubyte.gz and t10k" in str(error.value)
    assert (place / f"{name}.wrong").read_bytes().startswith(b"<html>")
    assert not (place / name).exists() and not (place / f"{name}.part").exists()
    server.files[name] = right
    assert _events(fresh, "torchvision:mnist")[-1]["values"]["train"] == 40


def test_files_that_were_put_by_hand_are_checked(fresh: RunStore, server: _Server) -> None:
    place, files = _place(fresh, "mnist"), dict(server.files)
    server.files = {}
    with pytest.raises(TaskError, match="could not be downloaded .HTTP Error 404"):
        _events(fresh, "torchvision:mnist")
    for name in MNIST_FILES:
        (place / f"{name}.gz").write_bytes(files[f"{name}.gz"])
    (place / MNIST_FILES[0]).write_bytes(b"an unpacked file that nobody checked")
    asked = len(server.asked)
    assert _events(fresh, "torchvision:mnist")[-1]["values"]["train"] == 40
    assert len(server.asked) == asked
    (place / f"{MNIST_FILES[2]}.gz").write_bytes(b"another file")
    with pytest.raises(TaskError) as error:
        _events(fresh, "torchvision:mnist")
    said = str(error.value)
    assert f"{MNIST_FILES[2]}.gz in {place} is not the published file" in said
    assert f"put {MNIST_FILES[2]}.gz from {server.address} into {place}, or import" in said


@pytest.mark.parametrize("name", PUBLISHED)
def test_without_a_network_one_sentence_says_what_to_put_where(
    fresh: RunStore, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError(OSError(-3, "no name resolution"))

    monkeypatch.setattr("urllib.request.urlopen", refused)
    with pytest.raises(TaskError) as error:
        _events(fresh, f"torchvision:{name}")
    said = str(error.value)
    assert "could not be downloaded (no name resolution)" in said and "\n" not in said
    assert all(f.name in said for f in PUBLISHED[name].files)
    assert f"into {_place(fresh, name)}, or import a folder" in said
    # the same is said before the first try
    spec = make(ImportSpec, {"source": f"torchvision:{name}"})
    before = warning(spec, Known(fresh))
    assert PUBLISHED[name].by_hand(folder_of(name, fresh.folders.cache)) in before


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


def test_digits_are_never_mirrored_whatever_the_form_says(fresh: RunStore, server: _Server) -> None:
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
