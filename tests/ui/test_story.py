"""The five-minute story by clicking, against the real engine, on the small 8x8 digits. The tests
build on one another in order."""

from __future__ import annotations

import base64
import io
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dreamlab.data import catalog
from dreamlab.store import RunStore

pytestmark = pytest.mark.ui
ARMS = "real, 50/50, real+1x"


def go(page: Any, tab: str) -> None:
    page.goto(f"/?tab={tab}")
    page.wait_for_selector(f"#page-{tab}-button[aria-selected=true]")


def pick(page: Any, field: str, words: str) -> None:
    """Chooses from a drop-down by a part of the option's words."""
    page.click(f"#{field} input")
    page.click(f"ul[role=listbox] li:has-text('{words}')")


def fill(page: Any, **values: Any) -> None:
    for field, value in values.items():
        page.locator(f"#{field.replace('__', '-')}").locator(
            "input[type=number], textarea, input[type=text]"
        ).first.fill(str(value))


def says(page: Any, selector: str, pattern: str, seconds: float = 120) -> str:
    """Waits until an element's text fits; returns the text."""
    deadline, text = time.monotonic() + seconds, ""
    while time.monotonic() < deadline:
        text = page.locator(selector).first.inner_text() if page.locator(selector).count() else ""
        if re.search(pattern, text):
            return str(text)
        page.wait_for_timeout(100)
    raise AssertionError(f"{selector} never said {pattern!r}; it says {text!r}")


def until(found: Callable[[], Any], seconds: float = 90) -> Any:
    """Waits until something is true; returns it."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
    return value


def pictures(page: Any) -> list[str]:
    return [i.get_attribute("src") for i in page.locator("#sample-frames dl-sheet img").all()]


def kinds(runs: Path) -> list[str]:
    return sorted(run.kind for run in RunStore(runs))


def test_home_asks_one_question_and_shows_every_tab(page: Any, runs: Path) -> None:
    go(page, "home")
    assert page.locator("#tabs [role=tab]").all_inner_texts() == [
        "Home",
        "Data",
        "Train",
        "Sample",
        "Gallery",
        "Fidelity",
        "Mix",
        "Studies",
        "Runs",
    ]
    says(page, "#home-card", "Does synthetic data help")
    says(page, "#home-card", "Handwritten digits, offline")
    says(page, "#dock", "Nothing is running")
    assert page.locator("#card-start").count() == 1


def test_wrong_input_shows_the_sentence_and_starts_nothing(page: Any, runs: Path) -> None:
    go(page, "train")
    fill(page, train__steps=-3)
    says(page, "#train-refusal", r"Steps \(--steps\): -3(\.0)? cannot be used; it must be 0 to")
    page.click("#train-start")
    page.wait_for_timeout(1500)
    says(page, "#train-refusal", "cannot be used")
    assert kinds(runs) == []


def test_train_watch_reload_stop_resume(page: Any, runs: Path) -> None:
    go(page, "train")
    pick(page, "train-dataset", "8x8")
    fill(page, train__steps=20_000)
    says(page, "#train-command", r"dreamlab train --dataset digits --steps 20000")
    says(page, "#train-cost", r"about .*20,000 steps at .*memory.*disk; [\d,]+ parameters")
    page.click("#train-start")
    page.wait_for_selector("dl-film img")
    says(page, "#train-stats", "running")
    page.wait_for_url(re.compile("run="))
    before, run = page.url, page.url.split("run=")[1]
    page.reload()
    page.wait_for_selector("dl-film img")
    says(page, "#train-stats", "running")
    assert page.url == before
    page.wait_for_function(
        "() => document.querySelectorAll('#train-loss .plotly .scatterlayer path').length > 0"
    )
    says(page, "#train-film", r"Samples at step ([2-9]|\d\d)")
    page.wait_for_function(
        "() => document.querySelectorAll('#train-bands .plotly .scatterlayer .trace').length == 4"
    )
    before_asking = len(list((runs / run / "samples").glob("*.png")))
    page.click("#train-preview")
    says(page, "#notice", "the preview appears")
    page.click("#train-snapshot")
    kept = until(lambda: list((runs / run / "checkpoints").glob("step-*.safetensors")))
    until(lambda: len(list((runs / run / "samples").glob("*.png"))) > before_asking)
    page.click("#train-stop")
    says(page, "#train-stats", "stopped and kept")
    says(page, "#train-stats", f"Kept: {kept[0].stem}")
    assert (runs / run / "checkpoints" / "ema.safetensors").exists()
    page.locator("dl-film input[type=range]").fill("0")
    says(page, "#train-film", r"Samples at step [01]\b")
    steps = int(says(page, "#train-stats .stat b", r"\d").replace(",", ""))
    page.click("#train-resume")
    says(page, "#train-stats", "running")
    page.wait_for_function(
        "() => +document.querySelector('#train-stats .stat b').textContent.replace(',', '') >"
        f" {steps}"
    )
    page.click("#dock-stop")
    says(page, "#train-stats", "stopped and kept")


def test_sample_streams_and_keep_makes_a_set(page: Any, runs: Path) -> None:
    go(page, "sample")
    fill(page, sample__num_steps=8, sample__per_class=4, sample__keep_per_class=20)
    says(page, "#sample-command", r"--num-steps 8")
    page.click("#sample-start")
    page.wait_for_selector("#sample-frames")
    page.wait_for_selector("#sample-frames[data-done='1']")
    assert page.locator("#sample-frames dl-sheet.synthetic img").count() == 2
    last, title = pictures(page), page.inner_text("#sample-frames .film-title")
    frames = int(page.get_attribute("#sample-frames input[type=range]", "max")) + 1
    assert frames >= 3 and title == "Step 8 of 8"
    page.locator("#sample-frames input[type=range]").fill("0")
    says(page, "#sample-frames .film-title", r"Step [01] of 8")
    assert all(a != b for a, b in zip(pictures(page), last, strict=True)), (
        "x_t and x0 go back together"
    )
    page.locator("#sample-frames input[type=range]").fill(str(frames - 1))
    says(page, "#sample-frames .film-title", title)
    assert pictures(page) == last
    fill(page, sample__num_steps=5000)
    page.click("#sample-start")
    says(page, "#sample-refusal", r"Sampler steps \(--num-steps\): 5000")
    fill(page, sample__num_steps=8)
    page.click("#sample-keep")
    page.click("#sample-kept a.run")
    page.wait_for_selector("#page-gallery-button[aria-selected=true]")
    says(page, "#gallery-sheets", "Synthetic, rows are classes", 60)
    assert kinds(runs) == ["synthesize", "train"]


def test_gallery_is_pixel_exact(page: Any, runs: Path) -> None:
    go(page, "gallery")
    pick(page, "gallery-class", "3")
    says(page, "#gallery-sheets", "Real, class 3")
    shown = {}
    for kind in ("real", "synthetic"):
        image = page.locator(f"#gallery-sheets dl-sheet.{kind} img")
        source = image.get_attribute("src")
        shown[kind] = np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))))
        zoom = image.evaluate(
            "e => e.getBoundingClientRect().width / e.naturalWidth * devicePixelRatio"
        )
        assert zoom == pytest.approx(round(zoom)) and zoom >= 1
        assert image.evaluate("e => getComputedStyle(e).imageRendering") == "pixelated"
    run = next(r for r in RunStore(runs) if r.kind == "synthesize")
    images, labels = np.load(run.path / "images.npy"), np.load(run.path / "labels.npy")
    assert (shown["synthetic"][:8, :8] == images[labels == 3][0, ..., 0]).all()
    digits = catalog.load("digits")
    real = digits.train_images[digits.train_labels == 3]
    assert (shown["real"][8:16, 16:24] == real[12, ..., 0]).all()
    colours = [
        page.locator(f"#gallery-sheets dl-sheet.{k} .clip").evaluate(
            "e => getComputedStyle(e).borderTopColor"
        )
        for k in shown
    ]
    assert colours[0] != colours[1]


def test_mix_to_its_verdict(page: Any, runs: Path) -> None:
    go(page, "mix")
    pick(page, "mix-dataset", "8x8")
    fill(page, mix__arms="real, 30/60")
    says(page, "#mix-refusal", "'30/60' cannot be used")
    fill(page, mix__arms=ARMS, mix__images_per_class=10, mix__seeds=3, mix__steps=20)
    pick(page, "mix-sources", "digits")
    says(page, "#mix-extra", r"Real \+ 1x synthetic\s+100\s+100")
    says(page, "#mix-command", r"--arms real,50/50,real\+1x")
    assert "mix" not in kinds(runs)
    page.click("#mix-start")
    says(page, "#mix-verdict", "The verdict follows when|helps|hurts|ndecided")
    page.wait_for_selector("#mix-verdict .verdict[data-kind]", timeout=180_000)
    says(page, "#mix-verdict", r"points")
    says(page, "#mix-table", r"Real only\s+100\s+0")
    says(page, "#mix-table", "generator trained on")
    page.wait_for_function(
        "() => document.querySelectorAll('#mix-chart .plotly .scatterlayer .point').length >= 9"
    )
    assert page.locator("#mix-gains .gain").count() == 10
    assert page.locator("#mix-gains table.matrix").count() == 2
    says(page, "#mix-table", r"Controls(.|\n)*Real \+ 1x noise")
    page.click("#mix-table details summary")
    says(page, "#mix-table details", "McNemar for each seed")
    pick(page, "mix-arm", "50 / 50")
    says(page, "#mix-gains", "50 / 50 against real only")
    with page.expect_download() as taken:
        page.click("#mix-run-command a:has-text('.npz')")
    with np.load(taken.value.path()) as arrays:
        assert len(arrays["images"]) == len(arrays["labels"]) == 100 and set(arrays["role"]) == {
            "real",
            "synthetic",
        }


def test_runs_compare_delete_and_undo(page: Any, runs: Path) -> None:
    go(page, "runs")
    page.wait_for_selector("dl-runs tr[data-kind=mix]")
    page.fill("dl-runs input[type=search]", "synthesize")
    says(page, "dl-runs .count", "^1 shown")
    page.fill("dl-runs input[type=search]", "")
    page.check("dl-runs tr[data-kind=mix] input")
    page.check("dl-runs tr[data-kind=train] input")
    page.click("#runs-compare-button")
    says(page, "#runs-compare", "Comparison")
    page.click("dl-runs tr[data-kind=mix] a.run")
    says(page, "#runs-detail", "Lineage")
    gone = page.url.split("run=")[1]
    page.click("#runs-delete")
    assert (runs / gone).exists(), "one click asks only"
    page.click("#runs-delete")
    page.wait_for_selector("#undo")
    assert not (runs / gone).exists()
    page.click("#undo")
    page.wait_for_selector("dl-runs tr[data-kind=mix]")
    assert (runs / gone).exists()
    page.click("dl-runs tr[data-kind=mix] .btn[data-act=open]")
    page.wait_for_selector("#page-mix-button[aria-selected=true]")


@pytest.mark.parametrize("size", [(1440, 900), (1280, 720)])
def test_both_themes_are_worn_and_remembered(page: Any, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    go(page, "mix")
    page.wait_for_selector("#mix-chart .plotly")
    ground = "() => getComputedStyle(document.body).backgroundColor"
    first = page.evaluate(ground)
    page.click("#theme-toggle")
    page.wait_for_function(f"() => getComputedStyle(document.body).backgroundColor !== '{first}'")
    page.reload()
    page.wait_for_selector("#mix-chart .plotly")
    assert page.evaluate(ground) != first
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), (
        "nothing is wider than the window"
    )


@pytest.mark.parametrize("size", [(720, 450), (390, 844)])
def test_home_fits_a_narrow_window(page: Any, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    go(page, "home")
    says(page, "body", "Does synthetic data help")
    page.wait_for_selector(".chips .chip")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    more = page.locator("#tabs .overflow-menu > button").bounding_box()
    theme = page.locator("#theme-toggle").bounding_box()
    assert more["x"] + more["width"] <= theme["x"]
