"""Task `train`: a class-conditional DDPM on real images, for a time or for a number of steps."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import torch

from dreamlab.data import imageset
from dreamlab.data.catalog import DataError, load
from dreamlab.spec import SpecError, TrainSpec
from dreamlab.spec.facts import check_network
from dreamlab.store import write_bytes
from dreamlab.tasks.context import Stopped, TaskContext, TaskError
from dreamlab.tasks.devices import PrecisionProbe, ThreadChoice, peak_memory_bytes, prepare, synchronise
from dreamlab.tasks.generator import CHECKPOINT, save_generator, to_uint8
from dreamlab.tasks.trainer import STATE, Trainer

METRIC_EVERY = 0.5
FIRST_CHECKPOINT = 3.0
PREVIEW_COLUMNS, PREVIEW_STEPS, PREVIEW_SHARE = 16, 5, 0.1
"""Seeds a class; sampler steps; most of the time that previews may take (large networks show fewer)."""


def train(ctx: TaskContext) -> Iterator[dict[str, Any]]:
    """Trains until the budget is used up; goes on from `checkpoints/state.safetensors` where there is one."""
    spec = ctx.spec
    if not isinstance(spec, TrainSpec):
        raise TaskError(f"{ctx.run.id} is not a train run.")
    try:
        data = load(spec.dataset, spec.data_dir)
        check_network(spec, data.info.size)
        trainer = Trainer(spec, data, prepare(ctx.device))
    except (DataError, SpecError, ValueError) as error:
        raise TaskError(str(error)) from None
    for folder in ("checkpoints", "samples"):
        (ctx.run.path / folder).mkdir(exist_ok=True)
    loop = _Loop(ctx, trainer, spec)
    if (ctx.run.path / STATE).exists():
        loop.resume()
        yield {"type": "message", "level": "info", "text": f"Goes on from step {trainer.step_count:,}."}
    try:
        yield from loop.events()
    finally:
        loop.threads.restore()


class _Loop:
    """The clock around a trainer: when to report, to show, to save and to end."""

    def __init__(self, ctx: TaskContext, trainer: Trainer, spec: TrainSpec):
        self.ctx, self.trainer, self.spec = ctx, trainer, spec
        shape = f"{trainer.images.shape[1:]}/{spec.batch_size}/{spec.base_width}/{spec.multipliers}/{spec.blocks_per_level}/{spec.stem_patch}"
        self.probe = PrecisionProbe(spec.precision, trainer.device, ctx.cache, shape)
        # a number of steps is asked for to be repeated bit for bit, which needs the same threads throughout
        free = trainer.device.type == "cpu" and not spec.steps
        self.threads = ThreadChoice(ctx.threads if free else 1)
        self.recent: deque[float] = deque(maxlen=50)
        self.loss = math.nan
        self.before = 0.0  # seconds of earlier attempts
        self.first_step = 0

    def resume(self) -> None:
        """Takes up the saved state: weights, step, seconds used, precision."""
        used = self.trainer.resume(self.ctx.run.path)
        self.probe.choice = used if used in ("fp32", "bf16") else self.probe.choice
        self.before, self.first_step = self.trainer.elapsed, self.trainer.step_count

    def progress(self) -> float:
        """Share of the run that is done, 0..1: what the learning rate follows."""
        if self.spec.steps:
            return self.trainer.step_count / self.spec.steps
        return self.trainer.elapsed / self.spec.seconds

    def remaining(self) -> tuple[int, float]:
        """Steps in all and seconds left, from the speed of the last steps."""
        each = sum(self.recent) / len(self.recent) if self.recent else 0.0
        done = self.trainer.step_count
        if self.spec.steps:
            return self.spec.steps, max(self.spec.steps - done, 0) * each
        left = max(self.spec.seconds - self.trainer.elapsed, 0.0)
        return done + (math.ceil(left / each) if each else 0), left

    def events(self) -> Iterator[dict[str, Any]]:
        t, spec = self.trainer, self.spec
        start = time.perf_counter()
        reported, shown, show_after = -math.inf, -math.inf, 0.0
        saved, save_after = start, FIRST_CHECKPOINT
        losses: list[torch.Tensor] = []
        while self.progress() < 1:
            if self.ctx.stopping():
                yield from self.finish(losses)
                raise Stopped
            began = time.perf_counter()
            number = t.step_count + 1
            losses.append(t.step(self.progress(), self.probe.precision(number)))
            if not self.probe.choice:
                synchronise(t.device)
            now = time.perf_counter()
            self.probe.record(number - self.first_step, now - began)
            if self.probe.choice:
                self.threads.record(now - began, now)
            if number - self.first_step > 1:
                self.recent.append(now - began)
            t.elapsed = self.before + now - start
            if now - reported >= METRIC_EVERY:
                reported = now
                yield from self.report(losses)
            if now - shown >= show_after:
                yield self.preview(noise_only=number == 1)
                shown = time.perf_counter()
                show_after = max(spec.preview_every, (shown - now) / PREVIEW_SHARE)
            if now - saved >= save_after:
                self.save(losses)
                saved, save_after = time.perf_counter(), spec.checkpoint_every
            t.elapsed = self.before + time.perf_counter() - start
        yield from self.finish(losses)

    def report(self, losses: list[torch.Tensor]) -> Iterator[dict[str, Any]]:
        """Metric and progress events; empties the list of losses."""
        self.check(losses)
        t = self.trainer
        total, left = self.remaining()
        speed = self.spec.batch_size * len(self.recent) / sum(self.recent) if self.recent else 0.0
        values = {"loss": self.loss, "images_per_second": speed, "learning_rate": t.learning_rate}
        yield {"type": "metric", "step": t.step_count, "values": values}
        yield {
            "type": "progress", "step": t.step_count, "total": max(total, t.step_count), "unit": "steps",
            "eta_seconds": round(left, 1), "text": "training",
        }  # fmt: skip

    def check(self, losses: list[torch.Tensor]) -> None:
        """Takes the mean of the losses so far; TaskError where it is not finite, before anything is saved over."""
        if not losses:
            return
        self.loss = float(torch.stack(losses).mean())
        losses.clear()
        if not math.isfinite(self.loss):
            raise TaskError(
                f"Training diverged: the loss is not a finite number at step {self.trainer.step_count:,}; a lower learning rate"
                f" (--learning-rate {self.spec.learning_rate / 4:g}) may help."
            )

    def preview(self, noise_only: bool = False) -> dict[str, Any]:
        """The grid of fixed seeds x classes from the averaged weights, as an image event."""
        t, g = self.trainer, self.trainer.generator
        g.precision = self.probe.choice or "fp32"
        labels = [c for c in range(g.classes) for _ in range(PREVIEW_COLUMNS)]
        noise = g.start(labels, [i for _ in range(g.classes) for i in range(PREVIEW_COLUMNS)], self.spec.seed)
        if noise_only:
            images = to_uint8(noise())
        else:
            steps = min(PREVIEW_STEPS, self.spec.num_train_timesteps)
            *_, last = g.sample(labels, noise, guidance_weight=0.0, num_steps=steps, sampler="dpmpp_2m")
            images = to_uint8(last.x)
        path = f"samples/{t.step_count:06d}.png"
        write_bytes(self.ctx.run.path / path, imageset.png(imageset.sheet(images, PREVIEW_COLUMNS)))
        caption = (
            "noise"
            if noise_only
            else f"step {t.step_count:,}, {t.elapsed:.0f} s, w = 0, {PREVIEW_STEPS} steps of dpmpp_2m"
        )
        return {
            "type": "image", "step": t.step_count, "name": "preview", "path": path, "rows": g.classes, "cols": PREVIEW_COLUMNS,
            "caption": caption,
        }  # fmt: skip

    def save(self, losses: list[torch.Tensor]) -> None:
        """Both checkpoints: what others sample from, and what a resumed run goes on from."""
        self.check(losses)
        self.trainer.generator.precision = self.probe.choice or "fp32"
        save_generator(self.ctx.run.path, self.trainer.generator)
        self.trainer.save(self.ctx.run.path, self.probe.choice)

    def finish(self, losses: list[torch.Tensor]) -> Iterator[dict[str, Any]]:
        """The last report, checkpoint, preview and the result."""
        t, spec = self.trainer, self.spec
        if losses:
            yield from self.report(losses)
        if t.step_count:
            self.save(losses)
            yield self.preview()
        seen = t.step_count * spec.batch_size
        values = {
            "parameters": t.optimizer.weights.numel(), "steps": t.step_count, "images_seen": seen, "seconds": round(t.elapsed, 3),
            "images_per_second": seen / t.elapsed if t.elapsed else 0.0, "peak_memory_bytes": peak_memory_bytes(t.device),
            "loss": self.loss if math.isfinite(self.loss) else None, "image_size": t.generator.image_size,
            "channels": t.generator.channels, "classes": t.classes, "real_images": len(t.labels), "device": str(t.device),
            "precision": self.probe.choice or "fp32", "checkpoint": CHECKPOINT,
        }  # fmt: skip
        yield {"type": "result", "values": values}
