"""The preview images of a training: for each class the same noise every time, sampled with the
averaged weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from dreamlab.architecture.preview_size import PREVIEW_COLUMNS, PREVIEW_STEPS, preview_columns
from dreamlab.data import imageset
from dreamlab.settings import SynthesizeSpec, make
from dreamlab.store import Run, write_bytes
from dreamlab.tasks.generator import to_uint8
from dreamlab.tasks.synthesize.pipeline import Pipeline
from dreamlab.tasks.train.trainer import Trainer

SAMPLER, AT_ONCE = "dpmpp_2m", 160


def images_at_once(trainer: Trainer) -> int:
    """Number of images that are sampled at once while a generator trains. If its batches did not
    fit in memory, the samples are split as well."""
    return min(AT_ONCE, max(PREVIEW_COLUMNS, 4 * trainer.at_once))


class Previews:
    """Samples and writes the preview grids of a run."""

    def __init__(self, run: Run, trainer: Trainer):
        self.run, self.trainer = run, trainer
        g, T = trainer.generator, trainer.spec.num_train_timesteps
        self.steps = min(PREVIEW_STEPS, T)
        settings = {
            "source": run.id,
            "guidance_weight": 0.0,
            "num_steps": self.steps,
            "sampler": SAMPLER,
            "seed": trainer.spec.seed,
        }
        if (
            trainer.spec.low_size
        ):  # at most the noise on the low-resolution image that the model is trained with
            usual = SynthesizeSpec.model_fields["upsample_noise"].default
            settings["upsample_noise"] = min(usual, trainer.spec.low_noise)
        self._pipeline = Pipeline(g, make(SynthesizeSpec, settings))
        self.columns = preview_columns(g.network.network, trainer.device.type == "cpu")
        self._labels = [c for c in range(g.classes) for _ in range(self.columns)]
        self._indices = [i for _ in range(g.classes) for i in range(self.columns)]
        self._low = trainer.preview_low(self.columns)

    def event(self, precision: str, noise_only: bool = False) -> dict[str, Any]:
        """Writes the current preview grid, or the initial noise, and returns its image event."""
        t = self.trainer
        t.generator.precision = precision
        images = np.concatenate([self._images(part, noise_only) for part in self._parts()])
        path = f"samples/{t.step_count:06d}.png"
        write_bytes(self.run.path / path, imageset.png(imageset.sheet(images, self.columns)))
        how = f"step {t.step_count:,}, {t.elapsed:.0f} s, w = 0, {self.steps} steps of {SAMPLER}"
        return {
            "type": "image",
            "step": t.step_count,
            "name": "preview",
            "path": path,
            "rows": t.generator.classes,
            "cols": self.columns,
            "caption": "noise" if noise_only else how,
        }

    def _parts(self) -> list[slice]:
        size = images_at_once(self.trainer)
        return [slice(i, i + size) for i in range(0, len(self._labels), size)]

    def _images(self, part: slice, noise_only: bool) -> np.ndarray:
        low: torch.Tensor | None = None if self._low is None else self._low[part]
        labels, indices = self._labels[part], self._indices[part]
        if noise_only:
            return to_uint8(next(self._pipeline.frames(labels, indices, low)).x)
        return self._pipeline.images(labels, indices, low)
