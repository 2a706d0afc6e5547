"""The cost of the probes of a training, which is not part of the training's own time."""

from __future__ import annotations

import dataclasses

from dreamlab.architecture.preview_size import PROBE_REFERENCE, PROBE_STEPS
from dreamlab.data import catalog
from dreamlab.estimates import generators, judges
from dreamlab.estimates.cost import Estimate, Source, weakest
from dreamlab.estimates.knowledge import Knowledge, added
from dreamlab.settings import TrainSpec
from dreamlab.settings.budget import probes

KID_SECONDS = 5e-8
"""Seconds of KID with its interval for each pair of images, with one thread of a CPU: 0.3 s for 500
images against 2,000."""
KERNEL_BYTES = 16
"""Most bytes of it for each pair of images."""


def train(spec: TrainSpec, known: Knowledge) -> Estimate:
    """The cost of a training and of its probes. Raises DataError."""
    found = generators.train(spec, known)
    if not spec.probe_every or found.steps is None:
        return found
    training: tuple[float | None, Source] = (found.seconds, found.source)
    once = judges.recognising(0, spec.dataset, spec.data_dir, spec.device, known, False)
    call, source = generators.call_seconds(spec, known)
    n, count = spec.probe_images, probes(spec, found.steps)
    judged, _ = judges.recognising(n, spec.dataset, spec.data_dir, spec.device, known, True)
    pairs = (n + min(PROBE_REFERENCE, catalog.info(spec.dataset).test)) ** 2
    each = added(None if call is None else n * PROBE_STEPS * call, judged, KID_SECONDS * pairs)
    parts = [training, once, (None if each is None else count * each, source)]
    memory = judges.EXTRACTOR_BYTES + KERNEL_BYTES * pairs
    return dataclasses.replace(
        found,
        seconds=added(*(seconds for seconds, _ in parts)),
        memory_bytes=None if found.memory_bytes is None else found.memory_bytes + memory,
        source=weakest(parts),
    )
