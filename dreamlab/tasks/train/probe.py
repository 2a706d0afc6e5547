"""The probe of a training: KID and the share recognised of a small set of samples, at intervals
while it trains."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from dreamlab.architecture.preview_size import PROBE_REFERENCE, PROBE_STEPS
from dreamlab.data import catalog, imageset
from dreamlab.fidelity.extractors import ClassifierExtractor
from dreamlab.fidelity.kid import kid
from dreamlab.fidelity.strata import Labels
from dreamlab.settings import SynthesizeSpec, make
from dreamlab.stats.generator_quality import judge_lacks, recognition
from dreamlab.tasks.context import TaskContext
from dreamlab.tasks.fidelity.features import features
from dreamlab.tasks.fidelity.reference_classifier import reference_classifier, spread_over
from dreamlab.tasks.synthesize.pipeline import Pipeline
from dreamlab.tasks.threads import for_features
from dreamlab.tasks.torch_device import synchronise
from dreamlab.tasks.torch_memory import is_out_of_memory, release_memory
from dreamlab.tasks.train.previews import SAMPLER, images_at_once
from dreamlab.tasks.train.trainer import Trainer

Event = dict[str, Any]
SEED = 1_000_003
"""Seed of the noise of every probe, the same in every training."""


def drawn(images: int, classes: int) -> tuple[list[int], list[int]]:
    """(classes, numbers within the class) of the samples of a probe: `images` spread evenly over
    the classes 0 to `classes` - 1; some of the classes if there are more of them than images."""
    labels = np.arange(images) * classes // images
    return labels.tolist(), (np.arange(images) - np.searchsorted(labels, labels)).tolist()


@dataclasses.dataclass(frozen=True)
class _Reference:
    """The judge, its accuracy on held-out real images, 0 to 1, and their features (m, dimensions)
    with labels (m,)."""

    judge: ClassifierExtractor
    accuracy: float
    features: np.ndarray
    labels: np.ndarray


class Probe:
    """Measures the averaged weights of a training without changing it: it has noise of its own, and
    leaves random streams, weights, memory and the time of the training as they are."""

    def __init__(self, ctx: TaskContext, trainer: Trainer):
        self.ctx, self.trainer, self.spec = ctx, trainer, trainer.spec
        self.every = self.spec.probe_every
        self.seconds: list[float] = []
        """Seconds of each probe of this attempt."""
        self.last: dict[str, Any] | None = None
        """The newest probe, for the result."""
        g = trainer.generator
        self.labels, self.indices = drawn(self.spec.probe_images, g.classes)
        self.num_steps = min(PROBE_STEPS, self.spec.num_train_timesteps)
        self._reference: _Reference | None = None

    def prepare(self) -> Generator[Event, None, None]:
        """Trains the judge if it is not kept already, and computes the features of the held-out
        images; yields progress. Does nothing without a probe. Raises Stopped and TaskError."""
        if not self.every:
            return
        data = catalog.load(self.spec.dataset, self.spec.data_dir)
        held = spread_over(data.test_labels, PROBE_REFERENCE)
        with _untouched(self.trainer.device):
            judge, accuracy = yield from reference_classifier(self.ctx, data, self.spec.data_dir)
            real = yield from features(self.ctx, judge, data.test_images[held], "real test images")
        self._reference = _Reference(judge, accuracy, real, data.test_labels[held])
        if lacking := judge_lacks(len(data.test_labels), accuracy):
            text = f"{lacking}: the share of the probes that is recognised says little."
            yield {"type": "message", "level": "warning", "text": text}

    def due(self) -> bool:
        """Whether the step that was just taken is to be probed."""
        return self._reference is not None and self.trainer.step_count % self.every == 0

    def due_last(self) -> bool:
        """Whether the last step is still to be probed."""
        done = self.last is not None and self.last["step"] == self.trainer.step_count
        return self._reference is not None and self.trainer.step_count > 0 and not done

    def left(self, total: int) -> float:
        """Seconds of the probes that are still to come in a training of `total` steps."""
        if not self.seconds:
            return 0.0
        done = self.trainer.step_count // self.every
        return max(math.ceil(total / self.every) - done, 0) * float(np.mean(self.seconds))

    def events(self, precision: str) -> Iterator[Event]:
        """Probes the averaged weights as they are now, in this number format. Yields the metric
        event, or a warning if there is too little memory; there are then no more probes."""
        device = self.trainer.device
        began = time.perf_counter()
        try:
            with _untouched(device):
                values = self._measured(precision)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            values = None
        synchronise(device)
        release_memory(device)  # a step then finds the memory that it had
        if values is None:
            self._reference = None
            text = "There is too little free memory for a probe, so the training goes on without."
            yield {"type": "message", "level": "warning", "text": text}
            return
        took = time.perf_counter() - began
        self.seconds.append(took)
        self.last = {"step": self.trainer.step_count, **values, "seconds": round(took, 3)}
        share = self.share_of_time()
        shown = {f"probe_{k}": v for k, v in values.items()}
        cost = {"probe_seconds": round(took, 3), "training_seconds": round(self.trainer.elapsed, 3)}
        yield {"type": "metric", "step": self.trainer.step_count, "values": {**shown, **cost}}
        if len(self.seconds) == 1:
            text = f"A probe takes {took:.2g} s, {100 * share:.0f} % of the time so far."
            yield {"type": "message", "level": "info", "text": text}

    def share_of_time(self) -> float:
        """Share of the time of this attempt that its probes took, 0 to 1."""
        probes = sum(self.seconds)
        return probes / (probes + self.trainer.elapsed) if probes else 0.0

    def result(self) -> dict[str, Any]:
        """What the result of the training says of the last probe; empty without one."""
        if self.last is None or self._reference is None:
            return {}
        found = {
            **self.last,
            "num_steps": self.num_steps,
            "guidance_weight": 0.0,
            "reference": "test",
            "reference_images": len(self._reference.labels),
            "judge": self._reference.judge.id,
        }
        return {"probe": found}

    def _measured(self, precision: str) -> dict[str, float]:
        """KID and the share recognised, each with the ends of its interval, if there is one; a
        generator without classes has no share."""
        known = self._reference
        assert known is not None
        images = self._images(precision)
        size = catalog.info(self.spec.dataset).size
        found = np.concatenate([*known.judge.batches(np.asarray(imageset.resized(images, size)))])
        classes = np.array(self.labels) if self.spec.conditional else None
        with threadpool_limits(for_features(found.shape[1], self.ctx.threads)):
            distance = kid(found, known.features, Labels(classes, known.labels))
        values = {
            "kid_classifier": distance.mean,
            "kid_classifier_low": distance.low,
            "kid_classifier_high": distance.high,
        }
        if classes is not None:
            right = int((known.judge.predict(found) == classes).sum())
            r = recognition(right, len(found), known.accuracy, len(known.labels), known.judge.id)
            values |= {
                "recognised": r.recognised,
                "recognised_low": r.low,
                "recognised_high": r.high,
                "accuracy": known.accuracy,
            }
        finite = {name: float(v) for name, v in values.items() if math.isfinite(v)}
        return {**finite, "images": len(found)}

    def _images(self, precision: str) -> np.ndarray:
        g = self.trainer.generator
        g.precision = precision
        settings = {
            "source": self.ctx.run.id,
            "guidance_weight": 0.0,
            "num_steps": self.num_steps,
            "sampler": SAMPLER,
            "seed": SEED,
        }
        pipeline, size = Pipeline(g, make(SynthesizeSpec, settings)), images_at_once(self.trainer)
        parts = [slice(i, i + size) for i in range(0, len(self.labels), size)]
        return np.concatenate([pipeline.images(self.labels[p], self.indices[p]) for p in parts])


@contextlib.contextmanager
def _untouched(device: torch.device) -> Iterator[None]:
    """Inside, random numbers may be drawn; the global streams are as before afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield
