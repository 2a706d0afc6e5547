"""The demo run that comes with the product: unpacked once, with the extractor that its numbers were
measured with."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np

from dreamlab.service import demo
from dreamlab.store import ArtefactCache, RunStore
from tests.evidence_helpers import new_store

RUN = "20260101-000000-train-digits-0000"


def packed(path: Path) -> Path:
    buffer = io.BytesIO()
    np.savez(buffer, weights=np.arange(3))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"runs/{RUN}/spec.json", "{}")
        archive.writestr("cache/reference/abc.npz", buffer.getvalue())
    return path


def test_a_demo_is_unpacked_once_with_its_extractor(tmp_path: Path) -> None:
    store, archive = new_store(tmp_path), packed(tmp_path / "demo.zip")
    assert demo.install(store, archive)
    assert store.ids() == [RUN]
    found = ArtefactCache(store.folders.cache).get("reference/abc")
    assert found is not None and found["weights"].tolist() == [0, 1, 2]
    (store.folder / RUN / "spec.json").unlink()
    (store.folder / RUN).rmdir()
    assert (
        not demo.install(store, archive) and store.ids() == []
    )  # a demo that was deleted does not come back


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
    assert any(key.startswith("reference/") for key in ArtefactCache(store.folders.cache).keys())
    json.dumps(mix, allow_nan=False)
