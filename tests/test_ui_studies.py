"""What the pages make of studies and imports: tables, charts, lists, reports. Pure functions."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from dreamlab import studies
from dreamlab.data.catalog import Info
from dreamlab.studies import AmountStep
from dreamlab.ui import render
from dreamlab.ui.charts import study_chart
from dreamlab.ui.pages.studies import head_html
from dreamlab.ui.parts import import_report, set_cards, study_tables
from dreamlab.ui.render import part
from dreamlab.ui.theme import palette
from tests.html_helpers import bold, looks, parsed, rows, text, texts
from tests.test_ui_units import NASTY


def row(arm: str, **more: Any) -> dict[str, Any]:
    return {
        "id": arm,
        "arm": arm,
        "metric": "accuracy",
        "unit": "%",
        "published": 77.37,
        "setting": "ResNet-18",
        "flag": "",
        "ours": None,
        "low": None,
        "high": None,
        "seeds": None,
        "stand_in": "",
        "difference": None,
        "state": "published",
        "child": "",
        **more,
    }


def measured(arm: str, **more: Any) -> dict[str, Any]:
    mine = {
        "ours": 76.54321,
        "low": 75.1,
        "high": 77.9,
        "seeds": 5,
        "state": "done",
        "child": "c",
        "stand_in": "digits, small CNN",
    }
    return row(arm, **{**mine, **more})


def running(state: str = "running") -> Any:
    return SimpleNamespace(state=state)


@pytest.mark.parametrize("name", studies.names())
def test_every_study_can_be_shown_before_it_is_run(name: str) -> None:
    study = studies.load(name)
    cells = study_tables.published_rows(study)
    said = text(
        study_tables.table_html(cells, None)
        + study_tables.about_html(study, {})
        + head_html(study, None, {})
    )
    assert "Settings as published" in said and "How it is run here" in said
    assert f"{study.study}, {study.source}" in said
    for cell in study.cells:
        assert cell.flag in said
    figure = study_chart.study(cells, study.steps, "light", name)
    drawn = sum(len(t.x) for t in figure.data if "published" in str(t.name))
    assert drawn == sum(c.published is not None for c in study.cells)


def test_studies_are_listed_by_the_paper_they_are_from() -> None:
    known = [studies.load(name) for name in studies.names()]
    made = study_tables.list_html(known, "s3-replacement", {"s0-mnist": "done"})
    assert texts(made, "h3") == [f"S{i}" for i in range(5)]
    states = {"s0-mnist": " done"}
    listed = [f"{s.title} {s.id}{states.get(s.id, '')}" for s in known]
    assert texts(made, "a") == listed
    chosen = [a.text for a in parsed(made).all("a") if "aria-current" in a.attributes]
    assert chosen == ["Replacing 2 to 12 % of the real images s3-replacement"]


def test_a_published_number_keeps_its_zeros_and_its_doubt() -> None:
    made = study_tables.table_html(
        [
            row("2 %"),
            row("4 %", published=76.6),
            row("8 %", published=76.2, flag="Equal to its neighbour."),
        ],
        None,
    )
    assert rows(made) == [
        ["Arm", "published", "ours, 95 % interval", "seeds"],
        ["accuracy, % ResNet-18"],
        ["2 %", "77.37", "published only", ""],
        ["4 %", "76.60", "published only", ""],
        ["8 %", "76.20", "published only", ""],
        ["8 %: Equal to its neighbour."],
    ]
    doubted = [said for said, look in looks(made) if look == "warn"]
    assert doubted == ["76.20", "8 %: Equal to its neighbour."]


def test_ours_has_an_interval_seeds_and_no_more_digits_than_that_supports() -> None:
    made = study_tables.table_html(
        [measured("2 %"), measured("4 %", low=76.5, high=76.58)], running("done")
    )
    assert rows(made)[2:] == [
        ["2 %", "77.37", "76.5 75.1 to 77.9", "5"],
        ["4 %", "77.37", "76.543 76.500 to 76.580", "5"],
    ]
    assert bold(made) == ["76.5", "76.543"] and "ours ran on digits, small CNN" in text(made)


def test_a_running_study_says_what_comes_and_what_failed() -> None:
    listed = [
        measured("a"),
        row("b", child="c", state="queued"),
        row("c", child="d", state="failed"),
        row("d"),
    ]
    made = study_tables.table_html(listed, running())
    assert [(name, ours) for name, _, ours, _ in rows(made)[2:]] == [
        ("a", "76.5 75.1 to 77.9"),
        ("b", "to come"),
        ("c", "failed"),
        ("d", "published only"),
    ]


def test_stand_ins_have_a_column_where_they_differ() -> None:
    made = study_tables.table_html(
        [measured("a"), measured("b", stand_in="MNIST")], running("done")
    )
    head, _, *lines = rows(made)
    assert head[-1] == "ours ran on"
    assert [line[-1] for line in lines] == ["digits, small CNN", "MNIST"]


@pytest.mark.parametrize(
    ("value", "low", "high", "words"),
    [
        (0.4312, 0.41, 0.45, "0.43"),
        (76.5432, 60, 90, "77"),
        (76.54, 76.1, 76.9, "76.5"),
        (-1.25, None, None, "\u22121.25"),
        (1240.0, None, None, "1,240"),
    ],
)
def test_numbers_have_as_many_digits_as_their_interval(
    value: float, low: Any, high: Any, words: str
) -> None:
    assert study_tables.number(value, low, high).startswith(words)


def test_what_measures_another_thing_has_an_axis_of_its_own() -> None:
    listed = [
        measured(
            "T = 100",
            metric="FID",
            unit="",
            published=369.9,
            our_metric="fd_classifier",
            ours=12.0,
            low=10.0,
            high=14.0,
        )
    ]
    figure = study_chart.study(listed, {}, "light", "r")
    assert [figure.layout.xaxis.title.text, figure.layout.xaxis2.title.text] == [
        "FID",
        "fd_classifier, ours",
    ]
    made = study_tables.table_html(listed, running("done"))
    assert rows(made)[-1] == ["T = 100", "369.9", "12.0 fd_classifier 10.0 to 14.0", "5"]


def test_published_and_ours_stand_on_one_line_with_their_interval() -> None:
    figure = study_chart.study([measured("2 %"), row("4 %", flag="doubtful")], {}, "light", "r")
    by_name = {t.name: t for t in figure.data if t.name}
    assert list(by_name["published"].x) == [77.37, 77.37] and list(by_name["ours"].x) == [76.54321]
    low, high = figure.layout.xaxis.range
    assert low < 75.1 and high > 77.9
    assert (
        list(figure.data[0].x) == [75.1, 77.9] and figure.layout.xaxis.title.text == "accuracy, %"
    )
    assert by_name["published"].marker.color[1] == palette("light")["warn"]


def test_steps_of_an_amount_become_curves() -> None:
    places = [(t, name) for t in range(100, 1100, 100) for name in ("flowers", "faces")]
    listed = [row(f"{t}-{name}", published=float(t)) for t, name in places]
    steps = {f"{t}-{name}": AmountStep(t, "T", name) for t, name in places}
    found = study_chart.lines(listed, steps)
    assert list(found) == ["flowers", "faces"]
    assert [x for x, _ in found["faces"]] == [float(t) for t in range(100, 1100, 100)]
    figure = study_chart.study(listed, steps, "dark", "r")
    assert len(figure.data) == 2 and figure.layout.xaxis.title.text == "T"
    assert study_chart.lines(listed[:6], steps) == {}


def test_a_number_in_the_name_of_an_arm_makes_no_curve() -> None:
    listed = [row(f"ResNet-{n} (224, {n} M): real") for n in range(20)]
    assert study_chart.lines(listed, {}) == {}
    assert study_chart.lines(listed, {r["id"]: AmountStep(1, "M") for r in listed[1:]}) == {}


@pytest.mark.parametrize(
    ("name", "axis", "series"),
    [
        ("s1-scaling", "training images, millions", {"256x256", "1024x1024"}),
        ("s4-tsweep", "T", {"flowers", "butterflies", "anime faces"}),
    ],
)
def test_a_study_of_an_amount_is_drawn_over_it(name: str, axis: str, series: set[str]) -> None:
    study = studies.load(name)
    cells = study_tables.published_rows(study)
    figure = study_chart.study(cells, study.steps, "light", "r")
    assert figure.layout.xaxis.title.text == axis
    assert {f"{line}, published" for line in series} <= {t.name for t in figure.data}


def test_what_a_paper_says_stays_text() -> None:
    made = study_tables.table_html([row(NASTY, flag=NASTY, setting=NASTY)], None) + render.part(
        "studies.html", "bullets", [NASTY]
    )
    assert "<img" not in made
    assert "<img" not in json.dumps(
        study_chart.study([row(NASTY, flag=NASTY)], {}, "light", "r").to_plotly_json(), default=str
    )


RESULT = {
    "title": "animals",
    "role": "real",
    "images": 90,
    "train": 70,
    "test": 20,
    "classes": ["cat", "dog"],
    "per_class": [50, 40],
    "image_size": 32,
    "channels": 3,
    "content_hash": "3f9a",
    "preprocessing": {"fit": "crop", "overlap_removed": 2, "mirror": True},
    "seconds": 12.3,
    "left_out": [{"file": NASTY, "reason": "truncated"}] * 30,
    "left_out_counts": {"truncated": 3, "not an image": 38},
}


def test_an_import_says_what_was_taken_and_how_it_was_prepared() -> None:
    words = import_report.taken(RESULT)
    assert words.startswith(
        "90 images of 32 x 32 pixels in colour were imported, 70 for training and 20 for testing: 2"
        " classes, 40 to 50 of each"
    )
    read = {"reading": "column label of x.csv", "notes": ["values were scaled"]}
    assert import_report.read_as(RESULT | read) == [
        ("Labels", "column label of x.csv"),
        ("Note", "values were scaled"),
    ]
    assert import_report.read_as(RESULT) == []
    assert import_report.prepared(RESULT["preprocessing"]) == [
        ("Fit", "crop"),
        ("Overlap removed", "2"),
        ("Mirror", "yes"),
    ]
    synthetic = {**RESULT, "role": "synthetic", "train": 90, "test": 0, "per_class": [45, 45]}
    assert "all of them synthetic: 2 classes, 45 of each" in import_report.taken(synthetic)


def test_an_import_says_what_was_left_out_the_most_frequent_reason_first() -> None:
    made = import_report.left_out_html("", RESULT)
    assert rows(made)[:3] == [["Why", "files"], ["not an image", "38"], ["truncated", "3"]]
    assert rows(made)[3:] == [["File", "why"], *[[NASTY, "truncated"]] * 25]
    assert "41 files" in text(made) and "and 16 more" in text(made)
    assert "<img" not in made and text(import_report.left_out_html("", {})) == "Left out Nothing."


def test_an_import_leads_on_to_what_can_be_done_with_it() -> None:
    info = Info(NASTY, NASTY, 8, 1, ("a", "b"), 8, 2, True)
    real, synthetic = (
        part(set_cards.TEMPLATE, "head", card, [], [], 0)
        for card in (set_cards.Card(NASTY, NASTY, "imported", made, info) for made in (False, True))
    )
    leads = [
        [(b.text, b.attributes["data-tab"]) for b in parsed(made).all("button")]
        for made in (real, synthetic)
    ]
    assert leads == [
        [("Train a generator on it", "train"), ("Mix with it", "mix")],
        [("See it in the Gallery", "gallery"), ("Measure its fidelity", "fidelity")],
    ]
    assert "<img" not in real + synthetic
