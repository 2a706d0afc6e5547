"""A dry run or a refused command in an empty folder leaves no file, and only a command that names
the demo unpacks it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from dreamlab.cli import main
from dreamlab.engine import client
from dreamlab.estimates.measured import Prober
from dreamlab.service import Service, demo, export
from dreamlab.settings import KINDS
from dreamlab.store import RunStore


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder; temporary files go beside it, where a test can count them."""
    folder, temporary = tmp_path / "work", tmp_path / "tmp"
    folder.mkdir()
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.chdir(folder)
    return folder


def left(folder: Path) -> list[str]:
    """Everything below the working folder and the folder of temporary files."""
    top = folder.parent
    return sorted(str(p.relative_to(top)) for p in top.rglob("*") if p.parent != top)


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    status = main([*words, "--json"])
    out = capsys.readouterr().out.splitlines()
    return status, json.loads(out[-1])


REFUSED = {
    "import": ("--from", "nowhere"),
    "train": ("--images-per-class", "9999"),
    "synthesize": ("--from", "demo", "--num-steps", "5000"),
    "fidelity": ("--images", "nothing"),
    "classify": ("--images-per-class", "9999"),
    "mix": ("--from", "demo", "--dataset", "digits"),
    "sweep": ("--from", "demo", "--values", "99"),
    "study": ("s0-mnist", "--scale", "paper"),
    "export": ("demo", "--to", "table.tar"),
    "runs show": ("nothing",),
    "runs stop": ("demo",),
    "runs preview": ("demo",),
    "runs snapshot": ("demo",),
    "runs resume": ("demo",),
    "runs delete": ("nothing",),
    "runs restore": ("demo",),
    "runs list": ("--kind", "nothing"),
    "studies": ("--nothing",),
    "ui": ("--port", "0"),
}


def test_every_verb_is_tried() -> None:
    assert KINDS.keys() <= REFUSED.keys()


@pytest.mark.parametrize("verb", list(REFUSED))
def test_a_refused_command_leaves_nothing(
    verb: str, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, answer = call(capsys, *verb.split(), *REFUSED[verb])
    assert status == 2 and answer["error"] and str(empty.parent / "tmp") not in answer["error"]
    assert left(empty) == []


DRY = {
    "import": ("--from", "torchvision:mnist"),
    "train": ("--dataset", "digits", "--preset", "tiny", "--steps", "20"),
    "synthesize": ("--from", "demo", "--per-class", "2"),
    "fidelity": ("--images", "demo"),
    "classify": ("--dataset", "digits", "--images-per-class", "10"),
    "mix": ("--from", "demo", "--images-per-class", "10"),
    "sweep": ("--from", "demo", "--per-class", "2"),
    "study": ("s3-replacement",),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_dry_run_leaves_nothing(
    kind: str, empty: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind != "train":  # one real probe of a few steps is enough
        monkeypatch.setattr(Prober, "measure", lambda self, works, keep=True: None)
    status, answer = call(capsys, kind, *DRY[kind], "--dry-run")
    assert status == 0, answer["error"]
    assert left(empty) == []
    if "demo" in DRY[kind]:  # the command can be given again as it is shown
        assert " demo" in answer["result"]["command"]
    if kind == "train":
        assert answer["result"]["estimate"]["source"] == "probe"


@pytest.mark.parametrize("words", [("runs", "list"), ("studies",)])
def test_looking_leaves_nothing(
    words: tuple[str, ...], empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(capsys, *words)[0] == 0 and left(empty) == []


def test_a_table_of_the_demo_leaves_the_table_alone(
    empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(capsys, "export", "demo", "--to", "table.csv")[0] == 0
    assert left(empty) == ["work/table.csv"]


def test_a_command_without_the_demo_does_not_unpack_it(
    empty: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ensure_engine", lambda runs: None)
    status, answer = call(capsys, "train", "--dataset", "digits", "--steps", "5", "--detach")
    assert status == 0 and RunStore("runs").ids() == [answer["run"]]


def test_a_command_that_names_the_demo_unpacks_it(
    empty: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ensure_engine", lambda runs: None)
    status, answer = call(capsys, "synthesize", "--from", "demo", "--per-class", "1", "--detach")
    store = RunStore("runs")
    assert status == 0 and demo.is_installed(store) and len(store.ids()) > 40
    assert store.get(answer["run"]).record.parents == [demo.run_id(("train",))]


def test_an_engine_that_does_not_start_is_one_sentence(
    empty: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(runs: Path) -> None:
        raise client.EngineError("The engine does not start.")

    monkeypatch.setattr(client, "ensure_engine", fails)
    status, answer = call(capsys, "train", "--dataset", "digits", "--steps", "5")
    assert (status, answer["error"]) == (1, "The engine does not start.")
    assert answer["state"] == "queued" and RunStore("runs").ids() == [answer["run"]]
    assert call(capsys, "runs", "resume", answer["run"])[0] == 2
    assert Service("runs").version() >= 0, "a page can be read without an engine"


@pytest.mark.parametrize("form", ["npz", "imagefolder", "csv", "parquet", "exe"])
def test_a_refused_download_leaves_no_temporary_folder(form: str, empty: Path) -> None:
    service = Service("runs")
    service.install_demo()
    before = left(empty)
    with pytest.raises(ValueError):  # a generator has neither images nor a table
        export.temporary(service, demo.run_id(("train",)), form)
    assert left(empty) == before
