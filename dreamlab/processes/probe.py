"""`python -m dreamlab.processes.probe`: measures a few training steps on this machine, to estimate
the cost of a run.

Reads one JSON object from stdin: `spec` of a training, and the folders `runs` and `cache`. Writes
one to stdout: the fields of `dreamlab.estimates.measured.Measurement`, or `error`.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from dreamlab.architecture.cost import multiply_adds
from dreamlab.architecture.network import network_of
from dreamlab.data import catalog
from dreamlab.processes.errors import explain
from dreamlab.settings import TrainSpec, make
from dreamlab.store import ArtefactCache
from dreamlab.store.machine import cores

LONGEST = 3.0
"""Seconds of measured steps. If a step would take longer, it is measured with fewer images."""
SLOWEST_RATE = 1e11
"""Floating-point operations per second of a slow machine. It determines how many images are
measured at once."""
PATIENCE = 6.0
"""Seconds after which fp32 or bf16 is chosen from the measurements so far."""
WARM_UP, FEWEST = 2, 3


def measure(spec: TrainSpec, cache: ArtefactCache) -> dict[str, Any]:
    """Times training steps and network evaluations. Returns the fields of a Measurement."""
    import torch

    from dreamlab.tasks.arithmetic import PrecisionProbe
    from dreamlab.tasks.torch_device import prepare, synchronise
    from dreamlab.tasks.torch_memory import peak_memory_bytes
    from dreamlab.tasks.train.trainer import Trainer

    torch.set_num_threads(cores())
    network = network_of(spec)
    whole = -(-spec.batch_size // spec.accumulate)
    device = prepare(spec.device)
    at_once = whole if device.type == "cuda" else min(whole, _affordable(multiply_adds(network)))
    alone = {"accumulate": 1, "devices": 1, "compile": False, "init_from": "", "freeze": ()}
    tried = spec.model_copy(update={"batch_size": at_once, **alone})
    trainer = Trainer(tried, catalog.load(spec.dataset, spec.data_dir), device)
    # comparing fp32 and bf16 takes about twenty steps, so it is done only if steps are fast
    choice = spec.precision
    if choice == "auto" and at_once < whole:
        choice = "fp32" if device.type == "cpu" else "bf16"
    probe = PrecisionProbe(choice, device, cache, trainer.shape)
    times: dict[str, list[float]] = {p: [] for p in ("fp32", "bf16", "fp16")}
    number, started, begun = 0, 0.0, time.perf_counter()
    while (
        not probe.choice
        or len(times[probe.choice]) < FEWEST
        or time.perf_counter() - started < LONGEST
    ):
        number += 1
        precision, chosen = probe.precision(number), bool(probe.choice)
        began = time.perf_counter()
        trainer.step(0.5, precision)
        synchronise(device)
        now = time.perf_counter()
        probe.record(now - began)
        if number > WARM_UP:
            times[precision].append(now - began)
        if not chosen:
            started = now
            if now - begun > PATIENCE:
                probe.settle()
    return {
        "images": at_once,
        "seconds_per_step": statistics.median(times[probe.choice]),
        "precision": probe.choice,
        "seconds_per_call": _forward(trainer, at_once, probe.choice),
        "peak_memory_bytes": peak_memory_bytes(device),
    }


def _affordable(multiply_adds: int) -> int:
    """Number of images that even a slow machine can train on at once in half of LONGEST."""
    return max(1, int(LONGEST / 2 * SLOWEST_RATE / (6 * multiply_adds)))


def _forward(trainer: Any, images: int, precision: str) -> float:
    """Seconds per image of one network evaluation without gradients."""
    import torch

    from dreamlab.tasks.torch_device import synchronise

    g, n = trainer.generator, trainer.generator.network.network
    g.precision = precision
    x = torch.randn(images, n.in_channels, n.image_size, n.image_size, device=trainer.device)
    t = torch.full((images,), n.num_train_timesteps // 2, device=trainer.device)
    labels = torch.zeros(images, dtype=torch.int64, device=trainer.device)
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < 2 or len(times) < 12 and time.perf_counter() - started < LONGEST / 3:
        began = time.perf_counter()
        g.predict(x, t, labels, t if n.low_size else None)
        synchronise(trainer.device)
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:]) / images


def main() -> int:
    """Answers one request. The exit status is 0 even if the answer is an error."""
    os.nice(10)  # the dashboard has priority
    request = json.load(sys.stdin)
    output = os.dup(1)
    os.dup2(2, 1)  # output of libraries goes to stderr
    try:
        catalog.add_runs_folder(Path(request["runs"]))
        answer = measure(make(TrainSpec, request["spec"]), ArtefactCache(Path(request["cache"])))
    except Exception as error:
        answer = {"error": explain(error, Path(request["cache"]))}
    os.write(output, json.dumps(answer).encode() + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
