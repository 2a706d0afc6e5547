"""A study of several data sets at once: each is matched to its column of the published table, the
parts are made for each, and what does not fit is refused in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dreamlab.cli import main
from dreamlab.data import catalog
from dreamlab.experiments import plan
from dreamlab.experiments.identity import contents_of
from dreamlab.experiments.study.columns import column_of
from dreamlab.experiments.study.plan import chosen, datasets_of
from dreamlab.experiments.study.report import report
from dreamlab.settings import (
    KINDS,
    FidelitySpec,
    SpecError,
    StudySpec,
    SynthesizeSpec,
    TrainSpec,
    command,
    make,
)
from dreamlab.store import RunStore
from dreamlab.store.about import About, write_about
from dreamlab.studies import load, loader
from dreamlab.ui.charts import study_chart
from tests.evidence_helpers import new_store
from tests.study_helpers import create, imported
from tests.test_study_report import by_id, finish_all

STUDY = {"study": "s4-tsweep", "scale": "middle"}


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return new_store(tmp_path)


@pytest.fixture
def sets(tmp_path: Path) -> dict[str, str]:
    """Key of a column -> an imported set for it."""
    titles = {"flower": "Oxford Flowers", "butterfly": "butterflies", "anime": "anime_faces"}
    return {
        key: imported(tmp_path / "imports", key, title, 64, 2, 100, 10)
        for key, title in titles.items()
    }


def spec_of(*names: str, **more: Any) -> StudySpec:
    return make(StudySpec, {**STUDY, "dataset": ",".join(names), **more})


def test_the_parts_are_those_of_one_set_once_for_each_set(
    store: RunStore, sets: dict[str, str]
) -> None:
    one = plan(spec_of(sets["anime"]), store)
    children = plan(spec_of(sets["butterfly"], sets["anime"], sets["flower"]), store)
    assert len(children) == 3 * len(one) == len({c.role for c in children})
    seen: set[str] = set()
    for child in children:
        key, _, role = child.role.partition(":")
        spec = make(KINDS[child.kind], dict(child.values))
        (same,) = [c for c in one if c.role == role]
        of_one = make(KINDS[same.kind], dict(same.values))
        if isinstance(spec, TrainSpec):
            assert spec.dataset == sets[key]
            assert spec.model_copy(update={"dataset": sets["anime"]}) == of_one
        elif isinstance(spec, SynthesizeSpec):
            assert spec.source.startswith(f"@{key}:generator:") and spec.source[1:] in seen
        elif isinstance(spec, FidelitySpec):
            assert spec.images.startswith(f"@{key}:set:") and spec.images[1:] in seen
        seen.add(child.role)


def test_each_set_fills_its_own_column(store: RunStore, sets: dict[str, str]) -> None:
    group, children = create(store, {**STUDY, "dataset": f"{sets['anime']},{sets['flower']}"})
    finish_all({k: v for k, v in children.items() if k != "flower:fd:300:fixed"}, {})
    found = report(group, store)
    rows = by_id(found)
    assert found["data"] == "anime_faces, Oxford Flowers." and not found["complete"]
    assert rows["300-anime"]["ours"] == 7.5 and rows["300-anime"]["published"] == 229.2
    assert rows["300-flower"]["ours"] is None and rows["300-flower"]["state"] == "queued"
    assert rows["100-flower"]["ours"] == 7.5 and rows["100-butterfly"]["ours"] is None
    # what the study did not publish has a row for each set; a time is measured once
    assert rows["snr-100-flower"]["arm"] == "T = 100, constant SNR, flowers"
    assert rows["snr-100-anime"]["arm"] == "T = 100, constant SNR, anime faces"
    assert "snr-100" not in rows and "snr-100-butterfly" not in rows
    assert rows["time-300"]["child"] == children["anime:set:300:fixed"].id
    # the same training at T = 1000
    assert rows["snr-1000-flower"]["child"] == rows["1000-flower"]["child"]


def test_the_curves_of_several_sets_have_their_names(store: RunStore, sets: dict[str, str]) -> None:
    group, children = create(store, {**STUDY, "dataset": ",".join(sets.values())})
    finish_all(children, {})
    rows = [
        {**r, "metric": "fd"}
        for r in report(group, store)["rows"]
        if r["ours"] is not None and r["unit"] == ""
    ]
    drawn = study_chart.lines(rows, load("s4-tsweep").steps)
    sets_of = ("flowers", "butterflies", "anime faces")
    assert {name: [x for x, _ in points] for name, points in drawn.items()} == {
        **dict.fromkeys(sets_of, [100, 300, 1000]),
        **{f"constant SNR, {name}": [100, 1000] for name in sets_of},
    }


def test_one_set_alone_works_as_before(store: RunStore, sets: dict[str, str]) -> None:
    scale = chosen(spec_of(sets["butterfly"]))[1]
    assert scale is load("s4-tsweep").scales["middle"]
    assert column_of(scale, "Smithsonian Butterflies") == "butterfly"
    assert column_of(scale, "fruits") == ""
    group, children = create(store, {**STUDY, "dataset": sets["butterfly"]})
    finish_all(children, {})
    rows = by_id(report(group, store))
    assert rows["100-butterfly"]["ours"] == 7.5 and rows["100-flower"]["ours"] is None
    assert rows["snr-100"]["ours"] == 7.5 and "snr-100-butterfly" not in rows
    # settings of an earlier version have one text
    old = make(StudySpec, {"study": "s0-mnist", "dataset": "digits"})
    assert old.dataset == ("digits",) and datasets_of(old) == ("digits",)
    assert make(StudySpec, {"study": "s0-mnist", "dataset": ""}).dataset == ()
    assert "--dataset" not in command(make(StudySpec, {"study": "s0-mnist"}))
    assert command(old).endswith("study s0-mnist --dataset digits")


def test_a_name_that_is_given_later_takes_no_set_out_of_its_column(
    store: RunStore, sets: dict[str, str]
) -> None:
    spec = spec_of(sets["flower"], sets["anime"])
    before = chosen(spec)
    write_about(catalog.folder_of(sets["flower"]), About("my garden"))
    assert catalog.info(sets["flower"]).title == "my garden" and chosen(spec) == before
    write_about(catalog.folder_of(sets["anime"]), About("butterflies"))
    assert {p.role.partition(":")[0] for p in chosen(spec)[1].parts} == {"flower", "butterfly"}


def test_every_scale_of_the_study_takes_several_sets(store: RunStore, sets: dict[str, str]) -> None:
    for scale in load("s4-tsweep").scales:
        two = spec_of(sets["flower"], sets["butterfly"], scale=scale)
        of_one = plan(spec_of(sets["flower"], scale=scale), store)
        assert len(plan(two, store)) == 2 * len(of_one)


def test_the_images_of_all_sets_are_part_of_the_hash(store: RunStore, sets: dict[str, str]) -> None:
    both = contents_of(spec_of(sets["flower"], sets["anime"]), store)
    one = contents_of(spec_of(sets["flower"]), store)
    assert len(both["images"].split()) == 2 and both["images"].split()[0] == one["images"]
    alone = contents_of(spec_of(sets["anime"]), store)
    assert both["images"].split()[1] == alone["images"] != one["images"]


def test_what_does_not_fit_is_refused_in_one_sentence(
    store: RunStore, sets: dict[str, str], tmp_path: Path
) -> None:
    other = imported(tmp_path / "imports", "other", "Flowers of a garden", 64, 2, 100, 10)
    fruits = imported(tmp_path / "imports", "fruits", "fruits", 64, 2, 100, 10)
    wrong: list[tuple[StudySpec, str]] = [
        (
            spec_of(sets["flower"], other),
            r"flower and other are both for the column 'flowers' of s4-tsweep; name one of them\.",
        ),
        (
            spec_of(sets["flower"], fruits),
            r"fruits \(fruits\) is for no column of s4-tsweep; .* butterfl, face; `runs rename",
        ),
        (spec_of("digits", "digits"), r"8x8.*\) is for no column"),
        (spec_of("missing", sets["flower"]), "missing"),
        (
            make(StudySpec, {"study": "s0-mnist", "dataset": "digits,mnist5k"}),
            r"digits, mnist5k cannot be used together; s0-mnist at the laptop scale takes one",
        ),
    ]
    for spec, words in wrong:
        with pytest.raises(SpecError, match=words) as refused:
            plan(spec, store)
        assert refused.value.field == "dataset" and "\n" not in str(refused.value)


def test_the_command_line_refuses_two_sets_of_a_study_with_one(
    store: RunStore, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["study", "s2-mlp", "--dataset", "digits,mnist5k", "--dry-run"]
    assert main([*words, "--runs", str(store.folder)]) == 2
    said = capsys.readouterr()
    assert "s2-mlp at the laptop scale takes one data set" in said.err + said.out
    assert "Traceback" not in said.err


def test_a_file_with_columns_and_classifiers_is_refused() -> None:
    raw = loader.read("s2-cnn")
    laptop = {**raw["scale"]["laptop"], "columns": {"x": {"word": "x", "name": "x"}}}
    with pytest.raises(ValueError, match=r"^s2-cnn\.toml: scale laptop trains classifiers and"):
        loader.study_of("s2-cnn", {**raw, "scale": {**raw["scale"], "laptop": laptop}})
