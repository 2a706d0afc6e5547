"""What a generator can be, as the pages show it: without classes, fine-tuned, a cascade, a kept
trajectory, fine images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import dreamlab
from tests.ui.test_story import fill, go, pick, says

pytestmark = pytest.mark.ui
TINY = (
    "--dataset",
    "digits",
    "--preset",
    "tiny",
    "--steps",
    "30",
    "--precision",
    "fp32",
    "--batch-size",
    "16",
)


def made(runs: Path, *words: str) -> str:
    status, answer, err = dreamlab(runs, *words)
    assert status == 0, err
    return str(answer["run"])


@pytest.fixture(scope="module")
def models(runs: Path) -> dict[str, str]:
    """A base model of 4x4 digits, one without classes, a super-resolution model from 4 to 8 pixels,
    and a kept set."""
    base = made(
        runs, "train", *TINY, "--image-size", "4", "--stem-patch", "1", "--name", "base of 4 pixels"
    )
    plain = made(
        runs,
        "train",
        *TINY,
        "--no-conditional",
        "--label-dropout",
        "0",
        "--name",
        "without classes",
    )
    fine = made(runs, "train", *TINY, "--low-size", "4", "--name", "4 to 8 pixels")
    kept = made(
        runs,
        "synthesize",
        "--from",
        base,
        "--per-class",
        "12",
        "--num-steps",
        "6",
        "--trajectory",
        "6",
        "--upsample",
        fine,
    )
    words = ("--per-class", "30", "--num-steps", "2", "--guidance-weight", "0")
    return {
        "base": base,
        "plain": plain,
        "fine": fine,
        "kept": kept,
        "mixed": made(runs, "synthesize", "--from", plain, *words),
    }


def test_a_run_to_start_from_fills_what_is_taken_over(page: Any, models: dict[str, str]) -> None:
    go(page, "train")
    page.wait_for_selector("#train-extra svg")
    page.click("#train-stages button")
    pick(page, "train-dataset", "8x8")
    pick(page, "train-init_from", "without classes")
    says(page, "#train-network button", "changed")
    page.click("#train-network button")
    page.wait_for_function(
        "() => document.querySelector('#train-conditional input')?.checked === false"
    )
    says(page, "#train-command", rf"--init-from {models['plain']}")
    page.wait_for_function("() => !document.querySelector('#train-refusal .refusal')")
    assert page.locator("#train-conditional input").is_checked() is False


def test_a_cascade_is_sampled_and_gone_back_through(page: Any, models: dict[str, str]) -> None:
    page.goto(f"/?tab=sample&run={models['base']}")
    says(page, "#sample-command", models["base"])
    page.click("#sample-source input")
    assert "4 to 8 pixels" not in page.inner_text("ul[role=listbox]"), (
        "it has nothing to start from"
    )
    page.keyboard.press("Escape")
    fill(page, sample__num_steps=4, sample__per_class=3)
    page.click("#sample-stages button")
    pick(page, "sample-upsample", "4 to 8 pixels")
    says(page, "#sample-command", rf"--upsample {models['fine']}")
    page.click("#sample-start")
    page.wait_for_selector("#sample-frames[data-done='1']")
    says(page, "#sample-frames .film-title", "Stage 2, step 8 of 8")
    sheet = page.locator("#sample-frames dl-sheet").first
    assert sheet.get_attribute("data-cell") == "8"
    page.locator("#sample-frames input[type=range]").fill("0")
    says(page, "#sample-frames .film-title", r"^Step [01] of 8")
    assert sheet.get_attribute("data-cell") == "4", "the first stage is shown at its own size"


def test_without_classes_there_is_no_guidance_and_there_are_no_names_beside_the_rows(
    page: Any, models: dict[str, str]
) -> None:
    page.goto(f"/?tab=sample&run={models['plain']}")
    says(page, "#sample-command", rf"{models['plain']} --guidance-weight 0")
    page.locator("#sample-guidance_weight input[type=number]").fill("1")
    says(
        page,
        "#sample-refusal",
        r"Guidance weight w \(--guidance-weight\): 1 cannot be used.*it has no classes",
    )
    page.locator("#sample-guidance_weight input[type=number]").fill("0")
    says(page, "#sample-refusal", "^$")
    fill(page, sample__num_steps=3, sample__per_class=5)
    page.click("#sample-start")
    page.wait_for_selector("#sample-frames[data-done='1']")
    assert page.locator("#sample-frames dl-sheet .rows").count() == 0
    page.goto(f"/?tab=train&run={models['plain']}")
    page.wait_for_selector("#train-film dl-film img")
    assert page.locator("#train-film dl-sheet .rows").count() == 0


def test_a_kept_trajectory_is_a_film_in_the_gallery(page: Any, models: dict[str, str]) -> None:
    page.goto(f"/?tab=gallery&run={models['kept']}")
    says(page, "#gallery-steps", r"step \d+")
    film = page.locator("#gallery-steps dl-film")
    assert film.locator("img").count() == 2
    first = [i.get_attribute("src") for i in film.locator("img").all()]
    film.locator("input[type=range]").fill("0")
    says(page, "#gallery-steps .film-title", "step 0")
    assert "samples/x_t-000.png" in str(film.locator("img").first.get_attribute("src"))
    assert [i.get_attribute("src") for i in film.locator("img").all()] != first
    says(page, "#gallery-sheets", "Synthetic, rows are classes")


def test_a_set_without_classes_is_beside_real_images_of_all_of_them(
    page: Any, models: dict[str, str]
) -> None:
    page.goto(f"/?tab=gallery&run={models['mixed']}")
    says(page, "#gallery-sheets", "Synthetic, all classes")
    says(page, "#gallery-sheets", "Real, all classes")
    assert page.locator("#gallery-sheets dl-sheet .rows").count() == 0
    assert page.locator("#gallery-steps dl-film").count() == 0


@pytest.mark.parametrize("cell", [28, 64, 128, 256])
def test_a_sheet_of_fine_images_fits_and_small_images_stay_whole(page: Any, cell: int) -> None:
    go(page, "home")
    page.wait_for_function("() => customElements.get('dl-sheet')")
    page.evaluate(
        """cell => { const box = document.createElement('div'); box.style.width = '900px'; box.id = 'try';
        box.innerHTML = `<dl-sheet data-w="${10 * cell}" data-h="${cell}" data-cell="${cell}" data-zoom="0">
        <div class="clip"><img class="px" width="1" height="1" alt=""></div></dl-sheet>`; document.body.append(box); }""",
        cell,
    )
    page.wait_for_function("() => parseFloat(document.querySelector('#try img').style.width) > 1")
    width = page.evaluate("() => parseFloat(document.querySelector('#try img').style.width)")
    assert width <= 900
    if cell < 64:
        assert width / (10 * cell) == pytest.approx(round(width / (10 * cell)))
    else:
        assert width > 600
