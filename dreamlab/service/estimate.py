"""What a run will cost, before Start: from finished runs of the same kind on this machine, else from a two-core measurement."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from dreamlab.data import catalog, mixing
from dreamlab.groups import plan
from dreamlab.service.machine import cores
from dreamlab.spec import (
    DEFAULT_VALUES,
    ClassifySpec,
    FidelitySpec,
    MixSpec,
    Spec,
    SweepSpec,
    SynthesizeSpec,
    TrainSpec,
    make,
)
from dreamlab.spec.facts import parameter_count
from dreamlab.store import Run, RunStore

# Two cores without bf16 units; replaced by this machine's own runs as soon as there are some.
TRAIN_SECONDS_PER_IMAGE = 1.6e-3  # the default network at 28x28
SAMPLE_SECONDS_PER_CALL = 4.0e-4  # one image through the default network once
CLASSIFY_SECONDS_PER_IMAGE = 3.3e-4  # small_cnn, one thread, training
CLASSIFIER_COST = {"small_cnn": 1.0, "cnn": 3.0, "resnet18": 60.0}
EXTRACTOR_SECONDS = 25.0
DEFAULT_WORK = 542_276 * 14 * 14


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Seconds, bytes, parameters; None where nothing can be said. `text` says it in one line."""

    seconds: float | None
    memory_bytes: int | None
    disk_bytes: int | None
    parameters: int | None
    text: str


def estimate(spec: Spec, store: RunStore, history: Iterable[Run] = ()) -> Estimate:
    """History: finished runs, newest first, of which the first that fits calibrates the guess."""
    if isinstance(spec, TrainSpec):
        return _train(spec, list(history))
    if isinstance(spec, SynthesizeSpec):
        generator = store.get(spec.source).spec
        assert isinstance(generator, TrainSpec)
        classes = len(spec.classes) or len(catalog.INFO[generator.dataset].classes)
        seconds, disk = sampling(
            generator, classes * spec.per_class, spec.num_steps, spec.guidance_weight, list(history)
        )
        return _say(seconds, 700 * 2**20, disk, None)
    if isinstance(spec, FidelitySpec):
        return _say(EXTRACTOR_SECONDS, 900 * 2**20, 2**20, None)
    if isinstance(spec, ClassifySpec):
        return _say(classifying(spec), 700 * 2**20, 2**20, None)
    if isinstance(spec, SweepSpec):
        return _sweep(spec, store, list(history))
    if isinstance(spec, MixSpec):
        return _mix(spec, store, list(history))
    return _say(None, None, None, None)


def classifying(spec: ClassifySpec) -> float:
    """Seconds of all seeds of one arm on one core."""
    info = catalog.INFO[spec.dataset]
    pixels = (info.size / 28) ** 2
    steps = spec.steps
    if spec.budget == "epochs":
        per_class = spec.images_per_class or info.train // len(info.classes)
        arm = mixing.counts(spec.arm, per_class)
        steps = spec.epochs * max(1, (arm.real + arm.synthetic) * len(info.classes) // spec.batch_size)
    cost = CLASSIFIER_COST[spec.classifier] * pixels * CLASSIFY_SECONDS_PER_IMAGE
    return spec.seeds * (steps * spec.batch_size + info.test / 3) * cost


def sampling(generator: TrainSpec, images: int, num_steps: int, w: float, history: list[Run]) -> tuple[float, int]:
    """Seconds and bytes of a synthetic set."""
    info = catalog.INFO[generator.dataset]
    calls = images * num_steps * (2 if w > 0 else 1)
    seconds = calls * SAMPLE_SECONDS_PER_CALL * _work(generator) / DEFAULT_WORK
    for run in history:
        if isinstance(run.spec, SynthesizeSpec) and (result := run.result()):
            old = run.spec
            seconds = calls / (result["images_per_second"] * old.num_steps * (2 if old.guidance_weight > 0 else 1))
            break
    return seconds + 0.5, images * (info.size**2 * info.channels + 8) + 2**18


def _train(spec: TrainSpec, history: list[Run]) -> Estimate:
    info = catalog.INFO[spec.dataset]
    parameters = parameter_count(spec, info.size, info.channels, len(info.classes))
    per_image = TRAIN_SECONDS_PER_IMAGE * _work(spec) / DEFAULT_WORK
    memory = (
        550 * 2**20
        + 4 * 5 * parameters
        + int(spec.batch_size * _activations(spec))
        + info.train * info.size**2 * info.channels
    )
    for run in history:
        old = run.spec
        if (
            isinstance(old, TrainSpec)
            and (result := run.result())
            and result.get("parameters") == parameters
            and old.dataset == spec.dataset
        ):
            per_image = 1 / max(result["images_per_second"], 1e-9)
            if old.batch_size == spec.batch_size and result.get("peak_memory_bytes"):
                memory = result["peak_memory_bytes"]
            break
    seconds = spec.steps * spec.batch_size * per_image if spec.steps else spec.seconds
    previews = seconds / spec.preview_every * 160 * info.size**2 * info.channels * 0.5
    return _say(seconds, memory, int(4 * 5 * parameters + previews), parameters)


def _activations(spec: TrainSpec) -> float:
    """Bytes per image that the backward pass keeps: about 40 maps of the base width at the stem's resolution."""
    side = catalog.INFO[spec.dataset].size / spec.stem_patch
    maps: float = sum(m / 4**i for i, m in enumerate(spec.multipliers))
    return 160 * spec.base_width * spec.blocks_per_level * side**2 * maps


def _work(spec: TrainSpec) -> float:
    info = catalog.INFO[spec.dataset]
    return parameter_count(spec, info.size, info.channels, len(info.classes)) * (info.size / spec.stem_patch) ** 2


def _sweep(spec: SweepSpec, store: RunStore, history: list[Run]) -> Estimate:
    generator = store.get(spec.source).spec
    assert isinstance(generator, TrainSpec)
    seconds, disk = EXTRACTOR_SECONDS, 0
    images = spec.per_class * len(catalog.INFO[generator.dataset].classes)
    for v in spec.values or DEFAULT_VALUES[spec.axis]:
        steps = int(v) if spec.axis == "num_steps" else spec.num_steps
        w = v if spec.axis == "guidance_weight" else spec.guidance_weight
        s, d = sampling(generator, images, steps, w, history)
        seconds, disk = seconds + s + 1.5, disk + d
        if spec.axis == "num_train_timesteps":
            train = _train(generator, history)
            seconds, disk = seconds + (train.seconds or 0), disk + (train.disk_bytes or 0)
    return _say(seconds, 900 * 2**20, disk, None)


def _mix(spec: MixSpec, store: RunStore, history: list[Run]) -> Estimate:
    """The classifiers of a mix run side by side on the cores; the rest one after another."""
    seconds, disk, classifiers = 0.0, 2**20, 0.0
    own = make(TrainSpec, {"dataset": spec.dataset, "data_dir": spec.data_dir, "seconds": spec.train_seconds})
    for child in plan(spec, store):
        if child.kind == "train":
            train = _train(make(TrainSpec, child.values), history)
            seconds, disk = seconds + (train.seconds or 0), disk + (train.disk_bytes or 0)
        elif child.kind == "synthesize":
            source = child.values["source"]
            generator = own if source.startswith("@") else store.get(source).spec
            assert isinstance(generator, TrainSpec)
            images = child.values["per_class"] * len(catalog.INFO[spec.dataset].classes)
            s, d = sampling(generator, images, spec.num_steps, spec.guidance_weight, history)
            seconds, disk = seconds + s, disk + d
        elif child.kind == "classify":
            values = {k: v for k, v in child.values.items() if k != "synthetic"}
            classifiers += classifying(make(ClassifySpec, values)) + 1.0
            disk += 2**18
    return _say(seconds + classifiers / cores(), 1400 * 2**20, disk, None)


def _say(seconds: float | None, memory: int | None, disk: int | None, parameters: int | None) -> Estimate:
    parts = []
    if seconds is not None:
        parts.append(f"about {duration(seconds)}")
    if memory is not None:
        parts.append(f"{memory / 1e9:.1f} GB memory")
    if disk is not None:
        parts.append(f"{max(disk / 1e6, 1):,.0f} MB disk")
    text = ", ".join(parts)
    if parameters is not None:
        text += f"; {parameters:,} parameters"
    return Estimate(seconds, memory, disk, parameters, text)


def duration(seconds: float) -> str:
    """'40 s', '3 min 20 s', '2 h 5 min'."""
    s = max(1, round(seconds))
    if s < 100:
        return f"{s} s"
    if s < 3600:
        return f"{s // 60} min" + (f" {s % 60} s" if s % 60 and s < 600 else "")
    return f"{s // 3600} h {s % 3600 // 60} min"
