"""Live sampling for a page: models stay loaded, frames come while the noise turns into images."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dreamlab.data import imageset
from dreamlab.spec import SpecError
from dreamlab.spec.facts import check_sampling
from dreamlab.tasks.context import TaskError
from dreamlab.tasks.devices import prepare
from dreamlab.tasks.generator import CHECKPOINT, Generator, load_generator, to_uint8

KEPT = 2


class LiveSampler:
    """Holds at most two generators; one request at a time."""

    def __init__(self, device: str = "auto"):
        self._device_name = device
        self._held: OrderedDict[Path, tuple[int, Generator]] = OrderedDict()

    def generator(self, source: Path) -> Generator:
        """The generator of a run directory, read again where its checkpoint has changed. Raises TaskError."""
        path = source / CHECKPOINT
        stamp = path.stat().st_mtime_ns if path.exists() else 0
        held = self._held.pop(source, None)
        if held is None or held[0] != stamp:
            held = (stamp, load_generator(source, prepare(self._device_name)))
        self._held[source] = held
        while len(self._held) > KEPT:
            self._held.popitem(last=False)
        return held[1]

    def release(self) -> None:
        """Drops the models, for runs that need the memory."""
        self._held.clear()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()

    def frames(self, source: Path, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Frames of one request: the noise at once, then up to `frames` of the steps, the last with done = True.

        The request holds classes (empty: all), per_class, guidance_weight, num_steps, sampler, seed and frames. Image
        i of class c is that of a `synthesize` run with the same settings. Raises TaskError.
        """
        g = self.generator(source)
        classes = tuple(int(c) for c in request.get("classes") or range(g.classes))
        per_class, num_steps = int(request.get("per_class", 8)), int(request.get("num_steps", 20))
        try:
            check_sampling(num_steps, classes, g.spec.num_train_timesteps, g.classes)
        except SpecError as error:
            raise TaskError(str(error)) from None
        labels = [c for c in classes for _ in range(per_class)]
        indices = [i for _ in classes for i in range(per_class)]
        seed = int(request.get("seed", 0))
        grid = {"total": num_steps, "rows": len(classes), "cols": per_class}
        x = g.start(labels, indices, seed)()
        yield {
            "step": 0,
            "png": _png(x, per_class),
            "x0_png": _png(torch.zeros_like(x), per_class),
            "done": False,
            **grid,
        }
        shown = {round(s) for s in np.linspace(1, num_steps, max(1, min(int(request.get("frames", 8)), num_steps)))} | {
            num_steps
        }
        steps = g.sample(
            labels, g.start(labels, indices, seed), guidance_weight=float(request.get("guidance_weight", 1.0)),
            num_steps=num_steps, sampler=str(request.get("sampler", "dpmpp_2m")),
        )  # fmt: skip
        for step in steps:
            if step.index in shown:
                yield {
                    "step": step.index, "png": _png(step.x, per_class), "x0_png": _png(step.x0, per_class),
                    "done": step.index == num_steps, **grid,
                }  # fmt: skip


def _png(x: torch.Tensor, cols: int) -> bytes:
    return imageset.png(imageset.sheet(to_uint8(x), cols))
