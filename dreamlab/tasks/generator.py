"""A trained generator: a network and the spec of its training, stored as
`checkpoints/*.safetensors`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from dreamlab.architecture.network import Network, network_on
from dreamlab.diffusion.guidance import Model
from dreamlab.diffusion.unet import UNet
from dreamlab.noise import schedules
from dreamlab.settings import SpecError, TrainSpec, make
from dreamlab.store import checkpoints, write_bytes
from dreamlab.tasks.context import TaskError
from dreamlab.tasks.precision import autocast


@dataclasses.dataclass
class TrainedGenerator:
    """A network with everything that sampling needs. Its images are (channels, image_size,
    image_size) in [-1, 1]. `classes` is the number of classes that can be sampled; 1 for a
    generator without classes."""

    network: UNet
    spec: TrainSpec
    step: int
    device: torch.device
    precision: str = "fp32"

    def __post_init__(self) -> None:
        shape: Network = self.network.network
        self.channels, self.image_size, self.classes = (
            shape.channels,
            shape.image_size,
            shape.classes or 1,
        )
        self.alpha_bar = schedules.alpha_bar(
            self.spec.schedule, self.spec.num_train_timesteps, self.spec.zero_terminal_snr
        )
        self.model = Model(
            self.predict,
            self.spec.target,
            self.alpha_bar,
            shape.classes,
            learns_variance=shape.learn_variance,
        )

    @torch.inference_mode()
    def predict(
        self,
        x: torch.Tensor,
        t: torch.Tensor,
        labels: torch.Tensor,
        low_t: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Evaluates the network without gradients, in `precision`. The output is float32."""
        with autocast(self.device, self.precision):
            output: torch.Tensor = self.network(x, t, labels, low_t).float()
        return output


def to_uint8(x: torch.Tensor) -> np.ndarray:
    """(N, C, H, W) in [-1, 1] to uint8 (N, H, W, C). Values outside are clipped."""
    scaled = (x.float() + 1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return scaled.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def to_tensor(images: np.ndarray, device: torch.device) -> torch.Tensor:
    """uint8 (N, H, W, C) to a uint8 tensor (N, C, H, W) on a device."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).to(device)


def from_uint8(images: torch.Tensor) -> torch.Tensor:
    """uint8 pixels to float32 in [-1, 1]."""
    return images.float().mul_(1 / 127.5).sub_(1)


def save_generator(run: Path, generator: TrainedGenerator, checkpoint: str = "") -> None:
    """Writes a kept checkpoint such as step-000400, or by default the last checkpoint. The file is
    either complete or absent."""
    tensors = {
        name: value.contiguous().cpu() for name, value in generator.network.state_dict().items()
    }
    shape = generator.network.network
    metadata = {
        "format": checkpoints.FORMAT,
        "spec": generator.spec.model_dump_json(),
        "step": str(generator.step),
        "image_size": str(shape.image_size),
        "channels": str(shape.channels),
        "classes": str(shape.classes),
        "precision": generator.precision,
    }
    write_safetensors(checkpoints.path_of(run, checkpoint), tensors, metadata)


def load_generator(run: Path, device: torch.device, checkpoint: str = "") -> TrainedGenerator:
    """Reads a kept checkpoint of a run folder such as step-000400, or by default the last one.
    Raises TaskError with one sentence if that is not possible."""
    path = checkpoints.path_of(run, checkpoint)
    name = f"{run.name}/{path.parent.name}/{path.name}"
    if not path.exists():
        raise TaskError(_absent(run, checkpoint))
    metadata, tensors = read_safetensors(path)
    if metadata.get("format") != checkpoints.FORMAT:
        raise TaskError(
            f"{name} is not a generator of DreamLab (its format is"
            f" {metadata.get('format', 'not named')!r})."
        )
    try:
        spec = make(TrainSpec, json.loads(metadata["spec"]))
        size, channels, classes, step = (
            int(metadata[k]) for k in ("image_size", "channels", "classes", "step")
        )
        with torch.random.fork_rng(devices=[]):
            network = UNet(network_on(spec, size, channels, classes))
        network.load_state_dict(tensors)
    except (KeyError, SpecError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise TaskError(f"{name} does not fit this version of DreamLab: {reason}") from None
    network.requires_grad_(False).eval()
    network = network.to(device).to(memory_format=torch.channels_last)
    return TrainedGenerator(network, spec, step, device, metadata.get("precision", "fp32"))


def _absent(run: Path, checkpoint: str) -> str:
    if not checkpoint:
        return (
            f"The generator {run.name} has no checkpoint yet ({checkpoints.LAST}); train it first."
        )
    kept = checkpoints.kept(run)
    there = (
        f"it has {', '.join(kept)}"
        if kept
        else "it has kept none; leave the checkpoint empty for its last one"
    )
    return f"The generator {run.name} has no checkpoint {checkpoint}; {there}."


def write_safetensors(
    path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str]
) -> None:
    """Writes tensors and metadata. The file is either complete or absent; equal content gives equal
    bytes."""
    write_bytes(path, *checkpoints.with_sorted_metadata(to_bytes(tensors, metadata)))


def read_safetensors(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Metadata and tensors of a file. Raises TaskError if the file is damaged or not in this
    format."""
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise TaskError(
            f"{path.parent.parent.name}/{path.parent.name}/{path.name} is damaged or not a"
            f" checkpoint: {error}."
        ) from None
