"""What finished runs of this machine tell about the cost of a new one."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from dreamlab.data import catalog
from dreamlab.data.catalog import DataError
from dreamlab.estimates import work
from dreamlab.settings import ClassifySpec, FidelitySpec, SpecError, SynthesizeSpec, TrainSpec
from dreamlab.store import Run, RunError, RunStore

TEST_IMAGE = 1 / 3
"""Time of a test image of a classifier relative to that of an image in training."""
Calls = Callable[[SynthesizeSpec, TrainSpec], int]


@dataclasses.dataclass(frozen=True)
class Pace:
    """Seconds for each image (of a training step, a network evaluation, or a classifier's training)
    and the peak memory in bytes; 0 where it is not known."""

    seconds: float
    memory_bytes: int = 0


def trained(spec: TrainSpec, runs: Iterable[Run]) -> Pace | None:
    """The pace of the newest finished training with the same network, batch, arithmetic and number
    of devices. `runs` are finished runs, the newest first. Raises DataError."""
    wanted = (work.training(spec).key, spec.devices)
    return next((p for run in runs if (p := _trained(run.path, wanted))), None)


def sampled(spec: TrainSpec, runs: Iterable[Run], store: RunStore, calls: Calls) -> Pace | None:
    """The pace of a network evaluation of this generator's network, from the newest set that such a
    generator has sampled. `calls` counts the evaluations of an image. Raises DataError."""
    wanted = work.training(spec).key
    for run in runs:
        old, result = run.spec, run.result()
        if not isinstance(old, SynthesizeSpec) or old.upsample or not result:
            continue
        try:
            generator = store.get(old.source).spec
            if isinstance(generator, TrainSpec) and work.training(generator).key == wanted:
                return Pace(1 / (result["images_per_second"] * calls(old, generator)))
        except (RunError, DataError):
            continue
    return None


def classified(spec: ClassifySpec, threads: int, runs: Iterable[Run]) -> Pace | None:
    """The pace of the newest finished classifier with the same network, batch and number of CPU
    threads. Its time holds the test images, three of which count as one image in training. Raises
    DataError."""
    wanted = work.classifier(spec, threads).key
    return next((p for run in runs if (p := _classified(run.path, wanted, threads))), None)


def measured_before(spec: FidelitySpec, dataset: str, runs: Iterable[Run]) -> bool:
    """Whether a finished run has computed the features of the same reference images."""
    for run in runs:
        old, result = run.spec, run.result()
        if isinstance(old, FidelitySpec) and result:
            of = (spec.extractor, spec.classifier, spec.reference)
            same = (old.extractor, old.classifier, old.reference) == of
            if same and (result.get("reference") or {}).get("dataset") == dataset:
                return True
    return False


@functools.lru_cache(maxsize=4096)  # the result of a finished run does not change
def _trained(path: Path, wanted: tuple[str, int]) -> Pace | None:
    found = _read(path, TrainSpec)
    if found is None:
        return None
    spec, result = found
    rate = result.get("images_per_second")
    if not rate or (work.training(spec).key, spec.devices) != wanted:
        return None
    return Pace(1 / rate, int(result.get("peak_memory_bytes") or 0))


@functools.lru_cache(maxsize=4096)
def _classified(path: Path, wanted: str, threads: int) -> Pace | None:
    found = _read(path, ClassifySpec)
    if found is None:
        return None
    spec, result = found
    if work.classifier(spec, threads).key != wanted:
        return None
    seeds, cached = len(result["seeds"]), int(result.get("cached_seeds") or 0)
    if cached or not seeds or not result.get("train_seconds"):
        return None
    images = result["steps"] * spec.batch_size + TEST_IMAGE * result["test_images"]
    return Pace(result["train_seconds"] / seeds / images, int(result.get("peak_memory_bytes") or 0))


def _read(path: Path, cls: type[Any]) -> tuple[Any, dict[str, Any]] | None:
    """The spec and the result of a run of this kind; None for another one, or if it or its data set
    cannot be read."""
    run = Run(path)
    try:
        spec, result = run.spec, run.result()
        if not isinstance(spec, cls) or not result:
            return None
        catalog.info(spec.dataset)
    except (RunError, SpecError, DataError):
        return None
    return spec, result
