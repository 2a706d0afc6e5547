"""The cost of a classifier, of the judge of a data set, and of a fidelity run."""

from __future__ import annotations

import contextlib
import dataclasses
import functools

from dreamlab.classifiers import registry as classifiers
from dreamlab.data import catalog, described, judge
from dreamlab.data.memory import HELD
from dreamlab.data.selection import arm_counts
from dreamlab.estimates import history, work
from dreamlab.estimates.cost import Estimate, Source, weakest
from dreamlab.estimates.generators import RESULT_BYTES, remembering
from dreamlab.estimates.knowledge import PROCESS_BYTES, Knowledge, added
from dreamlab.settings import ClassifySpec, FidelitySpec
from dreamlab.settings.budget import classifier_steps
from dreamlab.settings.names import ExtractorName
from dreamlab.store import ArtefactCache
from dreamlab.store.cache import shipped

CLASSIFY_SECONDS_PER_IMAGE = 3.3e-4
"""Training small_cnn on an image of 28x28 pixels with one thread of a CPU. It is used only for a
CPU, and only if there is neither a measurement nor an alike finished run."""
FEATURE_SECONDS_PER_IMAGE = {
    "classifier": 3e-4,
    "inception": 0.08,
    "dinov2": 0.3,
    "clip": 0.08,
    "own": 3e-4,
}
"""The same for the features of an image of 28x28 pixels. Networks that are read from files enlarge
every image; those of DINOv2 and CLIP are of base size."""
DISTANCE_SECONDS = 2.0
"""The same for the distances between two sets of features."""
PREDICTED_BYTES = 8
"""Bytes of the prediction for one test image."""
CLASSIFIER_BYTES, EXTRACTOR_BYTES = 150 * 2**20, 350 * 2**20
"""Memory of a worker that trains a classifier or computes features, beyond that of any worker."""


def classify(spec: ClassifySpec, known: Knowledge) -> Estimate:
    """The cost of all seeds of one arm. Raises SpecError and DataError."""
    info, threads = catalog.info(spec.dataset), known.threads("classify", spec.device)
    images = sum(c.total for c in arm_counts(spec.arm, spec)) if spec.budget == "epochs" else 0
    steps = classifier_steps(spec, images)
    fit = fitting(work.classifier(spec, threads), steps, info.test, spec.batch_size, known)
    if fit.source == "arithmetic":
        before = history.classified(spec, threads, known.history)
        if before is not None:
            seconds = before.seconds * (steps * spec.batch_size + history.TEST_IMAGE * info.test)
            fit = dataclasses.replace(fit, seconds=seconds, source="history")
    disk = RESULT_BYTES + PREDICTED_BYTES * spec.seeds * info.test
    whole = None if fit.seconds is None else spec.seeds * fit.seconds
    return Estimate(
        added(known.start(spec.device), whole),
        fit.memory_bytes,
        disk,
        source=fit.source,
        sure_bytes=disk,
        seed_seconds=fit.seconds,
    )


@dataclasses.dataclass(frozen=True)
class Fitting:
    """The cost of training one classifier and testing it."""

    seconds: float | None
    memory_bytes: int
    source: Source


def fitting(
    unit: work.Work[work.ClassifierCost], steps: int, test: int, batch_size: int, known: Knowledge
) -> Fitting:
    """The cost of one classifier with this unit of work, tested on `test` images."""
    if (measured := known.find(unit)) is not None:
        seconds = steps * measured.seconds_per_step + test * measured.seconds_per_image
        return Fitting(seconds, measured.peak_memory_bytes, "probe")
    size, cost = unit.request["shape"][0], classifiers.find(unit.request["classifier"]).cost
    each = cost * (size / 28) ** 2 * CLASSIFY_SECONDS_PER_IMAGE
    images = steps * batch_size + history.TEST_IMAGE * test
    return Fitting(
        known.guess(images * each, unit.device), PROCESS_BYTES + CLASSIFIER_BYTES, "arithmetic"
    )


def judging(
    dataset: str, data_dir: str, device: str, known: Knowledge
) -> tuple[float | None, Source]:
    """Seconds of training the judge of a data set, which decides whether generators were trained
    enough; 0 if it is kept already. Raises DataError."""
    if described.find(dataset) is None:
        key = _judge_key(dataset, data_dir, catalog.stamp(dataset, data_dir))
        if shipped(key) is not None:
            return 0.0, "probe"
        folder = known.store.folders.cache
        if folder.exists():  # opening the cache would create the folder
            with contextlib.closing(ArtefactCache(folder)) as cache:
                if cache.get(key) is not None:
                    return 0.0, "probe"
    info, threads = catalog.info(dataset), known.threads("fidelity", device)
    recipe = judge.recipe_of(info)
    unit = work.classifier_step(
        dataset,
        recipe.classifier,
        recipe.batch_size,
        "adamw",
        bool(recipe.augment),
        device,
        threads,
    )
    fit = fitting(unit, recipe.steps, min(info.test, judge.MOST_IMAGES), recipe.batch_size, known)
    return fit.seconds, fit.source


@functools.lru_cache(maxsize=64)
def _judge_key(dataset: str, data_dir: str, _: catalog.Stamp) -> str:
    # forms ask for an estimate at every key press
    return judge.cache_key(catalog.load(dataset, data_dir), data_dir)


def fidelity(
    spec: FidelitySpec,
    images: int,
    real: tuple[str, str],
    known: Knowledge,
    *,
    judged: bool = False,
    before: bool | None = None,
) -> Estimate:
    """The cost of measuring a set of this many images against the data set `real`, given by its
    name and its folder. `judged` says that its
    judge will be there, and `before` that the features of the reference will be; None looks for a
    finished run that has computed them. Raises DataError."""
    dataset, data_dir = real
    info = catalog.info(dataset)
    reference, other = (
        (info.test, info.train) if spec.reference == "test" else (info.train, info.test)
    )
    reference, floor = min(judge.MOST_IMAGES, reference), min(images, other)
    if before is None:
        before = history.measured_before(spec, dataset, known.history)
    count = images + floor + (0 if before else reference)
    train, held = min(judge.MOST_IMAGES, info.train), min(HELD, info.test)
    if "memory" in spec.metrics:
        count += images + train + held
    memory, parts = PROCESS_BYTES + EXTRACTOR_BYTES, list[tuple[float | None, Source]]()
    if spec.extractor == "classifier" and not judged:
        parts.append(judging(dataset, data_dir, spec.device, known))
    measured = known.find(_extracting_for(spec, dataset, known))
    if measured is not None:
        compared = 2 * measured.seconds_per_comparison
        compared += measured.seconds_per_compared * (images + floor + 2 * reference)
        if "prdc" in spec.metrics:
            pairs = sum(n * n + n * reference + reference**2 for n in (images, floor) if n)
            compared += pairs * measured.seconds_per_pair
        if "memory" in spec.metrics:
            pairs = 2 * (images * (train + info.test) + held * train) + (images + train) * train
            compared += pairs * measured.seconds_per_pair
            compared += remembering(images, dataset, known)
        seconds = measured.seconds_to_load + count * measured.seconds_per_image + compared
        parts.append((seconds, "probe"))
        memory = measured.peak_memory_bytes + count * info.size**2 * info.channels
    else:
        each = FEATURE_SECONDS_PER_IMAGE[spec.extractor]
        each *= (info.size / 28) ** 2 if spec.extractor in ("classifier", "own") else 1
        parts.append((known.guess(count * each + DISTANCE_SECONDS, spec.device), "arithmetic"))
    return Estimate(
        added(known.start(spec.device), *(seconds for seconds, _ in parts)),
        memory,
        RESULT_BYTES,
        source=weakest(parts),
        sure_bytes=RESULT_BYTES,
    )


def _extracting_for(
    spec: FidelitySpec, dataset: str, known: Knowledge
) -> work.Work[work.FeatureCost]:
    weights = spec.inception_weights if spec.extractor == "inception" else spec.extractor_dir
    if spec.extractor == "own":
        of = known.store.get(spec.classifier).spec
        if isinstance(of, ClassifySpec):
            return work.features(of.dataset, of.classifier, "own", "", spec.device)
    return extracting(dataset, spec.extractor, weights, spec.device)


def extracting(
    dataset: str, extractor: ExtractorName, weights: str, device: str
) -> work.Work[work.FeatureCost]:
    """The unit of work of an extractor on a data set. Raises DataError."""
    recipe = judge.recipe_of(catalog.info(dataset))
    return work.features(dataset, recipe.classifier, extractor, weights, device)


def recognising(
    images: int, dataset: str, data_dir: str, device: str, known: Knowledge, judged: bool
) -> tuple[float | None, Source]:
    """Seconds of judging a set: features of its images and of the test images, and the training of
    the judge unless it is `judged` already in this experiment. Raises DataError."""
    info, most = catalog.info(dataset), judge.MOST_IMAGES
    count = min(images, most) + (0 if judged else min(info.test, most))
    parts: list[tuple[float | None, Source]] = []
    if not judged:
        parts.append(judging(dataset, data_dir, device, known))
    measured = known.find(extracting(dataset, "classifier", "", device))
    if measured is not None:
        parts.append((count * measured.seconds_per_image, "probe"))
    else:
        each = FEATURE_SECONDS_PER_IMAGE["classifier"] * (info.size / 28) ** 2
        parts.append((known.guess(count * each, device), "arithmetic"))
    return added(*(seconds for seconds, _ in parts)), weakest(parts)
