"""Runs folders for tests of the engine."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dreamlab.engine.core import Engine
from dreamlab.engine.launcher import Request, SpawnLauncher
from dreamlab.settings import KINDS, make
from dreamlab.store import Record, Run, RunStore
from dreamlab.store.machine import Device
from dreamlab.store.process_ids import alive

FAKE = Path(__file__).with_name("fake_worker.py")
TINY = {"dataset": "digits", "steps": 20, "batch_size": 16, "base_width": 8, "preview_every": 60}
MINIMAL = {
    "train": {},
    "synthesize": {"source": "x"},
    "fidelity": {"images": "x"},
    "classify": {},
    "mix": {},
    "sweep": {"source": "x"},
}


def submit(
    store: RunStore, kind: str = "classify", plan: dict[str, Any] | None = None, **record: Any
) -> Run:
    """A queued run; `plan` is what the fake worker does with it. `values` are settings of its
    spec."""
    spec = make(KINDS[kind], {**MINIMAL[kind], **record.pop("values", {})})
    run_id = record.pop("id", None) or store.new_id(kind, record.get("name", "t"))
    fields = {"name": "t", "created": "2026-11-21T10:00:00", "hash": spec.content_hash(), **record}
    run = store.create(Record(id=run_id, kind=kind, spec=spec.model_dump(mode="json"), **fields))
    if plan is not None:
        (run.path / "plan.json").write_text(json.dumps(plan))
    time.sleep(0.002)  # the order of submission is the order of the files' times
    return run


def fake_command(request: Request) -> list[str]:
    return [sys.executable, "-S", "-E", str(FAKE), str(request.path), str(request.attempt)]


def fake_engine(store: RunStore, slots: int = 2, devices: list[Device] | None = None) -> Engine:
    return Engine(
        store.folder,
        launcher=SpawnLauncher(fake_command),
        devices=devices or [Device("cpu", slots)],
        live=False,
    )


def until(true: Callable[[], Any], engine: Engine | None = None, seconds: float = 20.0) -> None:
    """Rounds of the engine (or waiting) until something is so."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if engine is not None:
            engine.tick()
        if true():
            return
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s")


def worker(run: Run) -> tuple[int, float]:
    """Pid and start time of the run's worker; (0, 0.0) where it has none."""
    job = run.job()
    pid, started = int(job.get("pid") or 0), float(job.get("pid_started") or 0.0)
    return (pid, started) if alive(pid, started) else (0, 0.0)


def states(*runs: Run) -> list[str]:
    return [run.status().state for run in runs]
