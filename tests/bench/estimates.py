"""How far the estimate before Start is from what the run then takes, for six different specs."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TRAININGS = {
    "default network, 20 s": "train --seconds 20 --fresh",
    "default network, 300 steps of 32": "train --steps 300 --batch-size 32",
    "8x8 digits, tiny, AdamW, 3 epochs x 20": (
        "train --dataset digits --preset tiny --optimizer adamw --epochs 60"
    ),
    "S0's layout, base 32, 15 steps of 16": (
        "train --preset s0 --base-width 32 --batch-size 16 --steps 15"
    ),
    "v target in two parts, 100 steps": "train --target v --accumulate 2 --steps 100 --seed 3",
}
SETS = {
    "500 guided images, DPM-Solver++": "--per-class 50",
    "100 images, Heun, w = 0": "--per-class 10 --sampler heun --guidance-weight 0",
}


def _command(runs: Path, words: str) -> dict[str, Any]:
    line = [sys.executable, "-m", "dreamlab", *words.split(), "--runs", str(runs), "--json"]
    out = subprocess.run(
        line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT, check=True
    ).stdout
    answer: dict[str, Any] = json.loads(out.splitlines()[-1])
    return answer


def main() -> None:
    """Prints estimated / real for time, steps, memory and disk."""
    print(
        "| spec | from | seconds est. / real | steps est. / real | memory est. / real, GB | disk"
        " est. / real, MB |"
    )
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        source = ""
        for name, words in TRAININGS.items():
            source = (
                _compare(runs, name, words)
                if not source
                else (_compare(runs, name, words), source)[1]
            )
        for name, words in SETS.items():
            _compare(runs, name, f"synthesize --from {source} {words}")


def _compare(runs: Path, name: str, words: str) -> str:
    before = _command(runs, f"{words} --dry-run")["result"]["estimate"]
    answer = _command(runs, words)
    result, path = answer["result"], Path(answer["path"])
    disk = sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    print(
        f"| {name} | {before['source']} | {_pair(before['seconds'], result['seconds'])} |"
        f" {_pair(before['steps'], result.get('steps'))} |"
        f" {_pair(before['peak_memory_bytes'], result.get('peak_memory_bytes'), 1e9)} |"
        f" {_pair(before['disk_bytes'], disk, 1e6)} |",
        flush=True,
    )
    return str(answer["run"])


def _pair(estimated: float | None, real: float | None, unit: float = 1.0) -> str:
    if not estimated or not real:
        return "–"
    return f"{estimated / unit:,.3g} / {real / unit:,.3g} ({estimated / real:.2f}x)"
