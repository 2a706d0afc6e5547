"""Pictures of one's own, from drop to verdict by clicking, for sources as people have them. Files
are dropped as the browser itself does it."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dreamlab.store import RunStore
from tests.import_helpers import encoded, folder_of, zip_of
from tests.ui.test_story import fill, go, pick, says

pytestmark = pytest.mark.ui
CLICKS = 6
"""Most clicks from the drop to the verdict."""


def bar(c: int, i: int, size: tuple[int, int] = (16, 16)) -> np.ndarray:
    """A picture of class c in uint8 (height, width, 3): a bright bar at its place, and noise."""
    height, width = size
    image = np.random.default_rng([c, i]).integers(0, 60, (height, width, 3)).astype(np.uint8)
    step = max(1, width // 8)
    image[:, (2 * c + 1) * step : (2 * c + 2) * step] = (200, 120, 40)
    return image


def phone(folder: Path) -> Path:
    """Photos of a phone in a ZIP made on a Mac: HEIC, and JPEG turned by EXIF."""
    import pillow_heif

    files: dict[str, bytes] = {}
    for c, name in enumerate(("Käfer", "Biene")):
        for i in range(12):
            photo = Image.fromarray(bar(c, i, (48, 64)))
            if i % 2:
                out = io.BytesIO()
                pillow_heif.from_pillow(photo).save(out, quality=95)
                files[f"Fotos/{name}/IMG_{i}.HEIC"] = out.getvalue()
            else:
                exif = Image.Exif()
                exif[0x0112] = 6  # stored on its side
                side = photo.rotate(90, expand=True)
                files[f"Fotos/{name}/IMG_{i}.jpg"] = encoded(side, "JPEG", quality=95, exif=exif)
        files[f"__MACOSX/Fotos/{name}/._IMG_0.jpg"] = b"x"
    return zip_of(folder / "Fotos.zip", files)


def medical(folder: Path) -> Path:
    """PNG in grey of 16 bits whose values have 12."""
    files = {
        f"{name}/{i}.png": encoded(Image.fromarray(bar(c, i)[..., 0].astype(np.uint16) * 16))
        for c, name in enumerate(("healthy", "lesion"))
        for i in range(12)
    }
    return folder_of(folder / "scans", files)


def kaggle(folder: Path) -> Path:
    """A ZIP with train/, test/ without labels, and a table."""
    names = ("cat", "dog")
    files = {f"train/{i:03}.png": encoded(bar(i % 2, i)) for i in range(24)}
    files |= {f"test/{i:03}.png": encoded(bar(i % 2, 100 + i)) for i in range(6)}
    table = io.StringIO()
    csv.writer(table).writerows([("id", "label"), *((f"{i:03}", names[i % 2]) for i in range(24))])
    return zip_of(folder / "pets.zip", {**files, "train.csv": table.getvalue().encode()})


def medmnist(folder: Path) -> Path:
    parts = {}
    for part, each, base in (("train", 24, 0), ("val", 6, 100), ("test", 8, 200)):
        labels = np.arange(each) % 2
        images = np.stack([bar(c, base + i)[..., 0] for i, c in enumerate(labels)])
        parts |= {f"{part}_images": images, f"{part}_labels": labels[:, None].astype(np.uint8)}
    np.savez(folder / "smallmnist.npz", **parts)
    return folder / "smallmnist.npz"


def saved(folder: Path) -> Path:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}
    )
    made = {
        part: datasets.Dataset.from_dict(
            {
                "image": [{"bytes": encoded(bar(i % 2, base + i)), "path": None} for i in range(n)],
                "label": [i % 2 for i in range(n)],
            },
            features=features,
        )
        for part, n, base in (("train", 24, 0), ("test", 8, 100))
    }
    datasets.DatasetDict(made).save_to_disk(str(folder / "saved"))
    return folder / "saved"


def drop(page: Any, path: Path, selector: str = "dl-drop.large") -> None:
    """Drops a file or folder on an element, by the browser's own events."""
    box = page.locator(selector).bounding_box()
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    devtools = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})


class Clicks:
    """Clicks on a page, counted."""

    def __init__(self, page: Any):
        self.page, self.count = page, 0

    def __call__(self, selector: str) -> None:
        self.page.click(selector)
        self.count += 1


STORIES = {
    "phone": (phone, r"24 images in 2 classes", ("rgb", 48, 24)),
    "medical": (medical, r"24 images in 2 classes", ("grey", 16, 24)),
    "kaggle": (kaggle, r"24 images in 2 classes", ("rgb", 16, 24)),
    "saved": (saved, r"32 images in 2 classes", ("rgb", 16, 32)),
    "medmnist": (medmnist, r"38 images in 2 classes", ("grey", 16, 38)),
}


@pytest.mark.parametrize("story", list(STORIES))
def test_from_drop_to_verdict(page: Any, runs: Path, tmp_path: Path, story: str) -> None:
    make: Callable[[Path], Path] = STORIES[story][0]
    words, (color, side, images) = STORIES[story][1:]
    click = Clicks(page)
    go(page, "data")
    drop(page, make(tmp_path))
    says(page, "#import-proposal", words, 60)
    page.wait_for_selector("#import-proposal dl-sheet img")
    if page.locator(".question").count():
        click(".question .btn.main")
        page.wait_for_selector("#import-proposal [data-press]")
    click("#import-proposal [data-press]")
    says(page, "#data-report", "images of", 90)
    run = page.url.split("run=")[1]
    result = RunStore(runs).get(run).result()
    assert result["images"] == images and result["image_size"] == side
    assert result["preprocessing"]["color"] == color
    click("#data-mix")
    page.wait_for_selector("#page-mix-button[aria-selected=true]")
    says(page, "#mix-command", f"--dataset {run}")
    # smaller than a user's, so that the test is short
    fill(page, mix__train_steps=4, mix__seeds=3, mix__steps=4, mix__arms="real, real+1x")
    says(page, "#mix-command", "--train-steps 4 .*--arms real,real.1x")
    click("#mix-start")
    page.wait_for_selector("#mix-verdict .verdict[data-kind]", timeout=180_000)
    assert click.count <= CLICKS


def test_a_question_is_answered_by_a_button(page: Any, runs: Path, tmp_path: Path) -> None:
    files = {
        f"{name}/{i}.png": encoded(bar(c, i))
        for c, name in enumerate(("dogs/poodle", "dogs/beagle", "cats/tabby"))
        for i in range(6)
    }
    go(page, "data")
    drop(page, folder_of(tmp_path / "pets", files))
    says(page, "#import-proposal", "which are the classes", 60)
    before = len(RunStore(runs).ids())
    page.click("#import-start")
    says(page, "#import-refusal", "--layout", 60)
    assert len(RunStore(runs).ids()) == before, "nothing is started before the answer"
    page.click(".question .btn:has-text('outer')")
    says(page, "#import-proposal", "18 images in 2 classes", 60)
    says(page, "#import-command", "--layout top")
    assert page.locator(".question").count() == 0


def test_folders_of_the_server_are_listed_and_chosen(page: Any, runs: Path) -> None:
    go(page, "data")
    page.click("#import-source-files [data-local=browse]")
    says(page, "#import-source-shelf", str(Path.cwd()))
    page.click(f"#import-source-shelf a[data-at='{Path.cwd()}']")
    says(page, "#import-source-shelf", "dreamlab/")
    page.click("#import-source-shelf a:has-text('tests/')")
    says(page, "#import-source-shelf code", "/tests$")
    page.click("#import-source-shelf [data-local=choose].main")
    page.wait_for_function(
        "() => document.querySelector('#import-source textarea, #import-source input')"
        ".value.endsWith('/tests')"
    )
    assert page.locator("#import-source-shelf .shelf").count() == 0, "the list is closed"


def test_what_cannot_be_imported_says_why_and_the_next_drop_works(
    page: Any, runs: Path, tmp_path: Path
) -> None:
    go(page, "data")
    drop(page, zip_of(tmp_path / "notes.zip", {"a.txt": b"no picture"}))
    says(page, "#import-proposal", "holds no images that can be read", 60)
    (tmp_path / "cut.zip").write_bytes(b"PK\3\4 not a whole one")
    drop(page, tmp_path / "cut.zip")
    says(page, "#import-refusal", "neither a folder nor a complete ZIP", 60)
    before = RunStore(runs).ids()
    drop(page, medmnist(tmp_path))
    says(page, "#import-proposal", "38 images", 60)
    assert page.inner_text("#import-refusal") == "" and RunStore(runs).ids() == before


def test_a_page_that_is_left_gives_its_upload_up(page: Any, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "big.zip").write_bytes(bytes(40 * 2**20))
    go(page, "data")
    kept = RunStore(runs).folders.uploads
    before = {p.name for p in kept.iterdir()} if kept.exists() else set()
    page.route("**/upload/*", lambda route: page.wait_for_timeout(200) or route.continue_())
    drop(page, tmp_path / "big.zip")
    says(page, "#import-source-files .drop-words", r"of 41\.9 MB")
    assert {p.name for p in kept.iterdir()} > before
    page.reload()
    page.wait_for_selector("dl-drop.large")
    until = time.monotonic() + 30
    while {p.name for p in kept.iterdir()} != before and time.monotonic() < until:
        page.wait_for_timeout(100)
    assert {p.name for p in kept.iterdir()} == before


def test_a_second_drop_waits_and_two_files_of_one_name_are_refused(
    page: Any, runs: Path, tmp_path: Path
) -> None:
    (tmp_path / "big.zip").write_bytes(bytes(40 * 2**20))
    go(page, "data")
    page.route("**/upload/*", lambda route: page.wait_for_timeout(300) or route.continue_())
    drop(page, tmp_path / "big.zip")
    says(page, "#import-source-files .drop-words", r"of 41\.9 MB")
    drop(page, medmnist(tmp_path))
    says(page, "#import-source-files .refusal", "being sent: wait until they are there, or cancel")
    page.click("#import-source-files [data-cancel]")
    says(page, "#import-source-files .refusal", "Nothing was kept")
    page.evaluate(
        "() => document.querySelector('dl-drop.large').send([1, 2].map("
        "() => ({ path: 'a.png', file: new File(['x'], 'a.png') })))"
    )
    says(page, "#import-source-files .refusal", "Two of the files are called a.png")
    uploads, end = RunStore(runs).folders.uploads, time.monotonic() + 30
    while list(uploads.glob("*.part")) and time.monotonic() < end:
        page.wait_for_timeout(100)
    assert not list(uploads.glob("*.part"))


def test_an_answer_holds_for_one_source(page: Any, runs: Path, tmp_path: Path) -> None:
    """The class of the next pictures is not guessed from what was said of others."""
    for place, name in ((tmp_path / "pets", "dogs/poodle"), (tmp_path / "more", "dogs/beagle")):
        files = {f"{c}/{i}.png": encoded(bar(0, i)) for c in (name, "cats/tabby") for i in range(6)}
        folder_of(place, files | {f"dogs/husky/{i}.png": encoded(bar(1, i)) for i in range(6)})
    go(page, "data")
    drop(page, tmp_path / "pets")
    says(page, "#import-proposal", "which are the classes", 60)
    page.click(".question .btn:has-text('outer')")
    says(page, "#import-command", "--layout top", 60)
    drop(page, tmp_path / "more")
    says(page, "#import-command", r"more\s+Copy", 60)
    says(page, "#import-proposal", "which are the classes", 60)
    assert "--layout" not in page.inner_text("#import-command")


def test_classes_of_a_synthetic_set_are_chosen_and_changed(
    page: Any, runs: Path, tmp_path: Path
) -> None:
    files = {
        f"{name}/{i}.png": encoded(bar(c, i, (8, 8))[..., 0])
        for c, name in enumerate(("three", "3", "odd"))
        for i in range(4)
    }
    go(page, "data")
    pick(page, "import-role", "synthetic")
    pick(page, "import-dataset", "8x8")
    fill(page, import__source=folder_of(tmp_path / "made", files))
    says(page, "#import-proposal", "only some are classes of Handwritten digits", 60)

    def become(**names: str) -> None:
        for name, new in names.items():
            page.select_option(f".class-map select[data-from='{name.strip('_')}']", new)
        page.click("[data-local=map]")

    become(_3="", three="", odd="")
    says(page, ".class-choice .refusal", "Every class would be left out")
    become(three="3", odd="5")
    says(page, "#import-proposal", "Import 8 images", 60)
    assert page.input_value(".class-map select[data-from='3']") == ""
    become(odd="3")
    says(page, "#import-command", "--classes 3=,odd=3,three=3", 60)
    says(page, "#import-proposal", "Import 8 images", 60)
