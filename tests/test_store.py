"""Events and torn lines, atomic files, run directories, and the fold of events into a status."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import threading
import time
from pathlib import Path

import diskcache
import numpy as np
import pytest

from dreamlab.store import (
    ArtefactCache,
    EventReader,
    EventWriter,
    Record,
    RunError,
    RunStatus,
    RunStore,
    StatusReader,
    disk_use,
    read_json,
    wire,
    write_bytes,
    write_json,
)
from dreamlab.store.cache import array_hash
from dreamlab.store.machine import cores
from dreamlab.store.process_ids import alive, started
from dreamlab.store.status import group_state


def test_events_come_back_as_written(tmp_path: Path) -> None:
    writer, reader = (
        EventWriter(tmp_path / "events.jsonl", 2),
        EventReader(tmp_path / "events.jsonl"),
    )
    assert reader.read() == []
    writer.write("state", state="running", error="")
    writer.write("progress", step=1, total=2)
    first = reader.read()
    assert [(e["type"], e["attempt"]) for e in first] == [("state", 2), ("progress", 2)]
    assert reader.read() == []
    writer.write("message", level="info", text="naïve\nline")
    assert [e["text"] for e in reader.read()] == ["naïve\nline"]


def test_a_reader_waits_for_the_end_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    reader = EventReader(path)
    path.write_bytes(b'{"type": "message", "text": "one"}\n{"type": "mess')
    assert [e["text"] for e in reader.read()] == ["one"]
    with open(path, "ab") as file:
        file.write(b'age", "text": "two"}\n')
    assert [e["text"] for e in reader.read()] == ["two"]


def test_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(
        b'garbage\n[1, 2]\n{"no": "type"}\n\xff\xfe\n{"type": "state", "state": "done", "t": 1}\n'
    )
    assert [e["type"] for e in EventReader(path).read()] == ["state"]


def test_a_resumed_worker_cuts_a_torn_line_and_the_reader_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    reader = EventReader(path)
    first = EventWriter(path, 1)
    first.write("progress", step=1, total=9)
    with open(path, "ab") as file:
        file.write(b'{"type": "progress", "step": 2, "tot')
    assert len(reader.read()) == 1
    EventWriter(path, 2).write("progress", step=1, total=9)
    assert [(e["step"], e["attempt"]) for e in reader.read()] == [(1, 2)]


def test_a_number_that_is_not_finite_is_named_and_left_out(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path / "events.jsonl", 1)
    writer.write("metric", step=7, values={"loss": float("nan"), "speed": 2.0})
    message, metric = EventReader(tmp_path / "events.jsonl").read()
    assert message["text"] == "loss is not a finite number at step 7."
    assert metric["values"] == {"speed": 2.0}


def test_a_disk_that_fills_up_is_an_error_and_leaves_no_half_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    writer = EventWriter(path, 1)
    writer.write("message", level="info", text="fits")
    size = path.stat().st_size
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (size + 20, limits[1])
        )  # the next write is cut short
        with pytest.raises(OSError) as caught:
            writer.write("message", level="info", text="does not fit any more")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, old)
    assert caught.value.errno == errno.ENOSPC
    assert path.stat().st_size == size


def test_files_are_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError):
        write_json(path, {"a": float("nan")})
    assert read_json(path) == {"a": 1}
    path.write_text('{"a": ')
    assert read_json(path) is None
    assert read_json(tmp_path / "absent") is None
    with pytest.raises(OSError):
        write_bytes(tmp_path / "no" / "folder", b"")
    assert os.listdir(tmp_path) == ["value.json"], "no temporary file stays"


def test_a_reader_beside_a_writer_never_sees_half_a_file(tmp_path: Path) -> None:
    path, stop, seen = tmp_path / "value.json", threading.Event(), []
    write_json(path, [0] * 5000)

    def read() -> None:
        while not stop.is_set():
            seen.append(read_json(path))

    thread = threading.Thread(target=read)
    thread.start()
    for n in range(50):
        write_json(path, [n] * 5000)
    stop.set()
    thread.join()
    assert None not in seen
    assert all(len(set(value)) == 1 for value in seen)


def events(path: Path, attempt: int, *listed: tuple) -> None:
    writer = EventWriter(path / "events.jsonl", attempt)
    for type, fields in listed:
        writer.write(type, **fields)


def metric(step: int, loss: float) -> tuple:
    return "metric", {"step": step, "values": {"loss": loss}}


def state(name: str, error: str = "") -> tuple:
    return "state", {"state": name, "error": error}


def test_the_fold_drops_steps_that_were_done_twice(tmp_path: Path) -> None:
    image = {"name": "preview", "rows": 1, "cols": 1, "caption": ""}
    events(
        tmp_path,
        1,
        state("running"),
        *[metric(n, 1.0) for n in (10, 20, 30)],
        ("image", {"step": 25, "path": "a", **image}),
    )
    reader = StatusReader(tmp_path)
    assert [m["step"] for m in reader.refresh().metrics] == [10, 20, 30]
    events(
        tmp_path,
        2,
        state("running"),
        metric(20, 2.0),
        metric(30, 2.0),
        ("image", {"step": 22, "path": "b", **image}),
    )
    status = reader.refresh()
    assert [(m["step"], m["loss"]) for m in status.metrics] == [(10, 1.0), (20, 2.0), (30, 2.0)]
    assert [i["path"] for i in status.images] == ["b"]
    assert status.attempt == 2


def test_version_grows_with_changes_only(tmp_path: Path) -> None:
    reader = StatusReader(tmp_path)
    assert reader.refresh().state == "queued"
    version = reader.refresh().version
    assert reader.refresh().version == version
    events(tmp_path, 1, state("running"))
    assert reader.refresh().version > version
    (tmp_path / "stop").touch()
    assert reader.refresh().state == "stopping"


def test_job_and_events_speak_in_turn(tmp_path: Path) -> None:
    def job(state: str, attempt: int, **fields: object) -> str:
        write_json(tmp_path / "job.json", {"state": state, "attempt": attempt, **fields})
        return reader.refresh().state

    def said(attempt: int, *listed: tuple) -> str:
        events(tmp_path, attempt, *listed)
        return reader.refresh().state

    reader = StatusReader(tmp_path)
    assert job("queued", 1) == "queued"
    assert said(1, state("running")) == "running", "the worker is faster than the engine's note"
    assert job("running", 1) == "running"
    assert job("interrupted", 1) == "interrupted"
    assert job("queued", 2) == "queued"
    assert job("running", 2) == "running", "handed over, nothing written yet"
    assert said(2, state("running"), state("failed", "No data.")) == "failed"
    assert reader.status.error == "No data."
    assert job("queued", 3) == "queued"
    assert (reader.status.error, reader.status.ended) == ("", None)
    assert said(3, state("running"), state("done")) == "done"
    assert reader.status.ended
    assert job("failed", 4, error="Three times.", t=5.0) == "failed"
    assert (reader.status.error, reader.status.ended) == ("Three times.", 5.0)


@pytest.mark.parametrize(
    ("children", "own", "expected"),
    [
        (["queued", "queued"], "queued", "queued"),
        (["done", "queued"], "running", "running"),
        (["failed", "running"], "running", "running"),
        (["interrupted", "done"], "running", "running"),
        (["stopping", "done"], "stopping", "stopping"),
        (["failed", "stopped", "done"], "running", "failed"),
        (["stopped", "done"], "stopped", "stopped"),
        (["done", "done"], "queued", "running"),
        (["done", "done"], "done", "done"),
        (["done", "done"], "failed", "failed"),
        (["done", "done"], "stopped", "stopped"),
    ],
)
def test_group_state(children: list[str], own: str, expected: str) -> None:
    assert group_state(children, RunStatus(state=own)) == expected


def make(store: RunStore, **fields: object) -> str:
    run_id = store.new_id("train", "Ünïque name!")
    record = Record(id=run_id, kind="train", name="n", created="now", hash="h", spec={}, **fields)  # type: ignore[arg-type]
    return store.create(record).id


def test_run_directories(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    store.prepare()
    first = make(store)
    second = make(store, parents=[first])
    assert {run.id for run in store} == {first, second}
    (store.folder / "20260101-000000-train-broken-0000").mkdir()
    (store.folder / "notes").mkdir()
    assert {run.id for run in store} == {first, second}
    assert store.get(first[-4:] if first[-4:] not in second else first).id == first
    assert [run.id for run in store.users_of(first)] == [second]
    third = make(store, parents=[second])
    assert [run.id for run in store.users_of(first)] == [second]
    assert [run.id for run in store.users_of(first, indirect=True)] == [second, third]
    with pytest.raises(RunError, match="matches 4 runs"):
        store.get("train")
    with pytest.raises(RunError, match="There is no run 'nothing'"):
        store.get("nothing")
    events(store.folder / first, 1, state("done"))
    assert disk_use(store.folder / first) > 100


def test_deleted_runs_come_back_until_the_trash_is_emptied(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    store.prepare()
    one = make(store)
    store.trash(store.get(one))
    assert store.ids() == []
    store.empty_trash(older_than_days=1)
    assert store.restore(one).id == one
    store.trash(store.get(one))
    store.empty_trash(older_than_days=-1)
    with pytest.raises(RunError):
        store.restore(one)
    with pytest.raises(RunError):
        store.restore("../runs")


def test_a_runs_folder_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be used .*--runs"):
        RunStore(tmp_path / "file" / "runs").prepare()


def test_the_cache_keeps_arrays_and_survives_damage(tmp_path: Path) -> None:
    cache = ArtefactCache(tmp_path / "cache")
    mean, cov = np.arange(3.0), np.eye(200)
    cache.put("key", mean=mean, cov=cov)
    found = ArtefactCache(tmp_path / "cache").get("key")
    assert found is not None
    np.testing.assert_array_equal(found["cov"], cov)
    assert cache.get("other") is None
    with diskcache.Cache(str(tmp_path / "cache")) as file:
        file.set("key", b"damaged")
    assert cache.get("key") is None
    assert array_hash(mean) != array_hash(mean.astype(np.float32))
    assert array_hash(mean, mean) == array_hash(mean.copy(), mean)


def test_a_process_is_known_by_its_start_time() -> None:
    mine = started(os.getpid())
    assert alive(os.getpid(), mine)
    assert not alive(os.getpid(), mine - 60)
    assert not alive(None, 0.0)
    child = os.fork()
    if child == 0:
        os._exit(0)
    deadline = time.monotonic() + 5
    while started(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(child, 0.0), "a zombie is dead, and an unknown start time is nobody's"
    os.waitpid(child, 0)
    assert 1 <= cores() <= (os.cpu_count() or 1)


def test_messages_travel_with_their_bytes() -> None:
    import socket

    left, right = socket.socketpair()
    wire.send(left, {"step": 1, "png": b"\x00\xff" * 1000, "done": False})
    assert wire.receive(right) == {"step": 1, "png": b"\x00\xff" * 1000, "done": False}
    right.settimeout(10)
    begun = time.monotonic()
    assert not wire.hung_up(right)
    assert time.monotonic() - begun < 1, "it does not wait"
    left.sendall(b"\x00\x00\x00\x05{}")
    left.close()
    with pytest.raises(wire.WireError):
        wire.receive(right)
    left, right = socket.socketpair()
    left.close()
    assert wire.hung_up(right)
    assert wire.receive(right) is None
    left, right = socket.socketpair()
    left.sendall(json.dumps({}).encode().rjust(8))
    with pytest.raises(wire.WireError):
        wire.receive(right)
