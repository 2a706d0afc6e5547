"""The extractor that is a classifier of the user."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from dreamlab.fidelity.extractors import OwnExtractor
from dreamlab.settings import ClassifySpec, FidelitySpec
from dreamlab.tasks.classify.kept import kept_classifier
from dreamlab.tasks.context import TaskContext
from dreamlab.tasks.fidelity.sets import Sets

Event = dict[str, Any]


def own_extractor(
    ctx: TaskContext, spec: FidelitySpec, sets: Sets
) -> Generator[Event, None, tuple[OwnExtractor, float | None]]:
    """The extractor, and the accuracy of its first seed on the real test images, 0 to 1; None if it
    was trained on other data. Yields what a user should know of it. Raises TaskError."""
    run = ctx.store.get(spec.classifier)
    network, size = kept_classifier(run, ctx.device)
    side = sets.data.info.size
    if size != side:
        text = f"Images of {side}x{side} pixels are resized to {size}x{size} for the classifier."
        yield {"type": "message", "level": "info", "text": text}
    trained = run.spec
    assert isinstance(trained, ClassifySpec), "check_fidelity has checked it"
    if trained.synthetic == spec.images:
        text = "The classifier was trained on images of this set, so that it knows them too well."
        yield {"type": "message", "level": "warning", "text": text}
    same = (trained.dataset, trained.data_dir) == (sets.data.info.name, sets.data_dir)
    found = (run.result() or {}).get("accuracies") or []
    accuracy = float(found[0]) if same and found else None
    return OwnExtractor(network, ctx.device, size, side), accuracy
