"""The data sets of the Data page by clicking: cards, names, versions, deletion, who used which
images, and the long tail."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamlab.data import catalog
from dreamlab.data.selection import real_data, selected
from dreamlab.service import Service
from dreamlab.settings import RealData
from dreamlab.store import RunStore
from tests.conftest import dreamlab
from tests.evidence_helpers import new_run
from tests.import_helpers import class_files, encoded, folder_of
from tests.ui.test_story import fill, go, says

pytestmark = pytest.mark.ui


@pytest.fixture(scope="module")
def pets(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An import of 16 images with a duplicate."""
    files = class_files(each=8)
    folder = folder_of(
        tmp_path_factory.mktemp("own") / "pets", files | {"dog/again.png": files["dog/1.png"]}
    )
    status, answer, err = dreamlab(runs, "import", "--from", str(folder))
    assert status == 0, err
    return str(answer["run"])


@pytest.fixture(scope="module")
def trained(runs: Path) -> str:
    """A generator that was trained on 40 digits of each class."""
    run = new_run(RunStore(runs), "train", {"dataset": "digits", "images_per_class": 40})
    (run.path / "stop").touch()
    return run.id


def card(page: Any, name: str) -> Any:
    return page.locator(f".set-card:has(a[data-set='{name}'])")


def test_cards_show_real_images_and_are_filtered(page: Any, runs: Path, pets: str) -> None:
    go(page, "data")
    says(
        page,
        "#data-catalogue",
        r"pets\s+2 classes, 16 x 16 colour\s+12 training, 4 test\s+imported",
    )
    image = card(page, pets).locator("img")
    page.wait_for_function("(i) => i.complete && i.naturalWidth > 0", arg=image.element_handle())
    assert image.evaluate("(i) => i.naturalHeight") == 16
    assert image.evaluate("(i) => i.naturalWidth") == 8 * 16
    page.fill("#data-catalogue input[type=search]", "handwritten")
    says(page, "#data-catalogue .count", r"2 of 2 that fit")
    assert not card(page, pets).is_visible() and card(page, "digits").is_visible()
    page.fill("#data-catalogue input[type=search]", "")
    page.select_option("#data-catalogue select[data-filter=kind]", "synthetic")
    says(page, "#data-catalogue .none", "No set fits")


def test_a_set_is_renamed_deleted_and_brought_back(page: Any, runs: Path, pets: str) -> None:
    page.goto(f"/?tab=data&run={pets}")
    says(page, "#data-chosen", "pets")
    page.click("#data-about button")
    page.fill("#data-name input, #data-name textarea", "Cats & <b>dogs</b>")
    page.fill("#data-text textarea", "From the garden.")
    page.click("#data-save")
    says(page, "#data-chosen", r"Cats & <b>dogs</b>[\s\S]*From the garden\.")
    says(page, "#data-catalogue", "Cats & <b>dogs</b>")
    page.click("#data-delete")
    page.click("#data-delete:has-text('Really delete')")
    says(page, "#notice", f"Deleted {pets}")
    says(page, "#data-chosen", "MNIST")
    assert not (runs / pets).exists()
    page.click("#undo")
    says(page, "#data-chosen", "Cats & <b>dogs</b>")
    assert (runs / pets).exists() and page.locator("#data-chosen b b").count() == 0
    Service(runs).describe(pets, "", "")
    says(page, "#data-chosen", "pets")


def test_names_that_are_empty_long_or_taken(page: Any, runs: Path, pets: str) -> None:
    page.goto(f"/?tab=data&run={pets}")
    says(page, "#data-chosen", "pets")
    page.click("#data-about button")
    page.fill("#data-name input, #data-name textarea", "W" * 80)
    page.fill("#data-text textarea", "V" * 500)
    page.click("#data-save")
    says(page, "#data-chosen", "W{80}")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    page.fill("#data-name input, #data-name textarea", "  ")
    page.fill("#data-text textarea", "")
    page.click("#data-save")
    says(page, "#data-chosen", "pets")
    name = page.locator("#data-name").locator("input, textarea")
    page.wait_for_function("(box) => box.value === 'pets'", arg=name.element_handle())
    copy = runs / "20261126-232900-import-copy-00aa"
    shutil.copytree(runs / pets, copy)
    record = json.loads((copy / "spec.json").read_text())
    (copy / "spec.json").write_text(json.dumps({**record, "id": copy.name}))
    Service(runs).describe(copy.name, "Twins", "")
    page.fill("#data-name input, #data-name textarea", "Twins")
    page.click("#data-save")
    says(page, "#notice", f"Saved.*{copy.name} has this name too")
    Service(runs).describe(pets, "", "")
    shutil.rmtree(copy)


def test_a_deletion_is_undone_twice_and_after_a_reload(page: Any, runs: Path, pets: str) -> None:
    page.goto(f"/?tab=data&run={pets}")
    for again in (False, True):
        says(page, "#data-chosen", "pets")
        page.click("#data-delete")
        page.click("#data-delete:has-text('Really delete')")
        says(page, "#notice", f"Deleted {pets}")
        if again:
            page.reload()
            page.click("#data-deleted summary")
            page.click(f"#data-deleted button[data-run='{pets}']")
        else:
            page.evaluate("() => [1, 2].forEach(() => document.querySelector('#undo').click())")
        says(page, "#notice", f"{pets} is restored")
        page.wait_for_timeout(1000)
        says(page, "#notice", f"{pets} is restored")
    assert (runs / pets).exists() and page.locator("#data-deleted").count() == 0


def test_images_are_added_to_a_set_as_a_new_version(
    page: Any, runs: Path, pets: str, tmp_path: Path
) -> None:
    old = (
        catalog.load(pets)
        if RunStore(runs).get(pets) and not catalog.add_runs_folder(runs)
        else None
    )
    assert old is not None
    again = {"cat/again.png": encoded(old.test_images[0])}
    more = class_files(each=5, prefix="more/") | {f"more/{k}": v for k, v in again.items()}
    page.goto(f"/?tab=data&run={pets}")
    page.click("#data-extend")
    fill(page, import__source=folder_of(tmp_path, more) / "more")
    says(page, "#import-command", f"--extends {pets}")
    says(page, "#import-proposal", "added to pets, which has 16 images and stays as it is", 60)
    page.click("#import-start")
    says(page, "#data-chosen", r"pets \(version 2\)[\s\S]*Made from real pets", 90)
    says(page, "#data-report", r"were added to pets")
    says(page, "#data-report", r"in the set already\s+1")
    assert page.locator("#data-report .left-out-pictures li").count() == 1
    assert page.input_value("#import-extends input") == "none", "the next one is a set of its own"
    page.click("#data-chosen a.run")
    says(page, "#data-chosen", r"Newer: real pets \(version 2\)")


def test_who_used_which_images_and_what_a_long_tail_leaves(
    page: Any, runs: Path, trained: str
) -> None:
    page.goto("/?tab=data&run=digits")
    total = len(catalog.load("digits").train_labels)
    says(
        page, "#data-free", rf"Of the {total:,} training images, {total - 400:,} are free of every"
    )
    says(page, "#data-roles", r"Generator, training\s+a train\s+400")
    says(page, "#data-offer", r"--validation 0\.\d+ --subset-seed 0")
    tail = RealData(dataset="digits", long_tail=0.1)
    page.fill("#data-tail-share input[type=number]", "0.1")
    page.keyboard.press("Tab")
    counts = np.bincount(
        catalog.load("digits").train_labels[selected(real_data(tail)).pool], minlength=10
    )
    said = rf"{counts.sum():,} of {total:,} training images stay, {counts.max()} of"
    assert f" and {counts.min()} of the smallest" in says(page, "#data-tail-said", said)
    says(page, "#data-tail .cmd", "--dataset digits --long-tail 0.1")
    page.click("#data-roles a.run")
    page.wait_for_selector("#page-train-button[aria-selected=true]")
    assert page.url.endswith(f"run={trained}")


@pytest.fixture(scope="module")
def many(runs: Path, pets: str) -> None:
    """Fifty more imports."""
    for i in range(50):
        copy = runs / f"20261126-2330{i:02d}-import-copy-{i:04x}"
        shutil.copytree(runs / pets, copy)
        record = json.loads((copy / "spec.json").read_text())
        (copy / "spec.json").write_text(json.dumps({**record, "id": copy.name, "name": f"set {i}"}))
        Service(runs).describe(copy.name, f"Set number {i}", f"box{i:02d}")


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)])
def test_fifty_sets_stay_usable(page: Any, many: None, pets: str, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto(f"/?tab=data&run={pets}")
    says(page, "#data-catalogue .every", r"Show all 5\d")
    visible = page.locator("#data-catalogue .set-card:visible")
    assert visible.count() == 8 and card(page, pets).is_visible()
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    page.fill("#data-catalogue input[type=search]", "box17")
    says(page, "#data-catalogue .count", "1 of 1 that fit")
    assert visible.count() == 1
    visible.locator("a").click()
    says(page, "#data-chosen", "Set number 17", 20)
    page.fill("#data-catalogue input[type=search]", "")
    page.click("#data-catalogue .every")
    assert visible.count() > 50
