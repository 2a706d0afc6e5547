"""The Data page by clicking: the catalogue, an import of one's own pictures with its report, and
where it can be taken."""

from __future__ import annotations

import base64
import io
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dreamlab.data import catalog
from dreamlab.store import RunStatus, RunStore
from tests.conftest import dreamlab
from tests.import_helpers import class_files, encoded, picture
from tests.ui.test_story import fill, go, pick, says, until

pytestmark = pytest.mark.ui


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cats and dogs of 16x16 pixels, a note, a picture twice and half of one."""
    files = class_files(each=8)
    first = next(iter(files.values()))
    files |= {
        "cat/note.png": b"no picture",
        "dog/again.png": first,
        "dog/half.png": encoded(picture(1))[:100],
    }
    return written(tmp_path_factory.mktemp("own") / "pets", files)


@pytest.fixture(scope="module")
def synthetic(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An import of synthetic 8x8 digits that were made elsewhere."""
    rng = np.random.default_rng(0)
    files = {
        f"{c}/{i}.png": encoded(rng.integers(0, 256, (8, 8, 1), np.uint8))
        for c in range(10)
        for i in range(12)
    }
    folder = written(tmp_path_factory.mktemp("made") / "elsewhere", files)
    words = ("import", "--from", str(folder), "--role", "synthetic", "--dataset", "digits")
    status, answer, err = dreamlab(runs, *words)
    assert status == 0, err
    return str(answer["run"])


def test_every_set_of_the_catalogue_can_be_looked_at(page: Any, runs: Path) -> None:
    go(page, "data")
    for info in catalog.INFO.values():
        says(page, "#data-catalogue", rf"{info.classes and info.title.split('(')[0]}")
    says(page, "#data-chosen", "Handwritten digits")
    page.click("#data-catalogue a[data-set=digits]")
    says(page, "#data-set", r"8 x 8 pixels, grey")
    source = page.get_attribute("#data-set dl-sheet.real img", "src")
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))))
    digits = catalog.load("digits")
    assert (shown[8:16, :8] == digits.train_images[digits.train_labels == 1][0, ..., 0]).all()
    assert page.locator("#data-set .histogram").count() == 2 and page.url.endswith("run=digits")
    page.click("#data-catalogue a[data-set=cifar10]")
    says(page, "#data-set", "(?i)folder")
    assert page.locator("#data-folder").is_visible()


def test_one_click_downloads_and_without_a_network_says_what_to_put_where(
    page: Any, runs: Path
) -> None:
    def imports() -> list[RunStatus]:
        return [r.status() for r in RunStore(runs) if r.kind == "import"]

    def failed(attempt: int) -> None:
        """The download has failed for this time, and the page says so."""
        until(lambda: [(s.state, s.attempt) for s in imports()] == [("failed", attempt)])
        says(page, "#data-set", rf"MNIST could not be downloaded .*{by_hand}", 60)

    go(page, "data")
    page.click("#data-catalogue a[data-set=mnist]")
    place = RunStore(runs).folders.cache / "downloads" / "mnist" / "MNIST" / "raw"
    by_hand = rf"t10k-labels-idx1-ubyte.gz from https://\S+ into {re.escape(str(place))}"
    says(page, "#data-set", rf"Without a network, first put .*{by_hand}")
    page.click("#data-catalogue button[data-set=mnist]:has-text('Download 12 MB')")
    failed(1)
    page.click("#data-resume")
    says(page, "#notice", "Queued again")
    failed(2)
    page.click("#data-catalogue button[data-set=mnist]:has-text('Download')")
    failed(3)
    assert len(imports()) == 1, "every try is an attempt of the same run"


def test_wrong_sources_are_refused_with_a_sentence(page: Any, runs: Path) -> None:
    before = [r.kind for r in RunStore(runs)].count("import")
    go(page, "data")
    pick(page, "import-role", "synthetic")
    fill(page, import__source="somewhere")
    says(page, "#import-refusal", "Classes of")
    page.click("#import-start")
    page.wait_for_timeout(1000)
    assert [r.kind for r in RunStore(runs)].count("import") == before


def test_an_import_is_watched_reported_and_taken_on(page: Any, runs: Path, pictures: Path) -> None:
    go(page, "data")
    fill(page, import__source=pictures)
    says(page, "#import-command", "dreamlab import --from")
    page.click("#import-start")
    says(page, "#data-report", r"16 images of 16 x 16 pixels in colour were imported", 90)
    says(page, "#data-report", r"Left out\s+3 files")
    says(page, "#data-report", "Content hash")
    with page.expect_download() as started:
        page.click("#data-export a:has-text('imagefolder')")
    with zipfile.ZipFile(started.value.path()) as made:
        assert {"train/metadata.csv", "test/metadata.csv"} <= set(made.namelist())
    page.click("#data-report details summary")
    says(page, "#data-report details", "half.png")
    says(page, "#data-set", "rows are classes")
    run = page.url.split("run=")[1]
    page.click("#data-train")
    page.wait_for_selector("#page-train-button[aria-selected=true]")
    says(page, "#train-command", f"--dataset {run}")
    page.click("#page-data-button")
    page.click("#data-mix")
    page.wait_for_selector("#page-mix-button[aria-selected=true]")
    says(page, "#mix-command", f"--dataset {run}")
    assert RunStore(runs).get(run).result()["images"] == 16


def test_an_import_that_fails_says_why(page: Any, runs: Path, tmp_path: Path) -> None:
    folder = written(
        tmp_path / "damaged", {f"{c}/{i}.png": b"no image" for c in ("bee", "cat") for i in (1, 2)}
    )
    status, answer, _ = dreamlab(runs, "import", "--from", str(folder), "--layout", "top")
    assert status == 1 and answer["error"]
    page.goto(f"/?tab=data&run={answer['run']}")
    says(page, "#data-set", r"is failed: it has no images\.")
    assert (
        answer["error"] in page.inner_text("#data-set")
        and page.locator("#data-resume").count() == 1
    )


def test_imported_synthetic_images_are_where_sets_are_chosen(
    page: Any, runs: Path, synthetic: str
) -> None:
    page.goto(f"/?tab=gallery&run={synthetic}")
    says(page, "#gallery-sheets", "Synthetic, rows are classes")
    says(page, "#gallery-about", r"imported from .*elsewhere, for the classes of digits")
    page.click("#gallery-measure")
    page.wait_for_selector("#page-fidelity-button[aria-selected=true]")
    says(page, "#fidelity-command", f"--images {synthetic}")
    page.goto(f"/?tab=data&run={synthetic}")
    says(page, "#data-report", "all of them synthetic")
    assert page.locator("#data-set dl-sheet.synthetic").count() == 1
    go(page, "mix")
    pick(page, "mix-dataset", "8x8")
    page.click("#mix-generators button")
    page.click("#mix-sets input")
    assert page.locator(f"ul[role=listbox] li:has-text('{synthetic[-4:]}')").count() == 1


@pytest.mark.parametrize("size", [(1440, 900), (1280, 720)])
def test_nine_tabs_fit(page: Any, size: tuple[int, int], runs: Path) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    for tab in ("data", "studies"):
        go(page, tab)
        last = page.locator("#tabs [role=tab]").last.bounding_box()
        machine = page.locator("#header .machine").bounding_box()
        assert last["x"] + last["width"] < machine["x"]
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), (
            "nothing is wider than the window"
        )


def test_what_the_files_do_not_say_is_asked_before_a_run_is_made(
    page: Any, runs: Path, tmp_path: Path
) -> None:
    before = [r.kind for r in RunStore(runs)].count("import")
    files = class_files(("poodle", "beagle"), 3, "dogs/") | class_files(("tabby",), 3, "cats/")
    go(page, "data")
    fill(page, import__source=written(tmp_path / "pets", files))
    page.click("#import-start")
    says(page, "#import-refusal", "which are the classes?.*--layout joined", 60)
    assert [r.kind for r in RunStore(runs)].count("import") == before
