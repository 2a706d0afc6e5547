"""What several tests share: an empty runs folder whose engine is ended with the test, and the
command line as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dreamlab.engine import client
from dreamlab.engine.launcher import THREADING
from dreamlab.store import RunStore

ROOT = Path(__file__).resolve().parents[1]
os.environ.update(
    {**THREADING, **os.environ}
)  # before torch: a busy machine slows spinning threads


@pytest.fixture(scope="session", autouse=True)
def user_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A cache of the user that no other run of the tests has filled; processes inherit it."""
    os.environ["DREAMLAB_CACHE"] = str(tmp_path_factory.mktemp("user-cache"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A runs folder without the demo run. Its engine, if a test starts one, stops with the
    module."""
    folder = tmp_path_factory.mktemp("lab") / "runs"
    store = RunStore(folder)
    store.prepare()
    (store.folders.engine / "demo-installed").touch()
    yield folder
    client.stop_engine(folder)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    """A store for the tests of one module; no engine looks at it."""
    store = RunStore(tmp_path_factory.mktemp("lab") / "runs")
    store.prepare()
    return store


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Tiny networks are slower with more threads; sums over one thread are the same in every
    run."""
    import torch  # seconds that most tests do not need

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def dreamlab(runs: Path, *words: str, timeout: float = 300) -> tuple[int, dict[str, Any], str]:
    """(exit status, the last line of stdout as JSON, stderr) of `python -m dreamlab ... --runs RUNS
    --json`."""
    line = [sys.executable, "-m", "dreamlab", *words, "--runs", str(runs), "--json"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, timeout=timeout)
    assert done.stdout.strip(), f"no JSON on stdout; stderr: {done.stderr[-2000:]}"
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr
