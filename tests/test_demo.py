"""The demo run that comes with the product: unpacked once, and the extractor that its numbers were
measured with, which is used whether the demo is unpacked or not."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dreamlab.paths import DEMO
from dreamlab.service import demo
from dreamlab.store import ArtefactCache, RunStore
from dreamlab.store.cache import shipped
from dreamlab.tasks.fidelity.task import fidelity
from tests import make_demo
from tests.evidence_helpers import context, finish, new_run, new_set, new_store

RUN = "20260101-000000-train-digits-0000"


def packed(path: Path) -> Path:
    buffer = io.BytesIO()
    np.savez(buffer, weights=np.arange(3))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"runs/{RUN}/spec.json", "{}")
        archive.writestr("cache/reference/abc.npz", buffer.getvalue())
    return path


def test_a_demo_is_unpacked_once(tmp_path: Path) -> None:
    store, archive = new_store(tmp_path), packed(tmp_path / "demo.zip")
    assert demo.install(store, archive)
    assert store.ids() == [RUN]
    (store.folder / RUN / "spec.json").unlink()
    (store.folder / RUN).rmdir()
    assert (
        not demo.install(store, archive) and store.ids() == []
    )  # a demo that was deleted does not come back


def test_what_comes_with_the_demo_is_read_from_its_archive(tmp_path: Path) -> None:
    archive = packed(tmp_path / "demo.zip")
    found = shipped("reference/abc", archive)
    assert found is not None and found["weights"].tolist() == [0, 1, 2]
    assert shipped("reference/other", archive) is None
    assert shipped("reference/abc", tmp_path / "missing.zip") is None
    (tmp_path / "cut.zip").write_bytes(archive.read_bytes()[:50])
    assert shipped("reference/abc", tmp_path / "cut.zip") is None


def test_the_demo_is_packed_with_the_trained_extractors_alone(tmp_path: Path) -> None:
    store, archive = new_store(tmp_path), tmp_path / "demo.zip"
    run = new_run(store, "train", {"steps": 1})
    finish(run, {})
    cache = ArtefactCache(store.folders.cache)
    for key in ("reference/abc", "features/abc"):
        cache.put(key, weights=np.arange(3))
    cache.close()
    make_demo.pack(store.folder, archive)
    assert (
        shipped("reference/abc", archive) is not None and shipped("features/abc", archive) is None
    )
    other = new_store(tmp_path / "other")
    assert demo.install(other, archive)
    assert other.ids() == [run.id] and other.get(run.id).record.demo


@pytest.mark.parametrize("dataset", ["mnist5k", "digits"])
def test_the_first_fidelity_of_a_new_folder_trains_no_extractor(
    tmp_path: Path, dataset: str
) -> None:
    store = new_store(tmp_path)
    side = {"mnist5k": 28, "digits": 8}[dataset]
    images = np.random.default_rng(0).integers(0, 256, (20, side, side, 1), np.uint8)
    made = new_set(store, new_run(store, "train", {"dataset": dataset}), images, np.arange(20) % 10)
    run = new_run(store, "fidelity", {"images": made.id})
    events = list(fidelity(context(store, run)))
    assert not [e for e in events if "training the reference" in e.get("text", "")]
    with zipfile.ZipFile(DEMO) as archive:
        measured = [
            json.loads(archive.read(name))["extractor"]["id"]
            for name in archive.namelist()
            if "-fidelity-" in name and name.endswith("result.json")
        ]
    found = events[-1]["values"]["extractor"]["id"]
    assert dataset == "digits" or set(measured) == {found}  # as in the numbers of the demo


def test_the_shipped_demo_fills_every_page(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    assert demo.install(store)
    runs = list(RunStore(store.folder))
    assert {"train", "synthesize", "fidelity", "sweep", "mix", "study"} <= {
        run.kind for run in runs
    }
    assert all(run.record.demo and run.status().state == "done" for run in runs)
    mix = next(run for run in runs if run.kind == "mix").result()
    assert mix is not None and mix["verdict"]["text"] and mix["best"] is not None
    json.dumps(mix, allow_nan=False)
