"""Trainings that share several devices, with fake devices and workers that take milliseconds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dreamlab.engine.core import Engine
from dreamlab.engine.launcher import Request, SpawnLauncher
from dreamlab.processes.cuda_visibility import show_device
from dreamlab.store import RunStore
from dreamlab.store.machine import Device
from tests.engine_helpers import fake_command, fake_engine, states, submit, until

LONG = {"steps": 500, "delay": 0.02}
THREE = [*(Device(f"cuda:{i}", 4, f"GPU-{i}") for i in range(3)), Device("cpu", 2)]


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    store = RunStore(tmp_path / "runs")
    store.prepare()
    return store


def test_a_training_takes_as_many_whole_devices_as_it_asks_for(store: RunStore) -> None:
    requests: list[Request] = []

    def command(request: Request) -> list[str]:
        requests.append(request)
        return fake_command(request)

    engine = Engine(store.folder, launcher=SpawnLauncher(command), devices=THREE, live=False)
    pair = submit(store, "train", plan=LONG, values={"devices": 2})
    waits = submit(store, "train", plan={"steps": 1}, values={"devices": 2})
    late = submit(store, plan={"steps": 1})
    until(lambda: states(pair, waits, late) == ["running", "queued", "queued"], engine)
    assert pair.job()["device"] == "cuda:0,cuda:1"
    assert requests[0].visible == "GPU-0,GPU-1" and requests[0].device == "cuda:0,cuda:1"
    adopted = Engine(store.folder, launcher=SpawnLauncher(command), devices=THREE, live=False)
    until(lambda: pair.id in adopted.active, adopted)
    assert [adopted.slots.free(d) for d in THREE] == [0, 0, 4, 2], (
        "the next engine knows what is taken"
    )
    (pair.path / "stop").touch()
    until(lambda: states(pair, waits, late) == ["stopped", "done", "done"], engine)
    until(lambda: [engine.slots.free(d) for d in THREE] == [4, 4, 4, 2], engine)


def test_more_devices_than_there_are_is_one_sentence_and_on_a_cpu_they_are_processes(
    store: RunStore,
) -> None:
    much = submit(store, "train", plan={}, values={"devices": 4})
    processes = submit(store, "train", plan={"steps": 1}, values={"devices": 4, "device": "cpu"})
    engine = fake_engine(store, devices=THREE)
    until(lambda: states(much, processes) == ["failed", "done"], engine)
    assert much.status().error == "It needs 4 devices, but there are 3; give at most --devices 3."
    assert processes.job()["device"] == "cpu"


def test_the_worker_sees_the_devices_of_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-x,5")
    assert show_device("cuda:0,cuda:2") == "cuda:0"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,5"
    assert show_device("cuda:1,cuda:2", "GPU-a,GPU-b") == "cuda:0"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-a,GPU-b"
