"""Hand-made runs for the tests of the evidence side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dreamlab.data import imageset
from dreamlab.spec import KINDS, make
from dreamlab.store import ArtefactCache, EventWriter, Record, Run, RunStore, write_json
from dreamlab.tasks.context import TaskContext


def new_store(folder: Path) -> RunStore:
    store = RunStore(folder / "runs")
    store.prepare()
    return store


def new_run(store: RunStore, kind: str, values: dict[str, Any], roles: dict[str, str] | None = None) -> Run:
    spec = make(KINDS[kind], values)
    record = Record(
        id=store.new_id(kind, "test"), kind=kind, name=f"a {kind}", created="2026-01-01T00:00:00", hash=spec.content_hash(),
        spec=spec.model_dump(mode="json"), roles=roles or {}, children=list((roles or {}).values()),
    )  # fmt: skip
    return store.create(record)


def new_set(store: RunStore, source: Run, images: np.ndarray, labels: np.ndarray) -> Run:
    run = new_run(store, "synthesize", {"source": source.id})
    imageset.save(run.path, images, labels)
    return run


def finish(run: Run, result: dict[str, Any]) -> None:
    write_json(run.path / "result.json", result)
    events = EventWriter(run.path / "events.jsonl", 1)
    events.write("state", state="running", error="")
    events.write("result", values=result)
    events.write("state", state="done", error="")
    events.close()


def context(store: RunStore, run: Run) -> TaskContext:
    return TaskContext(run, store, ArtefactCache(store.folders.cache))
