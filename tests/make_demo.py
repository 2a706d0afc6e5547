"""Makes assets/demo.zip: the finished run that every page shows at the first start.

    python -m tests.make_demo            (make demo; about ten minutes on two cores)

Nothing in it is written by hand: it is what these commands leave in an empty runs folder, without
resume states and logs.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from dreamlab.paths import DEMO
from dreamlab.service.home import TRAIN_STEPS
from dreamlab.store import ArtefactCache, RunStore
from dreamlab.store.cache import SHIPPED

ROOT = Path(__file__).resolve().parents[1]
CARD_ARMS = "real,50/50,synthetic,real+1x,real+3x"
LEFT_OUT = {"job.json", "worker.log", "stop", "resume", "state.safetensors", "state.json"}
STAMP = (2026, 1, 1, 0, 0, 0)  # one time for all members: the same content makes the same file
MOST_BYTES = 10 * 2**20
MOST_PREVIEWS = 10  # of each training, from the first to the last; a slow machine makes more


def command(runs: Path, *words: str) -> dict[str, Any]:
    line = [sys.executable, "-m", "dreamlab", *words, "--runs", str(runs), "--json"]
    print("$ python -m dreamlab", *words, flush=True)
    out = subprocess.run(line, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=True).stdout
    answer: dict[str, Any] = json.loads(out.splitlines()[-1])
    print(json.dumps(answer["result"])[:400], flush=True)
    return answer


def make(runs: Path) -> None:
    """Runs the demo's commands into an empty folder."""
    (RunStore(runs).folders.engine).mkdir(parents=True)
    (RunStore(runs).folders.engine / "demo-installed").touch()  # no old demo in the new one
    train = command(
        runs,
        "train",
        "--dataset",
        "mnist5k",
        "--steps",
        "2000",
        "--preview-every",
        "12",
        "--name",
        "Digits generator, 3,000 images",
    )
    images = command(
        runs,
        "synthesize",
        "--from",
        train["run"],
        "--per-class",
        "100",
        "--name",
        "1,000 digits, w = 1",
    )
    command(
        runs,
        "fidelity",
        "--images",
        images["run"],
        "--name",
        "1,000 digits against 2,000 real ones",
    )
    command(
        runs,
        "sweep",
        "--from",
        train["run"],
        "--axis",
        "num_steps",
        "--name",
        "Fidelity against sampler steps",
    )
    command(
        runs,
        "sweep",
        "--from",
        train["run"],
        "--axis",
        "guidance_weight",
        "--name",
        "Fidelity against guidance weight",
    )
    command(
        runs,
        "mix",
        "--dataset",
        "mnist5k",
        "--images-per-class",
        "10",
        "--from",
        train["run"],
        "--train-own",
        "--arms",
        CARD_ARMS,
        "--steps",
        "200",
        "--controls",
        "duplicated,augmented",
        "--train-steps",
        str(TRAIN_STEPS),
        "--name",
        "Does synthetic data help? 100 real digits",
    )
    command(runs, "study", "s3-replacement")


def fewer_previews(events: str) -> tuple[str, set[str]]:
    """Events with at most MOST_PREVIEWS previews, evenly chosen, and the files of the others."""
    lines = events.splitlines(keepends=True)
    at = [i for i, line in enumerate(lines) if json.loads(line).get("name") == "preview"]
    places = np.linspace(0, len(at) - 1, min(len(at), MOST_PREVIEWS)).round().astype(int)
    left_out = set(at) - {at[p] for p in places}
    files = {json.loads(lines[i])["path"] for i in left_out}
    return "".join(line for i, line in enumerate(lines) if i not in left_out), files


def pack(runs: Path, archive: Path) -> None:
    """The runs folder and its trained extractors as one archive of at most 10 MB."""
    store = RunStore(runs)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:

        def add(name: str, data: bytes) -> None:
            packed.writestr(zipfile.ZipInfo(name, STAMP), data, zipfile.ZIP_DEFLATED, 9)

        for run in reversed(list(store)):
            assert run.status().state == "done", f"{run.id} is {run.status().state}"
            events, dropped = fewer_previews((run.path / "events.jsonl").read_text())
            for file in sorted(
                p for p in run.path.rglob("*") if p.is_file() and p.name not in LEFT_OUT
            ):
                name = file.relative_to(run.path).as_posix()
                if name in dropped:
                    continue
                data = file.read_bytes()
                if name == "spec.json":
                    data = json.dumps({**json.loads(data), "demo": True}, indent=1).encode()
                add(f"runs/{run.id}/{name}", events.encode() if name == "events.jsonl" else data)
        cache = ArtefactCache(store.folders.cache)
        for key in sorted(k for k in cache.keys() if k.startswith("reference/")):
            arrays = cache.get(key)
            assert arrays is not None
            buffer = io.BytesIO()
            np.savez(buffer, **arrays)
            add(f"{SHIPPED}{key}.npz", buffer.getvalue())
        cache.close()
    assert archive.stat().st_size <= MOST_BYTES, (
        f"{archive.stat().st_size} bytes are too many for the demo"
    )


if __name__ == "__main__":
    DEMO.unlink(missing_ok=True)  # the extractors in the old demo would not be made anew
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        make(runs)
        pack(runs, DEMO)
    print(f"{DEMO.relative_to(ROOT)}: {DEMO.stat().st_size / 1e6:.1f} MB")
