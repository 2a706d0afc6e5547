"""Task train: trains a diffusion model on real images, for a given time or number of steps."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import torch

from dreamlab.architecture.network import network_of
from dreamlab.architecture.preview_size import PREVIEW_SHARE
from dreamlab.checks.network import check_network
from dreamlab.data import catalog
from dreamlab.data.catalog import DataError
from dreamlab.settings import SpecError, TrainSpec
from dreamlab.settings.budget import epochs_kept, kept_checkpoints, training_steps
from dreamlab.stats.generator_quality import far_fewer
from dreamlab.store import RunError, checkpoints
from dreamlab.tasks.context import STAT_EVERY, Stopped, TaskContext, TaskError
from dreamlab.tasks.generator import load_generator, save_generator
from dreamlab.tasks.threads import ThreadChoice
from dreamlab.tasks.torch_device import prepare, synchronise
from dreamlab.tasks.torch_memory import peak_memory_bytes
from dreamlab.tasks.train.data_parallel import Ranks, together
from dreamlab.tasks.train.previews import Previews
from dreamlab.tasks.train.probe import Probe
from dreamlab.tasks.train.trainer import Trainer
from dreamlab.tasks.train.training_precision import fastest

METRIC_EVERY = 0.5
FIRST_CHECKPOINT = 3.0
"""Seconds until the first checkpoint."""
LOSS_OVER = 100
"""Number of last steps over which the loss of the result is averaged."""
SPEED_OVER = 8
"""Number of metric events over which the speed is averaged."""


def train(ctx: TaskContext) -> Iterator[dict[str, Any]]:
    """Trains until the budget is used up. Continues from `checkpoints/state.safetensors` if that
    file exists."""
    with together(ctx, _spec(ctx).devices) as ranks:
        trainer = make_trainer(ctx, ranks)
        ranks.connect(trainer.device)
        for folder in (checkpoints.FOLDER, "samples"):
            (ctx.run.path / folder).mkdir(exist_ok=True)
        if trainer.step_count:
            yield _message("info", f"Continues from step {trainer.step_count:,}.")
        if trainer.spec.compile:
            slow = "; on a CPU this takes minutes" if trainer.device.type == "cpu" else ""
            yield _message("info", f"Compiling the network{slow}.")
        loop = _TrainingLoop(ctx, trainer)
        try:
            yield from loop.events()
        finally:
            loop.threads.restore()


def make_trainer(ctx: TaskContext, ranks: Ranks) -> Trainer:
    """The trainer of a run: new, initialised from another run, or resumed from the saved state.
    Raises TaskError."""
    spec = _spec(ctx)
    try:
        network = network_of(spec)
        check_network(network)
        data = catalog.load(spec.dataset, spec.data_dir)
        device = prepare(ctx.device)
        resumes = (ctx.run.path / checkpoints.STATE).exists()
        source = None
        if spec.init_from and not resumes:  # the saved state already contains these weights
            source = load_generator(ctx.store.get(spec.init_from).path, device)
        trainer = Trainer(spec, data, device, source=source, ranks=ranks)
    except (DataError, SpecError, RunError, ValueError) as error:
        raise TaskError(str(error)) from None
    if resumes:
        trainer.resume(ctx.run.path)
    return trainer


def _spec(ctx: TaskContext) -> TrainSpec:
    if not isinstance(ctx.spec, TrainSpec):
        raise TaskError(f"{ctx.run.id} is not a train run.")
    return ctx.spec


def _message(level: str, text: str) -> dict[str, Any]:
    return {"type": "message", "level": level, "text": text}


class _TrainingLoop:
    """The training loop: decides when to report, to make previews, to save and to end."""

    def __init__(self, ctx: TaskContext, trainer: Trainer):
        self.ctx, self.trainer, self.spec = ctx, trainer, trainer.spec
        spec = self.spec
        self.steps = training_steps(spec, trainer.images.count)
        """Number of steps; 0 if the time budget decides."""
        self.precision = trainer.precision or spec.precision
        """The number format; "auto" until `choose_precision`."""
        # sums are rounded in an order that depends on the number of threads, so a training with a
        # given number of steps keeps the number that it began with, also where it is resumed with
        # more or fewer cores
        free = trainer.device.type == "cpu" and not self.steps and spec.devices == 1
        self.threads = ThreadChoice(ctx.threads if free else 1)
        if self.steps and trainer.threads:
            torch.set_num_threads(trainer.threads)
        self.previews = Previews(ctx.run, trainer)
        self.probe = Probe(ctx, trainer)
        self.speeds: deque[tuple[int, float]] = deque(maxlen=SPEED_OVER)
        self.timed: tuple[int, float] = (0, 0.0)
        self.losses: list[torch.Tensor] = []
        self.last_losses: deque[torch.Tensor] = deque(maxlen=LOSS_OVER)
        self.loss = math.nan
        self.reported_step = trainer.step_count
        self.before = trainer.elapsed  # seconds of earlier attempts
        self.snapshots = kept_checkpoints(spec, trainer.images.count)
        """Number of checkpoints to keep on the way."""
        self.kept = self._due()
        self.looked = -math.inf

    def choose_precision(self) -> None:
        """Replaces precision "auto" by the choice, and saves it with the untrained weights, so that
        a resumed run keeps it on any machine."""
        if self.precision == "auto":
            self.precision = fastest(self.trainer)
            self.trainer.save(self.ctx.run.path, self.precision)

    def progress(self) -> float:
        """Share of the training that is done, 0 to 1. The learning rate depends on it."""
        if self.steps:
            return self.trainer.step_count / self.steps
        return self.trainer.elapsed / self.spec.seconds

    def remaining(self) -> tuple[int, float]:
        """(total number of steps, remaining seconds), from the speed of the last steps."""
        each = 1 / speed if (speed := self.steps_per_second()) else 0.0
        done = self.trainer.step_count
        if self.steps:
            return self.steps, max(self.steps - done, 0) * each
        left = max(self.spec.seconds - self.trainer.elapsed, 0.0)
        return done + (math.ceil(left / each) if each else 0), left

    def steps_per_second(self) -> float:
        """Speed of the last steps; 0 if it is not known yet."""
        steps, seconds = (
            (sum(column) for column in zip(*self.speeds, strict=True)) if self.speeds else (0, 0.0)
        )
        return steps / seconds if seconds else 0.0

    def events(self) -> Iterator[dict[str, Any]]:
        """Trains to the end and yields events. Raises Stopped after saving."""
        t, spec = self.trainer, self.spec
        self.choose_precision()
        try:
            yield from self.probe.prepare()
        except Stopped:
            yield from self.finish()
            raise
        start = time.perf_counter()
        reported, shown, show_after = -math.inf, -math.inf, 0.0
        saved, save_after, number = start, FIRST_CHECKPOINT, 0
        while self.progress() < 1:
            if self.ctx.stopping():
                yield from self.finish()
                raise Stopped
            number += 1
            began = time.perf_counter()
            now = self.step(number, began)
            if spec.compile and number == 1:  # the first step compiles; its time is not counted
                start += now - began
            t.elapsed = self.before + now - start
            while t.notes:
                yield _message("warning", t.notes.pop(0))
            wanted, keep = self.asked(now)
            if now - reported >= METRIC_EVERY:
                reported = now
                yield from self.report()
            if wanted or now - shown >= show_after:
                before = time.perf_counter()
                yield self.previews.event(
                    self.precision, noise_only=t.step_count == 1 and not wanted
                )
                shown = time.perf_counter()
                show_after = max(spec.preview_every, (shown - before) / PREVIEW_SHARE)
            if self.probe.due():
                synchronise(t.device)  # the time of the steps before is not that of the probe
                before = time.perf_counter()
                t.elapsed = self.before + before - start
                yield from self.probe.events(self.precision)
                start += time.perf_counter() - before
            if keep or (self.progress() < 1 and self._due() > self.kept):
                self.kept = self._due()
                yield self.keep()
            if now - saved >= save_after:
                self.save()
                saved, save_after = time.perf_counter(), spec.checkpoint_every
            t.elapsed = self.before + time.perf_counter() - start
        yield from self.finish()

    def step(self, number: int, began: float) -> float:
        """Takes step `number` (1, 2, ...) of this attempt; returns the time at its end."""
        t = self.trainer
        loss = t.step(self.progress(), self.precision)
        self.losses.append(loss)
        self.last_losses.append(loss)
        now = time.perf_counter()
        self.threads.record(now - began, now)
        if number > 1:
            self.timed = (self.timed[0] + 1, self.timed[1] + now - began)
        return now

    def asked(self, now: float) -> tuple[bool, bool]:
        """Whether a preview and a kept checkpoint were requested by a file. The file is then
        deleted. The disk is looked at no more than every 50 ms."""
        if now - self.looked < STAT_EVERY:
            return False, False
        self.looked = now
        return self._taken("preview"), self._taken("snapshot")

    def _taken(self, name: str) -> bool:
        path = self.ctx.run.path / name
        if not path.exists():
            return False
        path.unlink(missing_ok=True)
        return True

    def _due(self) -> int:
        """How many of the checkpoints that are kept should exist by now: those of every
        `snapshot_epochs` epochs, or those that are spread evenly over the training."""
        t = self.trainer
        if self.spec.snapshot_epochs:
            due = epochs_kept(self.spec, t.images.count, t.step_count)
        else:
            due = int(self.progress() * (self.snapshots + 1))
        return min(due, self.snapshots)

    def report(self) -> Iterator[dict[str, Any]]:
        """Yields metric and progress events. Empties the list of losses."""
        t, began = self.trainer, time.perf_counter()
        self.check()
        self.reported_step = t.step_count
        if self.timed[
            0
        ]:  # reading the loss waits for the device, so that time belongs to the steps
            self.speeds.append((self.timed[0], self.timed[1] + time.perf_counter() - began))
            self.timed = (0, 0.0)
        total, left = self.remaining()
        speed = self.spec.batch_size * self.steps_per_second()
        values = {
            "loss": self.loss,
            "images_per_second": speed,
            "learning_rate": t.learning_rate,
            **t.loss_bands(),
        }
        if t.grad_norm is not None:
            values["grad_norm"] = float(t.grad_norm)
        yield {"type": "metric", "step": t.step_count, "values": values}
        yield {
            "type": "progress",
            "step": t.step_count,
            "total": max(total, t.step_count),
            "unit": "steps",
            "eta_seconds": round(left + self.probe.left(total), 1),
            "text": "training",
        }

    def check(self) -> None:
        """Computes the mean of the recent losses. Raises TaskError if it is not finite, before a
        good checkpoint is overwritten."""
        if not self.losses:
            return
        self.loss = float(torch.stack(self.losses).mean())
        self.losses.clear()
        if not math.isfinite(self.loss):
            raise TaskError(
                "Training diverged: the loss is not a finite number at step"
                f" {self.trainer.step_count:,}; a lower learning rate (--learning-rate"
                f" {self.spec.learning_rate / 4:g}) may help."
            )

    def save(self) -> None:
        """Writes both checkpoints: the one for sampling and the state to resume from."""
        self.check()
        self.trainer.generator.precision = self.precision
        save_generator(self.ctx.run.path, self.trainer.generator)
        self.trainer.save(self.ctx.run.path, self.precision)

    def keep(self) -> dict[str, Any]:
        """Writes a checkpoint that is kept; returns the message with its name."""
        self.check()
        t = self.trainer
        t.generator.precision = self.precision
        name = checkpoints.name_at(t.step_count)
        save_generator(self.ctx.run.path, t.generator, name)
        return _message("info", f"Kept checkpoint {name}.")

    def finish(self) -> Iterator[dict[str, Any]]:
        """Yields the last report and preview, writes the checkpoints, and yields the result."""
        t, spec = self.trainer, self.spec
        if self.reported_step != t.step_count:
            yield from self.report()
        wanted, keep = (
            self._taken("preview"),
            self._taken("snapshot"),
        )  # requested during the last step
        if t.step_count:
            self.save()
            if keep:
                yield self.keep()
            yield self.previews.event(self.precision)
            if self.progress() >= 1 and self.probe.due_last():
                yield from self.probe.events(self.precision)
        elif wanted or keep:
            yield _message("info", "No step is done yet, so there is no preview and no checkpoint.")
        promised = self.ctx.run.record.promised_steps
        if self.progress() >= 1 and (fewer := far_fewer(t.step_count, promised)):
            yield _message("warning", f"The training ended after {fewer}.")
        seen, g = t.step_count * spec.batch_size, t.generator
        values = {
            "parameters": sum(p.numel() for p in t.network.parameters()),
            "steps": t.step_count,
            "promised_steps": promised,
            "images_seen": seen,
            "seconds": round(t.elapsed, 3),
            "images_per_second": seen / t.elapsed if t.elapsed else 0.0,
            "peak_memory_bytes": peak_memory_bytes(t.device),
            "loss": float(torch.stack([*self.last_losses]).mean()) if self.last_losses else None,
            "loss_steps": len(self.last_losses),
            "image_size": g.image_size,
            "channels": g.channels,
            "classes": g.classes,
            "real_images": t.images.count,
            "device": str(t.device),
            "devices": spec.devices,
            "accumulate": t.parts,
            "precision": self.precision,
            "checkpoint": checkpoints.LAST,
            **self.probe.result(),
        }
        yield {"type": "result", "values": values}
