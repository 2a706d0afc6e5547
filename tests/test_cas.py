"""The CAS of a set among its metrics: which classify run gives it, its numbers, and what is said
where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dreamlab.data import catalog
from dreamlab.experiments.cas import lacking, rows
from dreamlab.fidelity import wording
from dreamlab.fidelity.cas import measure
from dreamlab.fidelity.metrics import METRICS, measured_on
from dreamlab.service import Refused, Service, usefulness
from dreamlab.settings import FidelitySpec, SpecError, SweepSpec, make
from dreamlab.stats import cell, correct
from dreamlab.store import RunStore
from dreamlab.tasks.fidelity.task import fidelity
from dreamlab.ui.parts.fidelity_numbers import numbers_html
from dreamlab.ui.view import Pages
from tests.evidence_helpers import context, new_run, new_store
from tests.usefulness_helpers import (
    DATA,
    PER_CLASS,
    classified,
    generator,
    measured,
    metric,
    synthetic,
)


@pytest.fixture
def lab(tmp_path: Path) -> RunStore:
    return new_store(tmp_path)


def test_the_numbers_are_those_of_the_predictions() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 200)
    predicted = np.where(rng.random((3, 200)) < 0.8, labels, (labels + 1) % 10)
    top5 = np.stack([(predicted + i) % 10 for i in range(5)], axis=2)
    found = measure(predicted, top5, labels)
    wanted = cell(correct(predicted, labels))
    assert wanted is not None
    ends = (found["cas"].mean, found["cas"].low, found["cas"].high)
    assert ends == pytest.approx([100 * wanted[k] for k in ("mean", "low", "high")])
    inside = ((labels - predicted) % 10 < 5).mean()
    assert found["cas_top5"].mean == pytest.approx(100 * inside)
    assert set(measure(predicted, None, labels)) == {"cas"}
    one = measure(predicted[:1], None, labels)["cas"]
    assert np.isnan(one.low) and one.mean == pytest.approx(100 * (predicted[0] == labels).mean())


def test_the_metrics_are_of_no_extractor_and_higher_is_better() -> None:
    for name in ("cas", "cas_top5"):
        assert METRICS[name].direction == "higher" and METRICS[name].extractor == ""
    assert measured_on("classifier", ("cas",)) == []
    assert [m.name for m in measured_on("", ("cas",), "classifier")] == ["cas", "cas_top5"]
    row = {"name": "cas", "value": 50.0, "low": None, "high": None}
    assert wording.about_intervals([row]) == ["cas has no interval: one classifier was trained."]


def test_a_row_names_its_run_and_has_every_class(lab: RunStore) -> None:
    made = synthetic(lab, generator(lab))
    run = classified(lab, made, 0.6)
    data = catalog.load(DATA)
    (row,) = rows(run, data.test_labels, data.info.classes)
    result = run.result() or {}
    assert row["value"] == pytest.approx(100 * result["interval"]["mean"])
    assert row["low"] == pytest.approx(100 * result["interval"]["low"])
    about = ("name", "n", "reference", "role", "extractor", "direction", "run", "seeds", "level")
    assert [row[k] for k in about] == ["cas", 50, DATA, "test", "", "higher", run.id, 3, 0.95]
    each = row["per_class"]
    assert [c["value"] for c in each] == pytest.approx([100 * a for a in result["per_class"]])
    assert all(c["low"] < c["value"] < c["high"] and c["n"] == PER_CLASS for c in each)
    assert sum(c["reference_n"] for c in each) == len(data.test_labels)
    (run.path / "predictions.npz").unlink()
    with pytest.raises(SpecError, match=f"The predictions of {run.id} cannot be read"):
        rows(run, data.test_labels, data.info.classes)


def test_the_run_with_the_most_seeds_is_taken_and_named(lab: RunStore) -> None:
    made, other = (synthetic(lab, generator(lab)) for _ in range(2))
    classified(lab, other, 0.9, seeds=9)
    best = classified(lab, made, 0.6, seeds=4)
    classified(lab, made, 0.7, seeds=3)
    classified(lab, made, 0.7, seeds=6, without_near_copies=True)
    service = Service(lab.folder)
    spec = service.check("fidelity", {"images": made.id, "metrics": "cas"})
    assert isinstance(spec, FidelitySpec) and spec.cas_run == best.id
    hashes = {
        service.check("fidelity", {"images": made.id, "metrics": m}).content_hash()
        for m in ("fd,cas", "fd,kid", "all")
    }
    assert len(hashes) == 3
    found, said = usefulness.cas_of(service, measured(lab, made, [metric("coverage", 0.5)]).id)
    assert found[0]["run"] == best.id and said == ""


def test_other_runs_are_refused_in_a_sentence(lab: RunStore) -> None:
    made, other = (synthetic(lab, generator(lab)) for _ in range(2))
    wrong = classified(lab, other, 0.9)
    service = Service(lab.folder)
    values = {"images": made.id, "metrics": "cas", "cas_run": wrong.id}
    with pytest.raises(Refused, match=f"arm synthetic of {other.id}; name a run with --arm"):
        service.check("fidelity", values)
    with pytest.raises(Refused, match="add cas to --metrics, or leave it out"):
        service.check("fidelity", {**values, "metrics": "fd"})
    with pytest.raises(Refused) as refused:
        service.check("fidelity", {"images": made.id, "metrics": "cas"})
    command = f"classify --images-per-class 5 --dataset {DATA} --arm synthetic"
    words = set(str(refused.value).split("`")[1].split())
    assert set(command.split()) <= words and made.id in words
    with pytest.raises(SpecError, match="metrics"):
        make(SweepSpec, {"source": "g", "metrics": "fd,cas"})
    swept = make(SweepSpec, {"source": "g", "metrics": "all"}).metrics
    assert "cas" not in swept and "memory" in swept


def test_a_set_that_cannot_have_one_says_why() -> None:
    every = np.arange(10).repeat(400)
    assert "--images-per-class" not in lacking("set", DATA, "", every)
    assert "no images of some classes" in lacking("set", DATA, "", every[every > 3])
    assert "its images have no classes" in lacking("set", DATA, "", every, labelled=False)


def test_a_measurement_holds_the_cas_or_says_what_is_lacking(lab: RunStore) -> None:
    made = synthetic(lab, generator(lab))
    values = {"images": made.id, "metrics": "kid,cas"}
    events = list(fidelity(context(lab, new_run(lab, "fidelity", values))))
    result = events[-1]["values"]
    assert "no finished classify run was trained on it alone" in result["cas_lacks"]
    assert any(e.get("text") == result["cas_lacks"] for e in events)
    assert [m["name"] for m in result["metrics"]] == ["kid_classifier"]
    by = classified(lab, made, 0.6)
    run = new_run(lab, "fidelity", {**values, "cas_run": by.id})
    result = list(fidelity(context(lab, run)))[-1]["values"]
    assert [m["name"] for m in result["metrics"]] == ["kid_classifier", "cas"]
    assert result["metrics"][1]["run"] == by.id and "cas_lacks" not in result


def test_the_page_shows_the_cas_that_is_known_now(lab: RunStore) -> None:
    made = synthetic(lab, generator(lab))
    run = measured(lab, made, [metric("coverage", 0.5)])
    service = Service(lab.folder)
    pages = Pages(service)
    before = str(numbers_html(pages, service.row(run.id)))
    assert "The CAS of" in before and "Each class" not in before
    by = classified(lab, made, 0.6)
    after = str(numbers_html(pages, service.row(run.id)))
    assert "The CAS of" not in after and by.id in after and "Each class" in after
    assert "3 classifiers trained on 50 images of the set alone" in after
