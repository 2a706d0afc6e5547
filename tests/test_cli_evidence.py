"""`studies`, `export` and the table downloads from a terminal: what is written, what is
refused."""

from __future__ import annotations

import csv
import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamlab import studies
from dreamlab.cli import main
from dreamlab.data import catalog
from dreamlab.paths import program
from dreamlab.service import Service
from dreamlab.service.service import Submitted
from dreamlab.settings.names import StudyName
from dreamlab.store import EventWriter, RunStore
from tests.evidence_helpers import finish, finish_classifier, new_group, new_run, new_set, new_store
from tests.import_helpers import class_files, folder_of


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    found = new_store(tmp_path)
    (found.folders.engine / "demo-installed").touch()  # an empty folder stays empty
    return found


def call(
    store: RunStore, capsys: pytest.CaptureFixture[str], *words: object
) -> tuple[dict[str, Any], int]:
    status = main([*map(str, words), "--json", "--runs", str(store.folder)])
    return json.loads(capsys.readouterr().out.splitlines()[-1]), status


def test_studies_names_every_study(store: RunStore, capsys: pytest.CaptureFixture[str]) -> None:
    answer, status = call(store, capsys, "studies")
    assert status == 0 and tuple(s["id"] for s in answer["result"]["studies"]) == StudyName.__args__  # type: ignore[attr-defined]
    assert all(
        "laptop" in s["scales"] and s["question"].endswith("?") for s in answer["result"]["studies"]
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("study", "s9-nothing"),
            "Study (STUDY): 's9-nothing' cannot be used; it must be one of s0-mnist",
        ),
        (
            ("study", "s0-mnist", "--scale", "huge"),
            "it must be one of laptop, middle, corrected, paper",
        ),
        (("study", "s0-mnist", "--scale", "paper"), "--data-dir"),
        (("study", "list"), "it must be one of s0-mnist"),
        (("export", "nobody", "--to", "x.zip"), "There is no run 'nobody'"),
    ],
)
def test_what_cannot_be_is_refused(
    store: RunStore, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    answer, status = call(store, capsys, *words)
    assert status == 2 and sentence in answer["error"] and store.ids() == []


def test_a_study_is_estimated_without_starting_anything(
    store: RunStore, capsys: pytest.CaptureFixture[str]
) -> None:
    answer, status = call(
        store, capsys, "study", "s3-replacement", "--scale", "laptop", "--dry-run"
    )
    assert status == 0 and answer["result"]["estimate"]["seconds"] > 10 and store.ids() == []
    assert answer["result"]["command"] == f"{program()} study s3-replacement"


def test_a_set_and_a_mix_are_taken_out_with_their_origin(
    store: RunStore, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    Service(store.folder)
    data = catalog.load("digits")
    source = new_run(store, "train", {"dataset": "digits"})
    made = new_set(store, source, data.test_images[:100], data.test_labels[:100])
    finish(made, {"seconds": 1.0})
    values = {
        "dataset": "digits",
        "images_per_class": 4,
        "sets": (made.id,),
        "arms": ("real", "real+1x"),
        "controls": (),
        "seeds": 3,
    }
    group, children = new_group(store, "mix", values)
    for role, shift in (("arm:real", 0.0), (f"arm:{made.id}:real+1x", 0.2)):
        finish_classifier(
            children[role], data.test_labels, [0.7 + shift, 0.71 + shift, 0.7 + shift]
        )
    answer, status = call(store, capsys, "export", made.id, "--to", tmp_path / "set.zip")
    assert status == 0 and answer["result"]["images"] == 100
    with zipfile.ZipFile(tmp_path / "set.zip") as archive:
        names = archive.namelist()
        assert sum(n.endswith(".png") for n in names) == 100 and {
            "README.md",
            "card.json",
            "images.csv",
        } <= set(names)
    # without a name the arm that the verdict speaks of
    answer, status = call(store, capsys, "export", group.id, "--to", tmp_path / "mixed")
    assert status == 0 and answer["result"]["images"] == 80
    rows = list(csv.DictReader((tmp_path / "mixed" / "images.csv").open()))
    assert (
        [r["role"] for r in rows].count("real")
        == [r["role"] for r in rows].count("synthetic")
        == 40
    )
    assert {r["source"] for r in rows if r["role"] == "synthetic"} == {made.id}
    answer, status = call(
        store, capsys, "export", group.id, "--arm", "real", "--to", tmp_path / "real.npz"
    )
    assert status == 0 and len(np.load(tmp_path / "real.npz")["labels"]) == 40
    words: tuple[Any, ...] = ("--format", "imagefolder", "--to", tmp_path / "hf")
    answer, status = call(store, capsys, "export", group.id, *words)
    listed = list(csv.DictReader((tmp_path / "hf" / "train" / "metadata.csv").open()))
    assert status == 0 and len(listed) == 80 and not (tmp_path / "hf" / "test").exists()
    answer, status = call(store, capsys, "export", group.id, "--to", tmp_path / "table.csv")
    table = list(csv.DictReader((tmp_path / "table.csv").open()))
    assert [r["arm"] for r in table] == ["real", "real+1x"] and float(
        table[1]["difference_low_points"]
    ) > 0
    answer, status = call(store, capsys, "export", group.id, "--to", tmp_path / "table.tex")
    assert status == 0 and "\\toprule" in (tmp_path / "table.tex").read_text()
    for words, sentence in (
        (("--to", tmp_path / "table.csv"), "exists already"),
        (("--to", tmp_path / "set.zip"), "exists already"),
        (("--to", tmp_path / "x.tar"), "or end in .zip, .npz, .csv, .tex or .parquet"),
        (("--arm", "50/50", "--to", tmp_path / "y.zip"), "it must be one of"),
        (("--seed", "99", "--to", tmp_path / "y.zip"), "--seed): 99 cannot be exported from"),
        (("--seed", "3", "--to", tmp_path / "y"), "its classifiers have the seeds 0 to 2."),
        (("--seed", "-1", "--to", tmp_path / "y.npz"), "--seed): -1 cannot be exported from"),
        (("--seed", "1.5", "--to", tmp_path / "y"), "'1.5' cannot be used; it must be a whole"),
        (("--seed", "1", "--to", tmp_path / "y.csv"), "holds all arms and seeds; leave it out"),
    ):
        answer, status = call(store, capsys, "export", group.id, *words)
        assert status == 2 and sentence in answer["error"], words
        assert not {tmp_path / f"y{end}" for end in ("", ".zip", ".npz", ".csv")} & {
            *tmp_path.iterdir()
        }
    for words in (("--seed", "1"), ("--arm", "real")):
        answer, status = call(store, capsys, "export", made.id, *words, "--to", tmp_path / "y")
        assert status == 2 and "has no arms and seeds; leave it out." in answer["error"]
    answer, status = call(
        store, capsys, "export", group.id, "--seed", "2", "--to", tmp_path / "third"
    )
    assert status == 0 and json.loads((tmp_path / "third" / "card.json").read_text())["seed"] == 2
    answer, status = call(store, capsys, "export", source.id, "--to", tmp_path / "z.zip")
    assert status == 2 and "a synthetic set, an import, a mix" in answer["error"]


def test_a_study_whose_file_has_changed_is_another_study(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(store.folder)
    first = service.submit(service.check("study", {"study": "s3-background"}))
    again = service.submit(service.check("study", {"study": "s3-background"}))
    assert (again.run, again.reused) == (first.run, True)
    known = studies.load("s3-background")
    monkeypatch.setattr(
        studies, "load", lambda name: dataclasses.replace(known, question="Another question?")
    )
    assert not service.submit(service.check("study", {"study": "s3-background"})).reused


@pytest.mark.parametrize(
    ("words", "kind", "values"),
    [
        (("import", "--from", "{folder}"), "import", {"source": "somewhere"}),
        (
            ("mix", "--dataset", "digits", "--images-per-class", "4"),
            "mix",
            {"dataset": "digits", "images_per_class": 4},
        ),
        (("study", "s3-background"), "study", {"study": "s3-background"}),
    ],
)
def test_what_a_failed_run_says_is_printed_once(
    store: RunStore,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: tuple[str, ...],
    kind: str,
    values: dict[str, Any],
) -> None:
    run = new_run(store, kind, values)
    leak, other = "30 of the 350 images are copies of test images.", "Two images were left out."
    events = EventWriter(run.path / "events.jsonl", 1)
    events.write("state", state="running", error="")
    for text in (leak, other, other):
        events.write("message", level="warning", text=text)
    events.write("state", state="failed", error=f"Refused: {leak}")
    events.close()
    monkeypatch.setattr(Service, "start", lambda self: None)
    monkeypatch.setattr(Service, "submit", lambda self, spec, **more: Submitted(run.id, False))
    folder = folder_of(tmp_path / "images", class_files())
    line = [word.format(folder=folder) for word in words]
    assert main([*line, "--runs", str(store.folder)]) == 1
    out, err = capsys.readouterr()
    assert f"failed: {run.id}" in out
    assert (out + err).count(leak) == (out + err).count(other) == 1
    assert err.splitlines()[-1] == f"Refused: {leak}"
