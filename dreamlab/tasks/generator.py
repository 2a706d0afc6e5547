"""A trained generator: written to and read from `checkpoints/ema.safetensors`, and sampled from."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from dreamlab.diffusion import schedules
from dreamlab.diffusion.guidance import guided
from dreamlab.diffusion.samplers import SAMPLERS, Noise, Step
from dreamlab.diffusion.unet import UNet
from dreamlab.spec import SpecError, TrainSpec, make
from dreamlab.store import write_bytes
from dreamlab.tasks.context import TaskError
from dreamlab.tasks.devices import autocast

CHECKPOINT = "checkpoints/ema.safetensors"
FORMAT = "dreamlab-generator-1"


def build(spec: TrainSpec, channels: int, classes: int) -> UNet:
    """The network of a spec, with fresh weights from torch's global generator."""
    return UNet(
        channels,
        classes,
        spec.num_train_timesteps,
        spec.base_width,
        spec.multipliers,
        spec.blocks_per_level,
        spec.stem_patch,
    )


@dataclasses.dataclass
class Generator:
    """A network with all that sampling needs; images are image_size x image_size x channels in [-1, 1]."""

    network: UNet
    spec: TrainSpec
    image_size: int
    channels: int
    classes: int
    step: int
    device: torch.device
    precision: str = "fp32"

    def __post_init__(self) -> None:
        self.alpha_bar = schedules.alpha_bar(self.spec.schedule, self.spec.num_train_timesteps)
        self._alpha_bar = torch.tensor(self.alpha_bar, dtype=torch.float32, device=self.device)

    @torch.inference_mode()
    def predict(self, x: torch.Tensor, t: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The network's output in float32."""
        with autocast(self.device, self.precision):
            return self.network(x, t, labels).float()

    def start(self, labels: Sequence[int], indices: Sequence[int], seed: int) -> Noise:
        """The noise of image (class, index) for every pair; its first draw is x_T."""
        return Noise(seed, labels, indices, (self.channels, self.image_size, self.image_size))

    def sample(
        self, labels: Sequence[int], noise: Noise, *, guidance_weight: float, num_steps: int, sampler: str
    ) -> Iterator[Step]:
        """One Step per sampler step; draws x_T from `noise` first."""
        y = torch.tensor(list(labels), dtype=torch.int64, device=self.device)
        denoise = guided(self.predict, self.spec.target, self._alpha_bar, y, self.classes, guidance_weight)
        return SAMPLERS[sampler](denoise, noise().to(self.device), self.alpha_bar, num_steps, noise)

    def images(
        self,
        labels: Sequence[int],
        indices: Sequence[int],
        seed: int,
        *,
        guidance_weight: float,
        num_steps: int,
        sampler: str,
    ) -> np.ndarray:
        """Finished images, uint8 (N, H, W, C)."""
        steps = self.sample(
            labels,
            self.start(labels, indices, seed),
            guidance_weight=guidance_weight,
            num_steps=num_steps,
            sampler=sampler,
        )
        *_, last = steps
        return to_uint8(last.x)

    def network_calls(self, guidance_weight: float, num_steps: int) -> int:
        """Forward passes that one image costs."""
        return num_steps * (1 if guidance_weight == 0 else 2)


def to_uint8(x: torch.Tensor) -> np.ndarray:
    """(N, C, H, W) in [-1, 1], values outside clipped, as uint8 (N, H, W, C)."""
    scaled = (x.float() + 1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return scaled.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def to_tensor(images: np.ndarray, device: torch.device) -> torch.Tensor:
    """uint8 (N, H, W, C) as a uint8 tensor (N, C, H, W) on a device."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).to(device)


def from_uint8(images: torch.Tensor) -> torch.Tensor:
    """uint8 pixels as float32 in [-1, 1]."""
    return images.float().mul_(1 / 127.5).sub_(1)


def save_generator(run: Path, generator: Generator) -> None:
    """Writes the checkpoint, whole or not at all."""
    tensors = {name: value.contiguous().cpu() for name, value in generator.network.state_dict().items()}
    metadata = {
        "format": FORMAT, "spec": generator.spec.model_dump_json(), "step": str(generator.step),
        "image_size": str(generator.image_size), "channels": str(generator.channels), "classes": str(generator.classes),
        "precision": generator.precision,
    }  # fmt: skip
    write_bytes(run / CHECKPOINT, to_bytes(tensors, metadata))


def load_generator(run: Path, device: torch.device) -> Generator:
    """Reads the checkpoint of a run directory. Raises TaskError with one sentence where that cannot be done."""
    path = run / CHECKPOINT
    if not path.exists():
        raise TaskError(f"The generator {run.name} has no checkpoint yet ({CHECKPOINT}); train it first.")
    metadata, tensors = read_safetensors(path)
    if metadata.get("format") != FORMAT:
        raise TaskError(
            f"{run.name}/{CHECKPOINT} is not a generator of DreamLab (its format is {metadata.get('format', 'not named')!r})."
        )
    try:
        spec = make(TrainSpec, json.loads(metadata["spec"]))
        size, channels, classes, step = (int(metadata[k]) for k in ("image_size", "channels", "classes", "step"))
        with torch.random.fork_rng(devices=[]):
            network = build(spec, channels, classes)
        network.load_state_dict(tensors)
    except (KeyError, SpecError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise TaskError(f"{run.name}/{CHECKPOINT} does not fit this version of DreamLab: {reason}") from None
    network.requires_grad_(False).eval()
    network = network.to(device=device, memory_format=torch.channels_last)
    return Generator(network, spec, size, channels, classes, step, device, metadata.get("precision", "fp32"))


def read_safetensors(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Metadata and tensors of a file; TaskError where it is truncated or something else."""
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise TaskError(
            f"{path.parent.parent.name}/{path.parent.name}/{path.name} is damaged or not a checkpoint: {error}."
        ) from None
