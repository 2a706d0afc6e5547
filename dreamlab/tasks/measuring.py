"""Measures units of work on this machine. `dreamlab.estimates.work` says what their costs mean."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch._dynamo  # an optimiser imports it at its first use, which takes seconds in every fork
from threadpoolctl import threadpool_limits

from dreamlab.architecture.cost import activation_bytes
from dreamlab.architecture.network import network_of
from dreamlab.classifiers.networks import build, outputs
from dreamlab.data import catalog, described, near_copies
from dreamlab.data.nearest import neighbours
from dreamlab.fidelity.extractors import ClassifierExtractor, Extractor
from dreamlab.fidelity.loading import FROM_FILES
from dreamlab.fidelity.metrics import compute, measured_on
from dreamlab.fidelity.strata import Labels
from dreamlab.settings import RealPart, TrainSpec, make
from dreamlab.store.machine import CUDA_SLOTS, can_fork, cores, find_devices
from dreamlab.tasks.classify.training import Fit, Recipe
from dreamlab.tasks.torch_device import prepare, synchronise
from dreamlab.tasks.torch_memory import peak_memory_bytes

LONGEST = 2.0
"""Seconds of measured steps."""
WARM_UP, FEWEST = 1, 3
"""Number of steps that do not count, and that are measured at least."""
MOST_AT_ONCE = 256
"""Most images of a measured network evaluation. Sampling has such batches, and takes less time for
an image in them than in those of a training."""
IMAGES = 256
"""Images of a measurement of features or of a search."""
MOST_NEIGHBOURS = 7
"""Most other processes that keep cores busy while a classifier is measured."""
MOST_REFERENCES = 20_000
"""Most images among which a search is measured. The time for more grows with their number."""
SUMS = ("fd", "kid", "vendi")
"""Measures whose time grows with the number of images; that of the others grows with its square."""
COMPARED = (500, 1000)
"""Images in each of two sets whose distances are measured."""


def cost(request: dict[str, Any]) -> dict[str, Any]:
    """The fields of the cost of a unit of work. `request` has its `kind` and what it depends on."""
    values = {name: value for name, value in request.items() if name != "kind"}
    return COSTS[request["kind"]](**values)


def _training(spec: dict[str, Any], shape: tuple[int, int, int]) -> dict[str, Any]:
    """Times training steps and network evaluations on images of this size, number of channels and
    number of classes. If a step of the whole batch would take too long, fewer images are
    measured."""
    size, channels, classes = shape
    of = described.described("measured", "measured", size, channels, classes, IMAGES + classes, 1)
    with described.using({of.name: of}):
        return _training_on(of.name, spec)


def _training_on(dataset: str, spec: dict[str, Any]) -> dict[str, Any]:
    from dreamlab.tasks.train.trainer import Trainer
    from dreamlab.tasks.train.training_precision import affordable, fastest

    others = {name: value for name, value in spec.items() if name not in RealPart.model_fields}
    wanted = make(TrainSpec, {**others, "dataset": dataset})
    torch.set_num_threads(cores())
    device = prepare(wanted.device)
    part = -(-wanted.batch_size // wanted.accumulate)
    network = network_of(wanted)
    at_once = min(part, affordable(network, device))
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        at_once = min(at_once, max(1, free // (2 * activation_bytes(network))))
    alone = {"accumulate": 1, "devices": 1, "compile": False, "init_from": "", "freeze": ()}
    tried = wanted.model_copy(update={"batch_size": at_once, **alone})
    trainer = Trainer(tried, catalog.load(dataset), device)
    precision = fastest(trainer) if wanted.precision == "auto" else wanted.precision

    def step() -> None:
        trainer.step(0.5, precision)
        synchronise(device)

    return {
        "images": at_once,
        "seconds_per_step": _timed(step),
        "precision": precision,
        "seconds_per_call": _forward(trainer, precision),
        "peak_memory_bytes": peak_memory_bytes(device),
    }


def _forward(trainer: Any, precision: str) -> float:
    """Seconds per image of one network evaluation without gradients: of MOST_AT_ONCE images, on a
    CPU of no more than take a quarter of LONGEST."""
    g, n = trainer.generator, trainer.generator.network.network
    g.precision = precision

    def call(images: int) -> None:
        x = torch.randn(images, n.in_channels, n.image_size, n.image_size, device=trainer.device)
        t = torch.full((images,), n.num_train_timesteps // 2, device=trainer.device)
        labels = torch.zeros(images, dtype=torch.int64, device=trainer.device)
        g.predict(x, t, labels, t if n.low_size else None)
        synchronise(trainer.device)

    images = MOST_AT_ONCE
    if trainer.device.type == "cpu":
        one = _timed(lambda: call(1), longest=0.0)
        images = max(1, min(MOST_AT_ONCE, int(LONGEST / 4 / one)))
    return _timed(lambda: call(images), longest=LONGEST / 3) / images


def _classifier(
    classifier: str,
    shape: tuple[int, int, int],
    batch_size: int,
    optimizer: str,
    augment: str,
    device: str,
    threads: int,
) -> dict[str, Any]:
    """Times the training steps of a classifier, and its answers for test images, while the other
    places of the device are busy: on a CPU with convolutions, on a CUDA device with the same
    steps."""
    size, channels, classes = shape
    recipe = Recipe(classifier, 10**6, batch_size, 1e-3, optimizer=optimizer, augment=augment)

    def fitted() -> Fit:
        torch.set_num_threads(threads or cores())
        images, labels = _images(max(IMAGES, batch_size), size, channels, classes)
        return Fit(recipe, images, labels, classes, 0, device)

    def stepping(fit: Fit) -> Callable[[], None]:
        steps, on = iter(fit), prepare(device)

        def step() -> None:
            next(steps)
            synchronise(on)

        return step

    # before this process uses the device
    others = (
        _neighbours(CUDA_SLOTS - 1, lambda: stepping(fitted()))
        if device != "cpu" and len(find_devices()) > 1
        else _neighbours(cores() // threads - 1, _convolving)
    )
    try:
        on, fit = prepare(device), fitted()
        took = _timed(stepping(fit))
        test, _ = _images(IMAGES, size, channels, classes)

        def answer() -> None:
            for _ in outputs(fit.network, test, str(on)):
                pass

        each = _timed(answer, longest=LONGEST / 3) / len(test)
    finally:
        for other in others:
            os.kill(other, 9)
            os.waitpid(other, 0)
    return {
        "seconds_per_step": took,
        "seconds_per_image": each,
        "peak_memory_bytes": peak_memory_bytes(on),
    }


def _convolving() -> Callable[[], None]:
    torch.set_num_threads(1)
    x, weights = torch.randn(64, 32, 16, 16), torch.randn(32, 32, 3, 3)

    def convolve() -> None:
        torch.nn.functional.conv2d(x, weights, padding=1)

    return convolve


def _neighbours(count: int, make: Callable[[], Callable[[], None]]) -> list[int]:
    """Processes that keep the rest of the device busy, as workers beside this one would: each
    repeats what its own `make()` returns. Returns when each has done so once. They are forked, so
    this process must not have used a thread of torch or a CUDA device."""
    if count < 1 or not can_fork():
        return []
    found, parent = [], os.getpid()
    read, write = os.pipe()
    for _ in range(min(count, MOST_NEIGHBOURS)):
        child = os.fork()
        if child == 0:
            try:
                os.close(read)
                work = make()
                work()
                os.write(write, b".")
                while os.getppid() == parent:
                    work()
            finally:
                os._exit(0)
        found.append(child)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        pipe.read(len(found))  # less where one has ended
    return found


def _features(
    extractor: str, classifier: str, shape: tuple[int, int, int], weights: str, device: str
) -> dict[str, Any]:
    """Times the features of images, and the distances between two sets of features."""
    torch.set_num_threads(cores())
    size, channels, classes = shape
    on = prepare(device)
    images, _ = _images(IMAGES, size, channels, classes)
    began = time.perf_counter()
    network: Extractor
    if extractor in FROM_FILES:
        network, count = FROM_FILES[extractor](weights, str(on)), 32
    else:
        made = build(classifier, channels, size, classes).to(on)
        network, count = ClassifierExtractor(made.eval(), str(on)), IMAGES
    loaded = time.perf_counter() - began

    def extract() -> None:
        for _ in network.batches(images[:count]):
            pass

    each = _timed(extract) / count
    few, many = (_compared(extractor, SUMS, n, network.dimensions, classes) for n in COMPARED)
    pairs = _compared(extractor, ("prdc",), COMPARED[1], network.dimensions, classes)
    slope = max(0.0, (many - few) / (2 * (COMPARED[1] - COMPARED[0])))
    return {
        "seconds_to_load": loaded,
        "seconds_per_image": each,
        "seconds_per_comparison": max(0.0, few - slope * 2 * COMPARED[0]),
        "seconds_per_compared": slope,
        "seconds_per_pair": pairs / (3 * COMPARED[1] ** 2),
        "peak_memory_bytes": peak_memory_bytes(on),
    }


def _compared(
    extractor: str, measures: Sequence[str], images: int, dimensions: int, classes: int
) -> float:
    """Seconds of these measures of two sets of `images` features."""
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(images, dimensions)).astype(np.float32) for _ in range(2))
    labels = Labels(*(rng.integers(0, classes, images) for _ in range(2)))
    began = time.perf_counter()
    with threadpool_limits(cores()):
        compute(measured_on(extractor, measures), x, y, lambda name, make: make(), labels)
    return time.perf_counter() - began


def _search(size: int, channels: int, references: int) -> dict[str, Any]:
    """Times the search for near-copies. The images are smooth, as photographs are."""
    held = min(references, MOST_REFERENCES)
    of, images = _smooth(held, size, channels, 0), _smooth(IMAGES, size, channels, 1)
    times = []
    with threadpool_limits(cores()):
        for count in (IMAGES // 8, IMAGES):
            began = time.perf_counter()
            for _ in neighbours(images[:count], of, min(size, near_copies.LARGEST)):
                pass
            times.append(time.perf_counter() - began)
    each = max(1e-6, (times[1] - times[0]) / (IMAGES - IMAGES // 8))
    return {
        "seconds_to_begin": max(0.0, times[0] - each * (IMAGES // 8)) * references / held,
        "seconds_per_image": each * references / held,
        "peak_memory_bytes": peak_memory_bytes(torch.device("cpu")),
    }


def _smooth(count: int, size: int, channels: int, seed: int) -> np.ndarray:
    """Random images uint8 (count, size, size, channels) that change slowly from pixel to pixel."""
    small = np.random.default_rng(seed).integers(
        0, 256, (count, -(-size // 4), -(-size // 4), channels), np.uint8
    )
    return small.repeat(4, 1).repeat(4, 2)[:, :size, :size]


COSTS: dict[str, Callable[..., dict[str, Any]]] = {
    "train": _training,
    "classify": _classifier,
    "features": _features,
    "search": _search,
}
"""Kind of work -> the function that measures it."""


def _images(count: int, size: int, channels: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Random images uint8 (count, size, size, channels) and labels (count,): the time does not
    depend on their content."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, size, size, channels), np.uint8)
    return images, np.arange(count, dtype=np.int64) % classes


def _timed(call: Callable[[], None], longest: float = LONGEST) -> float:
    """The median of the seconds of several calls, after a first one."""
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < WARM_UP + FEWEST or time.perf_counter() - started < longest:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times[WARM_UP:])
