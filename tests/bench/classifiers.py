"""Classifiers of a mix: two processes with one thread each, as the engine runs them on two
cores."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from dreamlab.data import catalog, imageset
from dreamlab.settings import ClassifySpec, SynthesizeSpec, make
from dreamlab.store import ArtefactCache, Record, Run, RunStore

CARD_ARMS = ["real"] + 2 * ["50/50", "synthetic", "real+1x", "real+3x"]
MIX_ARMS = ["real", "90/10", "50/50", "10/90", "synthetic", "real+1x"]


def new_run(store: RunStore, spec: ClassifySpec | SynthesizeSpec) -> Run:
    record = Record(
        id=store.new_id(spec.kind, "bench"),
        kind=spec.kind,
        name="",
        created="",
        hash="",
        spec=spec.model_dump(mode="json"),
    )
    return store.create(record)


def _work(folder: str, ids: Any, results: Any) -> None:
    import torch

    from dreamlab.tasks.classify.task import classify
    from dreamlab.tasks.context import TaskContext

    torch.set_num_threads(1)
    store = RunStore(folder)
    results.put(None)  # imports are not measured: workers are forked from a warm server
    while (run_id := ids.get()) is not None:
        # a cache of its own: arms that are alike must not help each other
        context = TaskContext(
            store.get(run_id), store, ArtefactCache(Path(folder) / "caches" / run_id)
        )
        *_, last = classify(context)
        results.put(last["values"])


def measure(
    arms: list[str], images_per_class: int, seeds: int, steps: int
) -> tuple[float, list[dict[str, Any]]]:
    """Seconds for all arms, and their results. Real images stand in for synthetic ones: the time is
    the same."""
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(folder)
        store.prepare()
        data = catalog.load("mnist5k")
        synthetic = new_run(store, make(SynthesizeSpec, {"source": "none"}))
        imageset.save(synthetic.path, data.train_images, data.train_labels)
        values = {"images_per_class": images_per_class, "seeds": seeds, "steps": steps}
        runs = [
            new_run(
                store,
                make(
                    ClassifySpec,
                    {**values, "arm": arm, "synthetic": "" if arm == "real" else synthetic.id},
                ),
            )
            for arm in arms
        ]
        spawn = multiprocessing.get_context("spawn")
        ids, results = spawn.Queue(), spawn.Queue()
        os.environ["OMP_NUM_THREADS"] = "1"
        workers = [spawn.Process(target=_work, args=(folder, ids, results)) for _ in range(2)]
        for worker in workers:
            worker.start()
        for _ in workers:
            results.get(timeout=120)
        begin = time.monotonic()
        for run in runs:
            ids.put(run.id)
        found = [results.get(timeout=900) for _ in runs]
        seconds = time.monotonic() - begin
        for _ in workers:
            ids.put(None)
        for worker in workers:
            worker.join(30)
        return seconds, found


def costs(size: int, channels: int, images: int = 16) -> dict[str, float]:
    """Milliseconds that one image costs in a training step of every network on one thread: the best
    of three."""
    import numpy as np
    import torch

    from dreamlab.classifiers.registry import CLASSIFIERS
    from dreamlab.tasks.classify.training import Fit, Recipe

    torch.set_num_threads(1)
    rng, found = np.random.default_rng(0), {}
    pixels, labels = (
        rng.integers(0, 256, (images, size, size, channels), np.uint8),
        rng.integers(0, 10, images),
    )
    for name in CLASSIFIERS:
        taken, began = [], time.process_time()
        for _ in Fit(Recipe(name, 4, images, 1e-3), pixels, labels, 10, 0, "cpu"):
            now = time.process_time()
            taken.append(now - began)
            began = now
        found[name] = 1000 * min(taken[1:]) / images
    return found


def main() -> None:
    for size, channels in ((28, 1), (32, 3)):
        found = costs(size, channels)
        shown = ", ".join(
            f"{name} {ms:.2g} ({ms / found['small_cnn']:.3g})" for name, ms in found.items()
        )
        print(f"training, ms an image at {size}x{size} on one thread (times small_cnn): {shown}")
    seconds, found = measure(CARD_ARMS, 10, 5, 200)
    real = next(r for r in found if r["arm"] == "real")
    print(
        f"9 arms x 5 seeds, small CNN, 100 digits, 200 steps: {seconds / 60:.2f} min, target"
        " 2.5 min"
    )
    print(
        f"  real only: {100 * real['interval']['mean']:.1f} % +-"
        f" {100 * statistics.stdev(real['accuracies']):.1f}"
    )
    seconds, found = measure(MIX_ARMS, 0, 3, 400)
    real = next(r for r in found if r["arm"] == "real")
    print(
        f"6 arms x 3 seeds, small CNN, 3,000 digits, 400 steps: {seconds / 60:.2f} min, target"
        " 2 min"
    )
    print(f"  real only: {100 * real['interval']['mean']:.1f} %")


if __name__ == "__main__":
    main()
