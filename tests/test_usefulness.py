"""Which metric predicts usefulness: from made-up sets whose metrics, CAS and gains are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scipy import stats as reference

from dreamlab.experiments.usefulness_words import metric_text
from dreamlab.service import Refused, Service, usefulness
from dreamlab.store import RunStore
from dreamlab.ui.charts import rank_scatter
from dreamlab.ui.parts import usefulness as parts
from tests.conftest import dreamlab
from tests.evidence_helpers import new_store
from tests.usefulness_helpers import (
    DATA,
    a_lab,
    classified,
    generator,
    measured,
    metric,
    mixed,
    synthetic,
)


def report_of(store: RunStore, dataset: str = "") -> dict[str, Any]:
    service = Service(store.folder)
    try:
        return usefulness.report(service, dataset)
    finally:
        service.close()


def of(report: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(o for o in report["outcomes"] if o["kind"] == kind)


def named(outcome: dict[str, Any], name: str) -> dict[str, Any]:
    return next(m for m in outcome["metrics"] if m["name"] == name)


def test_every_metric_is_held_against_cas_and_gains(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    sets = a_lab(store, sets=7, generators=7)
    found = report_of(store)
    assert (found["dataset"], found["measured"], found["text"]) == (DATA, 7, "")
    assert [o["kind"] for o in found["outcomes"]] == ["cas", "gain"]
    for outcome in found["outcomes"]:
        # a lower distance and a spread nearer to 1 are better, so both predict usefulness
        for name in ("kid_classifier", "spread"):
            m = named(outcome, name)
            assert m["correlation"] == pytest.approx(1) and m["low"] > 0 and m["further"] == 0
            assert m["sets"] == 7 and {p["set"] for p in m["points"]} == {s.id for s in sets}
        m = named(outcome, "coverage")
        x, y = ([p[axis] for p in m["points"]] for axis in "xy")
        assert m["correlation"] == pytest.approx(reference.spearmanr(x, y).statistic)
        assert m["low"] < 0 < m["high"] and m["further"] > 0
        assert f"{m['further']:,} more sets" in m["text"]
        assert m["p_holm"] >= m["p"]
        assert outcome["generators"] == 7
        assert not any("not independent" in note for note in outcome["notes"])
    cas, gain = of(found, "cas"), of(found, "gain")
    point = next(p for p in named(cas, "coverage")["points"] if p["set"] == sets[2].id)
    assert point["x"] == 0.7 and point["y"] == pytest.approx(51, abs=0.3)
    assert point["y_low"] < point["y"] < point["y_high"]
    assert "predicts CAS among these sets" in named(cas, "kid_classifier")["text"]
    # the CAS is a metric of the gain, and not of itself
    assert named(gain, "cas")["correlation"] == pytest.approx(1)
    assert all(m["name"] != "cas" for m in cas["metrics"])
    assert gain["label"] == "gain of 50 / 50" and gain["unit"] == "points"


def test_sets_of_one_generator_are_said_to_be_no_independent_evidence(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    a_lab(store, sets=6, generators=2)
    notes = of(report_of(store), "cas")["notes"]
    assert notes[0].startswith("The 6 sets are of 2 generators.") and "not independent" in notes[0]


def test_four_sets_have_points_but_no_correlation(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    a_lab(store, sets=4, generators=4)
    m = named(of(report_of(store), "cas"), "kid_classifier")
    assert m["correlation"] is None and m["further"] == 1 and len(m["points"]) == 4
    assert m["text"] == "kid_classifier: a correlation needs at least 5 sets; there are 4."
    html = str(parts.table(report_of(store), "CAS"))
    assert "at least 5 sets are needed" in html


def test_values_that_do_not_compare_are_kept_apart(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    source = generator(store)
    for i in range(6):
        made = synthetic(store, source)
        rows = [
            metric("fd_classifier", 5.0 + i, n=50 if i < 4 else 90),
            metric("kid_classifier", 1.0 + i, n=50 if i < 4 else 90),
            metric("coverage", 0.1 * i, weights="one" if i < 5 else "another"),
        ]
        measured(store, made, rows)
        classified(store, made, 0.5 + 0.05 * i, steps=400 if i < 5 else 800)
    first, second = report_of(store)["outcomes"]
    assert (first["label"], first["sets"]) == ("CAS, optimiser steps 400", 5)
    assert (second["label"], second["sets"]) == ("CAS, optimiser steps 800", 1)
    # a Frechet distance depends on the number of images, a kernel distance does not
    assert named(first, "fd_classifier")["sets"] == 4
    assert named(first, "kid_classifier")["sets"] == 5
    assert named(first, "kid_classifier")["correlation"] == pytest.approx(-1)
    # p is 0.03 for one metric, and 0.06 for the better of the two with five sets
    assert named(first, "kid_classifier")["low"] < named(first, "kid_classifier")["high"] < 0
    assert "not more than chance" in named(first, "kid_classifier")["text"]
    assert named(first, "coverage")["sets"] == 5


@pytest.mark.parametrize(
    ("r", "p_holm", "words"),
    [
        (0.9, 0.01, "it predicts CAS among these sets."),
        (-0.9, 0.01, "it points the wrong way for CAS among these sets."),
        (0.9, 0.2, "not more than chance explains among so many metrics."),
    ],
)
def test_a_claim_needs_the_corrected_p_value(r: float, p_holm: float, words: str) -> None:
    m = {
        "name": "kid_clip",
        "extractor": "clip",
        "role": "train",
        "sets": 12,
        "correlation": r,
        "low": r - 0.05,
        "high": r + 0.05,
        "p": 0.01,
        "p_holm": p_holm,
        "further": 0,
    }
    said = metric_text(m, "CAS")
    assert said.startswith("kid_clip, against train and CAS: rank correlation") and words in said


def test_without_evidence_the_commands_that_make_some_are_named(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    with pytest.raises(Refused, match="no synthetic set was measured yet"):
        report_of(store)
    made = synthetic(store, generator(store))
    measured(store, made, [metric("coverage", 0.4)])
    found = report_of(store)
    assert found["outcomes"] == [] and "classify --dataset digits" in found["text"]
    with pytest.raises(Refused, match=r"Data \(--dataset\): 'nothing' is no data set"):
        report_of(store, "nothing")
    mixed(store, synthetic(store, generator(store)), 1.0)
    assert "(sets with one: 1)" in report_of(store, DATA)["text"]


def test_the_command_prints_a_table_and_json(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    a_lab(store, sets=6, generators=3)
    status, answer, _ = dreamlab(store.folder, "usefulness", "--dataset", DATA)
    assert status == 0 and answer["state"] == "done"
    assert named(of(answer["result"], "cas"), "kid_classifier")["correlation"] == 1
    status, answer, _ = dreamlab(store.folder, "usefulness", "--dataset", "cats")
    assert status == 2 and answer["error"].startswith("Data (--dataset): 'cats' is no data set")


def test_what_the_page_shows(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    a_lab(store, sets=7, generators=2)
    found = report_of(store)
    assert parts.outcome_choices(found)[0] == ("CAS (7 sets)", "CAS")
    outcome = parts.chosen_outcome(found, "gain of 50 / 50")
    assert outcome is not None and outcome["kind"] == "gain"
    assert ("kid_classifier", "kid_classifier") in parts.metric_choices(outcome)
    assert ("coverage, classifier", "coverage, classifier") in parts.metric_choices(outcome)
    html = str(parts.table(found, "CAS"))
    assert "Bonett and Wright" in html and "not independent" in html and "+1.00" in html
    m = parts.chosen_metric(outcome, "kid_classifier")
    figure = rank_scatter.scatter(m, outcome["label"], outcome["unit"], "light", "r")
    assert len(figure.data) == 2 and figure.layout.xaxis.autorange == "reversed"
    assert sum(len(trace.x) for trace in figure.data) == 7
    assert parts.chosen_metric(None, "") is None
    assert not rank_scatter.scatter(None, "", "", "light", "r").data
