"""Data sets: the splits that nobody may cross, folders and files of one's own, and what is
refused."""

from __future__ import annotations

import gzip
import hashlib
import json
import pickle
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dreamlab.data import catalog, imageset, shapes
from dreamlab.data.importing.official import open_official
from dreamlab.store import RunStore
from tests.import_helpers import class_files, do_import, folder_of
from tests.task_helpers import context

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", [n for n, info in catalog.INFO.items() if info.bundled])
def test_bundled_sets_are_what_the_catalogue_says(name: str) -> None:
    data = catalog.load(name)
    info = data.info
    assert data.train_images.shape == (info.train, info.size, info.size, info.channels)
    assert data.test_images.shape == (info.test, info.size, info.size, info.channels)
    assert data.train_images.dtype == np.uint8 and data.train_images.max() == 255
    # no image is on both sides of the split
    train, test = (
        {image.tobytes() for image in part} for part in (data.train_images, data.test_images)
    )
    assert not train & test and catalog.overlap(data) == 0


def test_the_split_of_the_5000_digits_is_stratified_and_fixed() -> None:
    data = catalog.load("mnist5k")
    assert np.bincount(data.train_labels).tolist() == [300] * 10
    assert np.bincount(data.test_labels).tolist() == [200] * 10
    assert data.train_images.sum() == 78_484_723  # the very same images on every machine


def test_the_drawn_shapes_are_the_same_pixels_everywhere() -> None:
    drawn = shapes.draw()
    assert hashlib.sha256(drawn.tobytes()).hexdigest().startswith(shapes.CONTENT)
    assert len({image.tobytes() for image in drawn}) == len(drawn)
    data = catalog.load("shapes")
    for labels, each in ((data.train_labels, 500), (data.test_labels, 100)):
        assert np.bincount(labels).tolist() == [each] * 10
    # a class has one hue in ten: it helps, but colour alone does not decide
    rows = data.train_images[data.train_labels == 0]
    assert rows[:, 16, 16, 0].mean() > 1.5 * rows[:, 16, 16, 1].mean()  # hearts are red
    kept = np.concatenate([data.train_images, data.test_images])
    assert (kept == drawn).all()  # what the cache holds is what is drawn


def _write_idx(path: Path, array: np.ndarray, packed: bool) -> None:
    data = (
        bytes([0, 0, 8, array.ndim])
        + struct.pack(f">{array.ndim}i", *array.shape)
        + array.tobytes()
    )
    path.with_name(path.name + ".gz" * packed).write_bytes(gzip.compress(data) if packed else data)


def _write_idx_set(raw: Path, seed: int, packed: bool = False) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    raw.mkdir(parents=True, exist_ok=True)
    train, test = (rng.integers(0, 256, (n, 28, 28), np.uint8) for n in (20, 10))
    _write_idx(raw / "train-images-idx3-ubyte", train, packed)
    _write_idx(raw / "train-labels-idx1-ubyte", np.arange(20, dtype=np.uint8) % 10, packed)
    _write_idx(raw / "t10k-images-idx3-ubyte", test, packed)
    _write_idx(raw / "t10k-labels-idx1-ubyte", np.arange(10, dtype=np.uint8), packed)
    return train, test


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("name", "folder"),
    [("mnist", "MNIST/raw"), ("fashion_mnist", "FashionMNIST/raw"), ("fashion_mnist", ".")],
)
def test_mnist_and_fashion_mnist_are_read_from_their_own_files(
    tmp_path: Path, name: str, folder: str, packed: bool
) -> None:
    raw = tmp_path / folder
    train, test = _write_idx_set(raw, 0, packed)
    data = catalog.load(name, str(tmp_path))
    assert data.info.classes[9] == (
        "9" if name == "mnist" else "ankle boot"
    ) and data.info.mirror == (name != "mnist")
    assert (data.train_images[..., 0] == train).all() and (data.test_images[..., 0] == test).all()


def test_padded_mnist_is_mnist_with_a_black_border(tmp_path: Path) -> None:
    train, test = _write_idx_set(tmp_path / "MNIST" / "raw", 0)
    data = catalog.load("mnist32", str(tmp_path))
    for images, original in ((data.train_images, train), (data.test_images, test)):
        assert images.shape[1:] == (32, 32, 1) and (images[:, 2:30, 2:30, 0] == original).all()
        assert int(images.astype(int).sum()) == int(original.astype(int).sum())


def test_two_sets_in_one_folder_are_each_read_from_their_own_files(tmp_path: Path) -> None:
    digits, _ = _write_idx_set(tmp_path / "MNIST" / "raw", 0)
    clothes, _ = _write_idx_set(tmp_path / "FashionMNIST" / "raw", 1)
    for name, train in (("mnist", digits), ("fashion_mnist", clothes)):
        found = catalog.load(name, str(tmp_path)).train_images
        assert (found[..., 0] == train).all(), name
    opened = open_official(tmp_path)
    assert opened is not None and opened.listing.title.startswith("Fashion-MNIST")


def _cifar_arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (50, 32, 32, 3), np.uint8),
        "y_train": np.arange(50) % 10,
        "x_test": rng.integers(0, 256, (10, 32, 32, 3), np.uint8),
        "y_test": np.arange(10),
    }


def test_cifar10_is_read_from_an_npz_and_from_its_pickles(tmp_path: Path) -> None:
    arrays = _cifar_arrays()
    np.savez(tmp_path / "c.npz", **arrays)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for i in range(6):
        x = arrays["x_test"] if i == 5 else arrays["x_train"][10 * i : 10 * i + 10]
        batch = {b"data": x.transpose(0, 3, 1, 2).reshape(10, -1), b"labels": list(range(10))}
        (folder / ("test_batch" if i == 5 else f"data_batch_{i + 1}")).write_bytes(
            pickle.dumps(batch, protocol=2)
        )
    for source in (tmp_path / "c.npz", tmp_path):
        data = catalog.load("cifar10", str(source))
        assert (data.train_images == arrays["x_train"]).all() and (
            data.test_labels == arrays["y_test"]
        ).all()


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


def test_copies_are_counted_by_their_exact_pixels() -> None:
    rng = np.random.default_rng(0)
    train = rng.integers(0, 256, (50, 6, 6, 3), np.uint8)
    test = np.concatenate([train[[3, 3, 7]], rng.integers(0, 256, (4, 6, 6, 3), np.uint8)])
    assert imageset.copies(test, train) == 3 and imageset.copies(train, test) == 2
    almost = train.copy()
    almost[:, 5, 5, 2] ^= 1
    assert imageset.copies(almost, train) == 0 and imageset.copies(train[:0], train) == 0
    assert imageset.copies(train[:, :3], train) == 0


def test_a_test_set_that_overlaps_the_training_set_is_counted(tmp_path: Path) -> None:
    arrays = _cifar_arrays()
    arrays["x_test"][:4] = arrays["x_train"][:4]
    np.savez(tmp_path / "c.npz", **arrays)
    assert catalog.overlap(catalog.load("cifar10", str(tmp_path / "c.npz"))) == 4


def _imported(store: RunStore, tmp_path: Path, **files: int) -> Path:
    """The directory of an import run of class folders with so many images each."""
    catalog.add_runs_folder(store.folder)
    source = folder_of(
        tmp_path / "pets",
        {n: d for c, k in files.items() for n, d in class_files((c,), k, "", len(c)).items()},
    )
    run = context(store, "import", source=str(source)).run.path
    do_import(source, run)
    return run


def test_an_import_outlives_its_deletion_for_who_has_it_open_and_says_so_to_others(
    store: RunStore, tmp_path: Path
) -> None:
    run = _imported(store, tmp_path, cat=5, bird=5)
    data = catalog.load(run.name)
    assert (catalog.info(run.name).classes, data.train_labels.tolist()) == (
        ("bird", "cat"),
        [0] * 4 + [1] * 4,
    )
    before = np.array(data.train_images)
    store.trash(store.get(run.name))
    for ask in (catalog.load, catalog.info):
        with pytest.raises(
            catalog.DataError, match=f"The import {run.name} was deleted: restore it"
        ):
            ask(run.name)
    store.empty_trash(-1)
    assert (np.array(data.train_images) == before).all()
    with pytest.raises(
        catalog.DataError, match="There is no data set .* there are mnist5k, digits"
    ):
        catalog.load(run.name)


def test_an_import_made_anew_is_read_anew(store: RunStore, tmp_path: Path) -> None:
    run = _imported(store, tmp_path, cat=5, bird=5)
    assert len(catalog.load(run.name).train_images) == 8 and catalog.load(run.name) is catalog.load(
        run.name
    )
    time.sleep(0.01)  # a clock of a file system may be coarse
    do_import(folder_of(tmp_path / "more", class_files(("a", "b", "c"), 10, "", 1)), run)
    data = catalog.load(run.name)
    assert len(data.train_images) == 24 and data.info.classes == catalog.info(run.name).classes == (
        "a",
        "b",
        "c",
    )


@pytest.mark.parametrize("name", ["../runs", "..", ".", "", "/etc", "nothing"])
def test_a_name_that_is_no_data_set_is_refused(store: RunStore, name: str) -> None:
    catalog.add_runs_folder(store.folder)
    with pytest.raises(catalog.DataError, match="There is no data set"):
        catalog.info(name)


def test_a_run_of_another_kind_is_no_data_set(store: RunStore) -> None:
    catalog.add_runs_folder(store.folder)
    run = context(store, "train").run
    with pytest.raises(catalog.DataError, match=f"{run.id} is a train run; a data set is a name"):
        catalog.load(run.id)


@pytest.mark.parametrize(
    ("file", "data", "says"),
    [
        ("card.json", b"{", "has no readable card"),
        ("card.json", b"{}", "has no readable card"),
        ("images.npy", b"", "cannot be read"),
        ("images.npy", b"\x93NUMPY cut", "cannot be read"),
        ("labels.npy", None, "cannot be read"),
    ],
)
def test_a_damaged_import_is_refused(
    store: RunStore, tmp_path: Path, file: str, data: bytes | None, says: str
) -> None:
    run = _imported(store, tmp_path, cat=5, bird=5)
    (run / file).unlink()
    if data is not None:
        (run / file).write_bytes(data)
    with pytest.raises(catalog.DataError, match=f"{says}.*import it again"):
        catalog.load(run.name)


def test_an_import_whose_card_says_something_else_is_refused(
    store: RunStore, tmp_path: Path
) -> None:
    run = _imported(store, tmp_path, cat=5, bird=5)
    card = json.loads((run / "card.json").read_text())
    for change in ({"train": 7}, {"channels": 1}, {"classes": ["cat"]}):
        (run / "card.json").write_text(json.dumps({**card, **change}))
        with pytest.raises(catalog.DataError, match="has images of shape .* its card says"):
            catalog.load(run.name)


PLANNED = """
import json, sys
from pathlib import Path
import numpy as np
from dreamlab.data import catalog, mixing, selection
from dreamlab.settings import RealData, make
from tests.import_helpers import peak_mb
catalog.add_runs_folder(Path(sys.argv[1]))
data = catalog.load(sys.argv[2])
classes = len(data.info.classes)
roles = selection.select(data.train_labels, make(RealData, {"dataset": sys.argv[2], "validation": 0.1, "long_tail": 0.1}), classes)
held = data.train_labels[roles.pool]
available = [int(n) for n in np.bincount(held, minlength=classes)]
drawn = []
for seed, arm in enumerate(("real", "90/10", "50/50", "real+1x", "real+500@8+9")):
    counts = mixing.counts(arm, available)
    chosen = roles.pool[mixing.draw(held, [c.real for c in counts], seed)]
    assert data.train_images[chosen[:64]].shape == (64, 64, 64, 3)
    drawn.append(len(chosen))
print(json.dumps([len(data.train_images), len(roles.pool), drawn, peak_mb()]))
"""


def test_a_set_larger_than_the_memory_can_be_planned(tmp_path: Path) -> None:
    """1.2 million images of 64x64x3, 14.7 GB: a file with a hole in it, which takes no disk."""
    train, test, classes = 1_200_000, 50_000, 1000
    run = tmp_path / "runs" / "20261121-101503-import-large-7f3a"
    run.mkdir(parents=True)
    with open(run / "images.npy", "wb") as out:
        header = {"descr": "|u1", "fortran_order": False, "shape": (train + test, 64, 64, 3)}
        np.lib.format.write_array_header_1_0(out, header)
        out.truncate(out.tell() + (train + test) * 64 * 64 * 3)
    np.save(
        run / "labels.npy",
        np.concatenate(
            [
                np.repeat(np.arange(classes), train // classes),
                np.repeat(np.arange(classes), test // classes),
            ]
        ),
    )
    card = {
        "title": "large",
        "size": 64,
        "channels": 3,
        "classes": [f"n{c:08d}" for c in range(classes)],
        "train": train,
        "test": test,
    }
    (run / "card.json").write_text(json.dumps({**card, "mirror": True, "overlap": 0}))
    line = [sys.executable, "-c", PLANNED, str(run.parent), run.name]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=True)
    images, pool, drawn, peak = json.loads(done.stdout)
    assert images == train and 0.3 * train < pool < 0.5 * train
    assert (
        drawn[0] == drawn[3] == drawn[4] == pool
        and abs(drawn[2] - pool / 2) < classes
        and abs(drawn[1] - 0.9 * pool) < classes
    )
    assert peak < 1000, f"planning took {peak:.0f} MB"
