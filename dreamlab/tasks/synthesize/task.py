"""Task synthesize: samples a labelled image set from a trained generator, class by class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dreamlab.settings import SynthesizeSpec
from dreamlab.tasks.context import TaskContext, TaskError
from dreamlab.tasks.fidelity import recognition
from dreamlab.tasks.synthesize.image_set import SampledSet
from dreamlab.tasks.synthesize.pseudo_labels import LabelledSet


def synthesize(ctx: TaskContext) -> Iterator[dict[str, Any]]:
    """Writes images.npy and labels.npy. A run that was stopped or killed continues after its last
    saved image."""
    if not isinstance(ctx.spec, SynthesizeSpec):
        raise TaskError(f"{ctx.run.id} is not a synthesize run.")
    work = SampledSet(ctx, ctx.spec) if ctx.spec.labeller == "none" else LabelledSet(ctx, ctx.spec)
    work.save()  # the number formats, which a later attempt keeps on any machine
    yield from work.sample()
    if ctx.spec.trajectory:
        yield from work.trajectory()
    work.save()
    work.found |= yield from recognition.for_mix(ctx, ctx.spec, work.images, work.labels)
    yield from work.finish()
