"""What a person waits for: the start of a run, the page, the card on Home; and what it costs in
memory."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from dreamlab.engine import client
from dreamlab.experiments.mix.plan import OWN, training
from dreamlab.service import Service
from dreamlab.settings import MixSpec, TrainSpec, make
from dreamlab.store.states import ACTIVE

ROOT = Path(__file__).resolve().parents[2]
PORT = 8791


@contextmanager
def lab() -> Iterator[Service]:
    """A service with its own engine and the demo run, in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder) / "runs")
        service.start()
        service.install_demo()
        try:
            yield service
        finally:
            service.close()
            client.stop_engine(service.store.folder)


def _wait(service: Service, run_id: str) -> None:
    while service.row(run_id, disk=False).state in ACTIVE:
        time.sleep(0.05)


def start() -> None:
    """Seconds from the submission of a training to its first step, when the engine is warm; memory
    of the worker."""
    with lab() as service:
        first = service.submit(make(TrainSpec, {"steps": 2, "seed": 99}), fresh=True)
        _wait(service, first.run)
        waits, peaks = [], []
        for seed in range(5):
            spec = make(TrainSpec, {"steps": 20, "seed": seed})
            clicked = time.time()
            run = service.submit(spec, fresh=True).run
            _wait(service, run)
            waits.append(service.status(run).metrics[0]["t"] - clicked)
            peaks.append((service.get(run).result() or {})["peak_memory_bytes"])
        print(
            f"start to first training step, warm: {statistics.median(waits):.2f} s (median of 5),"
            " target 1.5 s"
        )
        print(f"peak memory of a digits training: {max(peaks) / 1e9:.2f} GB, target 2 GB")
        ticks = []
        for _ in range(50):
            begin = time.perf_counter()
            service.version()
            ticks.append(time.perf_counter() - begin)
        print(
            f"a tick with nothing new, {len(service.rows(top_level=False))} runs:"
            f" {1e3 * statistics.median(ticks):.1f} ms, target 50 ms"
        )


def app() -> None:
    """Seconds from `python app.py` to a page, and the memory of that process."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        line = [
            sys.executable,
            "app.py",
            "--no-browser",
            "--port",
            str(PORT),
            "--runs",
            f"{folder}/runs",
        ]
        process = subprocess.Popen(
            line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            while True:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=2) as page:
                        page.read()
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() - begin > 90:
                        raise
                    time.sleep(0.1)
            print(f"app.py to a page: {time.monotonic() - begin:.1f} s, target 10 s")
            time.sleep(5)
            print(
                f"memory of the app: {psutil.Process(process.pid).memory_info().rss / 1e6:.0f} MB,"
                " target 600 MB"
            )
        finally:
            process.terminate()
            process.wait(20)
            client.stop_engine(Path(folder) / "runs")


def card() -> None:
    """Seconds from the click on Home's card to its verdict."""
    with lab() as service:
        begin = time.monotonic()
        run = service.submit(service.card(), fresh=True).run
        _wait(service, run)
        result = service.get(run).result() or {}
        print(f"card, click to verdict: {(time.monotonic() - begin) / 60:.2f} min, target 5 min")
        print(result["verdict"]["text"])
        for arm in result["arms"]:
            print(
                f"  {arm['generator'][-4:] or 'both':<5} {arm['label']:<22}"
                f" {100 * arm['interval']['mean']:.1f} %"
            )


CARDS = 10


def cards() -> None:
    """The verdict of Home's card for ten choices of its 100 real digits. Each has a generator with
    a seed of its own, and classifiers of its own."""
    with lab() as service:
        kinds: dict[str, int] = {}
        for seed in range(CARDS):
            card = make(MixSpec, {**service.card().model_dump(), "subset_seed": seed})
            trained = make(TrainSpec, {**training(card, OWN), "seed": seed})
            generator = service.submit(trained, fresh=True).run
            _wait(service, generator)
            sources = (*card.sources, generator)
            values = {**card.model_dump(), "sources": sources, "train_own": False}
            run = service.submit(make(MixSpec, values), fresh=True).run
            _wait(service, run)
            result = service.get(run).result() or {}
            verdict = result["verdict"]
            kinds[verdict["kind"]] = kinds.get(verdict["kind"], 0) + 1
            print(f"choice {seed}: {verdict['text']}", flush=True)
        counts = ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items(), key=lambda k: -k[1]))
        print(f"verdicts of {CARDS} cards: {counts}")
