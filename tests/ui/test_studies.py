"""The Studies page by clicking: the list, what was published, a finished run beside it, and what
the form would start."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from dreamlab import studies
from dreamlab.data import catalog
from dreamlab.experiments import report
from dreamlab.store import RunStore
from dreamlab.ui.parts.study_tables import published_rows
from tests.evidence_helpers import finish, new_run
from tests.study_helpers import classified, create, measured
from tests.ui.test_story import go, pick, says

pytestmark = pytest.mark.ui
STUDY = "s0-cifar"


@pytest.fixture(scope="module")
def finished(runs: Path) -> str:
    """A finished run of one study, with numbers that were chosen by hand."""
    study = studies.load(STUDY)
    rows = published_rows(study)
    for i, row in enumerate(rows):
        mean = 0.9 - 0.1 * i
        row |= {
            "ours": mean,
            "low": mean - 0.02,
            "high": mean + 0.02,
            "seeds": 3,
            "images": 2000,
            "stand_in": "digits",
            "state": "done",
            "child": "x",
            "our_metric": "",
            "difference": (
                {"mean": -10.0 * i, "low": -10.0 * i - 2, "high": -10.0 * i + 2, "p_holm": 0.01}
                if i
                else None
            ),
        }
    run = new_run(RunStore(runs), "study", {"study": STUDY})
    text = "Synthetic data hurts in every mix: -10.0 points (95 % interval -12.0 to -8.0)."
    finish(
        run,
        {
            "study": STUDY,
            "scale": "laptop",
            "title": study.title,
            "question": study.question,
            "summary": "",
            "data": "Digits of 28x28 pixels.",
            "assumptions": [],
            "notes": list(study.notes),
            "rows": rows,
            "verdict": {"text": text, "kind": "hurts", "effect": -10, "low": -12, "high": -8},
            "remarks": ["Paired t over 3 seeds."],
            "anomalies": ["0.36 lies below both its ends."],
            "seconds": 130.0,
            "complete": True,
        },
    )
    return run.id


def test_all_studies_are_listed_and_one_is_shown(page: Any, runs: Path) -> None:
    go(page, "studies")
    page.wait_for_selector("nav.studies a")
    assert [a.get_attribute("data-value") for a in page.locator("nav.studies a").all()] == list(
        studies.names()
    )
    page.click("nav.studies a[data-value=s3-replacement]")
    says(page, "#studies-question", "replac")
    says(page, "#studies-table", r"77\.37(.|\n)*76\.65(.|\n)*73\.49")
    says(page, "#studies-about", "What is wrong or unclear in it")
    assert page.locator("#studies-about ul.amber li").count() == len(
        studies.load("s3-replacement").notes
    )
    page.wait_for_function(
        "() => document.querySelectorAll('#studies-chart .plotly .scatterlayer .point').length >= 6"
    )
    says(page, "#study-command", "dreamlab study s3-replacement")
    says(page, "#study-cost", "about .*memory.*disk")


def test_a_scale_without_its_data_says_what_to_put_where(page: Any, runs: Path) -> None:
    go(page, "studies")
    page.click("nav.studies a[data-value=s3-replacement]")
    says(page, "#study-command", "study s3-replacement")
    pick(page, "study-scale", "Paper")
    says(page, "#study-refusal", "(?i)folder|import")
    page.click("#study-start")
    page.wait_for_timeout(1000)
    assert [r.kind for r in RunStore(runs)].count("study") == 0


def test_a_finished_study_sets_its_verdict_on_top_and_its_numbers_beside(
    page: Any, finished: str
) -> None:
    page.goto(f"/?tab=studies&run={finished}")
    page.wait_for_selector("#studies-head .verdict[data-kind=hurts]")
    says(page, "#studies-head", "Paired t over 3 seeds")
    says(page, "#studies-table", r"0\.69\s+0\.900 0\.880 to 0\.920\s+3")
    says(page, "#studies-about", "0.36 lies below both its ends")
    assert page.locator("#studies-table tr.flag").count() == sum(
        bool(c.flag) for c in studies.load(STUDY).cells
    )
    with page.expect_download() as taken:
        page.click("#studies-command a:has-text('CSV')")
    with open(taken.value.path(), newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(studies.load(STUDY).cells)
    assert (lines[0]["unit"], float(lines[0]["published"])) == ("%", 69.0)
    with page.expect_download() as taken:
        page.click("#studies-command a:has-text('LaTeX')")
    assert "tabular" in Path(taken.value.path()).read_text()
    page.click("nav.studies a[data-value=s2-mlp]")
    says(page, "#studies-head", "Not run here yet")
    page.click(f"nav.studies a[data-value={STUDY}]")
    page.wait_for_selector("#studies-head .verdict[data-kind=hurts]")


def test_several_data_sets_can_be_chosen(page: Any, runs: Path) -> None:
    go(page, "studies")
    page.click("nav.studies a[data-value=s4-tsweep]")
    says(page, "#study-command", "study s4-tsweep")
    pick(page, "study-dataset", catalog.INFO["digits"].title)
    says(page, "#study-command", "study s4-tsweep --dataset digits\n")
    pick(page, "study-dataset", catalog.INFO["mnist5k"].title)
    says(page, "#study-refusal", "is for no column of s4-tsweep")
    page.click("nav.studies a[data-value=s0-mnist]")
    said = says(page, "#study-refusal", "s0-mnist at the laptop scale takes one data set")
    assert "digits, mnist5k cannot be used together" in said


def complete(runs: Path, name: str, accuracy: dict[str, float]) -> str:
    """A finished run of a study with hand-made results of all its parts; gives its id. It is made
    elsewhere and moved, because the engine of the page would start what is not finished."""
    store = RunStore(runs.parent / "made")
    store.prepare()
    group, children = create(store, {"study": name})
    for i, (role, run) in enumerate(children.items()):
        if run.kind == "classify":
            labels = catalog.load(run.spec.dataset).test_labels
            classified(run, labels, accuracy.get(role, 0.9))
        elif run.kind == "fidelity":
            measured(run, 3.0 + i)
        else:
            speed = {"images_per_second": 100.0, "peak_memory_bytes": 10**8}
            finish(run, {"seconds": 1.0, "images": 200, **speed})
    finish(group, report(group, store))
    for run in (*children.values(), group):
        run.path.rename(runs / run.id)
    return group.id


def points(page: Any, chart: str, count: int) -> None:
    page.wait_for_function(
        "([chart, count]) => document.querySelectorAll("
        "`${chart} .plotly .scatterlayer .point`).length === count",
        arg=[chart, count],
    )


def test_two_classifiers_are_compared_class_by_class(page: Any, runs: Path) -> None:
    run = complete(runs, "s2-mlp", {"real": 0.7, "epochs": 0.8})
    page.goto(f"/?tab=studies&run={run}")
    says(page, "#studies-confusion", r"steps:real\); rows: truth(.|\n)*same steps; rows: truth")
    points(page, "#studies-scatter", 10)
    pick(page, "studies-pair", "same epochs against")
    says(page, "#studies-confusion", r"Real only; rows: truth(.|\n)*same epochs; rows: truth")
    assert page.locator("#studies-confusion table.matrix").count() == 3
    assert "Difference from Real only, points" in page.locator("#studies-confusion").inner_text()
    assert not page.locator("#studies-grid").is_visible()
    page.click("nav.studies a[data-value=s3-background]")
    says(page, "#studies-head", "Not run here yet")
    page.wait_for_selector("#studies-scatter", state="hidden")


def test_a_grid_of_sampling_settings_is_shown_as_maps(page: Any, runs: Path) -> None:
    run = complete(runs, "s1-fid", {})
    page.goto(f"/?tab=studies&run={run}")
    says(page, "#studies-head", "Lowest fd_classifier of 18 settings: w = 0, v = 0, 20 steps")
    says(page, "#studies-grid", r"lowest(.|\n)*as low(.|\n)*sampler steps = 50")
    assert page.locator("#studies-grid .heatmaplayer image, #studies-grid .hm").count() >= 2
    assert not page.locator("#studies-scatter").is_visible()
    says(page, "#studies-table", r"w = 0.25, v = 0.1, 50 steps")
