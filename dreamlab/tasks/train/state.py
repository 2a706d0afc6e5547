"""What the saved state of a training holds, and a generator with the raw weights in it, those that
are not averaged."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch

from dreamlab.diffusion.optim import FlatOptimizer
from dreamlab.diffusion.unet import UNet
from dreamlab.settings import TrainSpec
from dreamlab.settings.synthesize import RAW
from dreamlab.store import checkpoints
from dreamlab.tasks.context import TaskError
from dreamlab.tasks.generator import TrainedGenerator, load_generator, read_safetensors
from dreamlab.tasks.train.fine_tuning import freeze

Tensors = dict[str, torch.Tensor]


def flat_optimizer(network: UNet, spec: TrainSpec, extra: int = 0) -> FlatOptimizer:
    """The optimiser of a training, which joins the weights of the network that are trained; see
    `FlatOptimizer` for `extra`."""
    return FlatOptimizer(
        network,
        spec.optimizer,
        spec.weight_decay,
        extra=extra,
        spare=spec.decayed == "weights",
        beta2=spec.beta2,
        muon_steps=spec.muon_steps,
    )


def tensors_of(network: UNet, optimizer: FlatOptimizer, average: torch.Tensor) -> Tensors:
    """Name -> tensor of the state: the raw `weights` (P,), the `average` (P,), the state of the
    optimiser, and the weights that are not trained."""
    frozen = {f"frozen.{n}": p.data for n, p in network.named_parameters() if not p.requires_grad}
    own = {f"optimizer.{name}": value for name, value in optimizer.state.items()}
    return {"weights": optimizer.weights, "average": average, **own, **frozen}


def layout_of(optimizer: FlatOptimizer, tensors: Tensors) -> str:
    """16 hex digits of the names and shapes of the weights, in their order, and of the tensors of a
    state. A state is read only where they are the same."""
    parameters = zip(optimizer.names, optimizer.parameters(), strict=True)
    about = [[(n, *p.shape) for n, p in parameters], [(n, *v.shape) for n, v in tensors.items()]]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]


def load_weights(run: Path, device: torch.device, checkpoint: str = "") -> TrainedGenerator:
    """The generator of a run folder with a kept checkpoint such as step-000400, the raw weights
    (RAW), or by default the last averaged ones. Raises TaskError with one sentence."""
    return _raw(run, device) if checkpoint == RAW else load_generator(run, device, checkpoint)


def _raw(run: Path, device: torch.device) -> TrainedGenerator:
    cpu = torch.device("cpu")
    found = load_generator(run, cpu)
    path = run / checkpoints.STATE
    if not path.exists():
        raise TaskError(checkpoints.no_raw_weights(run.name))
    metadata, tensors = read_safetensors(path)
    network, spec = found.network.requires_grad_(True), found.spec
    freeze(network, spec.freeze)
    optimizer = flat_optimizer(network, spec)
    same = layout_of(optimizer, tensors_of(network, optimizer, optimizer.weights))
    if metadata.get("format") != checkpoints.STATE_FORMAT or metadata.get("layout") != same:
        raise TaskError(
            f"{run.name}/{checkpoints.STATE} does not fit this version of DreamLab; train it again"
            " for raw weights."
        )
    if int(metadata["step"]) != found.step:
        # the two files are written one after the other, and a training may be killed between them
        raise TaskError(
            f"{run.name} has raw weights of step {int(metadata['step']):,} and averaged ones of"
            f" step {found.step:,}; resume it, so that it saves both."
        )
    optimizer.weights.copy_(tensors["weights"])  # the parameters are views into it
    network.zero_grad(set_to_none=True)
    network.requires_grad_(False)
    network = network.to(device).to(memory_format=torch.channels_last)
    return TrainedGenerator(network, spec, found.step, device, found.precision)
