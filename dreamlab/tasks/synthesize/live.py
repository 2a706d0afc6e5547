"""Live sampling for the Sample page: models stay loaded, and pictures are sent during sampling."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dreamlab.data import catalog, imageset
from dreamlab.settings import SynthesizeSpec, make
from dreamlab.store import RunStore, checkpoints
from dreamlab.tasks.generator import TrainedGenerator
from dreamlab.tasks.synthesize.pipeline import Pipeline, load_pipeline, spread
from dreamlab.tasks.torch_device import prepare
from dreamlab.tasks.train.state import load_weights

KEPT = 2
"""Number of generators that stay loaded between requests; more if one request needs more."""


class LiveSampler:
    """Keeps a few generators loaded and serves one request at a time."""

    def __init__(self, device: str = "auto"):
        self._device_name = device
        self._held: OrderedDict[Path, tuple[int, TrainedGenerator]] = OrderedDict()

    def generator(self, run: Path, device: torch.device, checkpoint: str = "") -> TrainedGenerator:
        """The generator of a run folder. It is loaded again if its checkpoint has changed. Raises
        TaskError."""
        path = checkpoints.path_of(run, checkpoint)
        stamp = path.stat().st_mtime_ns if path.exists() else 0
        held = self._held.pop(path, None)
        if held is None or held[0] != stamp:
            held = (stamp, load_weights(run, device, checkpoint))
        self._held[path] = held
        return held[1]

    def release(self) -> None:
        """Unloads all models, because a run needs the memory."""
        self._held.clear()
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.empty_cache()

    def frames(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yields the frames of one request: first the noise, then up to `frames` of the sampling
        steps. The last frame has done = True.

        A request has the settings of a synthesize spec, `paths` (run id -> folder, for all runs
        that the settings name) and `frames`. Image i of class c is the same as in a `synthesize`
        run with these settings. Raises TaskError or SpecError.
        """
        paths, shown = request["paths"], int(request.get("frames", 8))
        spec = make(
            SynthesizeSpec, {k: v for k, v in request.items() if k not in ("paths", "frames")}
        )
        pipeline = self._pipeline(spec, {name: Path(path) for name, path in paths.items()})
        classes = spec.classes or tuple(range(pipeline.classes))
        labels = [c for c in classes for _ in range(spec.per_class)]
        indices = [i for _ in classes for i in range(spec.per_class)]
        wanted = {0, *spread(1, pipeline.total, shown)}
        for picture in pipeline.pictures(labels, indices, wanted):
            if picture is not None:
                yield {
                    "step": picture.index,
                    "total": picture.total,
                    "rows": len(classes),
                    "cols": spec.per_class,
                    "png": _png(picture.x, spec.per_class),
                    "x0_png": _png(picture.x0, spec.per_class),
                    "stage": picture.stage,
                    "done": picture.index == picture.total,
                }

    def _pipeline(self, spec: SynthesizeSpec, paths: dict[str, Path]) -> Pipeline:
        catalog.add_runs_folder(RunStore(paths[spec.source].parent).folder)
        find, device = paths.__getitem__, prepare(self._device_name)
        pipeline = load_pipeline(find, spec, device, load=self.generator)
        needed = len(pipeline.networks)
        while len(self._held) > max(KEPT, needed):
            self._held.popitem(last=False)
        return pipeline


def _png(images: np.ndarray, cols: int) -> bytes:
    return imageset.png(imageset.sheet(images, cols))
