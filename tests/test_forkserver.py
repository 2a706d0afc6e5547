"""The fork server: children that use all threads although the server has none, exits that are
reported, its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dreamlab.engine.launcher import ForkLauncher, environment
from dreamlab.store.process_ids import started
from tests.engine_helpers import until

SERVER = """
import json, os, sys
from pathlib import Path
import dreamlab.processes.forkserver as server

def threads():
    return len(os.listdir("/proc/self/task"))

def child(request):
    path = Path(request["path"])
    import torch
    report = {"before": threads(), "stdin": os.read(0, 10).decode(), "descriptors": sorted(os.listdir("/proc/self/fd"))}
    if request["key"] == "sleeps":
        import time
        path.write_text("{}")
        time.sleep(60)
    torch.set_num_threads(2)
    x = torch.ones(1500, 1500)
    report["mean"] = float((x @ x).square_().sqrt_().mean())
    report["after"] = threads()
    report["cuda"] = torch.cuda.is_initialized()
    path.write_text(json.dumps(report))
    return 7

server.run_child = child
server.LATER = ("scipy.linalg",)
sys.exit(server.main())
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are spawned elsewhere")


class Server:
    def __init__(self) -> None:
        # OpenBLAS has threads of its own, which know how to fork; without them every thread would
        # be torch's
        env = {**environment(), "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env,
            start_new_session=True,
        )
        self.ready = self.hear()

    def hear(self) -> dict:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def ask(self, key: str, path: Path) -> None:
        assert self.process.stdin
        request = {
            "key": key,
            "path": str(path),
            "threads": 2,
            "device": "cpu",
            "visible": "",
            "attempt": 1,
        }
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.process.kill()
    server.process.wait()


def test_a_child_computes_with_several_threads(server: Server, tmp_path: Path) -> None:
    assert server.ready["ready"] > 0
    for name in ("one", "two"):
        server.ask(name, tmp_path / name)
        pid = server.hear()
        assert pid == {"key": name, "pid": pid["pid"]}
        assert server.hear() == {"exited": pid["pid"], "status": 7}
        report = json.loads((tmp_path / name).read_text())
        assert report["mean"] == pytest.approx(1500)
        assert report["before"] == 1
        assert report["after"] >= 2, "OpenMP's threads work after the fork"
        assert report["stdin"] == ""
        assert report["cuda"] is False


def test_the_server_has_neither_threads_nor_a_cuda_context(server: Server) -> None:
    tasks = os.listdir(f"/proc/{server.process.pid}/task")
    assert len(tasks) == 1
    opened = [
        os.readlink(f"/proc/{server.process.pid}/fd/{fd}")
        for fd in os.listdir(f"/proc/{server.process.pid}/fd")
    ]
    assert not [name for name in opened if "nvidia" in name]


def test_a_killed_child_is_reported_and_leaves_no_zombie(server: Server, tmp_path: Path) -> None:
    server.ask("sleeps", tmp_path / "file")
    pid = server.hear()["pid"]
    until(lambda: (tmp_path / "file").exists())
    os.kill(pid, signal.SIGKILL)
    assert server.hear() == {"exited": pid, "status": -9}
    assert not Path(f"/proc/{pid}").exists()


def test_the_server_ends_with_its_stdin_and_leaves_its_children(
    server: Server, tmp_path: Path
) -> None:
    server.ask("sleeps", tmp_path / "file")
    pid = server.hear()["pid"]
    until(lambda: (tmp_path / "file").exists())
    assert server.process.stdin
    server.process.stdin.close()
    assert server.process.wait(10) == 0
    assert started(pid)
    os.kill(pid, signal.SIGKILL)


def test_a_fork_server_that_cannot_start_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dreamlab.engine.launcher.RESTART_AFTER", 0.0)
    nowhere = str(tmp_path)  # where there is no dreamlab
    monkeypatch.setattr("dreamlab.engine.launcher.python_path", lambda: nowhere)
    launcher = ForkLauncher()
    deadline = time.monotonic() + 30
    while not launcher.broken and time.monotonic() < deadline:
        assert not launcher.ready
        time.sleep(0.02)
    assert launcher.broken
    launcher.close()
