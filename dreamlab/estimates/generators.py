"""The cost of a training, of a synthetic set and of an import, with the search for near-copies in
the sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dreamlab.architecture.cost import activation_bytes, multiply_adds, parameter_count
from dreamlab.architecture.network import Network, network_of
from dreamlab.architecture.preview_size import PREVIEW_SHARE, PREVIEW_STEPS, preview_columns
from dreamlab.data import catalog, described, memory, near_copies
from dreamlab.data.importing.split import held_out
from dreamlab.data.selection import available
from dreamlab.estimates import history, work
from dreamlab.estimates.cost import Estimate, Source, weakest
from dreamlab.estimates.knowledge import PROCESS_BYTES, START_SECONDS, Knowledge, added
from dreamlab.noise import schedules, timesteps
from dreamlab.settings import ImportSpec, SynthesizeSpec, TrainSpec
from dreamlab.settings.budget import kept_checkpoints, training_steps
from dreamlab.settings.names import OPTIMIZER_NUMBERS
from dreamlab.settings.synthesize import guidance_weight
from dreamlab.store.cache import user_cache

RATE = 7e10
"""Multiply-adds per second of two CPU cores. It is used only for a CPU, and only if there is
neither a measurement nor an alike finished run."""
RESULT_BYTES = 2**15
"""Bytes of the small files of a run: settings, events and result."""
IMPORT_BYTES = 150 * 2**20
"""Memory of an import beyond that of any worker."""


def train(spec: TrainSpec, known: Knowledge) -> Estimate:
    """The cost of a training. Raises DataError."""
    network = network_of(spec)
    parameters = parameter_count(network)
    step, call, memory, source = _steps(spec, network, parameters, known)
    preview_images = preview_columns(network, not known.machine.uses_cuda(spec.device)) * len(
        catalog.drawn_classes(spec)
    )
    shown = PREVIEW_STEPS * preview_images * (call or 0.0)
    apart = max(spec.preview_every, shown / PREVIEW_SHARE) + shown  # from one preview to the next
    busy = 1 - shown / apart if source != "history" else 1.0
    steps: int | None = training_steps(spec, train_images(spec)) or None
    seconds: float | None = spec.seconds
    if steps:
        seconds = steps * step / busy if step is not None else None
    elif step is not None:
        steps = max(1, int(spec.seconds * busy / step))
    pixels = preview_images * network.image_size**2 * network.channels
    written = min((seconds or 0.0) / apart, steps or 1) + 2
    checkpoints = 4 * parameters * (1 + kept_checkpoints(spec, train_images(spec))) + int(
        4 * parameters * (2 + OPTIMIZER_NUMBERS[spec.optimizer])
    )
    previews = int(0.5 * written * pixels)
    return Estimate(
        None if seconds is None else seconds + known.start(spec.device),
        memory,
        checkpoints + previews,
        parameters,
        steps,
        steps * spec.batch_size if steps else None,
        source,
        checkpoints + (previews if source != "arithmetic" else 0),
    )


def _steps(
    spec: TrainSpec, network: Network, parameters: int, known: Knowledge
) -> tuple[float | None, float | None, int, Source]:
    """(seconds of a step, seconds of a network evaluation of an image, peak memory in bytes,
    source) of a training."""
    part = -(-spec.batch_size // spec.accumulate)
    if (measured := known.find(work.training(spec))) is not None:
        step = measured.seconds_per_step * spec.batch_size / measured.images
        more = _data_bytes(spec, network)
        if not known.machine.uses_cuda(spec.device):  # there, a batch is split until it fits
            more += (part - measured.images) * activation_bytes(network)
        return step, measured.seconds_per_call, measured.peak_memory_bytes + more, "probe"
    call = known.guess(multiply_adds(network) / RATE, spec.device)
    if (before := history.trained(spec, known.history)) is not None:
        return spec.batch_size * before.seconds, call, before.memory_bytes, "history"
    state = int(4 * parameters * (3 + OPTIMIZER_NUMBERS[spec.optimizer]))
    memory = PROCESS_BYTES + state + part * activation_bytes(network) + _data_bytes(spec, network)
    return None if call is None else 3 * spec.batch_size * call, call, memory, "arithmetic"


def _data_bytes(spec: TrainSpec, network: Network) -> int:
    """Memory of the images of a training: those that it uses, and all of a data set that is not
    imported, because it is read whole."""
    info = catalog.info(spec.dataset)
    whole = info.train + info.test if spec.dataset in catalog.INFO else 0
    return info.channels * (train_images(spec) * network.image_size**2 + whole * info.size**2)


def train_images(spec: TrainSpec) -> int:
    """Number of real images that a training uses."""
    return sum(available(spec))


def calls(spec: SynthesizeSpec, trained: TrainSpec, stage: int = 0) -> int:
    """Network evaluations per image in one stage of a cascade: one for each call of the sampler,
    and a second one if guidance applies there."""
    T = trained.num_train_timesteps
    alpha_bar = schedules.alpha_bar(trained.schedule, T, trained.zero_terminal_snr)
    asked = timesteps.evaluations(spec.sampler, alpha_bar, spec.num_steps)
    if guidance_weight(spec, trained, stage) == 0:
        return len(asked)
    return sum(1 + timesteps.within(t, T, spec.guidance_t_min, spec.guidance_t_max) for t in asked)


def synthesize(spec: SynthesizeSpec, stages: Sequence[TrainSpec], known: Knowledge) -> Estimate:
    """The cost of a synthetic set of these generators: the base of a cascade, then the models that
    enlarge its images. Raises DataError."""
    images = (len(spec.classes) or len(catalog.set_classes(spec, stages[0]))) * spec.per_class
    memory, parts = PROCESS_BYTES, list[tuple[float | None, Source]]()
    for number, stage in enumerate(stages):
        each, source = call_seconds(stage, known)
        count = images * calls(spec, stage, number)
        parts.append((None if each is None else count * each, source))
        memory += 4 * parameter_count(network_of(stage))
        memory += _forward_bytes(stage, min(images, spec.batch_size))
    parts.append(searching(images, stages[0].dataset, stages[0].data_dir, known))
    network = network_of(stages[-1])
    disk = images * (network.image_size**2 * network.channels + 8) + RESULT_BYTES
    return Estimate(
        added(known.start(spec.device), *(seconds for seconds, _ in parts)),
        memory,
        disk,
        images_seen=images,
        source=weakest(parts),
        sure_bytes=disk,
    )


def call_seconds(spec: TrainSpec, known: Knowledge) -> tuple[float | None, Source]:
    """Seconds of one network evaluation of an image, and where they come from. Raises
    DataError."""
    if (measured := known.find(work.training(spec))) is not None:
        return measured.seconds_per_call, "probe"
    if (before := history.sampled(spec, known.history, known.store, calls)) is not None:
        return before.seconds, "history"
    return known.guess(multiply_adds(network_of(spec)) / RATE, spec.device), "arithmetic"


def _forward_bytes(spec: TrainSpec, images: int) -> int:
    """Memory of sampling. Without gradients only a few of the largest feature maps exist at once.
    Guidance doubles the batch."""
    n = network_of(spec)
    return int(2 * images * 4 * 8 * max(w * s * s for w, s in zip(n.widths, n.sides, strict=True)))


def searching(
    images: int, dataset: str, data_dir: str, known: Knowledge
) -> tuple[float | None, Source]:
    """Seconds of the search for near-copies in a set of this many images: among the training and
    the test images, and once per data set for its limit. Without a measurement it counts as
    nothing: a set takes longer to sample than to search."""
    info = catalog.info(dataset)
    measured = known.find(work.search(info.size, info.channels, info.train))
    if measured is None:
        return 0.0, "probe"
    return _searched(measured, images, info.train, info.test) + (
        0.0 if _limit_known(dataset, data_dir) else calibrating(measured, info.train, info.test)
    ), "probe"


def _searched(measured: work.SearchCost, images: int, train: int, test: int) -> float:
    """Seconds of comparing images with all training and all test images."""
    both = measured.seconds_per_image * (1 + test / max(1, train))
    return 2 * measured.seconds_to_begin + images * both


def remembering(images: int, dataset: str, known: Knowledge) -> float:
    """Seconds of finding the nearest training and test images of a set of this many images, and
    those of held-out images, in pixels; 0 without a measurement. Raises DataError."""
    info = catalog.info(dataset)
    measured = known.find(work.search(info.size, info.channels, info.train))
    if measured is None:
        return 0.0
    held = measured.seconds_to_begin + min(info.test, memory.HELD) * measured.seconds_per_image
    return held + _searched(measured, images, info.train, info.test)


def calibrating(measured: work.SearchCost, train: int, test: int) -> float:
    """Seconds of calibrating the limit of a data set: images of each split are held out twice."""
    held = 2 * min(test, near_copies.HELD) + 2 * min(train, near_copies.HELD)
    return 4 * measured.seconds_to_begin + held * measured.seconds_per_image


def searched_within(dataset: str, data_dir: str, known: Knowledge) -> float:
    """Seconds of the search within a data set, before the first classifier that is trained on it; 0
    if it was searched. Raises DataError."""
    info = catalog.info(dataset)
    measured = known.find(work.search(info.size, info.channels, info.train))
    if measured is None:
        return 0.0
    if near_copies.within(catalog.load(dataset, data_dir)) is not None:
        return 0.0
    return _searched(measured, info.test, info.train, info.test)


def _limit_known(dataset: str, data_dir: str) -> bool:
    if described.find(dataset) is not None:
        return False
    try:
        data = catalog.load(dataset, data_dir)
    except catalog.DataError:  # a set can be sampled without the data of its generator
        return False
    side = min(data.info.size, near_copies.LARGEST)
    return user_cache().get(f"{near_copies.cache_key(data)}/{side}") is not None


def importing(spec: ImportSpec, proposal: Mapping[str, Any] | None, known: Knowledge) -> Estimate:
    """The cost of an import whose source was looked at (see `dreamlab.data.importing.proposal`):
    reading the images, and for real ones the search for near-copies. Without a look, only what any
    import needs."""
    if proposal is None:
        return Estimate(None, PROCESS_BYTES, RESULT_BYTES, sure_bytes=RESULT_BYTES)
    seconds, disk = START_SECONDS + proposal["seconds"], RESULT_BYTES + proposal["bytes"]
    test, images = proposal["splits"].get("test", 0), sum(proposal["per_class"])
    if not proposal["splits"]:  # the import will draw them
        test = sum(held_out(n, spec.test_share) for n in proposal["per_class"] if n)
    train = images - test
    if spec.role == "real" and test and train:
        pixels = proposal["image_size"] ** 2 * images
        channels = max(1, round(proposal["bytes"] / max(1, pixels)))
        measured = known.find(work.search(proposal["image_size"], channels, train))
        if measured is not None:
            seconds += calibrating(measured, train, test) + _searched(measured, test, train, test)
    memory = PROCESS_BYTES + IMPORT_BYTES
    return Estimate(
        seconds, memory, disk, images_seen=images, source="probe", sure_bytes=RESULT_BYTES
    )
