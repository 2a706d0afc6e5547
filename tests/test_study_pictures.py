"""What a study shows beside its table: its classifiers class by class, and grids of sampling
settings."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamlab import studies
from dreamlab.data import catalog
from dreamlab.experiments import by_class
from dreamlab.experiments.study.grid import judge_grid
from dreamlab.experiments.study.report import report
from dreamlab.store import RunStore
from dreamlab.studies import loader
from tests.evidence_helpers import finish, new_store
from tests.study_helpers import classified, create, measured
from tests.test_study_report import by_id, finish_all


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return new_store(tmp_path)


# ---- class by class


def test_classifiers_stand_beside_their_control_class_by_class(store: RunStore) -> None:
    group, children = create(store, {"study": "s2-mlp"})
    labels = catalog.load("mnist5k").test_labels
    real = classified(children["real"], labels, 0.8)
    assert by_class(group, store) == [], "there is nothing to compare yet"
    both = classified(children["epochs"], labels, 0.9)
    (one,) = by_class(group, store)
    assert one["classes"] == [str(c) for c in range(10)]
    control, arm = one["arms"]
    assert (control["arm"], control["role"]) == ("real", "reference")
    assert (arm["arm"], arm["role"], arm["run"]) == ("epochs", "treatment", children["epochs"].id)
    for found, predicted in ((control, real), (arm, both)):
        confusion = np.array(found["confusion"])
        assert confusion.sum() == predicted.size and found["images"] == np.bincount(labels).tolist()
        assert confusion[3, 4] == (predicted[:, labels == 3] == 4).sum()
        assert found["per_class"][3] == pytest.approx((predicted[:, labels == 3] == 3).mean())
        interval = found["intervals"][3]
        assert interval["low"] < found["per_class"][3] < interval["high"]
    assert arm["label"] == "Real + 1x synthetic, same epochs", "the row tells two such arms apart"
    for role in ("steps:real", "steps:both", "duplicated"):
        classified(children[role], labels, 0.9)
    groups = by_class(group, store)
    assert [[a["arm"] for a in g["arms"]] for g in groups] == [
        ["steps:real", "steps:both"],
        ["real", "epochs", "duplicated"],
    ]


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("s1-cas", [["Real only", "Synthetic only"]]),
        ("s2-cnn", [["Real only", "Real + 1x synthetic", "Real + 1x duplicated"]]),
    ],
)
def test_what_is_compared_has_names(name: str, labels: list[list[str]], store: RunStore) -> None:
    group, children = create(store, {"study": name})
    finish_all(children, {})
    assert [[a["label"] for a in g["arms"]] for g in by_class(group, store)] == labels


def test_every_network_is_beside_its_own_control(store: RunStore) -> None:
    group, children = create(store, {"study": "s1-models"})
    finish_all(children, {}, seeds=3)
    found = by_class(group, store)
    assert len(found) == 4
    assert [a["label"] for a in found[1]["arms"]] == [
        "cnn: Real only",
        "cnn: Real + 1x synthetic",
        "cnn: Synthetic only",
    ]


# ---- grids


def cells(values: list[tuple[float, float]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    rows = [
        {
            "id": str(i),
            "arm": f"setting {i}",
            "child": "c",
            "ours": value,
            "low": value - half,
            "high": value + half,
            "our_metric": "fd_classifier",
            "standing": "",
        }
        for i, (value, half) in enumerate(values)
    ]
    return rows, {row["id"]: {"w": float(i), "v": 0.0} for i, row in enumerate(rows)}


def test_the_best_of_a_grid_is_named_with_those_that_are_as_good() -> None:
    rows, places = cells([(5.0, 0.3), (2.0, 0.3), (2.1, 0.3), (9.0, 0.3)])
    assert judge_grid(rows, places) == [
        "Lowest fd_classifier of 4 settings: setting 1; it cannot be told apart from setting 2."
    ]
    assert [row["standing"] for row in rows] == ["", "best", "as good", ""]
    rows, places = cells([(5.0, 0.1), (2.0, 0.1)])
    assert judge_grid(rows, places) == ["Lowest fd_classifier of 2 settings: setting 1."]
    rows, places = cells([(5.0, 9.0), (2.0, 9.0), (3.0, 9.0)])
    assert "but no setting can be told apart from it" in judge_grid(rows, places)[0]
    rows, places = cells([(2.0 + i / 100, 1.0) for i in range(7)] + [(9.0, 0.1)])
    assert "; 6 others cannot be told apart from it" in judge_grid(rows, places)[0]
    rows[3]["ours"] = None
    assert judge_grid(rows, places) == [], "one is still to come"
    assert judge_grid(rows, {}) == []


def test_the_grid_of_s1_is_measured_with_one_generator(store: RunStore) -> None:
    group, children = create(store, {"study": "s1-fid"})
    assert [run.kind for run in children.values()].count("train") == 1
    for role, run in children.items():
        if run.kind == "fidelity":
            measured(run, 3.0 if role == "fd:0.25:0.1:50" else 7.5)
        else:
            finish(run, {"seconds": 1.0, "images": 200})
    found = report(group, store)
    rows = by_id(found)
    assert found["complete"] and found["remarks"] == [
        "Lowest fd_classifier of 18 settings: w = 0.25, v = 0.1, 50 steps."
    ]
    assert rows["grid-0.25-0.1-50"]["standing"] == "best" and rows["ours-val"]["standing"] == ""
    sampled = children["set:0.25:0.1:50"].spec
    assert (sampled.guidance_weight, sampled.logvar_coefficient, sampled.num_steps) == (
        0.25,
        0.1,
        50,
    )
    assert (sampled.sampler, sampled.variance) == ("ddpm", "interpolated")


@pytest.mark.parametrize(("scale", "size"), [("laptop", 18), ("corrected", 36), ("paper", 36)])
def test_every_place_of_a_grid_is_measured_once(scale: str, size: int) -> None:
    study = studies.load("s1-fid")
    places = [m.cell.place for m in study.scales[scale].measures if m.cell.place]
    axes = [sorted({p[axis] for p in places}) for axis in places[0]]
    assert len(places) == len({tuple(p.values()) for p in places}) == size
    assert math.prod(map(len, axes)) == size
    assert {m.cell.id for m in study.scales[scale].measures if m.cell.place} <= set(study.places)


def test_a_grid_that_contradicts_itself_is_refused() -> None:
    raw = loader.read("s1-fid")
    laptop = raw["scale"]["laptop"]
    first = {"cell": "x", "arm": "x", "metric": "m", "unit": "", "child": "fd:test", "value": "fd"}
    for place, words in (({"w": 1}, "a grid of 1 axes"), ({"w": 1, "x": 2}, "different axes")):
        rows = [*laptop["rows"], {**first, "grid": place}]
        with pytest.raises(ValueError, match=rf"^s1-fid\.toml: .*{words}"):
            loader.study_of("s1-fid", {**raw, "scale": {"laptop": {**laptop, "rows": rows}}})
