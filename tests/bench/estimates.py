"""How far the estimate before Start is from what a run then takes: ten plans of all kinds, run to
the end."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PLANS = {
    "training, small preset, 300 steps": "train --steps 300 --batch-size 32",
    "set of 500, DPM-Solver++, guided": "synthesize --from {train} --per-class 50",
    "fidelity of this set": "fidelity --images {set}",
    "classifier, 3 seeds of 400 steps": "classify --arm real --seeds 3 --steps 400",
    "mix, 100 digits, 3 seeds": (
        "mix --dataset digits --images-per-class 10 --train-steps 300 --seeds 3"
    ),
    "sweep of 3 guidance weights": "sweep --from {train} --values 0,1,3 --per-class 20",
    "study s1-fid, laptop": "study s1-fid",
    "study s3-targeted, laptop": "study s3-targeted",
    "import of 4,000 pictures of 64x64": "import --from {pictures} --image-size 32",
    "cascade, 8 to 16 pixels": "synthesize --from {base} --upsample {up} --per-class 30",
}
"""Name -> command. {train} and {set} are earlier runs of the table; {base} and {up} are the parts
of a cascade, and {pictures} is a folder."""
BEFORE = {
    "base": "train --dataset digits --preset tiny --steps 200",
    "up": "train --dataset digits --preset tiny --steps 200 --low-size 8 --image-size 16",
}


class Memory:
    """The most memory that the workers of a runs folder use together, while it is open."""

    def __init__(self, runs: Path):
        self.runs, self.peak = runs, 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(0.2):
            self.peak = max(self.peak, sum(map(_resident, self.runs.glob("*/job.json"))))


def _resident(job: Path) -> int:
    """Bytes of memory of the worker of a job; 0 if it does not run."""
    try:
        found = json.loads(job.read_text())
        if found.get("state") != "running" or not found.get("pid"):
            return 0
        return int(psutil.Process(found["pid"]).memory_info().rss)
    except (OSError, ValueError, psutil.Error):
        return 0


def _command(runs: Path, words: str) -> dict[str, Any]:
    line = [sys.executable, "-m", "dreamlab", *words.split(), "--runs", str(runs), "--json"]
    out = subprocess.run(
        line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT, check=True
    ).stdout
    answer: dict[str, Any] = json.loads(out.splitlines()[-1])
    return answer


def _pictures(folder: Path) -> Path:
    """A folder with 4,000 pictures in four classes."""
    rng = np.random.default_rng(0)
    for i in range(4000):
        file = folder / f"class{i % 4}" / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        small = rng.integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(small.repeat(4, 0).repeat(4, 1)).save(file)
    return folder


def main() -> None:
    """Prints estimated / real for time, memory and disk."""
    print("| plan | from | seconds est. / real | memory est. / real, GB | disk est. / real, MB |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        names = {"pictures": str(_pictures(Path(folder) / "pictures"))}
        names |= {name: str(_command(runs, words)["run"]) for name, words in BEFORE.items()}
        for name, words in PLANS.items():
            run = _compare(runs, name, words.format(**names))
            kind = words.split()[0]
            names.setdefault({"synthesize": "set"}.get(kind, kind), run)


def _compare(runs: Path, name: str, words: str) -> str:
    there = _sizes(runs)
    before = _command(runs, f"{words} --fresh --dry-run")["result"]["estimate"]
    began = time.monotonic()
    with Memory(runs) as memory:
        answer = _command(runs, f"{words} --fresh")
    seconds, disk = time.monotonic() - began - _start_seconds(runs), _sizes(runs) - there
    print(
        f"| {name} | {before['source']} | {_pair(before['seconds'], seconds)} |"
        f" {_pair(before['peak_memory_bytes'], memory.peak, 1e9)} |"
        f" {_pair(before['disk_bytes'], disk, 1e6)} |",
        flush=True,
    )
    return str(answer["run"])


def _start_seconds(runs: Path) -> float:
    """Seconds that a command takes that computes nothing: its start is no part of a run."""
    began = time.monotonic()
    _command(runs, "runs list")
    return time.monotonic() - began


def _sizes(runs: Path) -> int:
    return sum(p.stat().st_size for p in runs.rglob("*") if p.is_file()) if runs.exists() else 0


def _pair(estimated: float | None, real: float | None, unit: float = 1.0) -> str:
    if not estimated or not real:
        return "–"
    said = f"{estimated / unit:,.3g} / {real / unit:,.3g}"
    return (
        said if unit == 1e6 and max(estimated, real) < unit else f"{said} ({estimated / real:.2f}x)"
    )
