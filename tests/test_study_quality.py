"""Whether the generators of a study were trained enough is said before its verdict, by the rule of
a mix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamlab.data import catalog, imageset
from dreamlab.experiments import quality, report
from dreamlab.service.tables import as_latex, frame
from dreamlab.store import ArtefactCache, Run, RunStore, read_json
from dreamlab.tasks.context import TaskContext
from dreamlab.tasks.experiment import study as study_task
from dreamlab.ui.parts.verdicts import verdict_html
from tests.evidence_helpers import context, finish, new_store
from tests.make_studies import Section, index
from tests.study_helpers import create
from tests.test_generator_quality import cache as cache
from tests.test_generator_quality import held, scribbles, stored
from tests.test_study_report import finish_all

WEAK = "Under-trained generator: "
SAID = "Under-trained generator: 21 % of its samples are recognised as their class, and 98 %"


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return new_store(tmp_path)


def finished(store: RunStore, name: str, **recognition: Any) -> tuple[Run, dict[str, Run]]:
    """A study whose parts are all done, with what was measured on its sets."""
    group, children = create(store, {"study": name})
    finish_all(children, {"real": 0.8})
    for run in children.values():
        if run.kind == "synthesize" and recognition:
            finish(run, {"seconds": 64.0, "images": 128, "recognition": recognition})
    return group, children


@pytest.mark.parametrize("name", ["s3-replacement", "s0-mnist", "s4-classify"])
def test_the_verdict_of_a_study_says_first_that_its_generator_is_under_trained(
    store: RunStore, name: str
) -> None:
    group, _ = finished(store, name, **stored(0.21))
    (event,) = study_task(context(store, group))
    found = event["values"]
    text = found["verdict"]["text"]
    assert text.startswith(SAID) and text.count("Under-trained") == 1
    assert found["generators"][0]["quality"]["state"] == "under-trained"
    assert str(verdict_html(found["verdict"])).count(WEAK.strip()) == 1
    assert as_latex(found).startswith(f"% {SAID}")
    table = frame(found)
    weak = table[table["generator_state"] == "under-trained"]
    assert len(weak) and set(weak["recognised_percent"]) == {21.0}
    finish(group, found)
    listed = index({name: {found["scale"]: Section(group, found, "abc1234")}})
    assert SAID in listed and "synthetic" in listed.split(SAID)[1]


def test_the_verdict_of_a_study_with_a_good_generator_begins_with_its_answer(
    store: RunStore,
) -> None:
    group, _ = finished(store, "s3-replacement", **stored(0.97))
    found = report(group, store)
    assert "Under-trained" not in found["verdict"]["text"]
    assert {g["quality"]["state"] for g in found["generators"]} == {"good"}
    unknown, _ = finished(store, "s3-replacement")
    assert any("was not measured" in said for said in report(unknown, store)["remarks"])


@pytest.mark.parametrize("good", [True, False])
def test_a_study_judges_the_sets_of_its_verdict_before_it(
    store: RunStore, cache: ArtefactCache, good: bool
) -> None:
    group, children = finished(store, "s0-mnist")
    images, labels = held(catalog.load("digits"))
    for run in children.values():
        if run.kind == "synthesize":
            imageset.save(run.path, images if good else scribbles(labels), np.asarray(labels))
    found = list(study_task(TaskContext(group, store, cache)))[-1]["values"]
    assert found["verdict"]["text"].startswith(WEAK) is not good, found["remarks"]
    sets = {name for g in found["generators"] for name in g["sets"]}
    assert set(read_json(group.path / quality.FILE)) == sets and sets
    assert report(group, store)["verdict"] == found["verdict"]


def test_a_study_that_compares_no_classifiers_needs_no_judge(store: RunStore) -> None:
    group, _ = create(store, {"study": "s1-cas"})
    for run in (store.get(i) for i in group.record.children):
        finish(run, {"seconds": 1.0, "images": 1})
    found = report(group, store)
    assert found["generators"] == []
