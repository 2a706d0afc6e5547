"""Importing: layouts, preprocessing, splits, duplicates, synthetic images for the classes of
another set, and the task itself."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dreamlab.data import catalog, imageset
from dreamlab.data.imageset import DataError
from dreamlab.data.importing.opening import open_source
from dreamlab.data.importing.write import import_images
from dreamlab.settings import ImportSpec, SpecError, make
from dreamlab.store import RunStore, read_json
from dreamlab.store.cache import array_hash
from dreamlab.tasks import TaskError, find_task
from tests.import_helpers import class_files, do_import, encoded, folder_of, picture, zip_of
from tests.task_helpers import context, stop_after

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"


def _loaded(folder: Path) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    images, labels = imageset.load(folder)
    return images, labels, json.loads((folder / catalog.CARD).read_text())


def test_folder_zip_and_npz_of_the_same_images_are_the_same_set(tmp_path: Path) -> None:
    files = class_files(each=6)
    arrays = np.stack([np.asarray(Image.open(io.BytesIO(d))) for d in files.values()])
    np.savez(tmp_path / "a.npz", images=arrays, labels=np.array(["cat"] * 6 + ["dog"] * 6))
    np.savez(tmp_path / "b.npz", x=arrays.transpose(0, 3, 1, 2), y=np.repeat([[3], [7]], 6, axis=0))
    sources = {
        "folder": folder_of(tmp_path / "s", files),
        "zip": zip_of(tmp_path / "s.zip", files),
        "npz": tmp_path / "a.npz",
        "inside": folder_of(
            tmp_path / "t",
            {f"data/pets/{n}": d for n, d in {**files, "README.md": b"hello"}.items()},
        ),
        "deeper": folder_of(
            tmp_path / "d", {n.replace("/", "/day 1/"): d for n, d in files.items()}
        ),
        "numbers": tmp_path / "b.npz",
    }
    results = {
        name: do_import(source, tmp_path / f"run-{name}")[0] for name, source in sources.items()
    }
    assert len({r["content_hash"] for r in results.values()}) == 1
    assert results["numbers"]["classes"] == ["3", "7"] and results["zip"]["classes"] == [
        "cat",
        "dog",
    ]
    images, labels, card = _loaded(tmp_path / "run-zip")
    assert images.shape == (12, 16, 16, 3) and images.dtype == np.uint8 and labels.dtype == np.int64
    assert card["content_hash"] == array_hash(np.asarray(images), labels)
    assert (card["train"], card["test"], card["size"], card["channels"]) == (10, 2, 16, 3)
    assert {bytes(a.tobytes()) for a in arrays} == {bytes(i.tobytes()) for i in images}
    assert results["inside"]["left_out_counts"] == {"not in a class folder": 1}
    grid = np.asarray(Image.open(tmp_path / "run-zip" / "samples" / "grid.png"))
    assert grid.shape == (32, 5 * 16, 3) and (grid[:16, :16] == images[0]).all()


@pytest.mark.parametrize(
    ("parts", "train"),
    [
        (("train", "test"), 6),
        (("Train", "val"), 6),
        (("training", "validation"), 6),
        (("train", "testing", "val"), 6 + 10),
    ],
)
def test_the_split_of_the_source_is_kept(
    tmp_path: Path, parts: tuple[str, ...], train: int
) -> None:
    files: dict[str, bytes] = {}
    for i, part in enumerate(parts):
        files |= class_files(("n01440764", "n01443537"), 3 + i, f"{part}/")
    result, _ = do_import(folder_of(tmp_path / "s", files), tmp_path / "run")
    assert (result["train"], result["test"]) == (train, 8) and not result["left_out"]
    assert (
        result["classes"] == ["n01440764", "n01443537"]
        and "its own folders" in result["preprocessing"]["split"]
    )


def test_the_split_of_a_labels_csv_is_kept(tmp_path: Path) -> None:
    files = class_files(each=4)
    rows = "".join(
        f"{n},{'test' if n.endswith('3.png') else 'val' if n.endswith('2.png') else 'train'}\n"
        for n in files
    )
    result, _ = do_import(
        folder_of(tmp_path / "s", {**files, "labels.csv": b"file,my_split\n" + rows.encode()}),
        tmp_path / "run",
    )
    assert (result["train"], result["test"]) == (6, 2) and not result["left_out"]
    assert result["preprocessing"]["split"] == "column my_split of labels.csv"


def test_the_share_kept_for_the_test_is_of_every_class_and_follows_its_seed(tmp_path: Path) -> None:
    source = folder_of(
        tmp_path / "s", {**class_files(("a",), 10), **class_files(("b",), 20, "", 1)}
    )
    hashes = []
    for i, values in enumerate(({}, {"split_seed": 1}, {"split_seed": 1, "test_share": 0.5}, {})):
        result, _ = do_import(source, tmp_path / f"{i}", **values)
        images, labels, card = _loaded(tmp_path / f"{i}")
        share = values.get("test_share", 0.2)
        assert np.bincount(labels[card["train"] :]).tolist() == [10 * share, 20 * share]
        hashes.append(result["content_hash"])
    assert hashes[0] == hashes[3] and len(set(hashes)) == 3


def test_duplicates_go_and_a_test_image_is_never_a_training_image(tmp_path: Path) -> None:
    files = {**class_files(("a", "b"), 4, "train/"), **class_files(("a", "b"), 3, "test/")}
    files["train/a/seen.png"] = files["test/b/0.png"]
    files["train/b/seen.bmp"] = encoded(
        Image.open(io.BytesIO(files["test/a/1.png"])), "BMP"
    )  # other bytes, same pixels
    files["train/b/twice.png"] = files["train/b/1.png"]
    result, _ = do_import(folder_of(tmp_path / "s", files), tmp_path / "run")
    assert result["left_out_counts"] == {
        "also a test image: not used for training": 2,
        "duplicate of an earlier image": 1,
    }
    assert (
        result["preprocessing"]["overlap_removed"] == 2
        and result["preprocessing"]["duplicates"] == 1
    )
    images, labels, card = _loaded(tmp_path / "run")
    assert (card["train"], card["test"]) == (8, 6)
    assert imageset.copies(images[8:], images[:8]) == 0 == card["overlap"]


CORNERS = np.zeros((8, 16, 3), np.uint8)
CORNERS[:, :8] = (255, 0, 0)
CORNERS[:, 8:] = (0, 0, 255)


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    return encoded(CORNERS, "PNG", exif=exif)


def _damaged_exif() -> bytes:
    return encoded(CORNERS, "JPEG", quality=95, exif=b"Exif\0\0" + bytes([88]) * 12)


def _palette() -> Image.Image:
    return Image.fromarray(np.full((8, 8, 3), (10, 200, 30), np.uint8)).quantize(4)


PREPARED: dict[str, tuple[bytes, dict[str, Any], Any]] = {
    "crop": (
        encoded(CORNERS),
        {"fit": "crop"},
        lambda i: (i[:, :3] == (255, 0, 0)).all() and (i[:, 5:] == (0, 0, 255)).all(),
    ),
    "pad": (
        encoded(CORNERS),
        {"fit": "pad"},
        lambda i: not i[:2].any() and not i[6:].any() and i[2:6].any(axis=2).all(),
    ),
    "stretch": (
        encoded(CORNERS),
        {"fit": "stretch"},
        lambda i: (i[:, 0] == (255, 0, 0)).all() and (i[:, 7] == (0, 0, 255)).all(),
    ),
    "exif": (_turned(), {"fit": "stretch"}, lambda i: (i[:, 0] == (0, 0, 255)).all()),
    "damaged exif": (
        _damaged_exif(),
        {"fit": "stretch"},
        lambda i: i[:, 0, 0].min() > 200 and i[:, 7, 2].min() > 200,
    ),
    "transparent": (encoded(np.zeros((8, 8, 4), np.uint8)), {}, lambda i: (i == 255).all()),
    "half transparent": (
        encoded(np.full((8, 8, 4), (0, 0, 0, 128), np.uint8)),
        {},
        lambda i: (abs(i.astype(int) - 127) <= 1).all(),
    ),
    "grey and alpha": (encoded(Image.new("LA", (8, 8), (9, 255))), {}, lambda i: (i == 9).all()),
    "palette": (encoded(_palette()), {}, lambda i: (abs(i.astype(int) - (10, 200, 30)) <= 3).all()),
    "cmyk": (
        encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"),
        {},
        lambda i: i[..., 0].min() > 200 and i[..., 1].max() < 60,
    ),
    "16 bits": (
        encoded(Image.fromarray(np.full((8, 8), 257 * 77, np.uint16))),
        {},
        lambda i: (i == 77).all(),
    ),
    "black and white": (encoded(Image.new("1", (8, 8), 1)), {}, lambda i: (i == 255).all()),
    "grey": (encoded(CORNERS), {"color": "grey"}, lambda i: i.shape == (8, 8, 1) and i.max() == 76),
    "photograph": (
        encoded(np.full((400, 640, 3), 99, np.uint8), "JPEG", quality=95),
        {},
        lambda i: (abs(i.astype(int) - 99) <= 2).all(),
    ),
}


@pytest.mark.parametrize("case", PREPARED)
def test_preprocessing(tmp_path: Path, case: str) -> None:
    data, values, right = PREPARED[case]
    files = {
        **class_files(("b",), 4),
        "a/0": data,
        "a/1.png": encoded(picture(1)),
        "a/2.png": encoded(picture(2)),
    }
    do_import(folder_of(tmp_path / "s", files), tmp_path / "run", image_size=8, **values)
    images, labels, card = _loaded(tmp_path / "run")
    assert sum(bool(right(image)) for image in images) == 1, images[labels == 0][..., 0]
    assert (
        card["preprocessing"]["fit"] == values.get("fit", "crop")
        and card["preprocessing"]["image_size"] == 8
    )


def test_size_and_colour_are_kept_where_all_are_alike(tmp_path: Path) -> None:
    grey = class_files(channels=1)
    alike, _ = do_import(folder_of(tmp_path / "a", grey), tmp_path / "1")
    assert (alike["image_size"], alike["channels"]) == (16, 1)
    assert (
        do_import(folder_of(tmp_path / "a", grey), tmp_path / "2", color="rgb")[0]["channels"] == 3
    )
    mixed = {**grey, "cat/colour.png": encoded(picture(5, (20, 16)))}
    other, _ = do_import(folder_of(tmp_path / "b", mixed), tmp_path / "3")
    assert (other["image_size"], other["channels"]) == (64, 3)
    long = {n: encoded(picture(i, (12, 30))) for i, n in enumerate(grey)}
    for fit, side in (("crop", 12), ("pad", 30)):
        assert (
            do_import(folder_of(tmp_path / "c", long), tmp_path / fit, fit=fit)[0]["image_size"]
            == side
        )


def test_at_most_so_many_images_with_the_same_share_of_every_class(tmp_path: Path) -> None:
    source = folder_of(
        tmp_path / "s", {**class_files(("a",), 40), **class_files(("b",), 20, "", 1)}
    )
    result, _ = do_import(source, tmp_path / "run", max_images=30)
    assert result["per_class"] == [20, 10] and result["left_out_counts"] == {
        "beyond the requested number of images": 30
    }


def test_synthetic_images_take_the_classes_size_and_colour_of_their_data_set(
    tmp_path: Path,
) -> None:
    files = class_files(("7", "3"), 4, channels=3)
    files["3/copy.png"] = files["3/1.png"]
    result, _ = do_import(
        folder_of(tmp_path / "s", files),
        tmp_path / "run",
        role="synthetic",
        dataset="digits",
        classes="3=3,7=7",
    )
    assert result["per_class"] == [0, 0, 0, 5, 0, 0, 0, 4, 0, 0] and (
        result["train"],
        result["test"],
    ) == (9, 0)
    assert (result["image_size"], result["channels"], result["preprocessing"]["duplicates"]) == (
        8,
        1,
        1,
    )
    images, labels, card = _loaded(tmp_path / "run")
    assert (
        images.shape == (9, 8, 8, 1)
        and sorted(set(labels.tolist())) == [3, 7]
        and card["dataset"] == "digits"
    )


def test_synthetic_images_of_other_classes_are_refused_with_both_lists(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"\(cat, dog\), none are classes of Handwritten digits .*\(0, 1, 2"
    ):
        do_import(
            folder_of(tmp_path / "s", class_files()),
            tmp_path / "run",
            role="synthetic",
            dataset="digits",
        )
    with pytest.raises(SpecError, match="synthetic images need the data set"):
        make(ImportSpec, {"source": "x", "role": "synthetic"})


def test_the_task_reports_writes_and_can_be_used_by_others(store: RunStore, tmp_path: Path) -> None:
    catalog.add_runs_folder(store.folder)
    ctx = context(
        store,
        "import",
        source=str(folder_of(tmp_path / "pets", class_files(each=30))),
        mirror=False,
    )
    events = list(find_task("import")(ctx))
    kinds = [e["type"] for e in events]
    assert kinds[-1] == "result" and {"progress", "image", "message"} < set(kinds)
    last = [e for e in events if e["type"] == "progress" and e["text"] == "writing"][-1]
    assert (
        last["step"] == last["total"] == 60
        and last["unit"] == "images"
        and last["eta_seconds"] == 0
    )
    data = catalog.load(ctx.run.id)
    assert (data.info.title, data.info.classes, data.info.mirror) == ("pets", ("cat", "dog"), False)
    assert (
        len(data.train_images) == 48 and len(data.test_images) == 12 and catalog.overlap(data) == 0
    )
    assert isinstance(data.train_images, np.memmap)
    assert sorted(p.name for p in ctx.run.path.iterdir()) == [
        "card.json",
        "images.npy",
        "labels.npy",
        "near_copies.npz",
        "samples",
        "spec.json",
    ]


@pytest.mark.parametrize("text", ["reading sizes", "importing", "writing"])
def test_an_import_that_is_stopped_leaves_nothing_behind(
    store: RunStore, tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("write", "sizes"):
        monkeypatch.setattr(f"dreamlab.data.importing.{module}.REPORT_EVERY", 0.0)
    ctx = context(store, "import", source=str(folder_of(tmp_path / "pets", class_files(each=80))))
    stop_after(ctx, find_task("import"), lambda e: e["type"] == "progress" and e["text"] == text)
    assert {p.name for p in ctx.run.path.rglob("*") if p.is_file()} == {"spec.json", "stop"}
    catalog.add_runs_folder(store.folder)
    with pytest.raises(
        catalog.DataError, match="has no images: wait until it is done, or resume it"
    ):
        catalog.load(ctx.run.id)


def test_a_killed_import_is_cleaned_up_by_the_next_attempt_and_a_failed_one_by_itself(
    store: RunStore, tmp_path: Path
) -> None:
    source = folder_of(tmp_path / "s", class_files())
    work = import_images(
        open_source(ImportSpec(source=str(source))),
        make(ImportSpec, {"source": str(source)}),
        tmp_path,
    )
    next(work)
    (tmp_path / "images.npy").write_bytes(
        b"half"
    )  # as a kill would leave it, between the images and the card
    assert (tmp_path / ".import-scratch.tmp").exists() and read_json(
        tmp_path / catalog.CARD
    ) is None
    do_import(source, tmp_path)
    assert not list(tmp_path.glob(".import*")) and len(_loaded(tmp_path)[0]) == 10
    work.close()
    ctx = context(store, "import", source=str(tmp_path / "nothing"))
    with pytest.raises(TaskError, match="does not exist"):
        list(find_task("import")(ctx))


@pytest.mark.parametrize(
    ("name", "classes", "size"),
    [("flowers102", 102, 64), ("butterflies", 10, 128), ("anime_faces", 4, 64), ("fruits", 5, 64)],
)
def test_real_photographs(tmp_path: Path, name: str, classes: int, size: int) -> None:
    if not (SHARED / name).is_dir():
        pytest.skip(f"the real images are not beside the repository ({SHARED / name})")
    # the folder itself, where the one beside the repository is made of links: an import never
    # follows links out of its folder
    readme = (SHARED / name / "README.md").resolve()
    result, _ = do_import(readme.parent, tmp_path / "run", max_images=600)
    images, labels, card = _loaded(tmp_path / "run")
    assert (
        len(result["classes"]) == classes
        and images.shape[1:] == (size, size, 3)
        and 450 <= len(images) <= 700
    )
    assert set(result["left_out_counts"]) <= {
        "not in a class folder",
        "beyond the requested number of images",
    }
    assert ("_split of labels.csv" in card["preprocessing"]["split"]) == (
        name in ("flowers102", "fruits")
    )
    assert imageset.copies(images[card["train"] :], images[: card["train"]]) == 0


MEASURED = """
import json, sys
from pathlib import Path
from tests.import_helpers import do_import, peak_mb
started = peak_mb()
result, _ = do_import(sys.argv[1], Path(sys.argv[2]))
print(json.dumps([result["train"], result["test"], peak_mb() - started]))
"""


def test_an_import_takes_a_fraction_of_the_memory_of_its_images(tmp_path: Path) -> None:
    # 307 MB of distinct images in a small file
    count, each = 25_000, 12288
    labels = io.BytesIO()
    np.save(labels, np.arange(count) % 10)
    with zipfile.ZipFile(
        tmp_path / "large.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1
    ) as archive:
        archive.writestr("labels.npy", labels.getvalue())
        with archive.open("images.npy", "w") as out:
            chunks = (
                np.zeros((1000, each // 4), np.uint32)
                + np.arange(i, i + 1000, dtype=np.uint32)[:, None]
                for i in range(0, count, 1000)
            )
            shaped = (chunk.view(np.uint8).reshape(1000, 64, 64, 3) for chunk in chunks)
            assert list(imageset.write_rows(out, count, (64, 64, 3), shaped))[-1] == count
    line = [sys.executable, "-c", MEASURED, str(tmp_path / "large.npz"), str(tmp_path / "run")]
    done = subprocess.run(line, capture_output=True, text=True, check=True, cwd=ROOT)
    train, test, grown = json.loads(done.stdout)
    assert train + test == count and grown < 100, f"the import took {grown:.0f} MB"
