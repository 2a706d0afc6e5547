"""Makes tests/data/runs-0.1: one small run of each kind as version 0.1 left it, one of them
interrupted.

    git worktree add CHECKOUT 4304b5d
    python tests/data/make_runs_0_1.py CHECKOUT

Everything is computed by the code of that commit, through its command line. Afterwards worker logs,
resume states of finished trainings and the weights of the study's generator are left out, and the
name of the machine is replaced. `expected.json` holds what a later version has to find again: the
content hashes, and of the interrupted training the weights that it reached without interruption.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file

COMMIT = "4304b5d"
WORK = Path("/tmp/dreamlab-0.1")
TARGET = Path(__file__).with_name("runs-0.1")
LEFT_OUT = {"worker.log", ".lock"}
SMALL = ("--dataset", "digits", "--images-per-class", "10")
NETWORK = ("--base-width", "8", "--multipliers", "1,1", "--batch-size", "16")
PLAIN = ("--precision", "fp32", "--device", "cpu")
LONG = ("train", *SMALL, *NETWORK, *PLAIN, "--steps", "600", "--seed", "2")
MIDDLE = 150
TIMES = ("--checkpoint-every", "1", "--preview-every", "60")


def animals(folder: Path) -> None:
    """Three classes of eight images of 8x8."""
    rng = np.random.default_rng(0)
    for shade, name in enumerate(("cat", "dog", "fox")):
        (folder / name).mkdir(parents=True)
        for i in range(8):
            pixels = rng.integers(0, 100, (8, 8, 3)) + 70 * shade
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{i}.png")


class Old:
    """The command line of the checkout, on a runs folder of its own."""

    def __init__(self, checkout: Path, runs: Path):
        self.checkout, self.runs = checkout, runs
        self.engine = runs.parent / f".{runs.name}-engine"
        self.engine.mkdir(parents=True)
        (self.engine / "demo-installed").touch()  # no demo runs between them

    def __call__(self, *words: str) -> str:
        """Runs one verb to its end, gives the id of its run."""
        print("$ dreamlab", *words, flush=True)
        line = [sys.executable, "-m", "dreamlab", *words, "--runs", str(self.runs), "--json"]
        done = subprocess.run(
            line, cwd=self.checkout, stdout=subprocess.PIPE, text=True, check=True
        )
        return str(json.loads(done.stdout.splitlines()[-1])["run"])


def interrupt(old: Old) -> str:
    """The long training, with engine and worker killed once a checkpoint of its middle is there."""
    run = old.runs / old(*LONG, *TIMES, "--name", "Interrupted", "--detach")
    while saved_step(run / "checkpoints" / "state.safetensors") < MIDDLE:
        time.sleep(0.01)
    engine = json.loads((old.engine / "engine.json").read_text())
    os.kill(engine["pid"], signal.SIGKILL)
    os.killpg(json.loads((run / "job.json").read_text())["pid"], signal.SIGKILL)
    shutil.rmtree(old.engine / "clients", ignore_errors=True)
    return run.name


def saved_step(state: Path) -> int:
    """The step of a training state; 0 where there is none yet."""
    if not state.exists():
        return 0
    with safe_open(state, "np") as file:
        return int(file.metadata()["step"])


def make(old: Old) -> dict[str, str]:
    """One run of each kind; gives their ids by kind."""
    animals(WORK / "animals")
    runs = {"import": old("import", "--from", str(WORK / "animals"), "--name", "Animals")}
    runs["train"] = old(
        "train", *SMALL, *NETWORK, *PLAIN, "--steps", "60", "--seed", "1", "--name", "Generator"
    )
    made = ("--from", runs["train"], "--per-class", "10")
    runs["synthesize"] = old(
        "synthesize", *made, "--num-steps", "5", "--seed", "3", *PLAIN, "--name", "100 digits"
    )
    brief = ("--seeds", "2", "--steps", "10", "--classifier", "mlp", "--device", "cpu")
    runs["classify"] = old(
        "classify", *SMALL, *brief, "--arm", "50/50", "--synthetic", runs["synthesize"]
    )
    runs["mix"] = old(
        "mix", *SMALL, *brief, "--set", runs["synthesize"], "--arms", "real,50/50", "--controls", ""
    )
    runs["fidelity"] = old("fidelity", "--images", runs["synthesize"], "--name", "Distance")
    runs["sweep"] = old(
        "sweep", *made, "--axis", "guidance_weight", "--values", "0,2", "--num-steps", "3"
    )
    runs["study"] = old("study", "s3-replacement", "--seeds", "2")
    return runs


def undisturbed(old: Old) -> str:
    """The long training from beginning to end; keeps its weights and gives their hash."""
    weights = load_file(old.runs / old(*LONG, *TIMES) / "checkpoints" / "ema.safetensors")
    np.savez_compressed(TARGET / "weights.npz", **weights)  # type: ignore[arg-type]
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(weights[name].tobytes())
    return digest.hexdigest()


def keep(runs: Path) -> None:
    """Copies the runs without what nobody reads, and without the machine's name."""
    here = f'"host": "{socket.gethostname()}"'.encode()
    for run in sorted(runs.iterdir()):
        finished = (run / "result.json").exists()
        of_study = (run / "spec.json").read_text().count('"learn_variance": true')
        for file in sorted(p for p in run.rglob("*") if p.is_file()):
            weights = file.suffix == ".safetensors"
            state = file.name == "state.safetensors"
            if file.name in LEFT_OUT or (weights and (of_study or (finished and state))):
                continue
            data = file.read_bytes()
            if file.suffix in (".json", ".jsonl"):
                data = data.replace(here, b'"host": "elsewhere"')
            target = TARGET / "runs" / run.name / file.relative_to(run)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)


def hashes() -> dict[str, str]:
    """Content hashes of all kept runs by id."""
    records = [json.loads(p.read_text()) for p in sorted((TARGET / "runs").glob("*/spec.json"))]
    return {record["id"]: record["hash"] for record in records}


def main() -> None:
    checkout = Path(sys.argv[1]).resolve()
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True, check=True
    )
    if not head.stdout.startswith(COMMIT):
        sys.exit(f"{checkout} is at {head.stdout.strip()}; it must be at {COMMIT}.")
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir()
    runs = make(Old(checkout, WORK / "runs"))
    weights = undisturbed(Old(checkout, WORK / "undisturbed"))
    runs["interrupted"] = interrupt(Old(checkout, WORK / "interrupted"))
    keep(WORK / "runs")
    keep(WORK / "interrupted")
    expected = {"commit": COMMIT, "runs": runs, "hashes": hashes(), "weights": weights}
    (TARGET / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    shutil.rmtree(WORK)


if __name__ == "__main__":
    main()
