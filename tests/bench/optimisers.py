"""`python -m tests.bench optimisers`: the update rules of a training beside torch's.

One thread, CPU time of that thread, so that what else the machine does hardly counts. The
contenders of a row take turns; a ratio is the median over turns, above 1 where the contender is
faster than the first one.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch

from dreamlab.architecture.network import network_on
from dreamlab.data import catalog
from dreamlab.diffusion.optim import BETAS, OPTIMIZERS, SGD_MOMENTUM, FlatOptimizer, is_matrix
from dreamlab.diffusion.unet import UNet
from dreamlab.settings import TrainSpec, make
from dreamlab.tasks.train.trainer import Trainer
from tests.optimiser_helpers import WRITTEN

RATE, WARM_UP = 1e-4, 3
Steps = dict[str, Callable[[], None]]


def objects(name: str, parameters: list[torch.nn.Parameter], **how: bool) -> torch.optim.Optimizer:
    """An optimiser of torch.optim with the numbers of ours."""
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=RATE, momentum=SGD_MOMENTUM, **how)
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[name]
    return kind(parameters, lr=RATE, betas=BETAS, weight_decay=0.0, **how)


def network() -> UNet:
    """The default network, as for MNIST."""
    return UNet(network_on(make(TrainSpec, {}), 28, 1, 10))


def of_random_gradient(parameters: list[torch.nn.Parameter]) -> list[torch.nn.Parameter]:
    """The same parameters; a gradient that every contender may keep."""
    for p in parameters:
        p.grad = torch.randn_like(p) * 1e-3
    return parameters


def flat(name: Any) -> Callable[[], None]:
    """A step of the optimiser of a run."""
    optimizer, taken = FlatOptimizer(network(), name), iter(range(1, 10**6))
    optimizer.grad.normal_().mul_(1e-3)
    return lambda: optimizer.step(next(taken), RATE, RATE)


def elementwise(name: Any) -> Steps:
    """AdamW, Adam or SGD: written out, as a run takes them, and the objects of torch.optim."""
    with mock.patch.dict(OPTIMIZERS, {name: WRITTEN[name]}):
        steps: Steps = {"written out": flat(name)}
    steps["in a run: torch's, on the flat buffer"] = flat(name)
    for how in ("fused", "foreach"):
        own = of_random_gradient(list(network().parameters()))
        steps[f"torch.optim {how}, a list"] = objects(name, own, **{how: True}).step  # type: ignore[assignment]
    one = of_random_gradient([torch.nn.Parameter(torch.cat([p.flatten() for p in own]).detach())])
    steps["torch.optim foreach, flat"] = objects(name, one, foreach=True).step  # type: ignore[assignment]
    return steps


def muon() -> Steps:
    """Our Muon with AdamW for the rest, and torch's with the same: its iteration is in bfloat16,
    which some CPUs have to emulate, so it is measured in float32 too."""
    named = list(network().named_parameters())
    matrices = [
        torch.nn.Parameter(p.detach().reshape(len(p), -1).clone())
        for n, p in named
        if is_matrix(n, p)
    ]
    rest = torch.cat([p.detach().flatten() for n, p in named if not is_matrix(n, p)])
    theirs = torch.optim.Muon(
        of_random_gradient(matrices), lr=RATE, weight_decay=0.0, momentum=0.95, ns_steps=3
    )
    adamw = objects("adamw", of_random_gradient([torch.nn.Parameter(rest)]), fused=True)

    def both() -> None:
        theirs.step()
        adamw.step()

    def exactly() -> None:
        with mock.patch.object(torch, "bfloat16", torch.float32):
            both()

    return {
        "in a run: ours and AdamW": flat("muon"),
        "torch.optim.Muon and AdamW": both,
        "the same, its iteration in float32": exactly,
    }


def training(name: str, precision: str) -> Steps:
    """Whole steps of a training of the default network."""
    spec = make(TrainSpec, {"optimizer": name, "learning_rate": RATE, "steps": 1000})
    data = catalog.load(spec.dataset)

    def step_of(rules: dict[Any, Any]) -> Callable[[], None]:
        with mock.patch.dict(OPTIMIZERS, rules):
            trainer = Trainer(spec, data, torch.device("cpu"))
        return lambda: float(trainer.step(0.5, precision)) and None

    return {"written out": step_of({name: WRITTEN[name]}), "in a run": step_of({})}


def row(title: str, steps: Steps, turns: int) -> None:
    """Measures and prints the contenders of a row."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(turns + WARM_UP):
        for name, step in steps.items():
            began = time.thread_time()
            step()
            if turn >= WARM_UP:
                times[name].append(time.thread_time() - began)
    first = next(iter(times.values()))
    for name, own in times.items():
        ratio = statistics.median(a / b for a, b in zip(first, own, strict=True))
        print(
            f"| {title} | {name} | {1e3 * statistics.median(own):.2f} | {ratio:.2f} |", flush=True
        )


def main(turns: int = 41) -> None:
    """Prints one Markdown table."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        parameters = sum(p.numel() for p in network().parameters())
        print(f"torch {torch.__version__}, {parameters:,} parameters, {turns} turns\n")
        print("| what | contender | ms | times as fast |\n|---|---|---|---|")
        for name in WRITTEN:
            row(f"{name}, the update alone", elementwise(name), turns)
        row("muon, the update alone", muon(), turns // 2)
        for name in WRITTEN:
            for precision in ("fp32", "bf16"):
                row(f"{name}, a training step, {precision}", training(name, precision), turns // 4)
    finally:
        torch.set_num_threads(before)


if __name__ == "__main__":
    main()
