"""Files that a browser sends, the folders that a page may list, and looks in the background."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from dreamlab.service import Refused, Service
from dreamlab.service.looking import Asked
from dreamlab.service.places import Places
from dreamlab.settings import ImportSpec, make
from dreamlab.store import uploads as store
from dreamlab.store.uploads import UploadError, Uploads
from dreamlab.ui import upload_routes
from tests.import_helpers import class_files, folder_of


def part(*files: tuple[str, int, bytes]) -> bytes:
    head = json.dumps([[path, at, len(data)] for path, at, data in files]).encode()
    return head + b"\n" + b"".join(data for _, _, data in files)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(Service(tmp_path / "runs").library, [tmp_path / "open"], 100_000)


@pytest.fixture
def site(places: Places) -> TestClient:
    api = FastAPI()
    upload_routes.add_routes(api, places)
    return TestClient(api)


def begin(site: TestClient, size: int, files: int) -> str:
    answer = site.post("/upload", json={"bytes": size, "files": files})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["name"])


def sent(places: Places, name: str, content: bytes) -> None:
    """Sends one file."""
    receiver = places.receive(name)
    receiver.feed(part(("a", 0, content)))
    receiver.close()


def test_a_folder_comes_in_parts_and_is_named(site: TestClient, places: Places) -> None:
    rng = np.random.default_rng(0)
    big, small = rng.bytes(30_000), rng.bytes(10)
    name = begin(site, len(big) + len(small), 3)
    first = part(("pets/cat/a.png", 0, big[:20_000]))
    assert site.post(f"/upload/{name}", content=first).status_code == 200
    with pytest.raises(Refused, match="not complete"):
        places.end(name)
    last = part(
        ("pets/cat/a.png", 20_000, big[20_000:]), ("pets/ü/b", 0, small), ("pets/c", 0, b"")
    )
    assert site.post(f"/upload/{name}", content=last).status_code == 200
    folder = Path(places.end(name))
    assert folder.name == "pets" and folder.parent.parent == places.uploads.folder
    held = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}
    assert held["cat/a.png"] == big and (folder / "ü" / "b").read_bytes() == small
    assert (folder / "c").read_bytes() == b""


def test_several_files_are_one_folder(site: TestClient, places: Places) -> None:
    name = begin(site, 2, 2)
    site.post(f"/upload/{name}", content=part(("a.png", 0, b"1"), ("b.png", 0, b"2")))
    assert Path(places.end(name)) == places.uploads.folder / name


def test_a_part_that_broke_off_is_sent_again(places: Places) -> None:
    name = places.begin(6, 1)
    cut = places.receive(name)
    cut.feed(part(("a", 0, b"abcdef"))[:-2])
    cut.close(complete=False)
    whole = places.receive(name)
    whole.feed(part(("a", 0, b"abcdef")))
    whole.close()
    assert Path(places.end(name)).read_bytes() == b"abcdef"


@pytest.mark.parametrize(
    "path", ["../a", "/etc/a", "a/../../b", "a//b", "", ".", "a\0b", "a/" * 40 + "b"]
)
def test_no_path_leads_out_of_the_upload(site: TestClient, places: Places, path: str) -> None:
    name = begin(site, 1, 1)
    answer = site.post(f"/upload/{name}", content=part((path, 0, b"x")))
    assert answer.status_code == 400 and "cannot have the name" in answer.json()["error"]
    assert not list((places.uploads.folder / f"{name}.part").rglob("*"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no json\n", "cannot be read"),
        (b"[[1]]\n", "cannot be read"),
        (b"", "missing"),
        (part(("a", 0, b"1234"))[:-1], "missing"),
        (part(("a", 0, b"1")) + b"more", "More bytes"),
        (part(("a", 9, b"1")), "A part of a is missing"),
        (part(("a", 0, b"12345678901")), "than were announced"),
        (b"x" * (store.HEADER_BYTES + 1), "too long"),
    ],
)
def test_wrong_parts_are_refused(site: TestClient, content: bytes, words: str) -> None:
    name = begin(site, 10, 1)
    answer = site.post(f"/upload/{name}", content=content)
    assert answer.status_code == 400 and words in answer.json()["error"]


@pytest.mark.parametrize("asked", [b"", b"[]", b'{"bytes": "x", "files": 1}', b'{"bytes": 1}'])
def test_a_request_that_cannot_be_read(site: TestClient, asked: bytes) -> None:
    answer = site.post("/upload", content=asked)
    assert answer.status_code == 400 and answer.json()["error"] == "The request cannot be read."


def test_all_uploads_together_have_a_limit(site: TestClient, places: Places) -> None:
    answer = site.post("/upload", json={"bytes": 100_001, "files": 1})
    assert "at most 0.1 MB can be sent" in answer.json()["error"]
    assert "--max-upload" in answer.json()["error"]
    first = begin(site, 60_000, 1)
    assert site.post("/upload", json={"bytes": 60_000, "files": 1}).status_code == 400
    site.delete(f"/upload/{first}")
    begin(site, 60_000, 1)
    assert site.post("/upload", json={"bytes": 1, "files": 0}).status_code == 400


def test_the_disk_stays_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SPARE_BYTES", shutil.disk_usage(tmp_path).free + 2**40)
    with pytest.raises(UploadError, match="must stay free"):
        Uploads(tmp_path / "up", 10**12).begin(10, 1, lambda folder: False)


def test_old_uploads_go_unless_a_run_needs_them(tmp_path: Path, site: TestClient) -> None:
    service = Service(tmp_path / "runs")
    places = Places(service.library, [], 10**8)
    kept, gone, young = (places.begin(1, 1) for _ in range(3))
    service.places = places
    for name in (kept, gone):
        sent(places, name, b"1")
        places.end(name)
        source = folder_of(places.uploads.folder / name / "pets", class_files())
        os.utime(source.parent, (time.time() - 2 * store.KEPT_SECONDS,) * 2)
    spec = service.check("import", {"source": str(places.uploads.folder / kept / "pets")})
    service.store.prepare()
    service._create(spec)  # it waits in the queue, no engine is started
    places.clean()
    assert sorted(p.name for p in places.uploads.folder.iterdir()) == sorted(
        [kept, f"{young}.part"]
    )


@pytest.mark.parametrize("restarted", [False, True])
def test_an_upload_that_nobody_completes_is_removed(
    tmp_path: Path, places: Places, restarted: bool
) -> None:
    """As after a crash of the browser or of the server."""
    left, young = places.begin(90_000, 1), places.begin(1, 1)
    places.receive(left).feed(part(("a", 0, b"123"))[:-1])
    os.utime(places.uploads.folder / f"{left}.part", (time.time() - 2 * store.SILENT_SECONDS,) * 2)
    now = Places(places._library, [], 100_000) if restarted else places
    now.begin(60_000, 1)
    held = {p.name for p in places.uploads.folder.iterdir()}
    assert f"{left}.part" not in held and f"{young}.part" in held


def test_a_part_that_comes_shows_that_an_upload_lives(places: Places) -> None:
    name = places.begin(2, 1)
    os.utime(places.uploads.folder / f"{name}.part", (0, 0))
    places.receive(name)
    places.clean()
    sent(places, name, b"12")
    assert Path(places.end(name)).read_bytes() == b"12"


def test_a_cancelled_upload_leaves_nothing_though_a_part_still_comes(places: Places) -> None:
    name = places.begin(30, 3)
    content = part(*((f"pets/{c}/a", 0, b"0123456789") for c in "xyz"))
    receiver = places.receive(name)
    receiver.feed(content[:-15])
    places.uploads.remove(name)
    with pytest.raises(UploadError, match="not known"):
        receiver.feed(content[-15:])
    receiver.close(complete=False)
    assert not list(places.uploads.folder.iterdir())


def test_a_complete_upload_is_not_given_up(site: TestClient, places: Places) -> None:
    name = places.begin(1, 1)
    sent(places, name, b"1")
    file = Path(places.end(name))
    site.delete(f"/upload/{name}")
    assert file.read_bytes() == b"1"


@pytest.mark.parametrize(
    ("name", "words"),
    [("ü" * 130 + ".png", "longer than 255 bytes; shorten it"), ("\ud800.png", "cannot have")],
)
def test_names_that_no_file_can_have_are_explained(site: TestClient, name: str, words: str) -> None:
    head = json.dumps([[name, 0, 1]]).encode() + b"\nx"
    answer = site.post(f"/upload/{begin(site, 1, 1)}", content=head)
    assert answer.status_code == 400 and words in answer.json()["error"]


def test_names_that_are_no_uploads_remove_nothing(places: Places, tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    places.uploads.folder.mkdir()
    for name in ("..", "", "../open", "../../" + tmp_path.name):
        places.uploads.remove(name)
        with pytest.raises(Refused, match="not known"):
            places.receive(name)
    assert (tmp_path / "open").is_dir() and places.uploads.folder.is_dir()


def test_allowed_folders_are_listed_and_no_others(tmp_path: Path, places: Places) -> None:
    there = tmp_path / "open"
    for name in ("b/inner/x.zip", "a/1.png", "set.npz", "notes.md", ".secret/key", "W.ZIP"):
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        (there / name).write_bytes(b"x")
    (tmp_path / "closed").mkdir()
    (there / "way-out").symlink_to(tmp_path / "closed")
    shelf = places.shelf()
    assert shelf.path == str(there) and shelf.parent == ""
    assert [name for name, _ in shelf.folders] == ["a", "b", "way-out"]
    assert [name for name, _ in shelf.files] == ["set.npz", "W.ZIP"] and shelf.others == 1
    inner = places.shelf(str(there / "b"))
    assert inner.parent == str(there) and [name for name, _ in inner.folders] == ["inner"]
    for path in ("/", str(tmp_path), str(there / ".."), str(there / "way-out"), "x\0y"):
        with pytest.raises(Refused):
            places.shelf(path)
    assert Places(places._library).shelf().folders == []


def wait(looked: Any) -> None:
    assert looked.done.wait(60)


def test_a_look_is_made_once_and_again_after_a_change(tmp_path: Path) -> None:
    service = Service(tmp_path / "runs")
    source = folder_of(tmp_path / "pets", class_files(("cat", "dog"), 6))
    spec = make(ImportSpec, {"source": str(source)})
    looked = service.looker.look(spec)
    wait(looked)
    assert looked.proposal and looked.proposal["per_class"] == [6, 6]
    assert looked.proposal["sample"]["sheet"]["classes"] == ["cat", "dog"]
    assert service.looker.look(spec) is looked and service.looker.version == 1
    service.looker.settled(spec)
    folder_of(source, class_files(("bird",), 3, "new/"))
    (source / "new" / "bird").rename(source / "bird")
    (source / "new").rmdir()
    again = service.looker.look(spec)
    assert again is not looked
    wait(again)
    assert again.proposal and again.proposal["classes"] == ["bird", "cat", "dog"]
    assert not (tmp_path / "runs").exists()


def test_a_look_that_asks_or_refuses(tmp_path: Path) -> None:
    looker = Service(tmp_path / "runs").looker
    nested = folder_of(tmp_path / "n", class_files(("dogs/poodle", "dogs/beagle", "cats/tabby")))
    with pytest.raises(Asked):
        looker.settled(make(ImportSpec, {"source": str(nested)}))
    (tmp_path / "empty").mkdir()
    spec = make(ImportSpec, {"source": str(tmp_path / "empty")})
    looked = looker.look(spec)
    wait(looked)
    assert "holds no images" in looked.refusal and looked.proposal is None
    with pytest.raises(Refused, match="holds no images"):
        looker.settled(spec)


def test_a_newer_look_ends_an_older_one_which_can_be_asked_again(tmp_path: Path) -> None:
    looker = Service(tmp_path / "runs").looker
    specs = [
        make(ImportSpec, {"source": str(folder_of(tmp_path / name, class_files((name, "x"))))})
        for name in ("a", "b")
    ]
    first = looker.look(specs[0])
    wait(looker.look(specs[1]))
    wait(first)
    again = looker.look(specs[0])
    wait(again)
    assert again.proposal and again.proposal["classes"] == ["a", "x"]
