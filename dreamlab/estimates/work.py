"""Units of work whose cost is measured: a training step, a step of a classifier, features, and the
search for near-copies. A unit names all that its cost depends on, so that one measurement serves
every run that contains it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Generic, Literal, Protocol, TypeVar

from dreamlab.architecture.network import network_of
from dreamlab.data import catalog
from dreamlab.settings import ClassifySpec, TrainSpec
from dreamlab.settings.names import ExtractorName

Kind = Literal["train", "classify", "features", "search"]
FORMAT = 5
"""Part of every key. Increase it when a measurement means something else."""


@dataclasses.dataclass(frozen=True)
class TrainingCost:
    """A training step with `images` images takes `seconds_per_step`. One network evaluation without
    gradients takes `seconds_per_call` per image. `precision` is the number format, and
    `peak_memory_bytes` the peak memory of the process, without the data set."""

    images: int
    seconds_per_step: float
    seconds_per_call: float
    peak_memory_bytes: int
    precision: str


@dataclasses.dataclass(frozen=True)
class ClassifierCost:
    """A training step of a classifier takes `seconds_per_step`, and its answer for a test image
    `seconds_per_image`."""

    seconds_per_step: float
    seconds_per_image: float
    peak_memory_bytes: int


@dataclasses.dataclass(frozen=True)
class FeatureCost:
    """An extractor takes `seconds_to_load` once and `seconds_per_image`. The distances between two
    sets of features take `seconds_per_comparison` and, for each image of both,
    `seconds_per_compared`; precision and recall take `seconds_per_pair` for each pair of images of
    either set or of both."""

    seconds_to_load: float
    seconds_per_image: float
    seconds_per_comparison: float
    seconds_per_compared: float
    seconds_per_pair: float
    peak_memory_bytes: int


@dataclasses.dataclass(frozen=True)
class SearchCost:
    """A search for near-copies of all training images of a data set takes `seconds_to_begin` once
    and `seconds_per_image` for each image that is compared with them."""

    seconds_to_begin: float
    seconds_per_image: float
    peak_memory_bytes: int


C = TypeVar("C")


@dataclasses.dataclass(frozen=True)
class Work(Generic[C]):
    """One unit of work on a device ("auto", "cpu" or "cuda"). `depends_on` is all that its cost
    depends on, apart from the machine; `request` is what the process that measures it is told."""

    kind: Kind
    cost: type[C]
    depends_on: tuple[Any, ...]
    request: Mapping[str, Any]
    device: str = "auto"

    @property
    def key(self) -> str:
        """Identifies the work on one machine."""
        about = [FORMAT, self.kind, *self.depends_on]
        return f"{self.kind}-{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]}"


class FindCost(Protocol):
    """Returns the measured cost of a unit of work; None if it was not measured."""

    def __call__(self, work: Work[C], /) -> C | None: ...


def training(spec: TrainSpec) -> Work[TrainingCost]:
    """A step of a training, and one evaluation of its network. Raises DataError."""
    about = (
        dataclasses.astuple(dataclasses.replace(network_of(spec), num_train_timesteps=1)),
        spec.batch_size,
        spec.accumulate,
        spec.optimizer,
        spec.precision,
        spec.device,
    )
    info = catalog.info(spec.dataset)
    request = {
        "spec": spec.model_dump(mode="json"),
        "shape": (info.size, info.channels, len(info.classes)),
    }
    return Work("train", TrainingCost, about, request, spec.device)


def classifier(spec: ClassifySpec, threads: int) -> Work[ClassifierCost]:
    """A step of a classifier in a worker with this number of CPU threads; 0 on a CUDA device.
    Raises DataError."""
    augmented = spec.augment or spec.arm == "augmented"
    return classifier_step(
        spec.dataset,
        spec.classifier,
        spec.batch_size,
        spec.optimizer,
        augmented,
        spec.device,
        threads,
    )


def classifier_step(
    dataset: str,
    name: str,
    batch_size: int,
    optimizer: str,
    augmented: bool,
    device: str,
    threads: int,
) -> Work[ClassifierCost]:
    """A step of the classifier `name` on images of a data set. Raises DataError."""
    info = catalog.info(dataset)
    request = {
        "classifier": name,
        "shape": (info.size, info.channels, len(info.classes)),
        "batch_size": batch_size,
        "optimizer": optimizer,
        "augment": ("shift_and_mirror" if info.mirror else "shift") if augmented else "",
        "device": device,
        "threads": threads,
    }
    return Work("classify", ClassifierCost, tuple(request.values()), request, device)


def features(
    dataset: str, classifier_name: str, extractor: ExtractorName, weights: str, device: str
) -> Work[FeatureCost]:
    """The features and distances of an extractor on images of a data set. `classifier_name` is the
    network of its classifier, and `weights` the file or folder of another extractor. Raises
    DataError."""
    info = catalog.info(dataset)
    network = classifier_name if extractor in ("classifier", "own") else ""
    about = (extractor, network, info.size, info.channels, len(info.classes), device)
    request = {
        "extractor": extractor,
        "classifier": network,
        "shape": (info.size, info.channels, len(info.classes)),
        "weights": "" if network else weights,
        "device": device,
    }
    return Work("features", FeatureCost, about, request, device)


def search(size: int, channels: int, references: int) -> Work[SearchCost]:
    """The search for near-copies of this many training images, of `size` pixels a side. It is done
    on the CPU."""
    request = {"size": size, "channels": channels, "references": references}
    return Work("search", SearchCost, tuple(request.values()), request, "cpu")
