"""The worker around a task: its events, its result, its last state, and errors in one sentence."""

from __future__ import annotations

import ast
import errno
import fcntl
import importlib.util
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dreamlab.processes import worker
from dreamlab.processes.cuda_visibility import show_device
from dreamlab.settings import KINDS
from dreamlab.store import Run, RunStore
from dreamlab.store.process_ids import EXIT_DISK, EXIT_HELD
from dreamlab.tasks import TASKS, Stopped, TaskContext, TaskError, find_task
from tests.engine_helpers import TINY, submit

Task = Callable[[TaskContext], Iterator[dict[str, Any]]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    store = RunStore(tmp_path / "runs")
    store.prepare()
    return submit(store, "mix")


def attempt(
    run: Run, task: Task, number: int = 1, before: Callable[[], None] = lambda: None
) -> int:
    """The worker's exit status, of a process of its own: it takes stdout, the session and the
    signals."""
    child = os.fork()
    if child == 0:
        status = 99
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__  # pytest has put its own there
        try:
            worker.find_task = lambda kind: task  # type: ignore[assignment]
            before()
            status = worker.run_attempt(run.path, threads=1, device="cpu", attempt=number)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def result(values: dict[str, Any]) -> dict[str, Any]:
    return {"type": "result", "values": values}


def test_a_task_is_done(run: Run) -> None:
    def task(context: TaskContext) -> Iterator[dict[str, Any]]:
        print("said")
        yield {
            "type": "progress",
            "step": 1,
            "total": 1,
            "unit": "steps",
            "eta_seconds": None,
            "text": "",
        }
        yield result({"value": 1, "bad": float("nan"), "path": Path("a"), "pair": (1, 2)})
        assert json.loads((run.path / "result.json").read_text())["value"] == 1, (
            "written before the run is done"
        )

    assert attempt(run, task) == 0
    status = run.status()
    assert (status.state, status.error) == ("done", "")
    assert run.result() == status.result == {"value": 1, "bad": None, "path": "a", "pair": [1, 2]}
    assert status.messages[0]["text"] == "Not a finite number and therefore left out: bad."
    assert (run.path / "worker.log").read_text() == "said\n"


def test_a_stop_keeps_the_result(run: Run) -> None:
    def task(context: TaskContext) -> Iterator[dict[str, Any]]:
        assert not context.stopping()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.06)
        assert context.stopping(), "SIGTERM is the stop file"
        yield result({"half": True})
        raise Stopped

    assert attempt(run, task) == 2
    assert (run.status().state, run.result()) == ("stopped", {"half": True})


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (TaskError("There are only 3 images."), "There are only 3 images."),
        (KeyError("x"), "KeyError: 'x'"),
        (OSError(errno.ENOSPC, "No space left on device", "file"), "The disk is full ("),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "The disk is full ("),
        (
            OSError(errno.EIO, "Input/output error", "file"),
            "file cannot be written (Input/output error)",
        ),
        (
            FileNotFoundError(errno.ENOENT, "No such file or directory", "data.npz"),
            "data.npz cannot be used: No such",
        ),
        (MemoryError(), "There is too little free memory for this run"),
        (
            RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
            "The CUDA device has too little free memory",
        ),
    ],
)
def test_an_error_is_one_sentence(run: Run, error: Exception, sentence: str) -> None:
    def task(context: TaskContext) -> Iterator[dict[str, Any]]:
        yield {"type": "message", "level": "info", "text": "begun"}
        raise error

    assert attempt(run, task) == 1
    assert run.status().state == "failed"
    assert run.status().error.startswith(sentence)
    assert "Traceback" in (run.path / "worker.log").read_text()


@pytest.mark.parametrize(("room", "status"), [(300, 1), (5, EXIT_DISK)])
def test_a_full_disk_is_told_in_the_last_event_or_by_the_exit_status(
    run: Run, room: int, status: int
) -> None:
    def task(context: TaskContext) -> Iterator[dict[str, Any]]:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        full = (run.path / "events.jsonl").stat().st_size + room
        resource.setrlimit(resource.RLIMIT_FSIZE, (full, full))
        yield {"type": "message", "level": "info", "text": "x" * 500}

    assert attempt(run, task) == status
    assert (run.path / "events.jsonl").read_bytes().endswith(b"}\n"), "no half line"
    assert run.status().state == ("failed" if status == 1 else "running")
    assert run.status().error.startswith("The disk is full") == (status == 1)


def test_a_directory_has_one_worker_at_a_time(run: Run) -> None:
    with open(run.path / "worker.log", "a") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        assert attempt(run, lambda context: iter(())) == EXIT_HELD
    assert not (run.path / "events.jsonl").exists()
    assert attempt(run, lambda context: iter(())) == 0


def test_a_second_attempt_knows_that_it_is_one(run: Run) -> None:
    def task(context: TaskContext) -> Iterator[dict[str, Any]]:
        yield result({"attempt": context.attempt})

    (run.path / "events.jsonl").write_bytes(
        b'{"t": 1, "attempt": 1, "type": "state", "state": "running"}\n{"torn'
    )
    assert attempt(run, task, number=2) == 0
    assert run.result() == {"attempt": 2}
    assert run.status().attempt == 2


def test_the_worker_sees_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-x")
    assert show_device("cuda:1") == "cuda:0"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-x"
    assert show_device("cuda:0", "GPU-y") == "cuda:0"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-y"
    assert show_device("cpu") == "cpu"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_every_kind_has_its_task() -> None:
    for place in TASKS.values():  # without importing torch into the tests
        module, function = place.split(":")
        found = importlib.util.find_spec(module)
        assert found is not None and found.origin, module
        tree = ast.parse(Path(found.origin).read_text())
        assert function in {
            node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
        }
    assert sorted(TASKS) == sorted(KINDS)
    with pytest.raises(TaskError, match="no task for runs of kind 'dance'"):
        find_task("dance")


def test_the_command_line(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    store.prepare()
    run = submit(store, "train", values={**TINY, "steps": 2})
    command = [sys.executable, "-m", "dreamlab.processes.worker"]
    assert subprocess.run([*command, str(run.path), "--threads", "1"], timeout=120).returncode == 0
    assert run.status().state == "done"
    refused = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2
    assert "is not a run folder" in refused.stderr
