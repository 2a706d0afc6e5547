"""Data sets in the files in which they were published, in folders and archives. The class of every
image is its brightness, so that a wrong label or a wrong order of pixels is seen."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.opening import open_source
from dreamlab.settings import ImportSpec, make
from tests.import_helpers import class_files, folder_of, zip_of

Files = dict[str, bytes]
COUNT = 30


def images(side: int, channels: int, labels: np.ndarray) -> np.ndarray:
    """uint8 (N, channels, side, side): the class is the level, 2 for each and 10 more in the upper
    left corner, so that a turned image is seen."""
    held = np.broadcast_to(labels[:, None, None, None] * 2, (len(labels), channels, side, side))
    held = held.astype(np.uint8)
    held[:, :, 0, side // 2 :] += 50  # the right half of the first row
    return held


def idx(array: np.ndarray) -> bytes:
    kinds = {"u1": 8, "i4": 12}
    head = bytes([0, 0, kinds[array.dtype.str[1:]], array.ndim])
    return head + np.array(array.shape, ">i4").tobytes() + array.tobytes()


def idx_files(prefix: str = "", end: str = "", classes: int = 10, turned: bool = False) -> Files:
    files = {}
    for part, seed in (("train", 0), ("t10k", 1)):
        labels = np.random.default_rng(seed).permutation(COUNT) % classes
        held = images(28, 1, labels)[:, 0]
        held = held.swapaxes(1, 2).copy() if turned else held
        files[f"{prefix}{part}-images-idx3-ubyte{end}"] = idx(held)
        files[f"{prefix}{part}-labels-idx1-ubyte{end}"] = idx(labels.astype(np.uint8))
    return {n: gzip.compress(d) if end else d for n, d in files.items()}


def cifar10(binary: bool = False) -> Files:
    files = {}
    for number, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        labels = np.random.default_rng(number).permutation(COUNT) % 10
        rows = images(32, 3, labels).reshape(COUNT, -1)
        if binary:
            rows = np.concatenate([labels[:, None].astype(np.uint8), rows], 1)
            files[f"cifar-10-batches-bin/{name}.bin"] = rows.tobytes()
        else:
            held = {b"data": rows, b"labels": labels.tolist()}
            files[f"cifar-10-batches-py/{name}"] = pickle.dumps(held, 2)
    return files


def cifar100(binary: bool = False) -> Files:
    fine, coarse = [f"kind {i:02d}" for i in range(100)], [f"group {i:02d}" for i in range(20)]
    files = {}
    for part, seed in (("train", 0), ("test", 1)):
        labels = np.random.default_rng(seed).permutation(100)
        rows = images(32, 3, labels).reshape(100, -1)
        if binary:
            both = np.stack([labels // 5, labels], 1).astype(np.uint8)
            files[f"cifar-100-binary/{part}.bin"] = np.concatenate([both, rows], 1).tobytes()
        else:
            held = {
                b"data": rows,
                b"fine_labels": labels.tolist(),
                b"coarse_labels": (labels // 5).tolist(),
            }
            files[f"cifar-100-python/{part}"] = pickle.dumps(held, 2)
    if binary:
        for name, names in (("fine", fine), ("coarse", coarse)):
            text = "\n".join(n.replace(" ", "_") for n in names)
            files[f"cifar-100-binary/{name}_label_names.txt"] = text.encode()
    else:
        meta = {
            b"fine_label_names": [n.encode() for n in fine],
            b"coarse_label_names": [n.encode() for n in coarse],
        }
        files["cifar-100-python/meta"] = pickle.dumps(meta, 2)
    return files


def stl10() -> Files:
    names = "airplane bird car cat deer dog horse monkey ship truck"
    files = {"stl10_binary/class_names.txt": names.replace(" ", "\n").encode()}
    for part, seed in (("train", 0), ("test", 1)):
        labels = np.random.default_rng(seed).permutation(COUNT) % 10
        files[f"stl10_binary/{part}_X.bin"] = images(96, 3, labels).swapaxes(2, 3).tobytes()
        files[f"stl10_binary/{part}_y.bin"] = (labels + 1).astype(np.uint8).tobytes()
    files["stl10_binary/unlabeled_X.bin"] = bytes(3 * 96 * 96)
    return files


def emnist() -> Files:
    """Ten classes: 0 to 7, A and b."""
    codes = [*range(48, 56), 65, 98]
    mapping = "".join(f"{i} {code}\n" for i, code in enumerate(codes))
    prefix = "gzip/emnist-bymerge-"
    return {f"{prefix}mapping.txt": mapping.encode()} | idx_files(prefix, ".gz", turned=True)


def arrays(**held: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.savez(out, **held)
    return out.getvalue()


def medical() -> Files:
    labels = np.arange(COUNT) % 10
    held = images(28, 1, labels)[:, 0]
    return {"archive/medical.npz": arrays(train_images=held, train_labels=labels[:, None])}


CASES: dict[str, tuple[Files, int, int]] = {
    "IDX": (idx_files(), 10, COUNT),
    "IDX, compressed": (idx_files("raw/", ".gz"), 10, COUNT),
    "IDX with dots": (
        {n.replace("-idx", ".idx"): data for n, data in idx_files().items()},
        10,
        COUNT,
    ),
    "EMNIST": (emnist(), 10, COUNT),
    "CIFAR-10": (cifar10(), 10, COUNT),
    "CIFAR-10, binary": (cifar10(True), 10, COUNT),
    "CIFAR-100": (cifar100(), 100, 100),
    "CIFAR-100, binary": (cifar100(True), 100, 100),
    "STL-10": (stl10(), 10, COUNT),
    "an .npz": (medical(), 10, 0),
}
"""Name -> (files, classes, test images)."""


def placed(place: Path, files: Files, form: str) -> Path:
    if form == "folder":
        return folder_of(place / "held", files)
    if form == "ZIP":
        return zip_of(place / "held.zip", files)
    with tarfile.open(place / "held.tar.gz", "w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return place / "held.tar.gz"


def opened(source: Path, **values: Any) -> Any:
    return open_source(make(ImportSpec, {"source": str(source), **values}))


@pytest.mark.parametrize("form", ["folder", "ZIP", "tar"])
@pytest.mark.parametrize("case", CASES)
def test_every_image_keeps_its_class_and_its_pixels(tmp_path: Path, case: str, form: str) -> None:
    files, classes, test = CASES[case]
    with_others = files | {"readme.html": b"<p>about</p>"}
    source = opened(placed(tmp_path, with_others, form))
    found = source.listing
    assert len(found.classes) == classes and int(found.test.sum()) == test
    assert found.doubts == () and found.labelled
    for row, label in enumerate(found.labels.tolist()):
        image = np.asarray(source.fetch(row)())
        assert image[-1, 0].max() == image[-1, 0].min() == 2 * label
        assert image[0, -1].max() == 2 * label + 50 and image[0, 0].max() == 2 * label
    source.close()


def test_names_of_classes_are_those_of_the_files(tmp_path: Path) -> None:
    def classes(case: str, **values: Any) -> tuple[str, ...]:
        place = tmp_path / f"{case} {len(values)}"
        place.mkdir()
        source = opened(placed(place, CASES[case][0], "ZIP"), **values)
        source.close()
        found: tuple[str, ...] = source.listing.classes
        return found

    assert classes("CIFAR-10, binary")[:2] == ("airplane", "automobile")
    assert classes("CIFAR-100")[99] == "kind 99"
    assert classes("CIFAR-100", labels=":train_coarse") == tuple(
        f"group {i:02d}" for i in range(20)
    )
    assert classes("STL-10")[-1] == "truck"
    assert classes("EMNIST") == (*"01234567", "A", "b")


def test_several_sets_in_one_archive_are_asked_about(tmp_path: Path) -> None:
    files = idx_files("gzip/emnist-digits-", ".gz", turned=True)
    files |= idx_files("gzip/emnist-letters-", ".gz", classes=5, turned=True)
    place = placed(tmp_path, files, "ZIP")
    (doubt,) = opened(place).listing.doubts
    assert doubt.answers[1] == ("emnist-letters", {"labels": "emnist-letters:"})
    chosen = opened(place, labels="emnist-letters:").listing
    assert len(chosen.classes) == 5 and chosen.doubts == ()


def test_pictures_beside_such_files_are_what_is_read(tmp_path: Path) -> None:
    files = class_files(("train", "test")) | {"medical.npz": medical()["archive/medical.npz"]}
    listing = opened(placed(tmp_path, files, "folder"), layout="top").listing
    assert listing.classes == ("test", "train")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (dict(list(cifar10().items())[:4]), "lacks data_batch_5, test_batch"),
        ({"a.npz": medical()["archive/medical.npz"], "b.npz": b""}, "several files of arrays"),
        (cifar100() | {"cifar-100-python/train": b"\x80\x02cos\nsystem\n."}, "os.system"),
        (idx_files() | {"train-labels-idx1-ubyte": idx(np.arange(9, dtype=np.uint8))}, "9"),
        (idx_files() | {"train-images-idx3-ubyte": b"\0\0\x08\x03"}, "damaged"),
        (stl10() | {"stl10_binary/train_X.bin": bytes(100)}, "STL-10 are damaged"),
        ({"inner.zip": b"PK", "a.txt": b"about"}, "holds no images"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path: Path, files: Files, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        opened(placed(tmp_path, files, "ZIP"))
    assert "\n" not in str(caught.value)


def test_a_bomb_inside_an_archive_is_refused(tmp_path: Path) -> None:
    from dreamlab.data.importing.limits import Limits

    labels = {"train-labels-idx1-ubyte": idx(np.zeros(4, np.uint8))}
    place = zip_of(tmp_path / "s.zip", labels | {"train-images-idx3-ubyte": bytes(2**20)}, 8)
    with pytest.raises(DataError, match="unpacks to more than"):
        open_source(make(ImportSpec, {"source": str(place)}), Limits(unpacked_bytes=2**16))


def test_copies_are_gone_when_a_source_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = tmp_path / "temporary"
    held.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(held))
    source = opened(placed(tmp_path, medical(), "ZIP"))
    assert any(held.iterdir())
    source.close()
    assert not any(held.iterdir())
    with pytest.raises(DataError):
        opened(placed(tmp_path, {"x.npz": b"no array"}, "ZIP"))
    assert not any(held.iterdir())
