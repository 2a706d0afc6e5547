"""The engine as a process of its own, with real workers from the fork server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from dreamlab.engine import client
from dreamlab.engine.code_version import code_version
from dreamlab.engine.launcher import environment
from dreamlab.service import Service
from dreamlab.store import Run, RunStore, read_json
from dreamlab.store.process_ids import alive
from tests.engine_helpers import TINY, states, submit, until, worker

ENDLESS = {**TINY, "steps": 1_000_000, "checkpoint_every": 1}


@pytest.fixture(scope="module")
def store(runs: Path) -> RunStore:
    client.register_client(runs)
    client.ensure_engine(runs)
    return RunStore(runs)


def steps_of(run: Run) -> int:
    return run.status().step


def test_many_callers_get_one_engine(store: RunStore) -> None:
    found: list[int] = []
    callers = [
        threading.Thread(target=lambda: found.append(client.ensure_engine(store.folder).pid))
        for _ in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(set(found)) == 1
    other = [sys.executable, "-m", "dreamlab.engine", "--runs", str(store.folder)]
    assert subprocess.run(other, env=environment(), timeout=30).returncode == 3
    assert client.ensure_engine(store.folder).pid == found[0]


def test_a_later_training_starts_sooner_than_the_first(store: RunStore) -> None:
    delays = []
    for seed in range(4):
        begun = time.time()
        run = submit(store, "train", values={**TINY, "seed": seed})
        until(lambda: states(run) == ["done"], seconds=90)  # noqa: B023
        delays.append(run.status().started - begun)
    assert min(delays[1:]) < delays[0] / 2, "torch is imported once, for the first"
    assert read_json(run.path / "result.json")["steps"] == TINY["steps"]
    assert run.status().result == run.result()
    assert (run.path / "worker.log").exists()


def test_a_training_killed_in_the_middle_goes_on_where_it_was(store: RunStore) -> None:
    run = submit(store, "train", values=ENDLESS)
    until(
        lambda: (run.path / "checkpoints" / "ema.safetensors").exists() and steps_of(run) > 5,
        seconds=30,
    )
    killed = time.monotonic()
    os.kill(worker(run)[0], signal.SIGKILL)
    until(lambda: states(run) == ["interrupted"])
    assert time.monotonic() - killed < 2.0
    until(lambda: states(run) == ["running"] and run.status().attempt == 2)
    reached = run.job()["interruptions"][0]["step"]
    until(lambda: steps_of(run) > reached, seconds=30)
    (run.path / "stop").touch()
    until(lambda: states(run) == ["stopped"])


def test_a_killed_engine_is_replaced_and_its_workers_are_adopted(store: RunStore) -> None:
    run = submit(store, "train", values=ENDLESS)
    until(lambda: steps_of(run) > 2, seconds=30)
    info, before = client.engine_info(store.folder), worker(run)
    assert info
    os.kill(info.pid, signal.SIGKILL)
    until(lambda: client.engine_info(store.folder) is None)
    assert client.ensure_engine(store.folder).pid != info.pid
    step = steps_of(run)
    until(lambda: steps_of(run) > step)
    assert worker(run) == before
    os.kill(before[0], signal.SIGTERM)  # the same as the stop file
    until(lambda: states(run) == ["stopped"])
    (run.path / "resume").touch()
    until(
        lambda: states(run) == ["running"] and run.status().attempt == 2 and steps_of(run) > step,
        seconds=40,
    )
    group = worker(run)
    (run.path / "stop").write_text("now")
    until(lambda: states(run) == ["stopped"])
    assert not alive(*group)


def test_an_engine_of_another_version_is_replaced_once_and_its_workers_are_adopted(
    store: RunStore,
) -> None:
    run = submit(store, "train", values=ENDLESS)
    until(lambda: steps_of(run) > 2, seconds=60)
    before, old = worker(run), client.ensure_engine(store.folder)
    assert client.engine_code(store.folder, old) == code_version()
    client.replace_other_version(store.folder)
    assert client.ensure_engine(store.folder).pid == old.pid, "the same version stays"
    (store.folders.engine / client.CODE).unlink()  # as version 0.1 leaves it
    assert client.ensure_engine(store.folder).pid == old.pid, "nobody who runs already replaces it"
    service = Service(store.folder)
    service.start()
    new = client.ensure_engine(store.folder)
    assert new.pid != old.pid and not alive(old.pid, old.pid_started)
    step = steps_of(run)
    until(lambda: steps_of(run) > step, seconds=60)
    assert worker(run) == before and run.status().attempt == 1
    (run.path / "stop").touch()
    until(lambda: states(run) == ["stopped"])


def test_a_killed_fork_server_is_replaced_and_its_workers_go_on(store: RunStore) -> None:
    run = submit(store, "train", values=ENDLESS)
    until(lambda: steps_of(run) > 2, seconds=30)
    engine = psutil.Process(client.ensure_engine(store.folder).pid)
    before = worker(run)
    (server,) = engine.children()
    server.kill()
    step = steps_of(run)
    until(lambda: steps_of(run) > step)
    assert worker(run) == before and alive(*before), "it goes on without the server that forked it"
    os.kill(before[0], signal.SIGKILL)  # nobody reports this end
    until(lambda: states(run) == ["interrupted"])
    until(lambda: states(run) == ["running"] and run.status().attempt == 2, seconds=40)
    until(lambda: worker(run)[0] > 0)
    replacements = [child.pid for child in engine.children()]
    assert len(replacements) == 1 and replacements[0] != server.pid
    assert psutil.Process(worker(run)[0]).ppid() == replacements[0]
    (run.path / "stop").touch()
    until(lambda: states(run) == ["stopped"])


def test_live_sampling_says_in_one_sentence_what_is_wrong(store: RunStore) -> None:
    request = {
        "source": "20260101-000000-train-gone-0000",
        "classes": [0],
        "per_class": 1,
        "guidance_weight": 1.0,
        "num_steps": 4,
        "sampler": "ddim",
        "seed": 0,
        "frames": 2,
    }
    request["paths"] = {request["source"]: str(store.folder / str(request["source"]))}
    (frame,) = client.live_frames(store.folder, request)
    assert frame["error"].endswith(".")
    assert "\n" not in frame["error"]


def test_live_frames_come_and_can_be_cancelled(store: RunStore) -> None:
    run = submit(store, "train", values=TINY)
    until(lambda: states(run) == ["done"], seconds=40)
    request = {
        "source": run.id,
        "paths": {run.id: str(run.path)},
        "classes": [0, 1],
        "per_class": 2,
        "guidance_weight": 1.0,
        "num_steps": 8,
        "sampler": "ddim",
        "seed": 0,
    }
    frames = list(client.live_frames(store.folder, {**request, "frames": 4}))
    assert frames[-1]["done"] and not any(frame["done"] for frame in frames[:-1])
    assert all(
        frame["png"].startswith(b"\x89PNG") and frame["x0_png"].startswith(b"\x89PNG")
        for frame in frames
    )
    half = client.live_frames(
        store.folder, {**request, "num_steps": 500, "per_class": 50, "frames": 500}
    )
    next(half)
    half.close()
    begun = time.monotonic()
    assert next(client.live_frames(store.folder, {**request, "frames": 2}))["step"] >= 0
    assert time.monotonic() - begun < 5.0, (
        "the request whose client hung up does not hold the next one up"
    )


def test_an_engine_without_work_or_clients_ends(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    client.register_client(runs)
    info = client.ensure_engine(runs, linger=0.1)
    time.sleep(2.0)
    assert client.engine_info(runs), "this process has registered"
    client.unregister_client(runs)
    until(lambda: not alive(info.pid, info.pid_started))
    assert client.engine_info(runs) is None
    assert not Path(info.live_socket).parent.exists()


def test_the_engine_is_small_and_idle(store: RunStore) -> None:
    info = client.ensure_engine(store.folder)
    process = psutil.Process(info.pid)
    loaded = {Path(m.path).name for m in process.memory_maps()}
    assert not [name for name in loaded if "libtorch" in name]
    assert process.memory_info().rss < 120e6
    before = process.cpu_times()
    time.sleep(3.0)
    after = process.cpu_times()
    assert (after.user + after.system - before.user - before.system) / 3.0 < 0.03
