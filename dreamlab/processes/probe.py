"""`python -m dreamlab.processes.probe`: measures a few training steps on this machine, to estimate
the cost of a run.

Reads one JSON object from stdin: `spec` of a training, and the folder `runs`. Writes one to stdout:
the fields of `dreamlab.estimates.measured.Measurement`, or `error`.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from dreamlab.architecture.network import network_of
from dreamlab.data import catalog
from dreamlab.processes.errors import explain
from dreamlab.settings import TrainSpec, make
from dreamlab.store.machine import cores

LONGEST = 3.0
"""Seconds of measured steps."""
WARM_UP, FEWEST = 1, 3
"""Number of steps that do not count, and that are measured at least."""


def measure(spec: TrainSpec) -> dict[str, Any]:
    """Times training steps and network evaluations. If a step of the whole batch would take too
    long, fewer images are measured. Returns the fields of a Measurement."""
    import torch

    from dreamlab.tasks.torch_device import prepare, synchronise
    from dreamlab.tasks.torch_memory import peak_memory_bytes
    from dreamlab.tasks.train.trainer import Trainer
    from dreamlab.tasks.train.training_precision import affordable, fastest

    torch.set_num_threads(cores())
    device = prepare(spec.device)
    at_once = min(-(-spec.batch_size // spec.accumulate), affordable(network_of(spec), device))
    alone = {"accumulate": 1, "devices": 1, "compile": False, "init_from": "", "freeze": ()}
    tried = spec.model_copy(update={"batch_size": at_once, **alone})
    trainer = Trainer(tried, catalog.load(spec.dataset, spec.data_dir), device)
    precision = fastest(trainer) if spec.precision == "auto" else spec.precision
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < WARM_UP + FEWEST or time.perf_counter() - started < LONGEST:
        began = time.perf_counter()
        trainer.step(0.5, precision)
        synchronise(device)
        times.append(time.perf_counter() - began)
    return {
        "images": at_once,
        "seconds_per_step": statistics.median(times[WARM_UP:]),
        "precision": precision,
        "seconds_per_call": _forward(trainer, at_once, precision),
        "peak_memory_bytes": peak_memory_bytes(device),
    }


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
        answer = measure(make(TrainSpec, request["spec"]))
    except Exception as error:
        answer = {"error": explain(error, Path(request["runs"]))}
    os.write(output, json.dumps(answer).encode() + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
