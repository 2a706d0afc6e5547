"""Reports of studies from hand-made runs: ours beside published in the same unit, while parts run
and when all are done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamlab.data import catalog
from dreamlab.experiments import plan
from dreamlab.experiments.study.report import report
from dreamlab.service.tables import as_csv, as_latex
from dreamlab.settings import SpecError, StudySpec, make
from dreamlab.stats import components
from dreamlab.store import EventWriter, Run, RunStore
from dreamlab.ui.charts.study_chart import _apart
from tests.evidence_helpers import finish, new_store
from tests.make_studies import Section, page
from tests.study_helpers import classified, create, imported, measured


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return new_store(tmp_path)


def by_id(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in result["rows"]}


def finish_all(
    children: dict[str, Run], accuracy: dict[str, float], seeds: int = 5
) -> dict[str, np.ndarray]:
    """Finishes every child; classifiers get the accuracy of their role, or 0.9. Gives the
    predictions."""
    predicted = {}
    for role, run in children.items():
        if run.kind == "classify":
            predicted[role] = classified(
                run, catalog.load(run.spec.dataset).test_labels, accuracy.get(role, 0.9), seeds
            )
        elif run.kind == "fidelity":
            measured(run, 7.5)
        else:
            finish(run, {"seconds": 64.0, "images": 128})
    return predicted


def test_a_study_without_runs_shows_what_was_published(store: RunStore) -> None:
    group, _ = create(store, {"study": "s3-replacement"})
    found = report(group, store)
    rows = by_id(found)
    assert (
        not found["complete"]
        and found["verdict"] is None
        and found["seconds"] == 0
        and found["remarks"] == []
    )
    assert (
        rows["98/2"]["published"] == 77.37
        and rows["98/2"]["unit"] == "%"
        and "z = 1.2" in rows["98/2"]["flag"]
    )
    assert all(
        row["ours"] is None and row["state"] == "queued" and row["child"] for row in rows.values()
    )
    assert (
        found["study"] == "s3-replacement"
        and found["scale"] == "laptop"
        and found["assumptions"]
        and found["notes"]
    )
    assert any("equal to the last digit" in sentence for sentence in found["anomalies"])
    empty = by_id(report(create(store, {"study": "s1-cas"})[0], store))
    assert (empty["biggan-top1"]["state"], empty["biggan-top1"]["child"]) == ("published", "")


def test_rows_fill_one_by_one_and_follow_their_runs(store: RunStore) -> None:
    group, children = create(store, {"study": "s3-replacement"})
    labels = catalog.load("digits").test_labels
    predicted = classified(children["98/2"], labels, 0.9)
    events = EventWriter(children["96/4"].path / "events.jsonl", 1)
    events.write("state", state="running", error="")
    events.close()
    rows = by_id(report(group, store))
    one = rows["98/2"]
    assert (
        one["ours"] == pytest.approx(100 * (predicted == labels).mean())
        and one["low"] < one["ours"] < one["high"]
    )
    assert (one["seeds"], one["images"], one["state"], one["child"]) == (
        5,
        597,
        "done",
        children["98/2"].id,
    )
    assert rows["96/4"]["state"] == "running" and rows["96/4"]["ours"] is None
    assert rows["gain"]["ours"] is None, "a difference waits for both"
    real = classified(children["real"], labels, 0.8)
    gain = by_id(report(group, store))["gain"]
    exact = components.paired(predicted == labels, real == labels).interval()
    assert (gain["ours"], gain["low"], gain["high"]) == pytest.approx(
        (100 * exact.mean, 100 * exact.low, 100 * exact.high)
    )
    assert gain["unit"] == "points" and gain["published"] == 0.74


def test_a_class_of_its_own_is_measured_on_its_images_alone(store: RunStore) -> None:
    group, children = create(store, {"study": "s3-tail"})
    labels = catalog.load("digits").test_labels
    predicted = classified(children["both"], labels, 0.7)
    row = by_id(report(group, store))["both-truck"]
    nines = labels == 9
    assert (
        row["ours"] == pytest.approx(100 * (predicted[:, nines] == 9).mean())
        and row["images"] == nines.sum()
    )
    assert row["published"] is None and "bar charts" in row["setting"]


def test_macro_f1_stays_a_share_and_top5_has_predictions_of_its_own(store: RunStore) -> None:
    group, children = create(store, {"study": "s0-mnist"})
    labels = catalog.load("digits").test_labels
    predicted = classified(children["arm:real"], labels, 0.9)
    row = by_id(report(group, store))["real"]
    assert (
        row["ours"] == pytest.approx(components.macro_f1(predicted, labels, 10).mean())
        and 0.8 < row["ours"] < 1
    )
    assert row["metric"] == "macro-F1" and row["published"] == 0.97
    group, children = create(store, {"study": "s1-cas"})
    classified(children["arm:synthetic"], catalog.load("mnist5k").test_labels, 0.9)
    row = by_id(report(group, store))["imagen256-top5"]
    assert (
        row["ours"] == pytest.approx(50.0) and row["images"] == 2000 and row["published"] == 85.66
    )


def test_a_clear_gain_is_a_verdict_with_its_difference_and_its_cost(store: RunStore) -> None:
    group, children = create(store, {"study": "s3-replacement"})
    finish_all(children, {"real": 0.8, "98/2": 0.9, "96/4": 0.8, "88/12": 0.6})
    found = report(group, store)
    assert (
        found["complete"]
        and found["verdict"]["kind"] == "helps"
        and found["verdict"]["arm"] in ("98/2", "94/6", "92/8", "90/10")
    )
    rows = by_id(found)
    d = rows["98/2"]["difference"]
    assert (
        0 < d["low"] < d["mean"] < d["high"]
        and d["p_holm"] < 0.05
        and rows["88/12"]["difference"]["high"] < 0
    )
    assert rows["real"]["difference"] is None and rows["gain"]["difference"] is None
    # the labeller of the study knew the whole training split: 1,200 of which 200 no classifier has
    assert "1,200 real" in found["verdict"]["text"] and any(
        "200 real digits" in note for note in found["remarks"]
    )
    assert (
        found["verdict"]["minutes"] == pytest.approx((64 + 64 + 2) / 60)
        and found["seconds"] == 64 + 64 + 7 * 2
    )


def test_no_difference_is_undecided(store: RunStore) -> None:
    group, children = create(store, {"study": "s2-mlp"})
    finish_all(children, {"steps:real": 0.9, "steps:both": 0.9, "epochs": 0.95})
    found = report(group, store)
    assert found["verdict"]["kind"] == "undecided", "only equal steps are judged"
    assert by_id(found)["after"]["difference"] is None and by_id(found)["gain"][
        "ours"
    ] == pytest.approx(5, abs=2)


def test_a_generator_per_arm_is_judged_as_one_that_replaces(store: RunStore) -> None:
    group, children = create(
        store, {"study": "s0-mnist", "scale": "corrected", "dataset": "digits"}
    )
    finish_all(
        children,
        {
            "arm:real": 0.9,
            "arm:50/50": 0.7,
            "arm:10/90": 0.5,
            "arm:90/10": 0.8,
            "arm:synthetic": 0.4,
        },
    )
    found = report(group, store)
    assert found["verdict"]["kind"] == "hurts" and found["verdict"]["generator"] == "per arm"
    assert (
        "in macro-F1" in found["remarks"][-1]
        and found["verdict"]["arm"] == "90/10"
        and found["data"].endswith("instead of the data set of this scale.")
    )


def test_several_networks_are_held_against_their_own_controls(store: RunStore) -> None:
    group, children = create(store, {"study": "s1-models"})
    finish_all(
        children,
        {"small_cnn:real": 0.7, "small_cnn:both": 0.9, "mlp:real": 0.9, "mlp:both": 0.6},
        seeds=3,
    )
    found = report(group, store)
    text, rows = found["verdict"]["text"], by_id(found)
    assert (
        "helps small_cnn (+" in text and "hurts mlp (-" in text and "is undecided for cnn" in text
    )
    assert found["verdict"]["kind"] == "undecided" and "4 comparisons" in found["remarks"][0]
    assert (
        rows["resnet50-both"]["difference"]["low"] > 0
        and rows["resnet50-both"]["stand_in"] == "small_cnn on 200 digits"
    )
    assert (
        rows["resnet50-delta"]["ours"] == pytest.approx(20, abs=3)
        and rows["resnet50-delta"]["published"] == 1.78
    )
    assert rows["deit-l-both"]["ours"] is None and rows["deit-l-both"]["state"] == "published"


def test_a_fid_stands_in_the_line_of_the_published_fid(store: RunStore, tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"weights")
    values = {"extractor": "inception", "inception_weights": str(weights)}
    group, children = create(store, {"study": "s4-tsweep", **values})
    fids = [run for run in children.values() if run.kind == "fidelity"]
    assert {run.spec.extractor for run in fids} == {"inception"}
    assert {run.spec.inception_weights for run in fids} == {str(weights)}
    finish_all(children, {})
    for run in fids:
        result = dict(run.result() or {})
        finish(run, {**result, "metrics": [{**result["metrics"][0], "name": "fid"}]})
    rows = by_id(report(group, store))
    assert rows["100-flower"]["our_metric"] == rows["100-flower"]["metric"] == "FID"
    assert len(_apart(rows["100-flower"])) == 1
    assert "left_out" not in rows["100-flower"]


def test_a_study_without_distances_takes_no_extractor(store: RunStore) -> None:
    with pytest.raises(SpecError, match="s3-tail at the laptop scale measures no distances"):
        plan(make(StudySpec, {"study": "s3-tail", "extractor": "inception"}), store)


def test_distances_times_and_borders_come_from_their_runs(store: RunStore, tmp_path: Path) -> None:
    group, children = create(store, {"study": "s4-tsweep"})
    finish_all(children, {})
    found = report(group, store)
    rows = by_id(found)
    flower = rows["100-flower"]
    assert (flower["ours"], flower["low"], flower["high"], flower["our_metric"]) == (
        7.5,
        6.5,
        8.5,
        "fd_classifier",
    )
    assert (
        flower["metric"] == "FID"
        and flower["published"] == 369.88
        and rows["100-anime"]["ours"] is None
    )
    assert rows["time-1000"]["ours"] == 64.0 and rows["time-1000"]["published"] == 5060
    assert (
        rows["snr-50"]["arm"] == "T = 50, constant SNR"
        and rows["snr-50"]["ours"] == 7.5
        and found["verdict"] is None
    )
    name = imported(tmp_path, "b", "Smithsonian butterflies", 16, 1, 200, 20)
    group, children = create(store, {"study": "s4-tsweep", "dataset": name})
    finish_all(children, {})
    rows = by_id(report(group, store))
    assert rows["100-butterfly"]["ours"] == 7.5 and rows["100-flower"]["ours"] is None
    group, children = create(store, {"study": "s3-background"})
    finish_all(children, {})
    rows = by_id(report(group, store))
    assert rows["real"]["ours"] == 0.2 and rows["real"]["images"] == 1000
    assert rows["unconditional"]["ours"] == 0.1 and rows["unconditional"]["high"] == pytest.approx(
        0.1 + 1.96 * 0.005
    )


def test_predictions_that_are_gone_leave_no_verdict_and_no_number(store: RunStore) -> None:
    group, children = create(store, {"study": "s3-targeted"})
    finish_all(children, {})
    (children["real"].path / "predictions.npz").unlink()
    found = report(group, store)
    assert found["verdict"] is None and "cannot be read" in found["remarks"][0]
    assert (
        by_id(found)["real-all"]["ours"] is None and by_id(found)["spread-all"]["ours"] is not None
    )


def test_a_report_can_be_taken_out_as_csv_latex_and_page(store: RunStore) -> None:
    group, children = create(store, {"study": "s3-replacement"})
    finish_all(children, {"real": 0.8})
    found = report(group, store)
    assert as_csv(found).count("\n") == 1 + len(found["rows"])
    assert r"2 \% replaced & accuracy & \% & 77.37 & " in as_latex(found)
    text = page("s3-replacement", {"laptop": Section(group, found, "abc1234")})
    assert (
        "# s3-replacement: Replacing 2 to 12 %" in text
        and "Commit abc1234" in text
        and "## Laptop scale" in text
    )
    assert "| 2 % replaced | accuracy | 77.37 % (!) |" in text and found["verdict"]["text"] in text
    assert all(line.count("|") >= 3 for line in text.splitlines() if line.startswith("|"))
