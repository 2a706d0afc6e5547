"""The engine's decisions, with workers that take milliseconds; `test_engine_process.py` has the
real ones."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from dreamlab.engine import transitions
from dreamlab.engine.core import Engine
from dreamlab.engine.slots import threads_for
from dreamlab.store import RunStore, write_json
from dreamlab.store.machine import Device, find_devices
from dreamlab.store.process_ids import EXIT_DISK, alive, kill_group, started
from tests.engine_helpers import fake_engine, states, submit, until, worker


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    monkeypatch.setattr(transitions, "INTERRUPTED_FOR", 0.2)
    monkeypatch.setattr(transitions, "GRACE", 0.3)
    monkeypatch.setattr("dreamlab.engine.dependencies.GRACE", 0.3)
    store = RunStore(tmp_path / "runs")
    store.prepare()
    return store


LONG = {"steps": 500, "delay": 0.02}


def running(engine: Engine) -> set[str]:
    return {i for i, e in engine.active.items() if e.phase in ("launching", "running")}


def test_a_run_is_done_and_its_job_says_where(store: RunStore) -> None:
    run, engine = submit(store, plan={"steps": 2}), fake_engine(store)
    until(lambda: states(run) == ["done"], engine)
    assert {k: run.job()[k] for k in ("state", "attempt", "device", "threads")} == {
        "state": "running",
        "attempt": 1,
        "device": "cpu",
        "threads": 1,
    }
    until(lambda: not engine.active, engine)


def test_two_classifiers_run_side_by_side_and_a_training_runs_alone(store: RunStore) -> None:
    runs = [submit(store, plan=LONG) for _ in range(3)]
    engine = fake_engine(store)
    until(lambda: states(*runs) == ["running", "running", "queued"], engine)
    for run in runs:
        (run.path / "stop").touch()
    until(lambda: states(*runs) == ["stopped"] * 3, engine)
    trainings = [submit(store, "train", plan=LONG) for _ in range(2)]
    until(lambda: states(*trainings) == ["running", "queued"], engine)
    assert threads_for("classify", Device("cpu", 64)) == 1
    for run in trainings:
        (run.path / "stop").write_text("now")
    until(lambda: not engine.active, engine)


def test_a_waiting_training_is_not_overtaken(store: RunStore) -> None:
    first = submit(store, plan=LONG)
    big = submit(store, "train", plan={"steps": 1})
    late = submit(store, plan={"steps": 1})
    engine = fake_engine(store)
    until(lambda: states(first) == ["running"], engine)
    for _ in range(20):
        engine.tick()
        time.sleep(0.01)
    assert states(big, late) == ["queued", "queued"], "one slot is free, but the training is next"
    (first.path / "stop").touch()
    until(lambda: states(big, late) == ["done", "done"], engine)
    assert big.status().started < late.status().started


def test_a_run_waits_for_what_it_needs_and_ends_with_it(store: RunStore) -> None:
    good, bad = submit(store, plan={"steps": 3}), submit(store, plan={"fail": "No luck."})
    after_good = submit(store, needs=[good.id], plan={})
    after_bad = submit(store, needs=[bad.id])
    after_that = submit(store, needs=[after_bad.id])
    after_nothing = submit(store, needs=["20260101-000000-train-gone-0000"])
    engine = fake_engine(store)
    until(lambda: not engine.active and engine.finished, engine)
    assert states(good, bad, after_good) == ["done", "failed", "done"]
    assert after_good.status().started >= good.status().ended
    assert states(after_bad, after_that, after_nothing) == ["failed"] * 3
    assert after_bad.status().error == f"It needs {bad.id}, which failed."
    assert (
        after_nothing.status().error
        == "It needs 20260101-000000-train-gone-0000, which does not exist any more."
    )
    stopped = submit(store, plan=LONG)
    waiting = submit(store, needs=[stopped.id])
    until(lambda: states(stopped) == ["running"], engine)
    (stopped.path / "stop").touch()
    until(lambda: states(waiting) == ["stopped"], engine)
    assert waiting.status().error == f"It needs {stopped.id}, which was stopped."


def test_a_queued_run_that_is_stopped_never_starts(store: RunStore) -> None:
    first, second = submit(store, "train", plan=LONG), submit(store, "train", plan={})
    engine = fake_engine(store)
    until(lambda: states(first) == ["running"], engine)
    (second.path / "stop").touch()
    until(lambda: states(second) == ["stopped"], engine)
    assert not (second.path / "events.jsonl").exists()
    (first.path / "stop").touch()
    (second.path / "resume").touch()
    until(lambda: states(first, second) == ["stopped", "done"], engine)
    assert not (second.path / "stop").exists()
    assert second.job()["attempt"] == 2


def test_a_killed_worker_is_interrupted_and_resumed(store: RunStore) -> None:
    run = submit(store, plan=LONG | {"steps": 100})
    engine = fake_engine(store)
    until(lambda: run.status().step >= 3, engine)
    killed = time.monotonic()
    os.kill(worker(run)[0], signal.SIGKILL)
    until(lambda: states(run) == ["interrupted"], engine)
    assert time.monotonic() - killed < 1.0
    until(lambda: states(run) == ["running"], engine)
    job = run.job()
    assert job["attempt"] == 2
    assert [i["attempt"] for i in job["interruptions"]] == [1]
    assert job["interruptions"][0]["step"] >= 3
    until(lambda: states(run) == ["done"], engine)


def test_three_attempts_without_progress_fail_with_one_sentence(store: RunStore) -> None:
    run = submit(store, plan={"steps": 9, "die_at": {"1": 5, "2": 2, "3": 5, "4": 4}})
    engine = fake_engine(store)
    until(lambda: states(run) == ["failed"], engine)
    job = run.job()
    assert [i["step"] for i in job["interruptions"]] == [5, 5, 5, 5], (
        "the first attempt got somewhere, three did not"
    )
    assert run.status().error.startswith(
        "The worker ended 3 times without progress (killed by the system"
    )
    (run.path / "plan.json").write_text("{}")
    (run.path / "resume").touch()
    until(lambda: states(run) == ["done"], engine)
    assert run.job()["attempt"] == 5
    assert run.status().error == ""


def test_progress_forgives(store: RunStore) -> None:
    run = submit(store, plan={"steps": 9, "die_at": {str(n): n for n in range(1, 6)}})
    engine = fake_engine(store)
    until(lambda: states(run) == ["done"], engine)
    assert [i["step"] for i in run.job()["interruptions"]] == [1, 2, 3, 4, 5]


def test_a_worker_that_cannot_write_is_not_tried_again(store: RunStore) -> None:
    run, engine = submit(store, plan={"exit": EXIT_DISK}), fake_engine(store)
    until(lambda: states(run) == ["failed"], engine)
    assert "disk full" in run.status().error
    assert run.job()["attempt"] == 1


def test_stop_now_ends_the_whole_process_group(store: RunStore) -> None:
    run, engine = submit(store, plan=LONG | {"child": True, "deaf": True}), fake_engine(store)
    until(
        lambda: (run.path / "child.pid").exists() and (run.path / "child.pid").read_text(), engine
    )
    child = int((run.path / "child.pid").read_text())
    assert started(child)
    (run.path / "stop").touch()
    until(lambda: states(run) == ["stopping"], engine)
    (run.path / "stop").write_text("now")
    until(lambda: states(run) == ["stopped"] and not started(child), engine)
    assert worker(run) == (0, 0.0)


def test_a_killed_engine_loses_nothing(store: RunStore) -> None:
    run, dead, fresh = (
        submit(store, plan=LONG),
        submit(store, plan=LONG | {"steps": 60}),
        submit(store, plan={}),
    )
    engine = fake_engine(store)
    until(lambda: run.status().step > 2 and dead.status().step > 2, engine)
    kill_group(*worker(dead))  # while no engine looks
    until(lambda: worker(dead) == (0, 0.0))
    before = worker(run)
    second = fake_engine(store)
    second.tick()
    assert second.active[run.id].phase == "running"
    assert worker(run) == before
    assert states(dead) == ["interrupted"]
    until(lambda: states(dead, fresh) == ["done", "done"], second)
    (run.path / "stop").touch()
    until(lambda: states(run) == ["stopped"], second)


def test_a_worker_that_the_last_engine_did_not_note_is_adopted(store: RunStore) -> None:
    run, engine = submit(store, plan=LONG), fake_engine(store)
    until(lambda: run.status().step > 2, engine)
    job = run.job()
    pid, when = worker(run)
    with open(run.path / "events.jsonl", "a") as file:  # as the real worker says it
        event = {
            "t": time.time(),
            "attempt": 1,
            "type": "state",
            "state": "running",
            "pid": pid,
            "pid_started": when,
        }
        file.write(json.dumps(event) + "\n")
    write_json(run.path / "job.json", {"state": "queued", "attempt": 1})
    second = fake_engine(store)
    second.tick()
    assert run.job()["pid"] == job["pid"]
    assert second.active[run.id].phase == "running"
    (run.path / "stop").write_text("now")
    until(lambda: states(run) == ["stopped"], second)


def make_group(store: RunStore, *plans: dict, **more: list[str]) -> tuple:
    group_id = store.new_id("mix", "g")
    children = [submit(store, plan=plan, group=group_id) for plan in plans]
    roles = {f"arm:{n}": run.id for n, run in enumerate(children)}
    return (
        submit(store, "mix", id=group_id, children=[c.id for c in children], roles=roles),
        *children,
    )


def test_a_group_runs_its_own_task_when_its_children_are_done(store: RunStore) -> None:
    group, one, two = make_group(store, {"steps": 30, "delay": 0.02}, {})
    engine = fake_engine(store)
    until(lambda: states(one) == ["running"], engine)
    assert states(group) == ["running"]
    assert not (group.path / "events.jsonl").exists()
    until(lambda: states(group) == ["done"], engine)
    assert group.status().started >= max(one.status().ended, two.status().ended)


def test_a_failed_child_fails_its_group_in_one_sentence_and_resume_repairs_both(
    store: RunStore,
) -> None:
    group, one, two = make_group(store, {"fail": "No such data."}, {"steps": 2})
    after = submit(store, needs=[one.id], plan={})
    engine = fake_engine(store)
    until(lambda: not engine.active and engine.finished, engine)
    assert states(group, one, two, after) == ["failed", "failed", "done", "failed"]
    assert group.status().error == f"Its part arm:0 ({one.id}) failed: No such data."
    (one.path / "plan.json").write_text("{}")
    (group.path / "resume").touch()
    until(lambda: states(group) == ["done"], engine)
    assert states(one, two) == ["done", "done"]
    assert two.job()["attempt"] == 1
    assert states(after) == ["failed"], "what belongs to nobody is resumed by hand"


def test_a_resumed_child_wakes_its_group(store: RunStore) -> None:
    group, one = make_group(store, {"fail": "No such data."})
    engine = fake_engine(store)
    until(lambda: states(group) == ["failed"], engine)
    attempt = one.job()["attempt"]
    (one.path / "plan.json").write_text("{}")
    (one.path / "resume").touch()
    until(lambda: states(group) == ["done"], engine)
    assert states(one) == ["done"] and one.job()["attempt"] == attempt + 1
    assert not group.status().error, "what failed before is forgotten"


def test_a_stopped_group_stops_what_is_its_own(store: RunStore) -> None:
    shared = submit(store, plan=LONG)
    group_id = store.new_id("mix", "g")
    own = [submit(store, plan=LONG, group=group_id), submit(store, plan=LONG, group=group_id)]
    group = submit(store, "mix", id=group_id, children=[shared.id, own[0].id, own[1].id])
    engine = fake_engine(store)
    until(lambda: states(shared, own[0]) == ["running", "running"], engine)
    (group.path / "stop").touch()
    until(lambda: states(group) == ["stopped"], engine)
    assert states(shared, *own) == ["running", "stopped", "stopped"]
    (shared.path / "stop").write_text("now")
    (group.path / "resume").touch()
    until(lambda: states(shared, group) == ["stopped", "running"], engine)
    assert own[0].job()["attempt"] == 2
    (group.path / "stop").write_text("now")
    until(lambda: not engine.active, engine)


def test_children_run_in_the_order_of_the_plan(store: RunStore) -> None:
    group_id = store.new_id("mix", "g")
    children = [submit(store, "train", plan={}, group=group_id) for _ in range(3)]
    plan = [children[2].id, children[0].id, children[1].id]
    group = submit(store, "mix", id=group_id, children=plan)
    engine = fake_engine(store)
    until(lambda: states(group) == ["done"], engine)
    assert sorted(children, key=lambda c: c.status().started) == [
        children[2],
        children[0],
        children[1],
    ]


def test_cuda_runs_stay_off_the_cpu_and_four_fit_on_a_device(store: RunStore) -> None:
    engine = fake_engine(store, devices=[Device("cuda:0", 4, "GPU-1"), Device("cpu", 2)])
    small = [submit(store, plan=LONG) for _ in range(5)]
    on_cpu = submit(store, plan=LONG, values={"device": "cpu"})
    until(lambda: states(*small, on_cpu) == ["running"] * 4 + ["queued", "running"], engine)
    assert small[0].job()["device"] == "cuda:0"
    for run in (*small, on_cpu):
        (run.path / "stop").write_text("now")
    until(lambda: not engine.active, engine)
    nowhere = submit(store, values={"device": "cuda"})
    engine = fake_engine(store)
    until(lambda: states(nowhere) == ["failed"], engine)
    assert (
        nowhere.status().error == "It needs a CUDA device, but there is none; choose auto or cpu."
    )


def test_devices_come_from_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: H (UUID: GPU-a-1)'\necho 'GPU 1: H (UUID: GPU-b-2)'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [(d.name, d.visible) for d in find_devices()[:-1]] == [
        ("cuda:0", "GPU-a-1"),
        ("cuda:1", "GPU-b-2"),
    ]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert [(d.name, d.visible) for d in find_devices()[:-1]] == [("cuda:0", "1")]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert [d.name for d in find_devices()] == ["cpu"]


def test_damaged_and_deleted_runs_do_not_disturb_the_others(store: RunStore) -> None:
    damaged = store.folder / store.new_id("train", "t")
    damaged.mkdir()
    (damaged / "spec.json").write_text("{")
    gone, good = submit(store, plan=LONG), submit(store, plan={})
    engine = fake_engine(store)
    until(lambda: states(gone, good) == ["running", "done"], engine)
    pid = worker(gone)
    assert alive(*pid) and damaged.name not in engine.active
    store.trash(gone)
    until(lambda: not engine.active and not alive(*pid), engine)
    later = submit(store, plan={})
    until(lambda: later.id in engine.finished, engine)
    assert states(good, later) == ["done", "done"]
    assert set(engine.finished) == {good.id, later.id}, (
        "neither the damaged run nor the deleted one"
    )


def test_a_round_over_thousands_of_finished_runs_is_cheap(store: RunStore) -> None:
    example = submit(store, plan={})
    engine = fake_engine(store)
    until(lambda: states(example) == ["done"], engine)
    old = time.time() - 60
    os.utime(store.folder, (old, old))
    engine.tick()  # it has seen the folder as it is
    engine.finished |= {f"20260101-000000-train-t-{n:04x}": "done" for n in range(5000)}
    begun = time.process_time()
    for _ in range(50):
        engine.tick()
    assert (time.process_time() - begun) / 50 < 0.005
    assert len(engine.finished) == 5001, "a folder that has not changed is not read again"
