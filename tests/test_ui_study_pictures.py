"""Pictures of the Studies page beside its main chart: classes against classes, confusion matrices
before and after, a grid of settings. Pure functions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dreamlab.ui.charts import class_scatter, grid_chart
from dreamlab.ui.parts import study_classes
from dreamlab.ui.theme import palette
from tests.html_helpers import parsed, texts
from tests.test_ui_units import NASTY

NAMES = ["cat", "dog", "frog"]


def arm(name: str, per_class: list[float], role: str = "treatment", label: str = "") -> Any:
    return {
        "arm": name,
        "label": label or name,
        "role": role,
        "run": "r",
        "per_class": per_class,
        "intervals": [{"mean": p, "low": p - 0.05, "high": p + 0.03} for p in per_class],
        "images": [100, 100, 100],
        "confusion": [
            [round(100 * p) if i == j else round(50 * (1 - p)) for j in range(3)]
            for i, p in enumerate(per_class)
        ],
    }


@pytest.fixture
def groups() -> list[study_classes.Group]:
    return [
        {
            "classes": NAMES,
            "arms": [arm("real", [0.8, 0.7, 0.6], "reference"), arm("both", [0.9, 0.7, 0.5])],
        },
        {
            "classes": NAMES,
            "arms": [arm("steps", [0.8, 0.7, 0.6], "reference"), arm("more", [0.6, 0.6, 0.6])],
        },
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_class_is_a_point_around_the_diagonal(groups: Any, theme: str) -> None:
    control, other = groups[0]["arms"]
    figure = class_scatter.scatter(NAMES, control, other, theme, "r")
    line, points = figure.data
    assert list(line.x) == list(line.y) == list(figure.layout.xaxis.range)
    assert list(points.x) == pytest.approx([80, 70, 60])
    assert list(points.y) == pytest.approx([90, 70, 50])
    assert list(points.text) == NAMES and "100 test images" in points.customdata[0]
    assert points.error_y.array[0] == pytest.approx(3) and points.error_x.arrayminus[
        0
    ] == pytest.approx(5)
    assert figure.layout.xaxis.title.text == "real, %" and figure.layout.yaxis.title.text == (
        "both, %"
    )
    low, high = figure.layout.yaxis.range
    assert low < 45 and high > 93 and points.marker.color == palette(theme)["ink"]


def test_a_class_without_test_images_is_no_point_and_many_names_wait_for_the_pointer() -> None:
    one, two = arm("real", [0.8, 0.7, 0.6]), arm("both", [0.9, 0.7, 0.5])
    one["images"] = two["images"] = [100, 0, 100]
    one["intervals"][1] = two["intervals"][1] = None
    points = class_scatter.scatter(NAMES, one, two, "light", "r").data[1]
    assert list(points.text) == ["cat", "frog"]
    many = [f"class {i}" for i in range(30)]
    wide = {**arm("real", [0.8] * 3), "per_class": [0.8] * 30, "images": [9] * 30}
    points = class_scatter.scatter(many, wide, wide, "light", "r").data[1]
    assert points.mode == "markers" and list(points.text) == many and not points.error_x.array


def test_names_stay_text_and_nothing_is_drawn_without_classifiers(groups: Any) -> None:
    control, other = ({**a, "label": NASTY} for a in groups[0]["arms"])
    figure = class_scatter.scatter([NASTY] * 3, control, other, "light", "r")
    assert "<img" not in json.dumps(figure.to_plotly_json(), default=str)
    assert not class_scatter.scatter([], None, None, "light", "r").data


def test_two_classifiers_are_chosen_by_the_pair(groups: Any) -> None:
    assert study_classes.pairs(groups) == [
        ("both against real", "real both"),
        ("more against steps", "steps more"),
    ]
    assert study_classes.chosen(groups, "steps more") == (groups[1], groups[1]["arms"][1])
    assert study_classes.chosen(groups, "gone") == (groups[0], groups[0]["arms"][1])
    assert study_classes.chosen([], "") is None and study_classes.confusion_html([], "") == ""


def test_confusion_is_shown_before_and_after_and_as_the_change(groups: Any) -> None:
    made = study_classes.confusion_html(groups, "steps more")
    before, after, change = parsed(made).all("table")
    assert "80.0" in before.text and "60.0" in after.text
    assert "\u221220.0" in change.text and "+" in change.text
    heads = texts(made, "h2")
    assert [h.split(" ")[-4] for h in heads[:2]] == ["class", "class"] or "steps; rows" in heads[0]
    assert "steps; rows: truth" in heads[0] and "more; rows: truth" in heads[1]
    assert heads[2].startswith("Difference from steps, points")


# ---- a grid of settings


def grid_rows() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    rows, places = [], {}
    for w in (0.0, 1.0):
        for v in (0.0, 0.1, 1.0):
            for n in (20, 100):
                name = f"{w:g} {v:g} {n}"
                places[name] = {"guidance weight w": w, "v": v, "steps": float(n)}
                rows.append(
                    {
                        "id": name,
                        "arm": name,
                        "metric": "Frechet distance",
                        "our_metric": "fd_classifier",
                        "child": "c",
                        "ours": 1.0 + w + v + 20 / n,
                        "low": 0.9,
                        "high": 4.0,
                        "standing": "best" if name == "0 0 100" else "",
                    }
                )
    rows[1]["standing"] = "best"
    rows[0]["standing"] = "as good"
    return rows, places


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_grid_is_one_map_for_each_value_of_its_third_axis(theme: str) -> None:
    rows, places = grid_rows()
    published = {"id": "64-biggan", "child": "", "ours": None, "metric": "FID", "arm": "x"}
    figure = grid_chart.grid([published, *rows], places, theme, "r")
    assert [a.text for a in figure.layout.annotations] == ["steps = 20", "steps = 100"]
    few, many = figure.data
    assert list(few.x) == ["0", "1"] and list(few.y) == ["0", "0.1", "1"]
    assert few.z[2][1] == pytest.approx(4.0) and many.z[0][0] == pytest.approx(1.2)
    assert few.text[0][0] == "<b>2</b><br>as low" and many.text[0][0] == "<b>1.2</b><br>lowest"
    assert "95 % interval 0.9 to 4" in few.customdata[0][0]
    assert few.zmin == many.zmin == pytest.approx(1.2), "both maps have one scale"
    assert figure.layout.xaxis2.title.text == "guidance weight w"


def test_a_grid_shows_what_is_measured_and_waits_for_the_rest() -> None:
    rows, places = grid_rows()
    rows[1]["ours"] = None
    figure = grid_chart.grid(rows, places, "light", "r")
    assert figure.data[1].z[0][0] is None and figure.data[1].text[0][0] == ""
    waiting = [{**row, "ours": None} for row in rows]
    assert not grid_chart.grid(waiting, places, "light", "r").data
    assert grid_chart.on_grid([{**row, "child": ""} for row in rows], places) == []
    flat = {name: {"a": p["v"], "b": p["steps"]} for name, p in places.items()}
    one = grid_chart.grid(rows, flat, "light", "r")
    assert len(one.data) == 1 and not one.layout.annotations
