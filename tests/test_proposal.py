"""What an import says before it begins: the reading that it proposes, and what it asks."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dreamlab.cli import main
from dreamlab.data import imageset
from dreamlab.data.importing.matching import as_setting, class_map
from dreamlab.data.importing.proposal import propose
from dreamlab.data.importing.sampling import SAMPLE
from dreamlab.settings import ImportSpec, make
from tests.import_helpers import class_files, do_import, encoded, folder_of, picture

KEYS = {
    "layout",
    "reading",
    "labelled",
    "classes",
    "per_class",
    "splits",
    "mapping",
    "left_out_counts",
    "left_out",
    "notes",
    "image_size",
    "bytes",
    "seconds",
    "sample",
    "questions",
    "command",
}


def proposed(source: Path, **values: Any) -> dict[str, Any]:
    return propose(make(ImportSpec, {"source": str(source), **values}))


def test_a_proposal_says_what_would_be_imported(tmp_path: Path) -> None:
    files = {
        **class_files(("cat", "dog"), 6, "train/"),
        **class_files(("cat", "dog"), 2, "test/"),
        "train/cat/broken.png": b"x",
        "readme.md": b"hello",
    }
    found = proposed(folder_of(tmp_path / "s", files))
    assert set(found) == KEYS and found["questions"] == []
    assert (found["classes"], found["per_class"]) == (["cat", "dog"], [9, 8])
    assert found["splits"] == {"training": 13, "test": 4} and found["labelled"]
    assert found["left_out_counts"] == {"not in a class folder": 1}
    assert found["sample"] == {"images": 17, "unusable": {"not an image": 1}}
    assert found["command"].endswith(f"import --from {tmp_path / 's'}")
    assert (found["image_size"], found["bytes"]) == (16, 17 * 16 * 16 * 3)
    assert found["left_out"] == [{"file": "readme.md", "reason": "not in a class folder"}]


def test_pictures_are_those_of_the_import(tmp_path: Path) -> None:
    """Ten of each class, as they are after preprocessing: here reduced, cropped and in grey."""
    rng = np.random.default_rng(0)
    files = {
        f"{name}/{i}.png": encoded(rng.integers(0, 256, (24, 40, 3), np.uint8))
        for name in ("a", "b", "c")
        for i in range(12)
    }
    source = folder_of(tmp_path / "s", files)
    spec = make(ImportSpec, {"source": str(source), "image_size": 12, "color": "grey"})
    sheet = propose(spec, pictures=True)["sample"]["sheet"]
    assert (sheet["classes"], sheet["cell"]) == (["a", "b", "c"], 12)
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet["png"]))))
    assert shown.shape == (3 * 12, 10 * 12)
    do_import(source, tmp_path / "run", image_size=12, color="grey")
    images, _ = imageset.load(tmp_path / "run")
    known = {image.tobytes() for image in images}
    cells = [shown[y : y + 12, x : x + 12] for y in (0, 12, 24) for x in range(0, 120, 12)]
    assert all(np.ascontiguousarray(cell).tobytes() in known for cell in cells)


def test_of_many_classes_some_are_shown_and_others_are_tried(tmp_path: Path) -> None:
    x = np.stack([picture(i, (8, 8)) for i in range(600)])
    np.savez(tmp_path / "a.npz", images=x, labels=np.arange(600) % 60)
    spec = make(ImportSpec, {"source": str(tmp_path / "a.npz")})
    sample = propose(spec, pictures=True)["sample"]
    assert sample["images"] <= SAMPLE and len(sample["sheet"]["classes"]) == 20


def test_only_a_sample_is_decoded(tmp_path: Path) -> None:
    x = np.stack([picture(i, (8, 8)) for i in range(SAMPLE * 3)])
    np.savez(tmp_path / "a.npz", images=x, labels=np.arange(len(x)) % 2)
    found = proposed(tmp_path / "a.npz")
    assert found["sample"]["images"] == SAMPLE and sum(found["per_class"]) == SAMPLE * 3


def test_a_source_most_of_which_would_be_left_out_is_asked_about(tmp_path: Path) -> None:
    files = {f"cat/{i}.raw": b"raw" for i in range(20)} | class_files(("cat", "dog"), 3)
    source = folder_of(tmp_path / "s", files)
    question = proposed(source)["questions"][0]
    assert "About 20 of 26 files would be left out: not an image" in question["question"]
    assert question["answers"][0]["settings"] == {"layout": "top"}
    assert proposed(source, layout="top")["questions"] == []


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any], str]:
    """(exit status, JSON answer, standard error) of a command."""
    status = main([*words, "--json"])
    said = capsys.readouterr()
    return status, json.loads(said.out.splitlines()[-1]), said.err


def test_a_question_ends_with_2_and_its_command_imports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        name: encoded(picture(i))
        for i, name in enumerate(
            f"{top}/{inner}/{k}.png"
            for top, inner in (("dogs", "poodle"), ("dogs", "beagle"), ("cats", "tabby"))
            for k in range(4)
        )
    }
    source, runs = folder_of(tmp_path / "pets", files), str(tmp_path / "runs")
    words = ("import", "--from", str(source), "--runs", runs)
    status, answer, _ = run(capsys, *words)
    assert (status, answer["state"], answer["run"]) == (2, "refused", None)
    assert set(answer["proposal"]) == KEYS and "--layout joined" in answer["error"]
    assert answer["proposal"]["classes"] == ["cats/tabby", "dogs/beagle", "dogs/poodle"]
    assert "--layout joined" in answer["proposal"]["command"]
    assert not list(Path(runs).glob("*import*"))
    status, answer, _ = run(capsys, *words, "--layout", "top", "--dry-run")
    assert (status, answer["state"]) == (0, "dry-run")
    assert set(answer["proposal"]) == KEYS and answer["proposal"]["per_class"] == [4, 8]
    assert answer["proposal"]["layout"] == "top"
    status, answer, _ = run(capsys, *words, "--layout", "top")
    result = answer["result"]
    assert status == 0 and (result["layout"], result["per_class"]) == ("top", [4, 8])
    assert result["splits"] == {"training": 9, "test": 3} and "--layout top" in result["command"]


def test_a_source_that_cannot_be_read_is_refused_before_a_run_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    runs = tmp_path / "runs"
    words = ("import", "--from", str(tmp_path / "empty"), "--runs", str(runs))
    status, answer, _ = run(capsys, *words)
    assert (status, answer["state"]) == (2, "refused")
    assert "holds no images that can be read" in answer["error"] and not runs.exists()


def test_classes_that_do_not_match_are_asked_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Digits counted from 1: a map is proposed, with both sides and counts."""
    files = class_files(tuple(str(i) for i in range(1, 11)), 2, channels=1)
    source, runs = folder_of(tmp_path / "made", files), str(tmp_path / "runs")
    synthetic = ("--role", "synthetic", "--dataset", "digits", "--runs", runs)
    status, answer, _ = run(capsys, "import", "--from", str(source), *synthetic)
    assert (status, answer["state"]) == (2, "refused") and set(answer["proposal"]) == KEYS
    question = answer["proposal"]["questions"][0]
    assert "as if counted from 1" in question["question"]
    assert question["map"]["to"] == [str(i) for i in range(10)]
    assert question["map"]["rows"][1] == {"from": "2", "images": 2, "to": "1"}
    assert [a["words"] for a in question["answers"]] == ["they count from 1"]
    chosen = question["answers"][0]["settings"]["classes"]
    assert answer["proposal"]["command"] == question["answers"][0]["command"]
    assert chosen in answer["proposal"]["command"] and chosen.startswith("1=0,2=1,")
    words = ("import", "--from", str(source), *synthetic, "--classes", chosen, "--dry-run")
    status, answer, _ = run(capsys, *words)
    assert status == 0 and answer["proposal"]["per_class"] == [2] * 10
    assert answer["proposal"]["mapping"][9] == {"from": "10", "images": 2, "to": "9"}


@pytest.mark.parametrize(
    ("names", "words", "setting"),
    [
        (("3", "seven"), "leave out the images of seven", "3=3"),
        (("0", "1", "x,y"), "leave out the images of x,y", "0=0,1=1"),
        (("cat",), None, None),
    ],
)
def test_some_classes_that_match_can_be_taken_alone(
    tmp_path: Path, names: tuple[str, ...], words: str | None, setting: str | None
) -> None:
    source = folder_of(tmp_path / "made", class_files(names, 2, channels=1))
    question = proposed(source, role="synthetic", dataset="digits")["questions"][0]
    found = [(a["words"], a["settings"]["classes"]) for a in question["answers"]]
    assert found == ([(words, setting)] if words else [])


def test_a_map_holds_any_name() -> None:
    names = {"a,b": "0", 'say "x"': "1", "ä=ö": "2", " c ": "3"}
    spec = make(ImportSpec, {"source": "x", "classes": as_setting(names)})
    assert class_map(spec) == {name.strip(): new for name, new in names.items()}
