"""Data sets: the splits that nobody may cross, folders and files of one's own, and what is refused."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from dreamlab.data import catalog, imageset, splits


@pytest.mark.parametrize("name", [n for n, info in catalog.INFO.items() if info.bundled])
def test_bundled_sets_are_what_the_catalogue_says(name: str) -> None:
    data = catalog.load(name)
    info = data.info
    assert data.train_images.shape == (info.train, info.size, info.size, info.channels)
    assert data.test_images.shape == (info.test, info.size, info.size, info.channels)
    assert data.train_images.dtype == np.uint8 and data.train_images.max() == 255
    # no image is on both sides of the split
    train, test = ({image.tobytes() for image in part} for part in (data.train_images, data.test_images))
    assert not train & test


def test_the_split_of_the_5000_digits_is_stratified_and_fixed() -> None:
    data = catalog.load("mnist5k")
    assert np.bincount(data.train_labels).tolist() == [300] * 10
    assert np.bincount(data.test_labels).tolist() == [200] * 10
    assert data.train_images.sum() == 78_484_723  # the very same images on every machine


def test_a_larger_subset_contains_the_smaller_one_of_its_seed() -> None:
    labels = catalog.load("mnist5k").train_labels
    small, large = splits.subset(labels, 10, 3), splits.subset(labels, 30, 3)
    assert set(small) < set(large) and np.bincount(labels[small]).tolist() == [10] * 10
    assert set(small) != set(splits.subset(labels, 10, 4))
    with pytest.raises(ValueError, match="fewer than the 301"):
        splits.subset(labels, 301, 0)


def _write_idx(path: Path, array: np.ndarray, packed: bool) -> None:
    data = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape) + array.tobytes()
    path.with_name(path.name + ".gz" * packed).write_bytes(gzip.compress(data) if packed else data)


@pytest.mark.parametrize("packed", [False, True])
def test_mnist_is_read_from_its_own_files(tmp_path: Path, packed: bool) -> None:
    rng = np.random.default_rng(0)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    train, test = (rng.integers(0, 256, (n, 28, 28), np.uint8) for n in (20, 10))
    _write_idx(raw / "train-images-idx3-ubyte", train, packed)
    _write_idx(raw / "train-labels-idx1-ubyte", np.arange(20, dtype=np.uint8) % 10, packed)
    _write_idx(raw / "t10k-images-idx3-ubyte", test, packed)
    _write_idx(raw / "t10k-labels-idx1-ubyte", np.arange(10, dtype=np.uint8), packed)
    data = catalog.load("mnist", str(tmp_path))
    assert (data.train_images[..., 0] == train).all() and (data.test_images[..., 0] == test).all()


def _cifar_arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"x_train": rng.integers(0, 256, (50, 32, 32, 3), np.uint8), "y_train": np.arange(50) % 10,
            "x_test": rng.integers(0, 256, (10, 32, 32, 3), np.uint8), "y_test": np.arange(10)}  # fmt: skip


def test_cifar10_is_read_from_an_npz_and_from_its_pickles(tmp_path: Path) -> None:
    arrays = _cifar_arrays()
    np.savez(tmp_path / "c.npz", **arrays)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for i in range(6):
        x = arrays["x_test"] if i == 5 else arrays["x_train"][10 * i : 10 * i + 10]
        batch = {b"data": x.transpose(0, 3, 1, 2).reshape(10, -1), b"labels": list(range(10))}
        (folder / ("test_batch" if i == 5 else f"data_batch_{i + 1}")).write_bytes(pickle.dumps(batch, protocol=2))
    for source in (tmp_path / "c.npz", tmp_path):
        data = catalog.load("cifar10", str(source))
        assert (data.train_images == arrays["x_train"]).all() and (data.test_labels == arrays["y_test"]).all()


def test_a_pickle_that_calls_anything_else_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "owned",))

    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        (tmp_path / name).write_bytes(pickle.dumps(Evil()))
    with pytest.raises(catalog.DataError, match="not part of the data set"):
        catalog.load("cifar10", str(tmp_path))
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"x_train": None}, "lacks x_train"),
        ({"x_train": np.zeros((50, 32, 32, 3), np.float32)}, "uint8 is needed"),
        ({"x_train": np.zeros((50, 28, 28, 3), np.uint8)}, "have shape"),
        ({"y_train": np.full(50, 10)}, "labels 0 to 9"),
        ({"y_test": np.arange(3)}, "3 labels"),
    ],
)
def test_a_wrong_npz_is_refused_with_what_is_wrong(tmp_path: Path, change: dict, says: str) -> None:
    arrays = {k: v for k, v in {**_cifar_arrays(), **change}.items() if v is not None}
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(catalog.DataError, match=says):
        catalog.load("cifar10", str(tmp_path / "bad.npz"))


def test_a_truncated_npz_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "c.npz", **_cifar_arrays())
    whole = (tmp_path / "c.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(catalog.DataError, match="could not be read"):
        catalog.load("cifar10", str(tmp_path / "cut.npz"))
    with pytest.raises(catalog.DataError, match="cifar-10-batches-py"):
        catalog.load("cifar10", str(tmp_path / "nowhere"))
    with pytest.raises(catalog.DataError, match="--data-dir"):
        catalog.load("cifar10")


def test_an_image_set_comes_back_exactly_and_a_sheet_shows_every_pixel(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (6, 5, 5, 3), np.uint8), np.arange(6)
    imageset.save(tmp_path, images, labels)
    again, names = imageset.load(tmp_path)
    assert (again == images).all() and (names == labels).all()
    sheet = imageset.sheet(images, cols=3, gap=1)
    assert sheet.shape == (11, 17, 3) and (sheet[6:11, 12:17] == images[5]).all()
    with pytest.raises(ValueError, match="uint8 NHWC"):
        imageset.save(tmp_path, images.astype(float), labels)
