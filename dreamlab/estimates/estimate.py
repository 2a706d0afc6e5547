"""Estimates time, memory and disk space of a run: from measured steps on this machine (a probe),
else from a similar finished run, else from the number of operations."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Any

from dreamlab.architecture.cost import activation_bytes, multiply_adds, parameter_count
from dreamlab.architecture.network import Network, network_of
from dreamlab.architecture.preview_size import PREVIEW_SHARE, PREVIEW_STEPS, preview_columns
from dreamlab.classifiers import registry as classifiers
from dreamlab.data import catalog, judge
from dreamlab.data.selection import arm_counts, available
from dreamlab.estimates.measured import Measurement
from dreamlab.experiments import plan
from dreamlab.experiments.identity import data_of
from dreamlab.experiments.study.plan import chosen
from dreamlab.noise import schedules, timesteps
from dreamlab.settings import (
    ClassifySpec,
    FidelitySpec,
    ImportSpec,
    MixSpec,
    Spec,
    StudySpec,
    SweepSpec,
    SynthesizeSpec,
    TrainSpec,
    make,
)
from dreamlab.settings.budget import classifier_steps, kept_checkpoints, training_steps
from dreamlab.settings.names import OPTIMIZER_NUMBERS
from dreamlab.settings.synthesize import guidance_weight
from dreamlab.store import ArtefactCache, Run, RunError, RunStore
from dreamlab.store.cache import shipped
from dreamlab.store.machine import cores, has_cuda

RATE = 7e10
"""Multiply-adds per second of two CPU cores. It is used only if there is neither a probe nor a
similar finished run."""
PROCESS_BYTES = 550 * 2**20
START_SECONDS = 0.5
CLASSIFY_SECONDS_PER_IMAGE = 3.3e-4  # training small_cnn with one thread
EXTRACTOR_SECONDS, FIDELITY_SECONDS = 25.0, 1.5

FindMeasurement = Callable[[TrainSpec], Measurement | None]


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Estimated seconds, bytes, parameters, steps and images; None if unknown. `source` is "probe",
    "history" (a finished run) or "arithmetic", which is a guess. `sure_bytes` is the part of
    `disk_bytes` that rests on no guess; only this part may refuse a run."""

    seconds: float | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    parameters: int | None = None
    steps: int | None = None
    images_seen: int | None = None
    source: str = "arithmetic"
    sure_bytes: int = 0

    @property
    def images_per_second(self) -> float | None:
        """Images per second; None if either number is unknown."""
        return self.images_seen / self.seconds if self.images_seen and self.seconds else None

    @property
    def text(self) -> str:
        """Time, speed, memory, disk space and parameters as far as they are known, in one line."""
        parts = []
        if self.seconds is not None:
            parts.append(f"about {duration(self.seconds)}")
        if self.steps and self.images_per_second:
            rate = self.images_per_second
            parts.append(
                f"{self.steps:,} steps at {rate:,.0f} images/s"
                if rate >= 10
                else f"{self.steps:,} steps at {rate:.2g} images/s"
            )
        if self.memory_bytes is not None:
            parts.append(f"{self.memory_bytes / 1e9:.1f} GB memory")
        if self.disk_bytes is not None:
            parts.append(f"{max(self.disk_bytes / 1e6, 1):,.0f} MB disk")
        text = ", ".join(parts)
        text += f"; {self.parameters:,} parameters" if self.parameters is not None else ""
        guessed = text and self.seconds is not None and self.source == "arithmetic"
        return text + ("; not measured here" if guessed else "")

    def as_dict(self) -> dict[str, Any]:
        """The estimate under the keys that result files use, for the command line."""
        return {
            "parameters": self.parameters,
            "steps": self.steps,
            "images_seen": self.images_seen,
            "seconds": self.seconds,
            "images_per_second": self.images_per_second,
            "peak_memory_bytes": self.memory_bytes,
            "disk_bytes": self.disk_bytes,
            "source": self.source,
        }


@dataclasses.dataclass(frozen=True)
class Past:
    """What is known from this machine: measurements, and finished runs, newest first."""

    store: RunStore
    known: FindMeasurement
    history: list[Run]


def estimate(
    spec: Spec,
    store: RunStore,
    history: Iterable[Run] = (),
    known: FindMeasurement = lambda spec: None,
) -> Estimate:
    """The estimate for a run of this spec on this machine. `history` are finished runs, newest
    first; `known` returns the measurement for a training, if there is one."""
    past = Past(store, known, list(history))
    if isinstance(spec, TrainSpec):
        return _train(spec, past)
    if isinstance(spec, SynthesizeSpec):
        return _synthesize(spec, past)
    if isinstance(spec, FidelitySpec):
        return Estimate(EXTRACTOR_SECONDS, 900 * 2**20, 2**20, sure_bytes=2**20)
    if isinstance(spec, ClassifySpec):
        return Estimate(classifying(spec), 700 * 2**20, 2**20, sure_bytes=2**20)
    if isinstance(spec, ImportSpec):
        return Estimate(None, 600 * 2**20, 2**20, sure_bytes=2**20)
    if isinstance(spec, MixSpec | SweepSpec | StudySpec):
        return _group(spec, past)
    return Estimate()


def classifying(spec: ClassifySpec) -> float:
    """Seconds on one core for all seeds of one arm."""
    info = catalog.info(spec.dataset)
    images = 0
    if spec.budget == "epochs":
        images = sum(c.total for c in arm_counts(spec.arm, spec))
    steps = classifier_steps(spec, images)
    cost = (
        classifiers.find(spec.classifier).cost * (info.size / 28) ** 2 * CLASSIFY_SECONDS_PER_IMAGE
    )
    return spec.seeds * (steps * spec.batch_size + info.test / 3) * cost


def judging(dataset: str, data_dir: str, store: RunStore) -> float:
    """Seconds on one core for training the judge of a data set, which decides whether generators
    were trained enough; 0 if it is kept already. Raises DataError."""
    key = _judge_key(dataset, data_dir, catalog.stamp(dataset, data_dir))
    if shipped(key) is not None:
        return 0.0
    if store.folders.cache.exists():  # opening the cache would create the folder
        with contextlib.closing(ArtefactCache(store.folders.cache)) as cache:
            if cache.get(key) is not None:
                return 0.0
    info = catalog.info(dataset)
    recipe = judge.recipe_of(info)
    cost = classifiers.find(recipe.classifier).cost * (info.size / 28) ** 2
    images = recipe.steps * recipe.batch_size + min(info.test, judge.MOST_IMAGES) / 3
    return images * cost * CLASSIFY_SECONDS_PER_IMAGE


@functools.lru_cache(maxsize=64)
def _judge_key(dataset: str, data_dir: str, _: catalog.Stamp) -> str:
    # forms ask for an estimate at every key press
    return judge.cache_key(catalog.load(dataset, data_dir), data_dir)


def calls(spec: SynthesizeSpec, trained: TrainSpec, stage: int = 0) -> int:
    """Network evaluations per image in one stage of a cascade: one for each call of the sampler,
    and a second one if guidance applies there."""
    T = trained.num_train_timesteps
    alpha_bar = schedules.alpha_bar(trained.schedule, T, trained.zero_terminal_snr)
    asked = timesteps.evaluations(spec.sampler, alpha_bar, spec.num_steps)
    if guidance_weight(spec, trained, stage) == 0:
        return len(asked)
    return sum(1 + timesteps.within(t, T, spec.guidance_t_min, spec.guidance_t_max) for t in asked)


def _synthesize(spec: SynthesizeSpec, past: Past) -> Estimate:
    runs = [past.store.get(name).spec for name in (spec.source, *spec.upsample)]
    stages = [r for r in runs if isinstance(r, TrainSpec)]
    images = (len(spec.classes) or len(catalog.set_classes(spec, stages[0]))) * spec.per_class
    seconds, disk, source, memory = START_SECONDS, 0, "probe", PROCESS_BYTES
    for number, stage in enumerate(stages):
        s, disk, how = _sampling(spec, stage, images, past, number)
        seconds, source = seconds + s, how if how != "probe" else source
        memory += 4 * parameter_count(network_of(stage)) + _forward_bytes(
            stage, min(images, spec.batch_size)
        )
    return Estimate(seconds, memory, disk, images_seen=images, source=source, sure_bytes=disk)


def _sampling(
    spec: SynthesizeSpec, trained: TrainSpec, images: int, past: Past, stage: int = 0
) -> tuple[float, int, str]:
    """(seconds, bytes of the finished images, source of the time) of one stage."""
    network = network_of(trained)
    each, source = multiply_adds(network) / RATE, "arithmetic"
    if (measured := past.known(trained)) is not None:
        each, source = measured.seconds_per_call, "probe"
    else:
        for run in past.history:
            old, result = run.spec, run.result()
            if not isinstance(old, SynthesizeSpec) or old.upsample or not result:
                continue
            generator = _generator_of(old, past.store)
            if generator is not None and _same_network(generator, network):
                each, source = 1 / (result["images_per_second"] * calls(old, generator)), "history"
                break
    return (
        images * calls(spec, trained, stage) * each,
        images * (network.image_size**2 * network.channels + 8) + 2**17,
        source,
    )


def _generator_of(spec: SynthesizeSpec, store: RunStore) -> TrainSpec | None:
    """The spec of the generator of a synthetic set; None if its run is missing."""
    try:
        generator = store.get(spec.source).spec
    except RunError:
        return None
    return generator if isinstance(generator, TrainSpec) else None


def _same_network(trained: TrainSpec, network: Network) -> bool:
    """Whether a training had this network. False if its data set, which decides the shape, is
    gone."""
    try:
        return network_of(trained) == network
    except catalog.DataError:
        return False


def _forward_bytes(spec: TrainSpec, images: int) -> int:
    """Memory of sampling. Without gradients only a few of the largest feature maps exist at once.
    Guidance doubles the batch."""
    n = network_of(spec)
    return int(2 * images * 4 * 8 * max(w * s * s for w, s in zip(n.widths, n.sides, strict=True)))


def train_images(spec: TrainSpec) -> int:
    """Number of real images that a training uses."""
    return sum(available(spec))


def _train(spec: TrainSpec, past: Past) -> Estimate:
    network = network_of(spec)
    parameters = parameter_count(network)
    part = -(-spec.batch_size // spec.accumulate)
    step, call = 3 * spec.batch_size * multiply_adds(network) / RATE, multiply_adds(network) / RATE
    state = int(4 * parameters * (3 + OPTIMIZER_NUMBERS[spec.optimizer]))
    data = train_images(spec) * network.image_size**2 * network.channels
    memory, source = PROCESS_BYTES + state + part * activation_bytes(network) + data, "arithmetic"
    if (measured := past.known(spec)) is not None:
        step, call, source = (
            measured.seconds_per_step * spec.batch_size / measured.images,
            measured.seconds_per_call,
            "probe",
        )
        memory = measured.peak_memory_bytes + (part - measured.images) * activation_bytes(network)
    elif (run := _alike(spec, past.history)) is not None:
        result = run.result() or {}
        step, source, memory = (
            spec.batch_size / result["images_per_second"],
            "history",
            result["peak_memory_bytes"],
        )
    on_cpu = spec.device == "cpu" or not has_cuda()
    preview_images = preview_columns(network, on_cpu) * len(catalog.drawn_classes(spec))
    shown = PREVIEW_STEPS * preview_images * call
    apart = max(spec.preview_every, shown / PREVIEW_SHARE) + shown  # from one preview to the next
    busy = 1 - shown / apart if source != "history" else 1.0
    steps = training_steps(spec, train_images(spec))
    seconds = steps * step / busy if steps else spec.seconds
    steps = steps or max(1, int(spec.seconds * busy / step))
    pixels = preview_images * network.image_size**2 * network.channels
    previews = (min(seconds / apart, steps) + 2) * pixels
    checkpoints = 4 * parameters * (1 + kept_checkpoints(spec, train_images(spec))) + int(
        4 * parameters * (2 + OPTIMIZER_NUMBERS[spec.optimizer])
    )
    return Estimate(
        seconds + START_SECONDS,
        memory,
        checkpoints + int(0.5 * previews),
        parameters,
        steps,
        steps * spec.batch_size,
        source,
        checkpoints + (int(0.5 * previews) if source != "arithmetic" else 0),
    )


def _alike(spec: TrainSpec, history: list[Run]) -> Run | None:
    """The newest finished run with the same network, batch and optimiser; None if there is none."""
    network = network_of(spec)
    for run in history:
        old, result = run.spec, run.result()
        if (
            isinstance(old, TrainSpec)
            and result
            and result.get("images_per_second")
            and _same_network(old, network)
            and (old.batch_size, old.accumulate, old.optimizer, old.precision, old.devices)
            == (spec.batch_size, spec.accumulate, spec.optimizer, spec.precision, spec.devices)
        ):
            return run
    return None


def _group(spec: MixSpec | SweepSpec | StudySpec, past: Past) -> Estimate:
    """The sum over the children of an experiment. Classifiers run in parallel on the cores, all
    other runs one after another."""
    seconds, disk, sure, classifiers = 0.0, 2**20, 2**20, 0.0
    planned: dict[str, TrainSpec] = {}
    children = plan(spec, past.store)
    read = data_of(spec, past.store) or ("", "")
    if any(child.kind == "fidelity" for child in children):
        seconds += EXTRACTOR_SECONDS  # it trains the judge, or reads other features
    elif isinstance(spec, MixSpec) or (
        isinstance(spec, StudySpec) and any(c.treatments for c in chosen(spec)[1].comparisons)
    ):
        seconds += judging(*read, past.store)
    for child in children:
        values = {k: v for k, v in child.values.items() if k not in ("synthetic", "images")}
        if child.kind == "train":
            planned[f"@{child.role}"] = make(TrainSpec, values)
            train = _train(planned[f"@{child.role}"], past)
            seconds, disk = seconds + (train.seconds or 0), disk + (train.disk_bytes or 0)
            sure += train.sure_bytes
        elif child.kind == "synthesize":
            generator = planned.get(values["source"]) or past.store.get(values["source"]).spec
            assert isinstance(generator, TrainSpec)
            wanted = make(SynthesizeSpec, values)
            classes = wanted.classes or catalog.set_classes(wanted, generator)
            s, d, _ = _sampling(wanted, generator, wanted.per_class * len(classes), past)
            seconds, disk, sure = seconds + s + START_SECONDS, disk + d, sure + d
        elif child.kind == "classify":
            classifiers += classifying(make(ClassifySpec, values)) + 1.0
            disk, sure = disk + 2**18, sure + 2**18
        elif child.kind == "fidelity":
            seconds += FIDELITY_SECONDS
    return Estimate(seconds + classifiers / cores(), 1400 * 2**20, disk, sure_bytes=sure)


def duration(seconds: float) -> str:
    """A time in words: '40 s', '3 min 20 s' or '2 h 5 min'."""
    s = max(1, round(seconds))
    if s < 100:
        return f"{s} s"
    if s < 3600:
        return f"{s // 60} min" + (f" {s % 60} s" if s % 60 and s < 600 else "")
    return f"{s // 3600} h {s % 3600 // 60} min"
