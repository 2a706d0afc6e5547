"""The pages of docs/studies: a scale that was run replaces its own section alone, and gets a
picture of its images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dreamlab import studies
from dreamlab.data import imageset
from dreamlab.experiments.study.report import report
from dreamlab.store import Run, RunStore
from tests import study_pictures
from tests.evidence_helpers import finish, new_store
from tests.make_studies import PAGES, Section, index, page
from tests.study_helpers import create, imported
from tests.test_study_report import finish_all


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return new_store(tmp_path)


def section(store: RunStore, values: dict[str, Any], caption: str = "") -> Section:
    group, children = create(store, values)
    finish_all(children, {})
    found = report(group, store)
    finish(group, found)
    return Section(group, found, "abc1234", caption, "p.webp" if caption else "")


@pytest.mark.parametrize("name", studies.names())
def test_a_page_that_is_written_anew_without_runs_stays_byte_for_byte(name: str) -> None:
    text = (PAGES / f"{name}.md").read_text()
    assert page(name, {}, text) == text


def test_the_list_without_runs_stays_byte_for_byte() -> None:
    text = (PAGES / "README.md").read_text()
    assert index({}, text) == text
    for name in studies.names():
        scales = [s for s in studies.load(name).scales if f"]({name}.md) | {s} |" in text]
        there = (PAGES / f"{name}.md").read_text()
        assert scales == [
            s for s in studies.load(name).scales if f"\n## {s.capitalize()} scale\n" in there
        ]


def test_a_scale_replaces_its_own_section_alone(store: RunStore) -> None:
    first = section(store, {"study": "s1-fid"})
    text = page("s1-fid", {"laptop": first})
    values = {"study": "s1-fid", "scale": "middle", "dataset": "mnist5k"}
    middle = section(store, values, "Digits of the part set.")
    both = page("s1-fid", {"middle": middle}, text)
    assert both.startswith(text) and both.count("\n## ") == 3
    after = both.removeprefix(text)
    assert after.startswith("\n## Middle scale\n") and "abc1234" in after
    assert "![Digits of the part set.](p.webp)\n\nDigits of the part set.\n" in after
    again = page("s1-fid", {"laptop": first}, both)
    assert again == both
    listed = index({"s1-fid": {"middle": middle}}, index({"s1-fid": {"laptop": first}}))
    assert [line.split(" | ")[1] for line in listed.splitlines() if "(s1-fid.md)" in line] == [
        "laptop",
        "middle",
    ]


def test_the_command_of_a_page_names_imports_by_their_names(store: RunStore) -> None:
    made = section(store, {"study": "s1-fid"})
    assert made.named("digits") == "digits"
    of = Section(made.run, made.result, "x", names={"id-1": "FLOWERS"})
    assert of.named("id-1,digits") == "FLOWERS,digits"


def fill(children: dict[str, Run], side: int, channels: int, classes: int) -> None:
    """Gives every synthetic set three images of each class; the brightness is 10 times the
    class."""
    labels = np.repeat(np.arange(classes), 3)
    images = np.repeat(10 * labels.astype(np.uint8), side * side * channels)
    for run in children.values():
        if run.kind == "synthesize":
            imageset.save(run.path, images.reshape(-1, side, side, channels), labels)


def test_the_picture_has_real_images_first_and_every_set_below(
    store: RunStore, tmp_path: Path
) -> None:
    group, children = create(store, {"study": "s0-mnist"})
    fill(children, 8, 1, 10)
    file = tmp_path / "picture.webp"
    caption = study_pictures.write(group, store, file)
    assert caption.startswith("Real images (first rows)") and "Columns: 0, 1, 2" in caption
    assert file.stat().st_size < study_pictures.MOST_BYTES
    with Image.open(file) as picture:
        step = study_pictures.SIDE + study_pictures.GAP
        text = study_pictures.TEXT + 4
        assert picture.size == (10 * step, 2 * text + (2 + study_pictures.ROWS) * step)
        below = np.asarray(picture.convert("L"))[2 * text + 2 * step :]
    found = [float(below[10:50, c * step + 10 : c * step + 50].mean()) for c in range(10)]
    assert found == pytest.approx([10 * c for c in range(10)], abs=3)


def test_the_picture_of_an_imported_set_shows_no_real_image(
    store: RunStore, tmp_path: Path
) -> None:
    name = imported(tmp_path / "imports", "flowers", "flowers", 16, 2, 100, 10)
    group, children = create(store, {"study": "s4-tsweep", "scale": "middle", "dataset": name})
    fill(children, 16, 3, 10)
    file = tmp_path / "picture.webp"
    assert study_pictures.NOT_REAL in study_pictures.write(group, store, file)
    with Image.open(file) as picture:
        assert picture.size[1] == 4 * (study_pictures.TEXT + 4 + 66), "four sets, one row each"


def test_a_study_without_images_has_no_picture(store: RunStore, tmp_path: Path) -> None:
    group, _ = create(store, {"study": "s1-cas"})
    assert study_pictures.write(group, store, tmp_path / "p.webp") == ""
    assert not (tmp_path / "p.webp").exists()


def test_pictures_of_pages_are_there_and_small() -> None:
    named = {
        part.split(")")[0]
        for file in PAGES.glob("*.md")
        for part in file.read_text().split("](")[1:]
        if part.split(")")[0].endswith(".webp")
    }
    assert named == {file.name for file in PAGES.glob("*.webp")}
    assert all((PAGES / f).stat().st_size < study_pictures.MOST_BYTES for f in named)
