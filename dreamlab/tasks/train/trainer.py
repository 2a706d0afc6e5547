"""The state of a training, and one training step. It does not know the time and yields no
events."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from dreamlab.architecture.network import network_of
from dreamlab.data.catalog import DataSet
from dreamlab.data.selection import select
from dreamlab.diffusion.ema import ema_update
from dreamlab.diffusion.forward_process import diffuse, noise_level, upsample, x0_from
from dreamlab.diffusion.losses import (
    VLB_WEIGHT,
    loss_weights,
    squared_errors,
    stratified_t,
    target_of,
    variance_loss,
)
from dreamlab.diffusion.optim import LossScale, learning_rate_factor
from dreamlab.diffusion.unet import UNet
from dreamlab.settings import TrainSpec
from dreamlab.store.checkpoints import STATE, STATE_FORMAT
from dreamlab.tasks.batches import Batches, order_by_epoch
from dreamlab.tasks.context import TaskError
from dreamlab.tasks.generator import (
    TrainedGenerator,
    from_uint8,
    read_safetensors,
    to_tensor,
    write_safetensors,
)
from dreamlab.tasks.image_sources import JoinedImages, at_size
from dreamlab.tasks.precision import autocast
from dreamlab.tasks.torch_memory import is_out_of_memory, release_memory
from dreamlab.tasks.train.data_parallel import Ranks
from dreamlab.tasks.train.fine_tuning import freeze, start_from
from dreamlab.tasks.train.state import flat_optimizer, layout_of, tensors_of

BANDS = 4
"""Number of equal intervals of t for which the loss is reported separately. Interval 0 has the
least noise."""


@dataclasses.dataclass
class Batch:
    """All inputs of one training step for n images: uint8 images (n, C, H, W); labels after label
    dropout; timesteps; noise; `mirrored` (n,) bool or None; for super-resolution, noise level and
    noise of the low-resolution image."""

    images: torch.Tensor
    labels: torch.Tensor
    t: torch.Tensor
    eps: torch.Tensor
    mirrored: torch.Tensor | None = None
    low_t: torch.Tensor | None = None
    low_eps: torch.Tensor | None = None

    def __getitem__(self, part: slice) -> Batch:
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        cut: dict[str, Any] = {n: None if v is None else v[part] for n, v in values.items()}
        return Batch(**cut)


class Trainer:
    """Network, optimiser, averaged weights and data of one run.

    All random numbers of step n depend only on (seed, n), so that a resumed run uses the same ones
    as an uninterrupted run. Every process of `ranks` draws the whole batch, computes its share in
    `parts` parts, and sums the gradient with the other processes.
    """

    def __init__(
        self,
        spec: TrainSpec,
        data: DataSet,
        device: torch.device,
        *,
        source: TrainedGenerator | None = None,
        ranks: Ranks | None = None,
        resident: bool | None = None,
    ):
        self.spec, self.device, self.ranks = spec, device, ranks or Ranks.alone()
        shape = network_of(spec)
        chosen = select(data.train_labels, spec, len(data.info.classes)).pool
        self._pixels = at_size(JoinedImages([(data.train_images, chosen)]), shape.image_size)
        self._labels = data.train_labels[chosen]
        order = order_by_epoch(spec.seed, len(chosen))
        self.images = Batches(self._pixels, self._labels, device, spec.batch_size, order, resident)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(spec.seed)
            network = UNet(shape)
        if source is not None:
            start_from(network, spec, source)
        freeze(network, spec.freeze)
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.optimizer = flat_optimizer(self.network, spec, extra=1 + 2 * BANDS)
        self.average = self.optimizer.weights.clone()
        self.generator = TrainedGenerator(self._averaged(), spec, 0, device)
        self._alpha_bar64 = torch.tensor(self.generator.alpha_bar, device=device)
        self._weight = loss_weights(spec.target, spec.weighting, self._alpha_bar64).float()
        self._alpha_bar = self._alpha_bar64.float()
        self.forward = torch.compile(self.network) if spec.compile else self.network
        """The network as a step calls it: compiled, or as it is."""
        self._proven = (
            False  # whether a step has succeeded; a failed compilation shows in the first step
        )
        self._chance = torch.Generator(device)
        self.loss_scale = LossScale()
        """By what the loss of fp16 is multiplied, and with it `optimizer.grad`."""
        self.share = self.ranks.share(spec.batch_size)
        self._own: int = self.share.stop - self.share.start  # images of a batch computed here
        self.parts = min(spec.accumulate, self._own)
        self.bands = torch.zeros(2 * BANDS, device=device)
        self.grad_norm: torch.Tensor | None = None
        self.precision, self.threads = "", 0
        """The number format and the number of CPU threads of an earlier attempt, if any."""
        self.notes: list[str] = []
        """Warnings for the user; whoever reports them removes them from the list."""
        self.step_count, self.updates, self.elapsed, self.learning_rate = 0, 0, 0.0, 0.0

    @property
    def at_once(self) -> int:
        """Number of images that are computed at once."""
        most: int = -(-self._own // self.parts)
        return most

    def step(self, progress: float, precision: str) -> torch.Tensor:
        """Makes one update. `progress` is the share of the training that is done, 0 to 1. Returns
        the mean loss of the whole batch, a scalar tensor. Raises TaskError if not even one image
        fits in memory."""
        self.ranks.announce(progress, precision)
        self.step_count += 1
        self.add_gradient(self.draw(self.step_count), precision)
        self.ranks.reduce(self.optimizer.buffer)
        extra = self.optimizer.extra
        loss = extra[0].clone()
        self.bands += extra[1:]
        self._update(progress, precision)
        return loss

    def draw(self, step: int) -> Batch:
        """The whole batch (n = batch_size) of a step, 1 or more; the same at every call. Dropped
        labels are the class that stands for none."""
        spec, n, chance, device = self.spec, self.spec.batch_size, self._chance, self.device
        chance.manual_seed(self._seed(step))
        images, labels = self.images.batch(step - 1)
        images = images.permute(0, 3, 1, 2).contiguous()
        t = stratified_t(n, spec.num_train_timesteps, chance)
        eps = torch.randn(images.shape, generator=chance, device=device)
        dropped = torch.rand(n, generator=chance, device=device) < spec.label_dropout
        batch = Batch(images, labels.masked_fill(dropped, self.network.network.classes), t, eps)
        if spec.flip:
            batch.mirrored = torch.rand(n, generator=chance, device=device) < 0.5
        if spec.low_size:
            most = noise_level(spec.low_noise, spec.num_train_timesteps)
            batch.low_t = torch.randint(most + 1, (n,), generator=chance, device=device)
            batch.low_eps = torch.randn(images.shape, generator=chance, device=device)
        return batch

    def _seed(self, step: int, *more: int) -> int:
        words = np.random.SeedSequence([self.spec.seed, step, *more]).generate_state(1, np.uint64)
        return int(words[0] >> 1)

    def add_gradient(self, batch: Batch, precision: str) -> None:
        """Adds the gradient of this process's share of a whole batch to `optimizer.grad`, that of
        fp16 times the loss scale, and its losses to `optimizer.extra`; both are zero before. What
        does not fit into memory or cannot be compiled is done again in more parts or as it is, and
        said in `notes`. Raises TaskError where even a single image does not fit."""
        while not self._tried(batch, precision, self._parts()):
            pass

    def probe(self, precision: str, most: int) -> None:
        """Computes the gradient of at most `most` images of the first batch and discards it.
        Neither the weights nor the random numbers of a step depend on it."""
        batch, first = self.draw(1), self.share.start
        while not self._tried(batch, precision, [slice(first, first + min(most, self.at_once))]):
            pass
        self.optimizer.zero()

    def _parts(self) -> list[slice]:
        """The parts of this process's share of a batch that are computed one after the other."""
        first, size, n = self.share.start, self._own, self.parts
        return [slice(first + size * k // n, first + size * (k + 1) // n) for k in range(n)]

    def _tried(self, batch: Batch, precision: str, parts: list[slice]) -> bool:
        """False where it has to be done again in another way; gradient and losses are zero then."""
        try:
            for part in parts:
                if self.spec.dropout:
                    torch.manual_seed(self._seed(self.step_count, part.start, part.stop))
                self._backward(batch[part], precision)
            self._proven = True
            return True
        except Exception as error:
            if is_out_of_memory(error):
                self._halve()
            elif self.forward is not self.network and not self._proven:
                self.forward = self.network
                reason = " ".join(str(error).split())[:200] or type(error).__name__
                self.notes.append(
                    f"The network cannot be compiled here, so it is trained without: {reason}"
                )
            else:
                raise
        # outside the handler, because until its end the traceback keeps the activations in memory
        self.optimizer.zero()
        release_memory(self.device)
        return False

    def _halve(self) -> None:
        before = self.at_once
        if before == 1:
            raise TaskError(
                "There is too little free memory for a single image of this network at a time; a"
                " smaller network or image size needs less (--base-width, --image-size)."
            ) from None
        self.parts = min(2 * self.parts, self._own)
        self.notes.append(
            f"Out of memory with {before} images at once: the batch is now computed in {self.parts}"
            f" parts of {self.at_once}."
        )

    def _backward(self, b: Batch, precision: str) -> None:
        """Adds the gradient and the losses of a part of the batch, weighted by the part's share of
        it."""
        spec, c = self.spec, b.images.shape[1]
        x0 = from_uint8(b.images)
        if b.mirrored is not None:
            x0 = torch.where(b.mirrored[:, None, None, None], x0.flip(-1), x0)
        alpha_bar_t = self._alpha_bar[b.t][:, None, None, None]
        x_t = diffuse(x0, b.eps, alpha_bar_t)
        x = x_t
        if b.low_t is not None and b.low_eps is not None:
            low = upsample(downsample(x0, spec.low_size), x0.shape[-1])
            x = torch.cat(
                [x_t, diffuse(low, b.low_eps, self._alpha_bar[b.low_t][:, None, None, None])], dim=1
            )
        with autocast(self.device, precision):
            output = (
                self.forward(x, b.t, b.labels)
                if b.low_t is None
                else self.forward(x, b.t, b.labels, b.low_t)
            )
        said = output[:, :c]
        losses = self._weight[b.t] * squared_errors(
            said, target_of(spec.target, x0, b.eps, alpha_bar_t)
        )
        if spec.learn_variance:
            clean = x0_from(spec.target, said.detach().float(), x_t, alpha_bar_t)
            losses = losses + VLB_WEIGHT * variance_loss(
                output[:, c:], clean, x0, x_t, b.t, self._alpha_bar64
            )
        loss = losses.sum() / spec.batch_size
        (loss * self.loss_scale.value if precision == "fp16" else loss).backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            extra, band = self.optimizer.extra, b.t * BANDS // spec.num_train_timesteps
            extra[0] += loss
            extra[1 : 1 + BANDS].index_add_(0, band, losses)
            extra[1 + BANDS :].index_add_(0, band, torch.ones_like(losses))

    def _update(self, progress: float, precision: str) -> None:
        spec, o = self.spec, self.optimizer
        factor = learning_rate_factor(progress, spec.warmup, spec.learning_rate_schedule)
        self.learning_rate = spec.learning_rate * factor
        if precision != "fp16" or self.loss_scale.unscale(o.grad):
            self.updates += 1
            if spec.grad_clip:
                self.grad_norm = o.clip(spec.grad_clip)
            o.step(self.updates, self.learning_rate, spec.muon_learning_rate * factor)
            ema_update(self.average, o.weights, self.updates, spec.ema_horizon)
        o.zero()
        self.generator.step = self.step_count

    def loss_bands(self) -> dict[str, float]:
        """Mean loss in each of the intervals of t since the last call, as loss_band_0 (least noise)
        to loss_band_3."""
        sums, counts = self.bands.tolist()[:BANDS], self.bands.tolist()[BANDS:]
        self.bands.zero_()
        return {
            f"loss_band_{i}": s / n for i, (s, n) in enumerate(zip(sums, counts, strict=True)) if n
        }

    def preview_low(self, per_class: int) -> torch.Tensor | None:
        """The low-resolution images (classes * per_class, C, low, low) in [-1, 1] from which the
        previews of a super-resolution model start; None for other models. They are the first real
        images of each class, repeated if a class has fewer."""
        if not self.spec.low_size:
            return None
        classes, chosen = self.generator.classes, []
        for c in range(classes):
            members = (
                np.flatnonzero(self._labels == c) if classes > 1 else np.arange(len(self._labels))
            )
            chosen.append(np.resize(members if len(members) else [0], per_class))
        images = to_tensor(self._pixels[np.concatenate(chosen)], self.device)
        return downsample(from_uint8(images), self.spec.low_size)

    def _averaged(self) -> UNet:
        """A second network whose parameters are views into `average`, so that previews and
        checkpoints need no copy."""
        shadow = copy.deepcopy(self.network)
        shadow.requires_grad_(False).eval()
        averaged = dict(zip(self.optimizer.names, self.optimizer.views(self.average), strict=True))
        frozen = dict(self.network.named_parameters())
        for name, p in shadow.named_parameters():
            p.data = averaged[name] if name in averaged else frozen[name].data
        return shadow

    def _state(self) -> dict[str, torch.Tensor]:
        return tensors_of(self.network, self.optimizer, self.average)

    def save(self, run: Path, precision: str) -> None:
        """Writes the state to resume from. The file is either complete or absent, and loading it
        runs no code."""
        numbers = {
            "step": self.step_count,
            "updates": self.updates,
            "elapsed": self.elapsed,
            "parts": self.parts,
            "scale": self.loss_scale.value,
            "good": self.loss_scale.good,
        }
        state = self._state()
        layout = layout_of(self.optimizer, state)
        metadata = {"format": STATE_FORMAT, "layout": layout, "precision": precision}
        metadata["threads"] = str(torch.get_num_threads())
        metadata |= {name: repr(value) for name, value in numbers.items()}
        tensors = {name: value.contiguous().cpu() for name, value in state.items()}
        write_safetensors(run / STATE, tensors, metadata)

    def resume(self, run: Path) -> None:
        """Continues from the saved state. Raises TaskError if it cannot be used."""
        metadata, tensors = read_safetensors(run / STATE)
        state = self._state()
        layout = layout_of(self.optimizer, state)
        if metadata.get("format") != STATE_FORMAT or metadata.get("layout") != layout:
            raise TaskError(
                f"{run.name}/{STATE} does not belong to these settings; start a new run."
            )
        with torch.no_grad():
            for name, own in state.items():
                own.copy_(tensors[name])
        self.step_count, self.updates = int(metadata["step"]), int(metadata["updates"])
        self.elapsed, self.parts = float(metadata["elapsed"]), int(metadata["parts"])
        scale = self.loss_scale
        scale.value, scale.good = float(metadata["scale"]), int(metadata["good"])
        self.generator.step = self.step_count
        self.precision = metadata["precision"]
        self.threads = int(metadata.get("threads", 0))  # states of version 0.1 lack it


def downsample(x: torch.Tensor, size: int) -> torch.Tensor:
    """(N, C, H, W) to (N, C, size, size) by area averaging: the low-resolution images of a cascade
    (Ho et al. 2022)."""
    return F.interpolate(x, size=(size, size), mode="area")
